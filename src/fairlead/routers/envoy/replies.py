"""What the router answers itself: in the words and the form of `fairlead_scoring.front`, so that no client has to know of two servers."""

from __future__ import annotations

import json
from typing import Any

NOBODY = "No worker of this service is ready. Try again later."
ENDED = "The worker ended while it scored this request. Try again."
RETRY_AFTER = "2"  # seconds, as of a front's 503
ECHOED = {"x-request-id": "x-request-id", "x-ms-request-id": "x-ms-request-id?x-ms-client-request-id", "x-ms-client-request-id": "x-ms-client-request-id"}
OTHERS = {
    400: "The request is not valid HTTP, or has no Host.",
    404: "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.",
    408: "The request did not arrive in time; send headers within 10 s.",
    431: "The request's headers are larger than 65536 bytes, or more than 200; send less.",
    501: "Only the transfer encoding `chunked` is known here.",
}
# By the path of the request, as in the front; any prefix may stand before.
DIALECTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (r"/(\?.*)?", "text/html; charset=utf-8", {}),
    (r".*/(readyz|ping|v2/health/ready)(\?.*)?", "application/json", {"status": "not ready", "ready": False, "message": NOBODY}),
    (r".*/v2/.*", "application/json", {"error": NOBODY}),
    (r".*/invocations(\?.*)?", "application/json", {"error_code": "TEMPORARILY_UNAVAILABLE", "message": NOBODY}),
)


def local_replies() -> dict[str, Any]:
    """A `local_reply_config`: the first that fits is taken."""
    ended = {"and_filter": {"filters": [_status(503), {"response_flag_filter": {"flags": ["UC", "UR"]}}]}}
    return {
        "mappers": [
            _mapper(ended, ENDED, retry=True),
            *(_dialect(path, content_type, content) for path, content_type, content in DIALECTS),
            _mapper(_status(503), NOBODY, retry=True),
            *(_mapper(_status(status), message) for status, message in OTHERS.items()),
            _mapper(_status(200, "GE"), None),
        ],
        "body_format": _json({"message": "%LOCAL_REPLY_BODY%"}),
    }


def _dialect(path: str, content_type: str, content: dict[str, Any]) -> dict[str, Any]:
    of_path = {"header_filter": {"header": {"name": ":path", "string_match": {"safe_regex": {"regex": path}}}}}
    mapper = _mapper({"and_filter": {"filters": [_status(503), of_path]}}, None, retry=True)
    text = _compact(content) if content else NOBODY
    return {**mapper, "body_format_override": {"text_format_source": {"inline_string": text}, "content_type": content_type}}


def _mapper(applies: dict[str, Any], message: str | None, *, retry: bool = False) -> dict[str, Any]:
    headers = {"x-ms-run-function-failed": "False"}
    if retry:
        headers |= {"retry-after": RETRY_AFTER, **{name: f"%REQ({source})%" for name, source in ECHOED.items()}}
    added = [{"header": {"key": name, "value": value}} for name, value in headers.items()]
    return {"filter": applies, **({"body": {"inline_string": message}} if message else {}), "headers_to_add": added}


def _status(status: int, comparison: str = "EQ") -> dict[str, Any]:
    return {"status_code_filter": {"comparison": {"op": comparison, "value": {"default_value": status, "runtime_key": "fairlead.status"}}}}


def _json(content: dict[str, Any]) -> dict[str, Any]:
    return {"text_format_source": {"inline_string": _compact(content)}, "content_type": "application/json"}


def _compact(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))
