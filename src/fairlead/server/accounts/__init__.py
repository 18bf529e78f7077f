"""Workspaces, the people and programs in them, their tokens, secrets, and the audit log."""
