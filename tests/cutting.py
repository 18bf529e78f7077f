"""A network that cuts: a TCP proxy that ends each connection after so many bytes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

Way = Literal["up", "down"]


class CuttingProxy:
    """Stands before a server. `limits`: bytes that a connection carries to the server ("up") and back ("down") before it ends; without one, all.

    What was carried arrives, then the receiver sees the end, and the sender is reset.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.limits: dict[Way, int] = {}
        self.carried: dict[Way, int] = {"up": 0, "down": 0}
        self.cuts = 0

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it was closed
                break
            self._threads.append(threading.Thread(target=self._connect, args=(client,)))
            self._threads[-1].start()
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            back = threading.Thread(target=self._carry, args=("down", server, client))
            back.start()
            self._carry("up", client, server)
            back.join()

    def _carry(self, way: Way, source: socket.socket, target: socket.socket) -> None:
        carried = 0
        try:
            while chunk := source.recv(65536):
                allowed = self.limits.get(way, carried + len(chunk)) - carried
                target.sendall(chunk[: max(0, allowed)])
                carried += len(chunk)
                self.carried[way] += len(chunk)
                if allowed < len(chunk):
                    self.cuts += 1
                    break
            target.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(target)
        if carried > self.limits.get(way, carried):
            _reset(source)


def _reset(end: socket.socket) -> None:
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


@contextmanager
def cutting(url: str) -> Iterator[CuttingProxy]:
    """Ends with its connections: close the clients first."""
    proxy = CuttingProxy(url)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
