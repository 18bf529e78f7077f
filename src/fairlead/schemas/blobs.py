"""Content by its SHA-256: which is missing, and uploads that go on after a cut."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead.schemas.wire import Answer, Digest, Flag, Request, Whole

MOST_DIGESTS = 10_000
OFFSET_HEADER = "upload-offset"


class Digests(Request):
    digests: Annotated[list[Digest], Field(max_length=MOST_DIGESTS)]


class Missing(Answer):
    """Those that this workspace has not uploaded, each once, in the order of the question."""

    missing: list[str]


class NewUpload(Request):
    """again: also when the workspace has it, to mend what was damaged in the store."""

    digest: Digest
    size: Annotated[Whole, Field(ge=0, lt=2**62)]
    again: Flag = False


class Upload(Answer):
    """offset: the byte to go on from. complete: the workspace holds the content; then there is no id any more."""

    id: str | None = None
    digest: str
    size: int
    offset: int
    complete: bool
