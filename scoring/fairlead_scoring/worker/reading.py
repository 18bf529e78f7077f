"""Reading bodies and query strings into arguments, with the Azure scoring server's rules and sentences."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Optional, Union
from urllib.parse import parse_qsl

from fairlead_scoring.worker.exchange import BadInput, Request

DEPTH_LIMIT = 100
# A string that never ends reaches to the end, or each of its quotes would be tried again: quadratic.
BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
UNDECODABLE = re.compile("[\udc80-\udcff]")
_parse: Optional[Callable[[Any], Any]] = None
JSON_TYPE = re.compile(r"\s*application/(?:[^\s;]+\+)?json\s*(?:;|\Z)", re.IGNORECASE)


def text_of(request: Request) -> str:
    """The body as it came, whatever its content type; for GET the query as a JSON object."""
    if request.method == "GET":
        return json.dumps(query_of(request))
    try:
        return str(request.body, "utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from None


def query_of(request: Request) -> Dict[str, Any]:
    """Every value is tried as JSON, else it is text; a key that comes more than once becomes a list; bytes that are not UTF-8 stay as `%FF`."""
    values: Dict[str, List[Any]] = {}
    for name, value in parse_qsl(request.query.decode("utf-8", "surrogateescape"), keep_blank_values=True, errors="surrogateescape"):
        values.setdefault(_requoted(name), []).append(_json_or_text(_requoted(value)))
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _requoted(text: str) -> str:
    return UNDECODABLE.sub(lambda found: f"%{ord(found.group()) - 0xDC00:02X}", text)


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def object_of(request: Request) -> Dict[str, Any]:
    """A JSON object, strictly as the Azure server wants it for decorated scripts."""
    if request.method == "GET":
        return query_of(request)
    content_type = header(request, b"content-type")
    if not JSON_TYPE.match(content_type):
        raise BadInput("Expects Content-Type to be application/json", status=415)
    body = bytes(request.body)
    if not body:
        raise BadInput("POST body is empty. Expecting a JSON dictionary.")
    refuse_depth(body)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"POST body could not be decoded as JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadInput("POST body should be a JSON dictionary.")
    return found


def refuse_depth(body: Union[bytes, memoryview]) -> None:
    """Deeply nested JSON costs a parser its stack. The count is exact only where a quick look leaves doubt."""
    raw = bytes(body) if not isinstance(body, bytes) else body
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_LIMIT:
        return
    depth = 0
    for match in BRACKETS.finditer(raw):
        first = match.group()[:1]
        if first in b"[{":
            depth += 1
            if depth > DEPTH_LIMIT:
                raise BadInput(f"The JSON is nested deeper than {DEPTH_LIMIT} levels.")
        elif first in b"]}":
            depth -= 1


def header(request: Request, name: bytes) -> str:
    for key, value in request.headers:
        if key == name:
            return value.decode("latin-1")
    return ""


def titled_headers(request: Request) -> Dict[str, str]:
    """A plain dict with Title-Cased names, repeated headers joined, as scripts that take `request_headers` know it."""
    found: Dict[str, str] = {}
    for name, value in request.headers:
        title = name.decode("latin-1").title()
        text = value.decode("latin-1")
        found[title] = f"{found[title]},{text}" if title in found else text
    return found
