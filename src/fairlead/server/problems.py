"""Errors as they leave the server: problem+json (RFC 9457), one sentence, never a traceback."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from fairlead.errors import Conflict, FairleadError, NotFound, StoreFull, TooLarge, Unavailable, UsageError
from fairlead.schemas.batch_dialect import SeedsProblem
from fairlead.schemas.mistakes import mistakes
from fairlead.schemas.wire import Problem

MEDIA_TYPE = "application/problem+json"
LOG = logging.getLogger("fairlead.server")
_FULL = re.compile(r"disk is full|no space left|could not extend file|disk full", re.IGNORECASE)
_UNWRITABLE = re.compile(r"disk i/o error|readonly database|read-only|unable to open database file", re.IGNORECASE)
SEEDS = "/azureml/"  # below it errors are said in the seeds' own words (DECISIONS 28)
_CONTENT = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be done as it stands; `detail` says why and what to do.", "content": _CONTENT},
    "5XX": {"description": "The server cannot do it now; `detail` says why.", "content": _CONTENT},
}

_SEEDS_CONTENT = {"application/json": {"schema": SeedsProblem.model_json_schema()}}
SEEDS_DOCUMENTED: dict[int | str, dict[str, Any]] = {code: {**said, "content": _SEEDS_CONTENT} for code, said in DOCUMENTED.items()}


def install(app: FastAPI) -> None:
    app.add_exception_handler(FairleadError, _ours)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(exc.SQLAlchemyError, database)
    app.add_exception_handler(Exception, _unexpected)


def problem(request: Request, error: FairleadError) -> JSONResponse:
    headers = {"retry-after": "1"} if error.status in (429, 503) else {}
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="fairlead"'
    return _response(request, type(error), error.status, str(error), headers, **error.facts)


def database(request: Request, error: Exception) -> JSONResponse:
    """What the database refused: a value that no column holds, a rule that another request got ahead of, or everything, because it is not there."""
    LOG.error("database: %s", str(error).splitlines()[0], extra={"request_id": request.state.request_id})
    if isinstance(error, exc.DataError):
        return problem(request, UsageError("A value in the request is outside what can be stored, such as a number of more than 63 bits; correct it."))
    if isinstance(error, exc.IntegrityError):
        return problem(request, Conflict("Another request changed the same thing at the same moment; nothing was changed by this one. Send it again."))
    if not isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
        return _unexpected(request, error)
    if _FULL.search(str(error)):
        return problem(request, StoreFull("There is no space left for the server's database; nothing was changed. Make room on its disk, then try again."))
    if _UNWRITABLE.search(str(error)):
        said = "The server's database cannot be written: its disk fails or is read-only; nothing was changed. See to the disk, and to the server's log."
        return problem(request, Unavailable(said))
    return problem(request, Unavailable("The database did not answer in time; nothing was changed. Try again, and look at the server's log."))


def seeds_error(kind: type[FairleadError], detail: str) -> dict[str, Any]:
    """As the seeds' clients read it: they print the messages of `details`."""
    code = kind.__name__
    return {"error": {"code": code, "message": detail, "details": [{"code": code, "message": detail}]}}


def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FairleadError)
    return problem(request, error)


def _unreadable(request: Request, error: Exception) -> JSONResponse:
    """What does not fit the route's declared parameters or body: the first place, in words; all of them as members."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    broken = next((each for each in errors if each["type"] == "json_invalid"), None)
    if broken is not None:
        return _response(request, UsageError, 400, f"The body is no JSON: {_broken(broken)}.")
    if request.method != "GET" and not _says_json(request) and any(tuple(each["loc"]) == ("body",) for each in errors):
        said = request.headers.get("content-type", "none")
        return _response(request, UsageError, 400, f"The body was not read as JSON: its content type is {said}. Send `Content-Type: application/json`.")
    found = mistakes(errors)
    more = f" There {'is 1 more mistake' if len(found) == 2 else f'are {len(found) - 1} more mistakes'}." if len(found) > 1 else ""
    return _response(request, UsageError, 400, found[0].sentence + more, errors=[{"where": each.where, "what": each.what} for each in found[:20]])


def _broken(error: Mapping[str, Any]) -> str:
    return f"{error.get('ctx', {}).get('error', 'it cannot be read')}, at character {error['loc'][-1]}"


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _http(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: routes and methods that do not exist."""
    assert isinstance(error, HTTPException)
    path, status = request.url.path, error.status_code
    words = {404: f"There is no {path} here; /v1/openapi.json lists what there is.", 405: f"{request.method} is not a method of {path}."}
    kind = {404: NotFound, 413: TooLarge}.get(status, UsageError if status < 500 else FairleadError)
    return _response(request, kind, status, words.get(status, str(error.detail)), dict(error.headers or {}))


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    LOG.error("%s", "".join(traceback.format_exception(error)), extra={"request_id": getattr(request.state, "request_id", "")})
    return _response(request, FairleadError, 500, "Something unexpected happened in the server; its log tells it under this request id.")


def _response(request: Request, kind: type[FairleadError], status: int, detail: str, headers: dict[str, str] | None = None, **facts: Any) -> JSONResponse:
    if request.url.path.startswith(SEEDS):
        return JSONResponse(seeds_error(kind, detail), status, headers)
    request_id = getattr(request.state, "request_id", None)
    said = Problem(type=kind.problem_type(), title=kind.__name__, status=status, detail=detail, instance=request.url.path, request_id=request_id)
    return JSONResponse(said.model_dump() | facts, status, headers, MEDIA_TYPE)
