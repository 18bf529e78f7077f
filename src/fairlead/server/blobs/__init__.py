"""Content by its digest: what a workspace holds, and uploads on their way."""
