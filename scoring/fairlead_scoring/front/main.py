"""The front process: takes its settings and descriptors from the supervisor, serves until told to drain."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import orjson

from fairlead_scoring.errors import BootFault, RuntimeFault
from fairlead_scoring.front.app import Front
from fairlead_scoring.front.protocol import Connection
from fairlead_scoring.front.remote_worker import RemoteWorker
from fairlead_scoring.front.resurrection import Resurrection
from fairlead_scoring.front.settings import FrontSettings
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker import link

try:
    import uvloop
except ImportError:  # a platform without it: asyncio's own loop does, slower
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

BACKLOG = 2048


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fairlead_scoring front")
    parser.add_argument("--fd", type=int, required=True, help="the link to the supervisor")
    parser.add_argument("--listen-fd", type=int, action="append", required=True, help="a listening socket")
    options = parser.parse_args(arguments)
    control = link.Link(socket.socket(fileno=options.fd))
    _raise_descriptor_limit()
    told: dict[str, Any] = orjson.loads(control.receive().payload)
    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # the supervisor decides; a terminal sends these to all
    listeners = [socket.socket(fileno=fd) for fd in options.listen_fd]
    gc.freeze()  # what is loaded now stays; the collector need not look at it again
    gc.set_threshold(20_000, 20, 20)
    try:
        process = FrontProcess(told, control, listeners, loop)
    except RuntimeFault as fault:
        control.send(link.FAILED, orjson.dumps({"message": str(fault), "exit_code": fault.exit_code}))
        return fault.exit_code
    return loop.run_until_complete(process.run())


def _raise_descriptor_limit() -> None:
    """Each connection is a descriptor, and 1024 of them is a common soft limit."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class FrontProcess:
    def __init__(self, told: dict[str, Any], control: link.Link, listeners: list[socket.socket], loop: asyncio.AbstractEventLoop) -> None:
        self._told = told
        self._settings = FrontSettings.from_json(told["settings"])
        self._context = _tls(self._settings)
        self._lines = LineWriter(told["log_fd"], form=self._settings.log_form, level=self._settings.log_level)
        self._loop = loop
        self._listeners = listeners
        self._front = Front(self._settings, self._lines, loop)
        self._front.pool.tell_supervisor = self._tell
        self._drain = asyncio.Event()
        self._grace = 0.0
        self._resurrection = Resurrection(told, listeners)
        loop.set_exception_handler(self._report)
        self._hear_from(control)

    async def run(self) -> int:
        context = self._context
        self._tell(link.UP, {"pid": os.getpid()})
        await self._workers_of_my_predecessor()
        main, *others = self._listeners
        servers = [await self._listen(main, context)] + [await self._listen(other, None, is_for_operators=True) for other in others]
        ticker = self._loop.create_task(self._tick(context))
        await self._drain.wait()
        for server in servers:
            server.close()
        await self._front.drain(self._grace)
        ticker.cancel()
        self._lines.flush()
        self._tell(link.DRAINED, {})
        return 0

    async def _workers_of_my_predecessor(self) -> None:
        """A front that replaces another accepts connections when it can score; until then they wait in the socket's queue."""
        for _ in range(200):
            if len(self._front.pool.workers) >= self._told["await_workers"] and self._front.status:
                return
            await asyncio.sleep(0.01)

    async def _listen(self, sock: socket.socket, context: ssl.SSLContext | None, *, is_for_operators: bool = False) -> asyncio.AbstractServer:
        def connection() -> Connection:
            return Connection(self._front, is_for_operators=is_for_operators)

        patience = self._settings.limits.header_time if context is not None else None
        return await self._loop.create_server(connection, sock=sock, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=patience)

    async def _tick(self, context: ssl.SSLContext | None) -> None:
        stamp = _stamp(self._settings)
        while True:
            await asyncio.sleep(1)
            try:
                self._front.tick()
            except Exception as error:  # noqa: BLE001  (without a tick there is no heartbeat, and the supervisor ends this process)
                self._front.report(error)
            self._lines.flush()
            self._tell(link.BEAT, {})
            if context is not None and _stamp(self._settings) != stamp:
                stamp = _stamp(self._settings)
                self._reload_certificate(context)

    def _reload_certificate(self, context: ssl.SSLContext) -> None:
        try:
            _tls(self._settings)  # tried on another context first: one that fails half-way has no key left
            context.load_cert_chain(str(self._settings.tls_cert), str(self._settings.tls_key))
        except (BootFault, OSError) as error:
            self._lines.say("error", "front", f"The old certificate stays in use. {error}")
        else:
            self._lines.say("info", "front", f"The certificate {self._settings.tls_cert} has been read again.")

    def _report(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raised: a mistake of ours, or a connection that broke while it was closed."""
        error = context.get("exception")
        if not isinstance(error, OSError):
            self._front.report(error or RuntimeError(context["message"]))

    # The supervisor's link.
    def _hear_from(self, control: link.Link) -> None:
        self._control, self._inbox, read_ahead = control.take_apart()
        self._control.setblocking(False)
        self._loop.add_reader(self._control.fileno(), self._readable)
        for frame in read_ahead:
            self._hear(frame)

    def _readable(self) -> None:
        try:
            for frame in self._inbox.receive(self._control):
                self._hear(frame)
        except BlockingIOError:
            return
        except (link.LinkClosed, OSError):
            self._supervisor_gone()

    def _hear(self, frame: link.Frame) -> None:
        front = self._front
        told: dict[str, Any] = orjson.loads(frame.payload) if frame.payload else {}
        if frame.kind == link.ADD:
            worker = RemoteWorker(told["worker"], socket.socket(fileno=frame.fds[0]), told, self._loop)
            front.pool.add(worker)
            front.scoring.use(worker.contract, worker.revision)
            front.app_root = Path(told["spec"]["app_root"])
        elif frame.kind == link.RETIRE:
            front.pool.retire(told["worker"])
        elif frame.kind == link.GONE:
            front.pool.lost(told["worker"])
        elif frame.kind == link.NEWS:
            front.status = told
            front.pool.expects_worker = told["expects_worker"]
        elif frame.kind == link.SETTINGS:
            self._configure(told)
        elif frame.kind == link.LOG:
            self._lines.turn_to(frame.fds[0])
        elif frame.kind == link.DRAIN:
            self._grace = told["grace"]
            self._drain.set()

    def _configure(self, told: dict[str, Any]) -> None:
        """What a reload has changed, here and for the next supervisor."""
        self._told.update(told)
        self._settings = FrontSettings.from_json(told["settings"])
        self._front.configure(self._settings)

    def _tell(self, kind: int, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has gone; the reader says so
            self._control.send(link.pack(kind, orjson.dumps(message)))

    def _supervisor_gone(self) -> None:
        """Serving goes on. A supervisor that was killed is replaced, and takes over what runs."""
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        if self._drain.is_set():
            return
        if not self._front.pool.workers:
            self._drain.set()  # nothing is loaded, so there is nothing to save
            return
        self._lines.say("error", "front", "The supervisor has ended unasked; a new one takes over.")
        self._hear_from(link.Link(self._resurrection.start(self._front.pool.workers.values(), self._front.status)))
        self._tell(link.UP, {"pid": os.getpid()})


def _tls(settings: FrontSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(str(settings.tls_cert), str(settings.tls_key))
    except OSError as error:  # ssl.SSLError is one
        both = f"The certificate {settings.tls_cert} cannot be used with the key {settings.tls_key}"
        raise BootFault(f"{both} ({error}); give two PEM files that match.") from error
    return context


def _stamp(settings: FrontSettings) -> tuple[tuple[int, int, int], ...]:
    with contextlib.suppress(OSError):
        found = [path.stat() for path in (settings.tls_cert, settings.tls_key) if path is not None]
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)
    return ()
