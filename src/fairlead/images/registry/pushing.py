"""To a registry: the blobs that it lacks, then manifests, their index, and the tag at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairlead.errors import NotFound, UsageError
from fairlead.images.registry.connection import Asked, Connection
from fairlead.images.registry.documents import ACCEPT, Document, load_document
from fairlead.images.registry.references import Reference
from fairlead.images.registry.referrers import list_in_tag
from fairlead.images.registry.transfers import transfer_each
from fairlead.images.registry.uploads import CHUNK, How, Uploads, push_scope
from fairlead.images.types import Blobs, Descriptor, Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """`reference`: by digest. Blobs and manifests, in plain hex: `sent_bytes` counts twice what had to be sent twice."""

    reference: Reference
    descriptor: Descriptor
    sent_bytes: int
    sent: tuple[str, ...]
    mounted: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """`sources`: repositories of the same registry that may hold some blobs already, such as that of the base image."""

    connection: Connection
    reference: Reference
    sources: Sequence[str] = ()
    chunk: int = CHUNK


def push(to: Destination, blobs: Blobs, descriptor: Descriptor, say: Say) -> Pushed:
    """Raises BlobNotFound when a part is not in `blobs`, and what the registry refuses."""
    if to.reference.digest not in (None, descriptor.digest):
        raise UsageError(f"{to.reference} names another digest than the image has ({descriptor.digest}); leave it out, or push under a tag.")
    documents = list(_children_first(blobs, descriptor))
    counter = _Counter()
    done = _push_blobs(to, blobs, documents, counter, say)
    for document in documents:
        is_top = document.descriptor.digest == descriptor.digest
        place = to.reference if is_top and to.reference.tag else to.reference.pinned(document.descriptor.digest)
        done[document.descriptor.digest] = _put_document(to, place, document, counter)
    return Pushed(
        reference=to.reference.pinned(descriptor.digest),
        descriptor=descriptor,
        sent_bytes=counter.bytes,
        sent=tuple(each for each, how in done.items() if how == "sent"),
        mounted=tuple(each for each, how in done.items() if how == "mounted"),
        skipped=tuple(each for each, how in done.items() if how == "there"),
    )


class _Counter:
    """Of bytes that were sent, by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes = 0

    def add(self, size: int) -> None:
        with self._lock:
            self.bytes += size


def _children_first(blobs: Blobs, descriptor: Descriptor) -> Iterator[Document]:
    document = load_document(blobs, descriptor)
    for child in document.children:
        yield from _children_first(blobs, child)
    yield document


def _push_blobs(to: Destination, blobs: Blobs, documents: list[Document], counter: _Counter, say: Say) -> dict[str, How]:
    wanted = {blob.digest: blob for document in documents for blob in document.blobs}

    def send(blob: Descriptor, stop: threading.Event) -> How:
        sources = [each for each in to.sources if each != to.reference.repository]
        uploads = Uploads(
            connection=to.connection, repository=to.reference.repository, blobs=blobs, count=counter.add, stop=stop, sources=sources, chunk=to.chunk
        )
        return uploads.send(blob)

    done: dict[str, How] = {}
    for blob, how in transfer_each(wanted.values(), send):
        say(f"{blob.digest[:12]} {_SAID[how]} ({blob.size} bytes)")
        done[blob.digest] = how
    return done


def _put_document(to: Destination, place: Reference, document: Document, counter: _Counter) -> How:
    """At its digest or tag, unless it is there. A referrer is always put, so that its subject surely knows of it."""
    url, scopes = f"/v2/{place.repository}/manifests/{place.target}", push_scope(place.repository)
    digest = f"sha256:{document.descriptor.digest}"
    there = to.connection.ask(Asked(method="HEAD", url=url, scopes=scopes, headers={"accept": ACCEPT}), 200, 404)
    if there.status == 200 and there.headers.get("docker-content-digest") == digest and document.subject is None:
        return "there"
    headers = {"content-type": document.descriptor.media_type}
    answer = to.connection.ask(Asked(method="PUT", url=url, scopes=scopes, headers=headers, content=document.content), 201, 404)
    if answer.status == 404:
        raise NotFound(f"The registry {place.host} has no place for {place.name}; make the repository there first.")
    counter.add(len(document.content))
    if answer.headers.get("docker-content-digest", digest) != digest:
        raise UsageError(f"The registry {place.host} took {place} and gave it another digest; it does not keep images as they are, so use another.")
    if document.subject is not None and "oci-subject" not in answer.headers:
        list_in_tag(to.connection, place, document)
    return "sent"


_SAID: dict[How, str] = {"there": "is there already", "mounted": "was there, in another repository", "sent": "was sent"}
