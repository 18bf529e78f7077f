"""What a script answers with its own status, headers and bytes: our AMLResponse, and a real Flask or werkzeug Response, by its shape."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from typing import Any, AsyncIterator, Dict, Iterator, List, Optional, Tuple

from fairlead_scoring.worker.exchange import Answer, EncodeFault
from fairlead_scoring.worker.http_fields import Headers, parse_options

FAILED = "x-ms-run-function-failed"
OURS = (FAILED, "x-ms-run-fn-exec-ms")  # told apart from the script's own headers: the front writes them
# Everything else that a script gives with commas becomes repeated headers, as in the Azure server; these would be torn apart.
ONE_VALUE = ("content-disposition", "content-type", "date", "expires", "last-modified", "link", "location", "retry-after", "www-authenticate")


class AMLResponse:
    """`message`: str, bytes, something JSON can express (with json_str), or an iterable of chunks, which is streamed."""

    default_mimetype = "text/html"

    def __init__(
        self,
        message: Any,
        status_code: Any = 200,
        response_headers: Optional[Dict[str, Any]] = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        is_json = json_str or message is None
        self.response: Any = b""
        self.headers = Headers({"Content-Type": "application/json" if is_json else _with_charset(self.default_mimetype)})
        self.status = status_code
        self.set_data(json.dumps({} if message is None else message) if is_json else message)
        self.headers[FAILED] = run_function_failed
        given = dict(response_headers or {})
        for name in given:
            if name.lower() in ("content-type", FAILED):
                self.headers.remove(name)
        for name, value in given.items():
            for one in [value] if name.lower() in ONE_VALUE else str(value).split(","):
                self.headers.add(name, str(one).strip())

    @property
    def status_code(self) -> int:
        return self._status_code

    @status_code.setter
    def status_code(self, code: int) -> None:
        self._status_code = int(code)

    @property
    def status(self) -> str:
        return str(self._status_code)

    @status.setter
    def status(self, status: Any) -> None:
        """204, "204" or "204 NO CONTENT"."""
        self._status_code = int(status.split(None, 1)[0]) if isinstance(status, str) else int(status)

    @property
    def content_type(self) -> Optional[str]:
        kind: Optional[str] = self.headers.get("content-type")
        return kind

    @content_type.setter
    def content_type(self, kind: str) -> None:
        self.headers.set("Content-Type", kind)

    @property
    def mimetype(self) -> Optional[str]:
        return parse_options(self.content_type)[0].lower() or None

    @mimetype.setter
    def mimetype(self, kind: str) -> None:
        self.content_type = _with_charset(kind)

    @property
    def is_streamed(self) -> bool:
        return not hasattr(self.response, "__len__")

    @property
    def data(self) -> bytes:
        whole: bytes = self.get_data()
        return whole

    @data.setter
    def data(self, data: Any) -> None:
        self.set_data(data)

    def set_data(self, data: Any) -> None:
        """Text, bytes, or any iterable of them."""
        self.response = data.encode("utf-8") if isinstance(data, str) else bytes(data) if isinstance(data, (bytearray, memoryview)) else data

    def get_data(self, as_text: bool = False) -> Any:
        if not isinstance(self.response, bytes):
            self.response = b"".join(self.iter_encoded())
        return self.response.decode("utf-8", "replace") if as_text else self.response

    @property
    def json(self) -> Any:
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        try:
            return json.loads(self.get_data()) if force or "json" in (self.mimetype or "") else None
        except ValueError:
            if silent:
                return None
            raise

    def iter_encoded(self) -> Iterator[bytes]:
        for chunk in [self.response] if isinstance(self.response, bytes) else self.response:
            yield chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk) if isinstance(chunk, (bytearray, memoryview)) else chunk

    def set_cookie(self, key: str, value: str = "", **attributes: Any) -> None:
        """attributes as werkzeug has them: max_age, expires, path, domain, secure, httponly, samesite."""
        cookie = SimpleCookie({key: value})
        cookie[key]["path"] = "/"
        for name, given in attributes.items():
            if given is not None and given is not False:
                cookie[key][name.replace("_", "-")] = given
        self.headers.add("Set-Cookie", cookie[key].OutputString())

    def delete_cookie(self, key: str, **attributes: Any) -> None:
        self.set_cookie(key, expires="Thu, 01 Jan 1970 00:00:00 GMT", max_age=0, **attributes)

    def close(self) -> None:
        close = getattr(self.response, "close", None)
        if close is not None:
            close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code} [{self.content_type}]>"


def is_response(result: Any) -> bool:
    """AMLResponse, or what looks like a werkzeug response; the user's environment may have Flask."""
    return isinstance(result, AMLResponse) or all(hasattr(result, name) for name in ("status_code", "headers", "iter_encoded", "is_streamed"))


def to_answer(response: Any) -> Answer:
    """Raises EncodeFault where the response cannot be sent."""
    status = int(response.status_code)
    if not 200 <= status <= 599:
        raise EncodeFault(f"run() answered with the status {status}; a response has one between 200 and 599.")
    said: List[Tuple[str, str]] = list(response.headers)
    own = [(name, value) for name, value in said if name.lower() not in (*OURS, "content-type")]
    types = [value for name, value in said if name.lower() == "content-type"]
    return Answer(
        _body_of(response),
        status=status,
        headers=own,
        content_type=types[-1] if types else "application/octet-stream",
        failed=_failed(said, status),
    )


def _failed(said: List[Tuple[str, str]], status: int) -> Optional[bool]:
    """A bare Flask response says nothing, so neither does the answer, unless it is a server error."""
    if status >= 500:
        return True
    flags = [value for name, value in said if name.lower() == FAILED]
    return flags[-1].strip().lower() == "true" if flags else None


def _body_of(response: Any) -> Any:
    if hasattr(response.response, "__aiter__"):
        return _async_stream(response)
    try:
        if response.is_streamed:
            iter(response.response)
            return _stream(response)
        return b"".join(response.iter_encoded())
    except TypeError as error:
        kind = type(response.response).__name__
        raise EncodeFault(f"run() answered with a body of type {kind}; a response takes str, bytes or chunks of them, or json_str=True ({error}).") from error


def _stream(response: Any) -> Iterator[bytes]:
    try:
        yield from response.iter_encoded()
    finally:
        response.close()


async def _async_stream(response: Any) -> AsyncIterator[bytes]:
    chunks = response.response
    try:
        async for chunk in chunks:
            yield chunk.encode("utf-8") if isinstance(chunk, str) else chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _with_charset(kind: str) -> str:
    needs = (kind.startswith("text/") or kind.endswith("+xml") or kind in ("application/javascript", "application/xml")) and "charset" not in kind
    return f"{kind}; charset=utf-8" if needs else kind
