"""What stands before replicas: one address that stays, while what answers behind it changes."""
