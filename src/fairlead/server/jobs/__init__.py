"""Batch jobs: written down here, prepared and watched by the loop, driven by a process of their own (docs/decisions/0012-batch.md)."""
