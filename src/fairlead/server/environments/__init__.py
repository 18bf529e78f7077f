"""Registered environments: named, versioned, locked once; built on this machine when somebody needs them."""
