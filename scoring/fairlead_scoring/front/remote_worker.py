"""The front's end of the link to one worker: batches out, answers in, never blocking."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from fairlead_scoring.front.exchange import Exchange
from fairlead_scoring.worker import link
from fairlead_scoring.worker.batch_frame import METHODS, pack_meta, pack_request
from fairlead_scoring.worker.link import Frame, Inbox, LinkClosed

METHOD_CODES = {method.encode(): code for code, method in enumerate(METHODS)}


class RemoteWorker:
    """`running` holds what the worker has been sent and not yet answered, by id."""

    def __init__(self, ident: str, sock: socket.socket, told: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self.ident = ident
        self.told = told
        self.contract: dict[str, Any] = told["contract"]
        self.capacity: int = self.contract["concurrency"]
        self.generation: int = told["generation"]
        self.revision: str = told["revision"]
        self.running: dict[int, Exchange] = {}
        self.run_started = 0.0
        self.retiring = False
        self.overdue = False
        self.on_frame: Callable[[RemoteWorker, Frame], None]
        self.on_gone: Callable[[RemoteWorker], None]
        self._sock = sock
        self._loop = loop
        self._inbox = Inbox()
        self._unsent: deque[tuple[memoryview, int | None]] = deque()
        self._closed = False

    def listen(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def is_free(self) -> bool:
        return len(self.running) < self.capacity and not self.overdue and not self.retiring

    def score(self, exchanges: list[Exchange]) -> None:
        parts: list[bytes | bytearray] = []
        wants_headers = self.contract["headers"]
        for exchange in exchanges:
            self.running[exchange.ident] = exchange
            exchange.worker = self.ident
            exchange.revision = self.revision
            meta = b""
            if wants_headers or exchange.method != b"POST" or exchange.query or exchange.dialect or b"event-stream" in exchange.header(b"accept"):
                meta = pack_meta(exchange.path.decode("latin-1"), exchange.query, exchange.headers)
            assert exchange.ids is not None
            body = exchange.body
            code = METHOD_CODES.get(exchange.method, 0)
            head = pack_request(exchange.ident, exchange.dialect, code, exchange.ids.request, meta, body.size)
            if body.fd is not None:
                self._send(link.pack(link.SCORE, head, flags=link.IN_MEMFD), body.fd)
            else:
                parts += (head, body.data)
        if parts:
            self._send(link.pack(link.SCORE, b"".join(parts)))

    def tell(self, kind: int, *, ident: int = 0, fd: int | None = None) -> None:
        self._send(link.pack(kind, ident=ident, flags=link.WITH_FDS if fd is not None else 0), fd)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
            for _, fd in self._unsent:
                if fd is not None:
                    os.close(fd)

    def _send(self, data: bytes, fd: int | None = None) -> None:
        if self._closed:
            return
        view = memoryview(data)
        if not self._unsent:
            try:
                sent = link.send_some(self._sock, view, fd)
                if sent == len(view):
                    return
                view, fd = view[sent:], None
            except BlockingIOError:
                pass
            except OSError:
                return  # the reader sees the end of the link and says so
        self._unsent.append((view, os.dup(fd) if fd is not None else None))
        self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        while self._unsent:
            view, fd = self._unsent[0]
            try:
                sent = link.send_some(self._sock, view, fd)
            except BlockingIOError:
                return
            except OSError:
                break
            if fd is not None:
                os.close(fd)
            self._unsent.popleft()
            if sent < len(view):
                self._unsent.appendleft((view[sent:], None))
        self._loop.remove_writer(self._sock.fileno())

    def read_to_end(self) -> None:
        """What it has still said, and no more."""
        while self._read():
            pass
        self._end()

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            for frame in self._inbox.receive(self._sock):
                self.on_frame(self, frame)
        except BlockingIOError:
            return False
        except (LinkClosed, OSError):
            self._end()
            return False
        return not self._closed

    def _end(self) -> None:
        if not self._closed:
            self.close()
            self.on_gone(self)
