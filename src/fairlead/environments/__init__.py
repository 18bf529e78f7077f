"""The packages that user code runs with; found, never imported."""
