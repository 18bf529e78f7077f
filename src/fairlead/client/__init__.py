"""The control plane over HTTP: one file per resource. Imports wire types and errors only."""
