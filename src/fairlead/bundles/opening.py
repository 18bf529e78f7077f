"""Opens bundles for commands and targets, in Fairlead's own errors."""

from __future__ import annotations

from pathlib import Path

from fairlead_scoring.bundle import Bundle, BundleError
from fairlead_scoring.bundle import open_bundle as open_folder

from fairlead.errors import InvalidBundle


def open_bundle(path: Path, *, verify: bool = True) -> Bundle:
    """The bundle in this folder, every byte of it checked unless told otherwise. Raises InvalidBundle, which names missing, changed and extra files."""
    try:
        return open_folder(path, verify=verify)
    except BundleError as fault:
        raise InvalidBundle(str(fault)) from fault
