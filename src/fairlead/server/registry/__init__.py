"""The model registry: versions, what is said of them, aliases, history, differences, uses."""
