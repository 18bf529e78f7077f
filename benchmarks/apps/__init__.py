"""The servers that are measured, as their users write them; each runs in its own environment."""
