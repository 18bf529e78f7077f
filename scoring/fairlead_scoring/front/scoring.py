"""Scoring over HTTP: into the pool, and the answer's status, headers and body back (wire contract, seeds 2.2 and 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fairlead_scoring import __version__
from fairlead_scoring.front.exchange import STATUS_LINES, Exchange
from fairlead_scoring.front.ids import NOT_PRINTABLE
from fairlead_scoring.front.routes import INVOCATIONS, V2
from fairlead_scoring.front.settings import FrontSettings
from fairlead_scoring.worker.batch_frame import DIALECTS, Answered

if TYPE_CHECKING:
    from fairlead_scoring.front.app import Front

JSON_HEAD = b"content-type: application/json\r\n"
FAILED = {False: b"x-ms-run-function-failed: False\r\n", True: b"x-ms-run-function-failed: True\r\n", None: b""}
RETRY_AFTER = {429: b"retry-after: 1\r\n", 503: b"retry-after: 2\r\n"}
OWN_HEADERS = frozenset((  # what belongs to the server, or to the connection
    "connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "x-fairlead-revision",
    "x-ms-client-request-id", "x-ms-request-id", "x-ms-run-fn-exec-ms", "x-ms-run-function-failed", "x-ms-server-version", "x-request-id",
))  # fmt: skip
ERROR_CODES = {400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "REQUEST_LIMIT_EXCEEDED",
               429: "RESOURCE_EXHAUSTED", 503: "TEMPORARILY_UNAVAILABLE"}  # fmt: skip


class Scoring:
    def __init__(self, front: Front) -> None:
        self._front = front
        self._tails: dict[str, bytes] = {}
        self.revision = ""
        self.contract: dict[str, Any] = {}
        self.configure(front.settings)
        pool = front.pool
        pool.on_answer, pool.on_stream, pool.on_late, pool.on_refusal = self.answer, self.stream, self.late, self.refuse
        pool.on_batch = front.metrics.batch

    def configure(self, settings: FrontSettings) -> None:
        self._version = b"x-ms-server-version: fairlead/%b\r\n" % __version__.encode() if settings.says_version else b""
        self._tails = {"": self._version, **{revision: self._tail_of(revision) for revision in self._tails if revision}}

    def use(self, contract: dict[str, Any], revision: str) -> None:
        """From now on answers come from this revision."""
        self.contract = contract
        self.revision = revision
        self._tails = {"": self._version, **dict(list(self._tails.items())[-8:])}  # a few: answers of the last one are still to come
        self._tails[revision] = self._tail_of(revision)

    def _tail_of(self, revision: str) -> bytes:
        return self._version + b"x-fairlead-revision: %b\r\n" % revision.encode()

    def score(self, exchange: Exchange) -> None:
        contract, front = self.contract, self._front
        if not contract:
            self.refuse(exchange, 503, "The service is starting: the model is not loaded yet. Try again later.")
            return
        dialect = DIALECTS[exchange.dialect]
        if dialect not in contract["dialects"]:
            self.refuse(exchange, 404, f"{dialect} needs a declared schema, and this script declares none; call /score, or declare one.")
        elif exchange.dialect == V2 and not self._names_model(exchange):
            pass
        elif exchange.method.decode("latin-1") not in contract["methods"] and exchange.method != b"POST":
            if exchange.method == b"OPTIONS":
                front.pages.options(exchange, b"GET, POST, OPTIONS")
            else:
                self.refuse(exchange, 405, "The method is not allowed for the requested URL.")
        elif contract["kind"] == "typed" and dialect == "score" and not _may_be_json(exchange.header(b"content-type")):
            self.refuse(exchange, 415, "Expects Content-Type to be application/json (with curl: -H 'Content-Type: application/json').")
        else:
            front.pool.admit(exchange)

    def _names_model(self, exchange: Exchange) -> bool:
        route = exchange.target
        message = self._front.pages.unknown_model(route) if route else ""
        if message:
            self.refuse(exchange, 404, message)
        return not message

    def answer(self, exchange: Exchange, answered: Answered) -> None:
        exchange.run_ms = answered.exec_ms
        exchange.batch_rows = answered.rows
        self._front.metrics.rows(answered.rows)
        if answered.status not in STATUS_LINES:
            self._refuse_status(exchange, answered.status)
        else:
            exchange.send(answered.status, self._head(exchange, answered), answered.body)

    def stream(self, exchange: Exchange, answered: Answered) -> None:
        exchange.run_ms = answered.exec_ms
        if answered.status not in STATUS_LINES:
            self._refuse_status(exchange, answered.status)
        else:
            exchange.start_stream(answered.status, self._head(exchange, answered))

    def _refuse_status(self, exchange: Exchange, status: int) -> None:
        ids = exchange.ids.request.decode() if exchange.ids else ""
        self._front.lines.say("error", "script", f"The script answered with status {status}; an answer has 200 to 599.", request_id=ids)
        self.refuse(exchange, 500, "An unexpected internal error occurred. Check the logs for more info.")

    def late(self, exchange: Exchange) -> None:
        milliseconds = round(self._front.limits.deadline * 1000)
        self.refuse(exchange, 500, f"Scoring timeout after {milliseconds} ms", failed=True)

    def refuse(self, exchange: Exchange, status: int, message: str, *, failed: bool = False) -> None:
        """An answer that the front gives itself."""
        if exchange.answered or exchange.gone:
            return
        if exchange.started_streaming:
            exchange.break_stream()
            return
        if exchange.dialect == V2 or exchange.route == "infer":
            body = orjson.dumps({"error": message})
        elif exchange.dialect == INVOCATIONS or exchange.route == "invocations":
            body = orjson.dumps({"error_code": ERROR_CODES.get(status, "INTERNAL_ERROR"), "message": message})
        else:
            body = orjson.dumps({"message": message})
        head = JSON_HEAD + FAILED[failed] + RETRY_AFTER.get(status, b"") + self.about(exchange, with_ids=status != 431)
        if status == 401:
            error = b', error="invalid_token", error_description="%b"' % exchange.unwelcome.encode() if exchange.unwelcome else b""
            head += b'www-authenticate: Bearer realm="scoring"%b\r\n' % error
        if status == 405 and exchange.target is not None:
            head += b"allow: %b\r\n" % b", ".join(sorted(exchange.target.methods))
        exchange.send(status, head, body)

    def about(self, exchange: Exchange, *, with_ids: bool = True) -> bytes:
        """The header lines that every answer carries."""
        ids = exchange.ids.head() if with_ids and exchange.ids is not None else b""
        return self._tail(exchange) + ids + self._cors(exchange)

    def _head(self, exchange: Exchange, answered: Answered) -> bytes:
        own = _script_headers(answered.headers) if answered.headers else JSON_HEAD
        spent = b"x-ms-run-fn-exec-ms: %.3f\r\n" % answered.exec_ms if answered.exec_ms >= 0 else b""
        return b"%b%b%b%b" % (own, FAILED[answered.failed], spent, self.about(exchange))

    def _tail(self, exchange: Exchange) -> bytes:
        return self._tails.get(exchange.revision or self.revision, self._version)

    def _cors(self, exchange: Exchange) -> bytes:
        cors = self._front.cors
        return cors.head(exchange) if cors is not None else b""


def _may_be_json(content_type: bytes) -> bool:
    """No content type says nothing against it."""
    if content_type in (b"application/json", b""):
        return True
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")


def _script_headers(headers: list[tuple[str, str]]) -> bytes:
    """Header lines that the script gave; what belongs to the server is left out, and nothing can break out of its line."""
    lines = []
    has_type = False
    for name, value in headers:
        lowered = name.lower()
        if lowered in OWN_HEADERS or not name.isascii() or not lowered.replace("-", "").replace("_", "").isalnum():
            continue
        has_type = has_type or lowered == "content-type"
        lines.append(b"%b: %b\r\n" % (name.encode(), NOT_PRINTABLE.sub(b" ", value.encode("latin-1", "replace"))))
    return b"".join(lines) if has_type else JSON_HEAD + b"".join(lines)
