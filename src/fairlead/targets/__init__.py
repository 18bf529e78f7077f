"""Where workloads run: one seam, `types.Target`, and a package for each kind of place."""
