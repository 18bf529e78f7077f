"""A server's life: takes its folder, opens its parts, takes the port, and serves the routes until it is told to end."""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
from collections.abc import Mapping
from ipaddress import ip_address
from types import FrameType
from typing import Any

import uvicorn

from fairlead import __version__
from fairlead.errors import BootFailure
from fairlead.server import app, logs
from fairlead.server import settings as store
from fairlead.server.context import Context
from fairlead.server.maintenance.sweeping import Parts, Sweeper
from fairlead.server.news import News
from fairlead.server.opening import loop_of, open_context
from fairlead.server.presence import Presence
from fairlead.server.settings import Settings
from fairlead.server.timekeeping import Timekeeper

LOG = logging.getLogger("fairlead.server")


def run(settings: Settings, remember: Mapping[str, Any] | None = None) -> None:
    """Returns when the server was told to end. `remember`: flags of the next start, once this one has succeeded. Raises BootFailure and its kin."""
    presence = Presence(settings.state_dir)
    try:
        logs.begin(settings)
        for sentence in store.misspelt():
            LOG.warning("%s", sentence)
        context = open_context(settings)
        try:
            listener = _listen(settings)
            store.remember(settings.state_dir, remember or {})
            _serve(context, presence, listener)
        finally:
            context.database.close()
            context.node.close()
    finally:
        presence.leave()


def _serve(context: Context, presence: Presence, listener: socket.socket) -> None:
    settings, url = context.settings, _url(context.settings, listener)
    loop, sweeper, timekeeper = loop_of(context), Sweeper(Parts(settings, context.database, context.store)), Timekeeper(context.database)
    try:
        timekeeper.start()
        loop.start()
        sweeper.start()
        presence.announce(url, local=settings.local, managed_by=settings.managed_by, tls_cert=settings.tls_cert)
        if _tokens_are_readable(settings, listener):
            LOG.warning(
                "%s", f"{url} can be reached from other machines, and tokens and models travel to it in clear text: start it with --tls-cert and --tls-key."
            )
        LOG.info("serving at %s", url, extra={"version": __version__, "pid": os.getpid(), "database": context.database.shown})
        server = _Server(_configuration(context), context.news)
        gc.freeze()  # what is loaded now stays; the collector need not look at it again
        server.run(sockets=[listener])
    finally:
        sweeper.stop()
        loop.stop()
        timekeeper.stop()
        LOG.info("ended")


class _Server(uvicorn.Server):
    """Requests that wait for news are answered at once when it is told to end."""

    def __init__(self, config: uvicorn.Config, news: News) -> None:
        super().__init__(config)
        self._news = news

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        threading.Thread(target=self._news.end, daemon=True).start()  # not here: the thread that was interrupted may hold its lock


def _tokens_are_readable(settings: Settings, listener: socket.socket) -> bool:
    """By whoever is on the way between a caller on another machine and this server."""
    return not settings.tls_cert and not ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _configuration(context: Context) -> uvicorn.Config:
    settings = context.settings
    return uvicorn.Config(
        app.create(context),
        log_config=None,
        access_log=False,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


def _listen(settings: Settings) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        raise BootFailure(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror or error}); choose another with --port (0 picks a free one)."
        ) from error
    return listener


def _url(settings: Settings, listener: socket.socket) -> str:
    """As a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"{'https' if settings.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
