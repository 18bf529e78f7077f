"""Images of a workspace: asked for, built by the loop, recorded by name, version and digest, and kept while somebody needs them."""
