"""Batch services (1.C): named drivers and models with declared parameters, and jobs as runs of them; also in the seeds' own dialect (2.7)."""
