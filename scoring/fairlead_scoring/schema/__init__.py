"""Declared inputs and outputs: what they are, whether a body fits them, how a document shows them.

Standard library only, on Python 3.8 and later: both halves of the runtime and the packaging side read the same declarations.
"""

from fairlead_scoring.schema.check import Mismatch, check
from fairlead_scoring.schema.declared import Column, Field, Signature, Table, Tensor, Value
from fairlead_scoring.schema.documents import DeclarationError
from fairlead_scoring.schema.inferred import infer, read

__all__ = ["Column", "DeclarationError", "Field", "Mismatch", "Signature", "Table", "Tensor", "Value", "check", "infer", "read"]
