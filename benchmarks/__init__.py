"""Fairlead measured against its peers; see README.md for what each command measures."""
