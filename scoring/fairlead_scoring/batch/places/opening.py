"""From what a person writes to a place."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from fairlead_scoring.batch.places.addresses import DATABASES, is_url, read_address, scheme_of
from fairlead_scoring.batch.places.credentials import is_for_azure, options_for, secrets_in
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.places.disk import DiskPlace
from fairlead_scoring.batch.places.faults import Refused
from fairlead_scoring.batch.places.place import Place
from fairlead_scoring.batch.places.remote import RemotePlace, connect


def open_place(url: str, credentials: Optional[Mapping[str, Any]] = None) -> Place:
    """A path, folder, file or pattern; with or without file://, or by s3, gs, abfs(s), wasb(s), http(s); or a postgresql:// database, for tables.

    Nothing is asked of a store yet. Raises Refused.
    """
    if not url.strip():
        raise Refused("A path or URL is needed, and nothing was given.")
    if not is_url(url) or scheme_of(url) == "file":
        return DiskPlace(url)
    if scheme_of(url) in DATABASES:
        return DatabasePlace(url, credentials)
    address = read_address(url, azure=is_for_azure(credentials or {}))
    secrets = secrets_in(credentials)
    return RemotePlace(address, connect(address, options_for(address, credentials), secrets), secrets)
