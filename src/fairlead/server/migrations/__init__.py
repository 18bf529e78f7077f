"""The schema's history: one file per step in `versions/`, forward only. `scripts/migration "what changes"` writes the next one."""
