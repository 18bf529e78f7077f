"""A disk that is full, or refuses, while something is made for a service, a job or an image: a sentence, and an end."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fairlead.errors import FairleadError, StoreFull, Unavailable
from fairlead.server.making.disk import told_of_disk


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StoreFull, "fairlead server gc"),
        (errno.EDQUOT, StoreFull, "/cache"),
        (errno.EROFS, Unavailable, "its rights and its disk"),
    ],
)
def test_what_the_disk_refuses_is_a_sentence(number: int, kind: type[FairleadError], words: str) -> None:
    with pytest.raises(FairleadError, match=words) as caught, told_of_disk(Path("/cache")):
        raise OSError(number, "the system's words")
    assert type(caught.value) is kind
