"""Wire types of the control plane, one file per resource: the server answers them, the client returns them."""
