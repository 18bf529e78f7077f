"""`…/blobs` and `…/uploads`: content by its digest, there and back, in pieces as large as the caller likes."""

from __future__ import annotations

from functools import partial
from typing import Annotated, cast

import anyio
from fastapi import Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from fairlead.schemas.blobs import OFFSET_HEADER, Digests, Missing, NewUpload, Upload
from fairlead.schemas.wire import Digest
from fairlead.server.access import Contributor, Reader
from fairlead.server.blobs import receiving, service
from fairlead.server.blobs.ranges import answer_bytes
from fairlead.server.context import Context, Parts
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing
from fairlead.server.tables.blobs import UploadRow

router = Router(prefix="/v1/workspaces/{workspace}", tags=["blobs"])
UploadId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Offset = Annotated[int, Header(alias=OFFSET_HEADER, ge=0, lt=2**62, description="The byte of the content that the body begins with.")]
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.post("/blobs/missing")
def list_missing(access: Reader, session: Reading, body: Digests) -> Missing:
    """Which of these contents this workspace has yet to upload."""
    return Missing(missing=service.list_missing(session, access.workspace_id, body.digests))


@router.get(
    "/blobs/{digest}",
    response_class=StreamingResponse,
    responses={
        200: {"content": _BYTES},
        206: {"content": _BYTES, "description": "The part that `range` asked for."},
        304: {"description": "The caller has it."},
    },
)
def show_blob(access: Reader, session: Reading, parts: Parts, digest: Digest, request: Request) -> Response:
    """The bytes, or with `range: bytes=…` a part of them. Not checked on the way: the caller compares the digest."""
    size = service.size_of(session, access.workspace_id, digest)
    headers = {"etag": f'"{digest}"', "cache-control": "private, max-age=31536000, immutable"}
    if f'"{digest}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**headers, "accept-ranges": "bytes"})
    return answer_bytes(partial(parts.store.open, digest), size, request.headers.get("range"), headers)


@router.post("/uploads", status_code=201, responses={200: {"model": Upload, "description": "The workspace has it, or it goes on."}})
def begin_upload(access: Contributor, parts: Parts, body: NewUpload, response: Response) -> Upload:
    """Begins an upload, or goes on with the one of the same content that was begun before."""
    with parts.database.writing() as session:
        row = service.begin_upload(session, access, body)
        is_new = row is not None and row in session.new
    if not is_new:
        response.status_code = 200
    if row is None:
        return receiving.owned(body.digest, body.size)
    return receiving.progress_of(row, 0 if is_new else parts.store.offset(row.id))


@router.get("/uploads/{upload_id}")
def show_upload(access: Contributor, session: Reading, parts: Parts, upload_id: UploadId) -> Upload:
    """How far it came."""
    row = service.upload_of(session, access.workspace_id, upload_id)
    return receiving.progress_of(row, parts.store.offset(row.id))


@router.patch("/uploads/{upload_id}", openapi_extra={"requestBody": {"required": True, "content": _BYTES}})
async def continue_upload(access: Contributor, parts: Parts, request: Request, upload_id: UploadId, offset: Offset) -> Upload:
    """Adds the body. When the connection is cut, what came before is kept. The last byte completes the upload, if the digest is right."""
    row = await run_in_threadpool(_upload_of, parts, access.workspace_id, upload_id)
    return await receiving.receive(parts, row, offset, request.stream(), _threads(request))


@router.delete("/uploads/{upload_id}", status_code=204)
def abandon_upload(access: Contributor, session: Writing, parts: Parts, upload_id: UploadId) -> None:
    """Forgets the upload and what came of it."""
    row = service.upload_of(session, access.workspace_id, upload_id)
    parts.store.abandon(row.id)
    service.forget_upload(session, row.id)


def _upload_of(parts: Context, workspace_id: str, upload_id: str) -> UploadRow:
    with parts.database.reading() as session:
        return service.upload_of(session, workspace_id, upload_id)


def _threads(request: Request) -> anyio.CapacityLimiter:
    """One for the whole server; it belongs to the running loop, so it is made on its first use."""
    state = request.app.state
    if not hasattr(state, "upload_threads"):
        state.upload_threads = anyio.CapacityLimiter(receiving.AT_ONCE)
    return cast(anyio.CapacityLimiter, state.upload_threads)
