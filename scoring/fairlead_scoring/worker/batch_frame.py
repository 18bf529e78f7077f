"""The payloads of SCORE and ANSWERS: many requests, or many answers, in one frame."""

from __future__ import annotations

import json
import struct
from typing import Any, List, NamedTuple, Optional, Tuple, Union

from fairlead_scoring.worker.exchange import Request
from fairlead_scoring.worker.link import IN_MEMFD, Frame, mapped

ASKED = struct.Struct("<IBBHII")  # id, dialect, method, request-id length, meta length, body length
ANSWERED = struct.Struct("<IHBBIIdI")  # id, status, failed, streamed, head length, body length, exec ms, rows

DIALECTS = ("score", "v2", "invocations")
METHODS = ("POST", "GET", "OPTIONS", "PUT", "DELETE", "PATCH", "HEAD")
FAILED_CODES = {None: 2, False: 0, True: 1}
FAILED_VALUES = (False, True, None)

NOT_RUN = -1.0


class Asked(NamedTuple):
    ident: int
    request: Request


class Answered(NamedTuple):
    ident: int
    status: int
    failed: Optional[bool]
    streamed: bool
    headers: List[Tuple[str, str]]
    body: Union[bytes, memoryview]
    exec_ms: float  # NOT_RUN when run() was not entered
    rows: int


def pack_request(ident: int, dialect: int, method: int, request_id: bytes, meta: bytes, body_length: int) -> bytes:
    """All of a request but its body."""
    return ASKED.pack(ident, dialect, method, len(request_id), len(meta), body_length) + request_id + meta


def pack_meta(path: str, query: bytes, headers: List[Tuple[bytes, bytes]]) -> bytes:
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return json.dumps([path, query.decode("latin-1"), pairs]).encode()


def unpack_requests(frame: Frame) -> List[Asked]:
    payload, found, at = frame.payload, [], 0
    while at < len(payload):
        ident, dialect, method, id_length, meta_length, body_length = ASKED.unpack_from(payload, at)
        at += ASKED.size
        request_id = str(payload[at : at + id_length], "latin-1")
        at += id_length
        path, query, headers = _meta(payload[at : at + meta_length])
        at += meta_length
        if frame.flags & IN_MEMFD:
            body = mapped(frame.fds[0])
        else:
            body = payload[at : at + body_length]
            at += body_length
        request = Request(
            body,
            request_id=request_id,
            method=METHODS[method],
            path=path,
            query=query,
            headers=headers,
            dialect=DIALECTS[dialect],
        )
        found.append(Asked(ident, request))
    return found


def _meta(packed: memoryview) -> Tuple[str, bytes, List[Tuple[bytes, bytes]]]:
    if not packed:
        return "/score", b"", []
    path, query, pairs = json.loads(bytes(packed))
    return path, query.encode("latin-1"), [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def pack_answer(answered: Answered, body_length: int) -> bytes:
    """All of an answer but its body."""
    head = pack_headers(answered.headers)
    return (
        ANSWERED.pack(
            answered.ident,
            answered.status,
            FAILED_CODES[answered.failed],
            answered.streamed,
            len(head),
            body_length,
            answered.exec_ms,
            answered.rows,
        )
        + head
    )


def pack_headers(headers: List[Tuple[str, str]]) -> bytes:
    return json.dumps(headers).encode() if headers else b""


def unpack_answers(frame: Frame) -> List[Answered]:
    payload, found, at = frame.payload, [], 0
    while at < len(payload):
        ident, status, failed, streamed, head_length, body_length, exec_ms, rows = ANSWERED.unpack_from(payload, at)
        at += ANSWERED.size
        headers: List[Any] = json.loads(bytes(payload[at : at + head_length])) if head_length else []
        at += head_length
        body: Union[bytes, memoryview]
        if frame.flags & IN_MEMFD:
            body = mapped(frame.fds[0])
        else:
            body = payload[at : at + body_length]
            at += body_length
        found.append(Answered(ident, status, FAILED_VALUES[failed], bool(streamed), headers, body, exec_ms, rows))
    return found
