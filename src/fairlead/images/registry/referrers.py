"""What refers to an image: SBOMs, signatures. Asked for by the registry's own list, or by the tag that stands in where it has none."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from fairlead.errors import Conflict, NotFound
from fairlead.images.registry.connection import Asked, Connection
from fairlead.images.registry.documents import INDEXES, Document, parse_document, to_json, write_json
from fairlead.images.registry.pages import next_page
from fairlead.images.registry.pulling import fetch_document, pull_scope
from fairlead.images.registry.references import Reference
from fairlead.images.registry.uploads import push_scope
from fairlead.images.types import INDEX, MANIFEST, Blobs, Descriptor

EMPTY = "application/vnd.oci.empty.v1+json"

_EMPTY_CONTENT = b"{}"
_TRIES = 5
_MOST_PAGES = 100


def write_artifact(blobs: Blobs, subject: Descriptor, content: Descriptor, artifact_type: str, annotations: Mapping[str, str] | None = None) -> Descriptor:
    """The manifest, put into `blobs`, by which content that lies there refers to an image. Push it like an image, by digest."""
    empty = blobs.put(io.BytesIO(_EMPTY_CONTENT))
    said = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": to_json(Descriptor(media_type=EMPTY, digest=empty.digest, size=empty.size)),
        "layers": [to_json(content)],
        "subject": to_json(Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size)),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    put = blobs.put(io.BytesIO(write_json(said)))
    return Descriptor(media_type=MANIFEST, digest=put.digest, size=put.size, artifact_type=artifact_type, annotations=annotations or {})


def list_referrers(connection: Connection, reference: Reference, artifact_type: str | None) -> tuple[Descriptor, ...]:
    """Of the digest that the reference has."""
    url: str | None = f"/v2/{reference.repository}/referrers/sha256:{reference.digest}"
    found: list[Descriptor] = []
    for _ in range(_MOST_PAGES):
        answer = connection.ask(Asked(method="GET", url=str(url), scopes=pull_scope(reference.repository), headers={"accept": INDEX}), 200, 404)
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status == 404 or kind not in INDEXES:
            return tuple(_chosen(_tagged(connection, reference), artifact_type))
        found += parse_document(answer.body, where=f"The list of referrers of {reference}", media_type=kind).children
        url = next_page(answer)
        if url is None:
            break
    return tuple(_chosen(found, artifact_type))


def list_in_tag(connection: Connection, place: Reference, referrer: Document) -> None:
    """Adds the referrer to the list under its subject's tag, as the specification asks of clients where the registry does not.

    Two who do it at once: whoever finds his entry gone adds it again.
    """
    assert referrer.subject
    own = Descriptor(
        media_type=referrer.descriptor.media_type,
        digest=referrer.descriptor.digest,
        size=referrer.descriptor.size,
        artifact_type=referrer.artifact_type,
        annotations=referrer.annotations,
    )
    for _ in range(_TRIES):
        listed = _tagged(connection, place.pinned(referrer.subject.digest))
        if any(each.digest == own.digest for each in listed):
            return
        content = write_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [to_json(each) for each in (*listed, own)]})
        url = f"/v2/{place.repository}/manifests/{_tag(referrer.subject.digest)}"
        connection.ask(Asked(method="PUT", url=url, scopes=push_scope(place.repository), headers={"content-type": INDEX}, content=content), 201)
    raise Conflict(f"Others write the list of referrers in {place.name} all the time; push again.")


def _tagged(connection: Connection, reference: Reference) -> tuple[Descriptor, ...]:
    """The list under the tag; empty when there is none."""
    tagged = reference.tagged(_tag(str(reference.digest)))
    try:
        index = fetch_document(connection, tagged)
    except NotFound:
        return ()
    if not index.is_index:
        raise Conflict(f"{tagged} is no list of referrers, although its name says so; remove that tag.")
    return index.children


def _tag(digest: str) -> str:
    return f"sha256-{digest}"


def _chosen(found: tuple[Descriptor, ...] | list[Descriptor], artifact_type: str | None) -> Iterator[Descriptor]:
    yield from (each for each in found if artifact_type in (None, each.artifact_type))
