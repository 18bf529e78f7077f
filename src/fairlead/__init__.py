"""Fairlead takes a trained model to production: register, package, publish, operate."""

__version__ = "0.1.0"
