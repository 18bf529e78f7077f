"""From what was asked for to bundle, lock and environment: what services and images are made of alike. Nothing of a user's is executed."""
