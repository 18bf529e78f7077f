"""@rawhttp: `run(request)` gets the request itself, with the interface of Flask's, and answers with an AMLResponse if it likes."""

from __future__ import annotations

import functools
import io
import json
import sys
from http.cookies import CookieError, SimpleCookie
from typing import Any, Callable, Dict, List, Optional, TypeVar
from urllib.parse import parse_qsl, quote, unquote

from fairlead_scoring.declare import NOTE
from fairlead_scoring.worker.exchange import BadInput, Request
from fairlead_scoring.worker.http_fields import Headers, MultiDict, WithContentType
from fairlead_scoring.worker.multipart import FileStorage, Form, form_of, is_form
from fairlead_scoring.worker.raw_response import AMLResponse, is_response, to_answer

__all__ = ["AMLRequest", "AMLResponse", "FileStorage", "blaming_the_script", "is_raw", "is_response", "rawhttp", "to_answer"]

Run = TypeVar("Run", bound=Callable[..., Any])
REAL_MODULES = ("azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request")
PATH_SAFE = "!$&'()*+,/:;=@%"


def rawhttp(run: Run) -> Run:
    """Hand the request to `run()` as it came. Marks this function; the Azure server marks the whole process."""
    setattr(run, NOTE, dict(getattr(run, NOTE, {}), raw=True))
    return run


def is_raw(run: Any) -> bool:
    """Marked by us, or by the real package where it is installed, which keeps one flag for the process."""
    layer = run
    while layer is not None:
        if getattr(layer, NOTE, {}).get("raw"):
            return True
        layer = getattr(layer, "__wrapped__", None)
    return any(getattr(sys.modules.get(name), "_rawHttpRequested", False) for name in REAL_MODULES)


def blaming_the_script(run: Callable[..., Any]) -> Callable[..., Any]:
    """--strict-compat: a request without the JSON or the file that the script asks for is the script's failure, as on the Azure server."""

    @functools.wraps(run)
    def strict(**arguments: Any) -> Any:
        try:
            return run(**arguments)
        except BadInput as bad:
            raise ValueError(bad.message) from bad

    return strict


class BadRequest(BadInput):
    """The script asked for JSON and the caller sent something else; `code` and `description` as werkzeug's exceptions have them."""

    @property
    def code(self) -> int:
        return self.status

    @property
    def description(self) -> str:
        return self.message


class AMLRequest(WithContentType):
    """What Flask's request offers to a scoring script. The body is all here; form and files are read when they are asked for."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._form: Optional[Form] = None
        self._json: Any = Ellipsis
        self._body: bytes = request.body if isinstance(request.body, bytes) else bytes(request.body)
        self.method: str = request.method
        self.query_string: bytes = request.query
        self.path: str = unquote(request.path)
        self.headers = _request_headers(request)
        self.args = MultiDict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True, errors="replace"), kind="query parameter")
        self.stream = io.BytesIO(self._body)
        self.scheme: str = self.headers.get("X-Forwarded-Proto", "http")
        self.host: str = self.headers.get("Host", "localhost")
        self.remote_addr: Optional[str] = None  # the worker is not told whom the front talks to
        self.root_path = self.script_root = ""

    @classmethod
    def of(cls, request: Request) -> AMLRequest:
        return cls(request)

    @property
    def content_length(self) -> Optional[int]:
        return len(self._body) if self._body or "Content-Length" in self.headers else None

    @property
    def is_json(self) -> bool:
        kind = self.mimetype
        return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))

    @property
    def data(self) -> bytes:
        """The body, unless it is a form: then it is empty, as in Flask, and get_data() has it."""
        return b"" if is_form(self.content_type) else self._body

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> Any:  # noqa: ARG002  (always cached)
        body = self.data if parse_form_data else self._body
        return body.decode("utf-8", "replace") if as_text else body

    @property
    def json(self) -> Any:
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Raises BadRequest, unless silent: the content type is not JSON's (force looks past that), or the body is not JSON."""
        if not (force or self.is_json):
            if silent:
                return None
            raise BadRequest("Did not attempt to load JSON data because the request Content-Type was not 'application/json'.", status=415)
        if self._json is not Ellipsis and cache:
            return self._json
        try:
            self._json = json.loads(self._body)
        except (ValueError, RecursionError) as error:
            if silent:
                return None
            raise BadRequest(f"Failed to decode JSON object: {error}") from error
        return self._json

    @property
    def form(self) -> MultiDict:
        return self._load_form().fields

    @property
    def files(self) -> MultiDict:
        return self._load_form().files

    @property
    def values(self) -> MultiDict:
        """Query and form together; the query alone for GET."""
        pairs = list(self.args.items(multi=True))
        if self.method != "GET":
            pairs += self.form.items(multi=True)
        return MultiDict(pairs)

    def _load_form(self) -> Form:
        if self._form is None:
            self._form = form_of(self._body, self.content_type)
        return self._form

    @property
    def cookies(self) -> MultiDict:
        found = SimpleCookie()
        try:
            found.load("; ".join(self.headers.getlist("Cookie")))
        except CookieError:
            pass
        return MultiDict(((name, morsel.value) for name, morsel in found.items()), kind="cookie")

    @property
    def full_path(self) -> str:
        """Path and query; the question mark is there without a query too."""
        return f"{self.path}?{self.query_string.decode('utf-8', 'replace')}"

    @property
    def base_url(self) -> str:
        return f"{self.host_url[:-1]}{quote(self.path, safe=PATH_SAFE)}"

    @property
    def url(self) -> str:
        query = quote(self.query_string, safe=PATH_SAFE + "?")
        return f"{self.base_url}?{query}" if query else self.base_url

    @property
    def host_url(self) -> str:
        return f"{self.scheme}://{self.host}/"

    url_root = root_url = host_url

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def referrer(self) -> Optional[str]:
        found: Optional[str] = self.headers.get("Referer")
        return found

    @property
    def user_agent(self) -> str:
        return str(self.headers.get("User-Agent", ""))

    @property
    def access_route(self) -> List[str]:
        return [one.strip() for one in self.headers.get("X-Forwarded-For", "").split(",") if one.strip()]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url!r} [{self.method}]>"


def _request_headers(request: Request) -> Headers:
    """Title-Cased, repeated ones joined, as a WSGI server hands them on."""
    joined: Dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1").title(), raw_value.decode("latin-1")
        separator = "; " if name == "Cookie" else ","
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return Headers(joined)
