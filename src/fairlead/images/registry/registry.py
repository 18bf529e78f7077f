"""Registries, whichever a reference names: one connection and one login for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Self

from fairlead.images.registry.connection import PAUSES, Connection
from fairlead.images.registry.credentials import Credentials, find_credentials
from fairlead.images.registry.documents import Document, choose_platform
from fairlead.images.registry.pages import list_tags
from fairlead.images.registry.pulling import fetch_document, pull
from fairlead.images.registry.pushing import Destination, Pushed, push
from fairlead.images.registry.references import Reference, parse_reference
from fairlead.images.registry.referrers import list_referrers, write_artifact
from fairlead.images.registry.uploads import CHUNK
from fairlead.images.types import Blobs, Descriptor, Say, say_nothing


class Registry:
    """A context manager; threads may share it. Every method takes a reference as text or parsed."""

    def __init__(
        self,
        credentials: Callable[[str], Credentials | None] = find_credentials,
        *,
        insecure: Collection[str] = (),
        trust: Path | None = None,
        pauses: tuple[float, ...] = PAUSES,
        chunk: int = CHUNK,
        say: Say = say_nothing,
    ) -> None:
        """`credentials`: for a host, asked once. `insecure`: hosts that may be spoken to without TLS, as this machine always may.

        `say`: is told of each pause before another try.

        `trust`: a file of certificate authorities; None: the system's, or SSL_CERT_FILE's.
        """
        self._find = credentials
        self._insecure = frozenset(insecure)
        self._trust = trust
        self._pauses = pauses
        self._chunk = chunk
        self._say = say
        self._connections: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def resolve(self, reference: Reference | str, platform: str | None = None) -> Descriptor:
        """What the tag means now: of the manifest or index, or of the one manifest for a platform such as `linux/amd64`. Raises NotFound."""
        found = _parsed(reference)
        document = self.fetch(found)
        return choose_platform(document, platform, where=str(found)) if platform and document.is_index else document.descriptor

    def fetch(self, reference: Reference | str) -> Document:
        """A manifest or index alone, checked."""
        found = _parsed(reference)
        return fetch_document(self._connect(found), found)

    def pull(self, reference: Reference | str, blobs: Blobs, platforms: Collection[str] = (), say: Say = say_nothing) -> Descriptor:
        """Brings everything into `blobs`, each digest checked, and answers the descriptor of what the reference names.

        Of an index only these platforms come along; none said: all. Raises NotFound, DigestMismatch, Unavailable and what logins raise.
        """
        found = _parsed(reference)
        return pull(self._connect(found), found, blobs, platforms, say)

    def push(
        self, blobs: Blobs, descriptor: Descriptor, reference: Reference | str, say: Say = say_nothing, *, sources: Sequence[Reference | str] = ()
    ) -> Pushed:
        """Sends what the registry lacks. `sources`: images whose blobs may be there already, such as the base; those of other registries are left out."""
        found = _parsed(reference)
        near = [each.repository for each in map(_parsed, sources) if each.host == found.host]
        to = Destination(connection=self._connect(found), reference=found, sources=near, chunk=self._chunk)
        return push(to, blobs, descriptor, say)

    def copy(self, source: Reference | str, target: Reference | str, blobs: Blobs, say: Say = say_nothing, *, platform: str | None = None) -> Pushed:
        """From one registry to another, or within one; of an index everything, or one platform's image. `blobs` keeps what passes through."""
        found = _parsed(source)
        if platform:
            found = found.pinned(self.resolve(found, platform).digest)
        descriptor = self.pull(found, blobs, [platform] if platform else (), say)
        return self.push(blobs, descriptor, target, say, sources=[found])

    def attach(self, blobs: Blobs, subject: Descriptor, content: Descriptor, artifact_type: str, reference: Reference | str, say: Say = say_nothing) -> Pushed:
        """Content that lies in `blobs`, such as an SBOM, as a referrer of an image in the repository."""
        manifest = write_artifact(blobs, subject, content, artifact_type)
        return self.push(blobs, manifest, _parsed(reference).pinned(manifest.digest), say)

    def referrers(self, reference: Reference | str, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
        """Manifests that refer to the image, of one type or of all."""
        found = _parsed(reference)
        pinned = found if found.digest else found.pinned(self.resolve(found).digest)
        return list_referrers(self._connect(pinned), pinned, artifact_type)

    def tags(self, reference: Reference | str) -> list[str]:
        found = _parsed(reference)
        return list(list_tags(self._connect(found), found))

    def _connect(self, reference: Reference) -> Connection:
        with self._lock:
            known = self._connections.get(reference.host)
            if known is None:
                insecure = reference.host in self._insecure
                found = self._find(reference.host)
                known = Connection(reference, found, insecure=insecure, trust=self._trust, pauses=self._pauses, say=self._say)
                self._connections[reference.host] = known
            return known


def _parsed(reference: Reference | str) -> Reference:
    return parse_reference(reference) if isinstance(reference, str) else reference
