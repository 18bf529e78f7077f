"""Files in a datastore, as a client puts them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from fairlead.client import data
from fairlead.client.transport import Transport
from fairlead.schemas.data import DataFile, Placing
from fairlead.sdk.uploads import upload_blob


def put(transport: Transport, store: str, path: str, content: bytes, *, overwrite: bool = False) -> DataFile:
    digest = hashlib.sha256(content).hexdigest()
    upload_blob(transport, digest, len(content), lambda offset: io.BytesIO(content[offset:]))
    return data.place_file(transport, store, Placing(path=path, digest=digest, size=len(content), overwrite=overwrite))


def read(transport: Transport, store: str, path: str, folder: Path) -> bytes:
    target = folder / "fetched"
    data.fetch_store_file(transport, store, path, target)
    return target.read_bytes()
