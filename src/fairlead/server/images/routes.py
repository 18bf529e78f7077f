"""`/v1/workspaces/{workspace}/images`: build, look, find out who runs it, clear up."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from fastapi.responses import PlainTextResponse

from fairlead.schemas.images import Image, ImageReference, ImageState, ImageUse, NewImage, NewSignature, Pruned, Pruning
from fairlead.schemas.wire import Page
from fairlead.server import waiting
from fairlead.server.access import Contributor, Reader
from fairlead.server.conditional import IfMatch
from fairlead.server.context import Parts
from fairlead.server.images import clearing, names, ordering, showing, trust
from fairlead.server.images.showing import Filters
from fairlead.server.making import uploads
from fairlead.server.once import Repeatable
from fairlead.server.paging import Pages
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing
from fairlead.server.waiting import Until

router = Router(prefix="/v1/workspaces/{workspace}/images", tags=["images"])
LONGEST_WAIT = 60.0
Which = Annotated[ImageReference, Path(description="NAME (its newest version), NAME:VERSION, NAME:LABEL, an id, or a digest.")]


@router.post("", status_code=202, response_model=Image)
def create_image(access: Contributor, session: Writing, parts: Parts, body: NewImage, once: Repeatable) -> Response:
    """Writes down what is wanted; `GET …?wait=` tells how it goes on. What comes out as an image that is there already is that image."""
    uploads.refuse_strange(parts, access, body)
    return once.answer(session, access, body, lambda: ordering.create(session, access, parts, body), 202)


@router.get("")
def list_images(
    access: Reader,
    session: Reading,
    pages: Pages,
    name: Annotated[str | None, Query(max_length=128)] = None,
    model: Annotated[str | None, Query(max_length=300, description="NAME or NAME:VERSION")] = None,
    state: ImageState | None = None,
) -> Page[Image]:
    """Newest first."""
    return showing.list_images(session, access, Filters(name=name, model=model, state=state), pages)


@router.get("/{image}")
async def show_image(
    access: Reader,
    parts: Parts,
    response: Response,
    image: Which,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds.")] = 0.0,
    until: Until = "changed",
    seen: Annotated[int, Query(ge=0, le=2**62, description="The `serial` that the caller knows.")] = 0,
) -> Image:
    """With `wait`: answers when its serial has grown beyond `seen`, or (`until=settled`) when it is built or failed; at the latest after that time."""

    def read() -> tuple[Image, int]:
        with parts.database.reading() as session:
            row = names.find(session, access, image)
            return showing.to_wire(row), row.etag

    def has_come(found: tuple[Image, int]) -> bool:
        return found[0].is_settled or (until == "changed" and found[0].serial > seen)

    found, etag = await waiting.wait_for(parts, read, wait, has_come)
    response.headers["etag"] = f'"{etag}"'
    return found


@router.delete("/{image}", status_code=204)
def delete_image(access: Contributor, session: Writing, image: Which, if_match: IfMatch = None) -> None:
    """Refused while a service runs it; what nobody else needs of it is removed by the next clearing-up."""
    clearing.delete(session, access, image, if_match)


@router.get("/{image}/log", response_class=PlainTextResponse)
def show_image_log(access: Reader, session: Reading, image: Which) -> str:
    """What its build said, line by line."""
    return names.find(session, access, image).log


@router.post("/{image}/signatures", status_code=201)
def sign_image(access: Contributor, session: Writing, image: Which, body: NewSignature) -> Image:
    """Adds a signature of the image's digest; a server with the setting image_key runs only what that key has signed."""
    return trust.add_signature(session, access, image, body)


@router.get("/{image}/uses")
def list_image_uses(access: Reader, session: Reading, pages: Pages, image: Which) -> Page[ImageUse]:
    """Revisions of living services that were made to run it, newest first."""
    return clearing.list_uses(session, names.find(session, access, image), pages)


@router.post("/prune")
def prune_images(access: Contributor, session: Writing, body: Pruning) -> Pruned:
    """Deletes the records that no service uses."""
    return clearing.prune(session, access, body)
