"""OCI images without a daemon: layers from a bundle, wheels and a base, written directly; no step runs in a container, nothing of the user's is executed."""
