"""Reading bodies and query strings into arguments, with the Azure scoring server's rules and sentences."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Union
from urllib.parse import parse_qsl

from fairlead_scoring.worker.exchange import BadInput, Request

try:
    import orjson
except ImportError:  # the user's environment decides
    fast_loads = json.loads
else:
    fast_loads = orjson.loads

DEPTH_LIMIT = 100
BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
JSON_TYPE = re.compile(r"application/(?:[\w.-]+\+)?json\b", re.IGNORECASE)


def text_of(request: Request) -> str:
    """The body as it came, whatever its content type; for GET the query as a JSON object."""
    if request.method == "GET":
        return json.dumps(query_of(request))
    try:
        return str(request.body, "utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("Input cannot be decoded as UTF-8: {}".format(error)) from None


def query_of(request: Request) -> Dict[str, Any]:
    """Every value is tried as JSON, else it is text; a key that comes more than once becomes a list."""
    values: Dict[str, List[Any]] = {}
    for name, value in parse_qsl(request.query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"):
        values.setdefault(name, []).append(_json_or_text(value))
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


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
        raise BadInput("POST body could not be decoded as JSON: {}".format(error)) from None
    if not isinstance(found, dict):
        raise BadInput("POST body should be a JSON dictionary.")
    return found


def json_of(body: Union[bytes, memoryview]) -> Any:
    """Any JSON; fast. NaN and Infinity are not JSON."""
    if not body:
        raise BadInput("The body is empty; send JSON.")
    refuse_depth(body)
    try:
        return fast_loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput("The body could not be decoded as JSON: {}".format(error)) from None


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
                raise BadInput("The JSON is nested deeper than {} levels.".format(DEPTH_LIMIT))
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
        title = "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))
        text = value.decode("latin-1")
        found[title] = "{},{}".format(found[title], text) if title in found else text
    return found

