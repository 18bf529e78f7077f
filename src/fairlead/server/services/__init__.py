"""Services: what is wanted of them, and the two acts that make it so: preparing a revision, and keeping a service as it should be."""
