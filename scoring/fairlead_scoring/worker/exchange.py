"""What passes between the worker's loop and the script: a request, an answer, and whose fault an error is."""

from __future__ import annotations

from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Tuple, Union

Body = Union[bytes, Iterator[bytes], AsyncIterator[bytes]]


class Request:
    """One scoring request as the front received it. Header names are lower case; headers are empty unless the script or the dialect wants them.

    reply: set where the body was read; turns what `run()` returned into an answer in the same dialect. None: the script's own way.
    """

    __slots__ = ("body", "dialect", "headers", "method", "path", "query", "reply", "request_id")

    def __init__(  # noqa: PLR0913  (one request, field by field; a dataclass has no slots on Python 3.8)
        self,
        body: Union[bytes, memoryview],
        *,
        request_id: str = "",
        method: str = "POST",
        path: str = "/score",
        query: bytes = b"",
        headers: Optional[List[Tuple[bytes, bytes]]] = None,
        dialect: str = "score",
    ) -> None:
        self.body = body
        self.request_id = request_id
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers if headers is not None else []
        self.dialect = dialect
        self.reply: Optional[Callable[[Any], Answer]] = None

    def header(self, name: bytes) -> bytes:
        """The first value of a header, b"" when it is absent. `name` in lower case."""
        return next((value for key, value in self.headers if key == name), b"")


class Answer:
    """What goes back: whole bytes, or an iterator of chunks that is streamed.

    failed: value of `x-ms-run-function-failed`; None leaves the header out. exec_ms: time inside `run()`, None when it was not entered.
    report: told of an exception that a streamed body raises.
    """

    __slots__ = ("body", "content_type", "exec_ms", "failed", "headers", "report", "rows", "status")

    def __init__(
        self,
        body: Body,
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Optional[List[Tuple[str, str]]] = None,
        failed: Optional[bool] = False,
        exec_ms: Optional[float] = None,
    ) -> None:
        self.body = body
        self.status = status
        self.content_type = content_type
        self.headers = headers if headers is not None else []
        self.failed = failed
        self.exec_ms = exec_ms
        self.rows = 1
        self.report: Callable[[BaseException], None] = _ignore


class BadInput(Exception):
    """The caller's mistake; `run()` was not entered, or refused the input itself."""

    def __init__(self, message: str, *, status: int = 400, detail: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.detail = detail if detail is not None else {}


class EncodeFault(Exception):
    """`run()` returned something that cannot be put on the wire; the sentence says what, for the log."""


def _ignore(_error: BaseException) -> None:
    """An answer of whole bytes has nothing left to raise."""
