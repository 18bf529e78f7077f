"""multipart/form-data and url-encoded forms in a body that is all here: fields and files, as lenient as werkzeug and no more."""

from __future__ import annotations

import io
import os
import re
import shutil
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl

from fairlead_scoring.worker.exchange import BadInput
from fairlead_scoring.worker.http_fields import CHARSETS, Headers, MultiDict, WithContentType, parse_options

MOST_PARTS = 1000
BREAK = rb"(?:\r\n|\n|\r)"
LINE_BREAK = re.compile(BREAK)
BLANK_LINE = re.compile(rb"\r\n\r\n|\r\r|\n\n")
CONTINUED = re.compile(BREAK + rb"[ \t]")
AFTER_BOUNDARY = re.compile(rb"(?P<last>--)[ \t\v\f]*" + BREAK + rb"?|[ \t\v\f]*" + BREAK)


class Form(NamedTuple):
    fields: MultiDict
    files: MultiDict


class Boundary(NamedTuple):
    """Where a delimiter line lies: the content before it ends at `start`, the next part begins at `end`."""

    start: int
    end: int
    is_last: bool


class FileStorage(WithContentType):
    """An uploaded file: reads like a file object, and saves itself."""

    def __init__(self, stream: Any, filename: Optional[str] = None, name: Optional[str] = None, headers: Optional[Headers] = None) -> None:
        self.stream = stream
        self.filename = filename
        self.name = name
        self.headers = headers if headers is not None else Headers()

    @property
    def content_length(self) -> int:
        """As its part said; 0 when it did not, which is usual."""
        length: int = self.headers.get("content-length", 0, int)
        return length

    def save(self, dst: Any, buffer_size: int = 16384) -> None:
        """To a path or into an open file."""
        if not isinstance(dst, (str, os.PathLike)):
            shutil.copyfileobj(self.stream, dst, buffer_size)
            return
        with open(dst, "wb") as target:
            shutil.copyfileobj(self.stream, target, buffer_size)

    def close(self) -> None:
        self.stream.close()

    def __getattr__(self, name: str) -> Any:
        if name == "stream":
            raise AttributeError(name)
        return getattr(self.stream, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.stream)

    def __bool__(self) -> bool:
        return bool(self.filename)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.filename!r} ({self.content_type!r})>"


def form_of(body: bytes, content_type: Optional[str]) -> Form:
    """What a form holds. A body that cannot be read gives an empty form whose `fault` says why. Raises BadInput for too many parts."""
    kind, options = parse_options(content_type)
    try:
        if kind.lower() == "multipart/form-data":
            return _multipart(body, options.get("boundary", "").encode("ascii"))
        if kind.lower() == "application/x-www-form-urlencoded":
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="replace")
            return Form(MultiDict(pairs, kind="form field"), MultiDict(kind="file"))
    except ValueError as error:
        return _no_form(f"the form could not be read: {error}")
    return _no_form(f"its content type is '{kind}', not multipart/form-data" if kind else "it has no content type, so it is no form")


def is_form(content_type: Optional[str]) -> bool:
    return parse_options(content_type)[0].lower() in ("multipart/form-data", "application/x-www-form-urlencoded")


def _no_form(fault: str) -> Form:
    return Form(MultiDict(kind="form field", fault=fault), MultiDict(kind="file", fault=fault))


def _multipart(body: bytes, boundary: bytes) -> Form:
    if not boundary:
        raise ValueError("the content type names no boundary")
    fields: List[Tuple[str, str]] = []
    files: List[Tuple[str, FileStorage]] = []
    for count, (headers, content) in enumerate(_parts(body, b"--" + boundary), 1):
        if count > MOST_PARTS:
            raise BadInput(f"The form has more than {MOST_PARTS} parts.", status=413)
        if "content-disposition" not in headers:
            raise ValueError("a part has no Content-Disposition header")
        options = parse_options(headers["content-disposition"])[1]
        name: Any = options.get("name")  # None where the part has no name
        if "filename" in options:
            files.append((name, FileStorage(io.BytesIO(content), options["filename"], name, headers)))
        else:
            fields.append((name, content.decode(_charset(headers), "replace")))
    return Form(MultiDict(fields, kind="form field"), MultiDict(files, kind="file"))


def _parts(body: bytes, delimiter: bytes) -> Iterator[Tuple[Headers, bytes]]:
    at = _boundary(body, delimiter, 0, is_first=True)
    while not at.is_last:
        blank = BLANK_LINE.search(body, at.end)
        if blank is None:
            raise ValueError("the headers of a part do not end")
        headers = _headers(body[at.end : blank.start()])
        rest = (blank.start() + blank.end()) // 2  # one line break ends the headers; the second belongs to the content or to an empty one's boundary
        first_break = LINE_BREAK.match(body, rest)
        assert first_break is not None  # the second half of the blank line
        following = _boundary(body, delimiter, rest)
        yield headers, body[first_break.end() : following.start]
        at = following


def _boundary(body: bytes, delimiter: bytes, start: int, *, is_first: bool = False) -> Boundary:
    """The next line with the delimiter; found by plain search, so a file of any size costs little."""
    at = body.find(delimiter, start)
    while at >= 0:
        after = AFTER_BOUNDARY.match(body, at + len(delimiter))
        before = 2 if body.endswith(b"\r\n", start, at) else 1 if body.endswith((b"\r", b"\n"), start, at) else 0
        if (before or is_first) and after is not None:
            return Boundary(at - before, after.end(), after["last"] is not None)
        at = body.find(delimiter, at + 1)
    raise ValueError("the last boundary is missing, the body may be cut off" if not is_first else "the boundary does not occur in the body")


def _headers(block: bytes) -> Headers:
    found = Headers()
    for line in CONTINUED.sub(b" ", block).splitlines():
        name, _, value = line.strip(b" \t").decode().partition(":")
        if name:
            found.add(name.strip(" \t"), value.strip(" \t"))
    return found


def _charset(headers: Headers) -> str:
    charset = parse_options(headers.get("content-type"))[1].get("charset", "").lower()
    return charset if charset in CHARSETS else "utf-8"
