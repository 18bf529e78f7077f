"""From a registry: tag to digest, index to platforms, manifests, then their blobs. Nothing is kept whose digest is another."""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterator

from fairlead.errors import DigestMismatch, NotFound, UsageError
from fairlead.images.documents import read_document
from fairlead.images.registry.connection import Asked, Connection
from fairlead.images.registry.documents import ACCEPT, Document, choose_platform, parse_document
from fairlead.images.registry.downloads import Download
from fairlead.images.registry.references import Reference
from fairlead.images.registry.tokens import Scopes
from fairlead.images.registry.transfers import transfer_each
from fairlead.images.types import Blobs, Descriptor, Say

MOST_BYTES = 32 << 30  # of one image: a registry cannot fill the disk
_DEEPEST = 3  # an index in an index in an index


def pull_scope(repository: str) -> Scopes:
    return (f"repository:{repository}:pull",)


def fetch_document(connection: Connection, reference: Reference, *, accept: str = ACCEPT) -> Document:
    """The manifest or index that the reference names. Raises NotFound, DigestMismatch, UsageError."""
    headers = {"accept": accept}  # without it, some answer 404, and others something old
    url = f"/v2/{reference.repository}/manifests/{reference.target}"
    answer = connection.ask(Asked(method="GET", url=url, scopes=pull_scope(reference.repository), headers=headers), 200, 404)
    if answer.status == 404:
        raise NotFound(f"There is no image {reference} in its registry; look at the name and the tag.")
    said = answer.headers.get("docker-content-digest", "")
    wanted = reference.digest or (said.removeprefix("sha256:") if said.startswith("sha256:") else None)
    return parse_document(answer.body, where=str(reference), media_type=answer.headers.get("content-type"), digest=wanted)


def pull(connection: Connection, reference: Reference, blobs: Blobs, platforms: Collection[str], say: Say) -> Descriptor:
    """Of what the reference names. Of an index, only these platforms (none said: all) come along; a lone manifest must be for one of them."""
    top = fetch_document(connection, reference)
    documents = list(_documents(connection, reference, top, platforms))
    wanted = {blob.digest: blob for document in documents for blob in document.blobs if blobs.size(blob.digest) != blob.size}
    if sum(blob.size for blob in wanted.values()) > MOST_BYTES:
        raise UsageError(f"{reference} is larger than {MOST_BYTES >> 30} GiB, compressed; nothing of it was fetched. Take another image.")
    scopes = pull_scope(reference.repository)

    def fetch(blob: Descriptor, stop: threading.Event) -> None:
        with Download(connection, reference.repository, blob, scopes, stop) as stream:
            _keep(blobs, stream, blob, reference)

    for blob, _ in transfer_each(wanted.values(), fetch):
        say(f"{blob.digest[:12]} has arrived ({blob.size} bytes)")
    for document in reversed(documents):
        blobs.put(io.BytesIO(document.content), expect=document.descriptor.digest)
    if platforms and not top.is_index:
        _check_platform(blobs, top, reference, platforms)
    return top.descriptor


def _documents(connection: Connection, reference: Reference, top: Document, platforms: Collection[str], depth: int = 1) -> Iterator[Document]:
    """The document itself and what it lists."""
    yield top
    if depth > _DEEPEST:
        raise UsageError(f"{reference} lists lists of lists; it was not taken.")
    chosen = [choose_platform(top, each, where=str(reference)) for each in platforms] if platforms and top.is_index else top.children
    for child in {each.digest: each for each in chosen}.values():
        document = fetch_document(connection, reference.pinned(child.digest))
        yield from _documents(connection, reference, document, (), depth + 1)


def _keep(blobs: Blobs, stream: Download, blob: Descriptor, reference: Reference) -> None:
    try:
        blobs.put(stream, expect=blob.digest)  # type: ignore[arg-type]
    except DigestMismatch as fault:
        raise DigestMismatch(f"Blob {blob.digest} of {reference} is damaged or forged, and was not taken: {fault}") from fault


def _check_platform(blobs: Blobs, document: Document, reference: Reference, platforms: Collection[str]) -> None:
    """An image without an index says in its configuration where it runs."""
    said = read_document(blobs, document.blobs[0])
    its = "/".join(str(said[name]) for name in ("os", "architecture", "variant") if said.get(name))
    wrong = next((each for each in platforms if its.split("/")[:2] != each.split("/")[:2]), None)
    if wrong:
        raise NotFound(f"{reference} has nothing for {wrong}; it is for {its or 'no platform at all'}. Choose that, or another image.")
