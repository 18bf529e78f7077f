"""Images of a workspace, as the server has them."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.client.transport import Transport
from fairlead.client.watching import changes_of
from fairlead.schemas.images import Image, ImageUse, NewImage, NewSignature, Pruned, Pruning


def create(transport: Transport, new: NewImage) -> Image:
    """Returns at once; `changes` tells how it goes on."""
    return transport.create(Image, transport.path("images"), new)


def each(transport: Transport, *, name: str | None = None, model: str | None = None, state: str | None = None) -> Iterator[Image]:
    """Newest first, without the lists of their contents. `model`: NAME or NAME:VERSION."""
    return transport.each(Image, transport.path("images"), {"name": name, "model": model, "state": state})


def show(transport: Transport, reference: str) -> Image:
    """`reference`: NAME, NAME:VERSION, NAME:LABEL, an id, a digest. Raises NotFound."""
    return transport.get(Image, transport.path("images", reference))


def changes(transport: Transport, image_id: str, *, timeout: float | None = None) -> Iterator[Image]:
    """The record each time that something of it changed, until it is ready or failed, or the time is over; the last one is how it stands then."""
    return changes_of(transport, Image, "images", image_id, timeout=timeout)


def read_log(transport: Transport, reference: str) -> str:
    """What the build said."""
    return transport.request("GET", transport.path("images", reference, "log")).text


def uses(transport: Transport, reference: str) -> Iterator[ImageUse]:
    """Revisions of living services that run it, newest first."""
    return transport.each(ImageUse, transport.path("images", reference, "uses"))


def sign(transport: Transport, reference: str, signature: NewSignature) -> Image:
    """Adds a signature that was made here. Raises UsageError for one of another image."""
    return transport.send(Image, "POST", transport.path("images", reference, "signatures"), body=signature).value


def delete(transport: Transport, reference: str) -> None:
    """Raises InUse."""
    transport.request("DELETE", transport.path("images", reference))


def prune(transport: Transport, wish: Pruning) -> Pruned:
    """Deletes records that no service uses."""
    return transport.send(Pruned, "POST", transport.path("images", "prune"), body=wish).value
