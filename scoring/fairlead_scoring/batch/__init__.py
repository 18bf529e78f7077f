"""Batch jobs: the bundle that answers a request scores a terabyte. `python -m fairlead_scoring batch PLACE` drives one job (docs/decisions/0012-batch.md)."""
