"""What this machine's disk refuses while something is made for a service, a job or an image, in sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.errors import StoreFull, Unavailable
from fairlead.places import NO_ROOM

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.ENOTDIR)


@contextmanager
def told_of_disk(cache: Path) -> Iterator[None]:
    """No room is told at once (StoreFull); the rest may pass (Unavailable). `cache`: where bundles, environments and layers are made."""
    try:
        yield
    except OSError as fault:
        if fault.errno in NO_ROOM:
            raise StoreFull(
                f"The server has no space left where it makes things ({cache}, or its temporary folder): free some (`fairlead server gc`), or move --cache-dir."
            ) from fault
        if fault.errno in _REFUSED:
            raise Unavailable(f"The server's disk refuses what is made there ({fault}). See to {cache}, its rights and its disk, then try again.") from fault
        raise
