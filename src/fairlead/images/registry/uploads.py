"""One blob to a registry: mounted from another repository, in one piece, or in chunks that go on after a cut.

A session that died is begun anew; what the registry has acknowledged is not sent twice while the session lives.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fairlead.errors import BlobDamaged, Forbidden, Unauthenticated, Unavailable, UsageError
from fairlead.images.registry.answers import Answer
from fairlead.images.registry.connection import MOST_PATIENCE, Asked, Connection, wait
from fairlead.images.registry.downloads import Stopped
from fairlead.images.registry.tokens import Scopes
from fairlead.images.types import Blobs, Descriptor

CHUNK = 32 << 20  # bytes; what is smaller goes in one piece
_PIECE = 1 << 18
_NO_CHUNKS = (400, 405, 411, 415, 501)  # of a registry that wants blobs in one piece

How = Literal["there", "mounted", "sent"]


class _SessionOver(Exception):
    """The registry has forgotten the upload, or refuses to go on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """Where to send, how many bytes are acknowledged, and the smallest chunk that is taken."""

    url: str
    offset: int = 0
    smallest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """To one repository. `count` is told of each byte that is sent, those that are sent twice too."""

    connection: Connection
    repository: str
    blobs: Blobs
    count: Callable[[int], None]
    stop: threading.Event
    sources: Sequence[str] = ()  # repositories of the same registry that may have the blob
    chunk: int = CHUNK

    def send(self, blob: Descriptor) -> How:
        """Sees to it that the registry has the blob. Raises BlobDamaged, BlobNotFound, Unavailable, and what the registry refuses."""
        if self._is_there(blob):
            return "there"
        session = self._begin_or_mount(blob)
        return self._send(blob, session) if session else "mounted"

    def _send(self, blob: Descriptor, begun: _Session) -> How:
        session: _Session | None = begun
        in_one = blob.size <= self.chunk
        for pause in (*self.connection.pauses, None):
            session = session or self._begin()
            try:
                self._finish(blob, session if in_one else self._send_chunks(blob, session))
            except _SessionOver as fault:
                self._check(blob)
                if pause is None:
                    raise Unavailable(f"The registry {self.connection.host} broke off the upload of blob {blob.digest} again and again ({fault}).") from fault
                in_one = in_one or str(fault) in map(str, _NO_CHUNKS)
            except Unavailable as fault:
                if pause is None or fault.facts.get("retry_after", 0) > MOST_PATIENCE:
                    raise
                wait(pause, fault.facts.get("retry_after", 0))
            else:
                return "sent"
            session = None
            if self._is_there(blob):  # the answer was lost, not the blob
                return "sent"
        raise AssertionError("the last try returns or raises")

    def _is_there(self, blob: Descriptor) -> bool:
        url = f"/v2/{self.repository}/blobs/sha256:{blob.digest}"
        return self._ask("HEAD", url, 200, 404).status == 200

    def _begin_or_mount(self, blob: Descriptor) -> _Session | None:
        """None when it was mounted; a registry that cannot has begun a session in its place."""
        for source in self.sources:
            url = f"/v2/{self.repository}/blobs/uploads/?mount=sha256:{blob.digest}&from={source}"
            scopes = (*self._scopes, f"repository:{source}:pull")
            try:
                answer = self.connection.ask(Asked(method="POST", url=url, scopes=scopes), 201, 202)
            except (Unauthenticated, Forbidden, UsageError):  # the source may not be read, or mounting is not known here
                continue
            return None if answer.status == 201 else self._session(answer)
        return self._begin()

    def _begin(self) -> _Session:
        return self._session(self._ask("POST", f"/v2/{self.repository}/blobs/uploads/", 202))

    def _send_chunks(self, blob: Descriptor, session: _Session) -> _Session:
        """Raises _SessionOver; Unavailable when the registry took nothing for as many tries as there are pauses."""
        cuts = 0
        while session.offset < blob.size:
            size = min(max(self.chunk, session.smallest), blob.size - session.offset)
            try:
                after = self._send_chunk(blob, session, size)
            except Unavailable:
                if cuts >= len(self.connection.pauses):
                    raise
                wait(self.connection.pauses[cuts])
                after = self._ask_session(session)
            cuts = 0 if after.offset > session.offset else cuts + 1
            if cuts > len(self.connection.pauses):
                raise _SessionOver("it does not go on")
            session = after
        return session

    def _send_chunk(self, blob: Descriptor, session: _Session, size: int) -> _Session:
        span = f"{session.offset}-{session.offset + size - 1}"
        headers = {"content-type": "application/octet-stream", "content-length": str(size), "content-range": span}
        asked = Asked(method="PATCH", url=session.url, scopes=self._scopes, headers=headers, content=self._content(blob, session.offset, size), again=False)
        answer = self.connection.ask(asked, 202, 404, 416, *_NO_CHUNKS)
        if answer.status == 416:  # the registry is at another byte
            return self._ask_session(session)
        if answer.status != 202:
            raise _SessionOver(answer.status)
        return self._session(answer, session.offset + size, session.smallest)

    def _ask_session(self, session: _Session) -> _Session:
        """Where the registry stands."""
        answer = self._ask("GET", session.url, 204, 404, 400)
        if answer.status != 204:
            raise _SessionOver(answer.status)
        return self._session(answer, 0, session.smallest, fallback=session.url)

    def _finish(self, blob: Descriptor, session: _Session) -> None:
        """With what has not been sent yet. Raises _SessionOver."""
        left = blob.size - session.offset
        headers = {"content-type": "application/octet-stream", "content-length": str(left)}
        content = self._content(blob, session.offset, left) if left else b""
        joint = "&" if "?" in session.url else "?"  # the address is the registry's own: it is not taken apart
        asked = Asked(method="PUT", url=f"{session.url}{joint}digest=sha256:{blob.digest}", scopes=self._scopes, headers=headers, content=content, again=False)
        answer = self.connection.ask(asked, 201, 204, 400, 404, 416)
        if answer.status not in (201, 204):
            raise _SessionOver(answer.status)

    def _session(self, answer: Answer, offset: int = 0, smallest: int = 0, fallback: str = "") -> _Session:
        """What the headers say. Docker's registry says `0-0` for nothing as for one byte, so the former is only believed of more."""
        location = answer.headers.get("location") or fallback
        if not location:
            raise Unavailable(f"The registry {self.connection.host} does not say where to upload to; look at its address.")
        last = answer.headers.get("range", "").removeprefix("bytes=").partition("-")[2]
        least = answer.headers.get("oci-chunk-min-length", "")
        return _Session(
            url=str(answer.url.join(location)),
            offset=int(last) + 1 if last.isdigit() and last != "0" else offset,
            smallest=int(least) if least.isdigit() else smallest,
        )

    def _content(self, blob: Descriptor, offset: int, size: int) -> Callable[[], Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            left = size
            with self.blobs.open(blob.digest, offset) as stream:
                while left:
                    if self.stop.is_set():
                        raise Stopped("The push has ended.")
                    piece = stream.read(min(left, _PIECE))
                    if not piece:
                        raise BlobDamaged(f"Blob {blob.digest} has not the {blob.size} bytes that its manifest says; make the image anew.")
                    left -= len(piece)
                    self.count(len(piece))
                    yield piece

        return pieces

    def _check(self, blob: Descriptor) -> None:
        """A registry refuses what is not as announced: perhaps it is right. Raises BlobDamaged."""
        hasher = hashlib.sha256()
        with self.blobs.open(blob.digest) as stream:
            while piece := stream.read(_PIECE):
                hasher.update(piece)
        if hasher.hexdigest() != blob.digest:
            raise BlobDamaged(f"Blob {blob.digest} is damaged here: its bytes have another digest. Make the image anew.")

    @property
    def _scopes(self) -> Scopes:
        return push_scope(self.repository)

    def _ask(self, method: str, url: str, *expected: int) -> Answer:
        return self.connection.ask(Asked(method=method, url=url, scopes=self._scopes), *expected)


def push_scope(repository: str) -> Scopes:
    return (f"repository:{repository}:pull,push",)
