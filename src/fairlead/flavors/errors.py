"""What can go wrong between a model file and a service: each error is one sentence with the cure."""

from __future__ import annotations

from fairlead.errors import UsageError


class FlavorError(UsageError):
    """The model cannot be served without a script."""


class UnknownModel(FlavorError):
    """No flavor recognises the file or folder."""


class CompileRefused(FlavorError):
    """The compiled model does not answer like the original, or there is no conversion."""
