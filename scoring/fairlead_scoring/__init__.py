"""Fairlead's scoring runtime: one folder (a bundle) in, one HTTP service out.

A scoring script may import from here; nothing here needs more than the standard library.
"""

from fairlead_scoring.declare import batched, typed

__version__ = "0.1.0"

__all__ = ["__version__", "batched", "typed"]
