"""A control plane inside the test's process, spoken to over real HTTP, whose services run nowhere (`FakeTarget`)."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.schemas.services import Code, NewService, Service
from fairlead.sdk.uploads import upload_tree
from fairlead.server import app, sealing
from fairlead.server.bootstrap import TOKEN_FILE, bootstrap
from fairlead.server.context import Context
from fairlead.server.db import Database
from fairlead.server.news import News
from fairlead.server.node import Node
from fairlead.server.opening import loop_of, means_of
from fairlead.server.settings import Settings
from fairlead.server.tables import Record
from fairlead.stores import open_store, tree_of
from fairlead.testing.targets import FakeTarget
from tests.waiting import until

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return {answer}\n"


class Desk:
    """`folder` is one server's state; two of them on one `database_url` share the work."""

    def __init__(
        self, folder: Path, database_url: str, target: FakeTarget, *, cache: Path, store: Path | None = None, on: tuple[str, ...] = ("local",), **settings: Any
    ) -> None:
        """on: the names under which the target is known."""
        self.target = target
        told = Settings(state_dir=folder, cache_dir=cache, database_url=database_url, store_url=str(store or folder / "blobs"), **settings)
        folder.mkdir(parents=True, exist_ok=True)
        database = Database(told.database)
        Record.metadata.create_all(database.engine)
        bootstrap(database, folder)
        self.context = Context(
            settings=told,
            database=database,
            seal=sealing.load(told),
            store=open_store(told.store),
            node=Node(folder),
            news=News(),
            targets=dict.fromkeys(on, target),
        )
        self.means = means_of(self.context)
        self.loop = loop_of(self.context)
        self._server = uvicorn.Server(uvicorn.Config(app.create(self.context), log_level="warning"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def start(self, token: str | None = None, *, works: bool = True) -> Desk:
        """works: False leaves to other servers what is to be done."""
        if works:
            self.loop.start()
        self._thread.start()
        until(lambda: self._server.started, "the server to listen")
        self.token = token or (self.context.settings.state_dir / TOKEN_FILE).read_text().strip()
        self.owner = Transport(f"http://127.0.0.1:{self._socket.getsockname()[1]}", self.token)
        return self

    def stop(self) -> None:
        self.owner.close()
        self._server.should_exit = True
        self._thread.join(20)
        self.loop.stop()
        self.context.database.close()
        self.context.node.close()
        self._socket.close()


def upload_script(owner: Transport, folder: Path, text: str = "", **files: str) -> Code:
    """A scoring script; without a text, one that answers 1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text(text or SCRIPT.format(answer=1))
    for name, content in files.items():
        (folder / name).write_text(content)
    return Code(tree=upload_tree(owner, tree_of(folder), folder), entry_script="score.py")


def answering(answer: object) -> str:
    """The text of a script that gives this answer."""
    return SCRIPT.format(answer=json.dumps(answer))


def settled(owner: Transport, name: str, timeout: float = 300.0) -> Service:
    """Once nothing is on its way."""
    last = list(services.changes(owner, name, timeout=timeout))[-1]
    assert last.is_settled, f"{name} is still {last.state} ({last.stage}): {last.message}"
    return last


def deployed(owner: Transport, new: NewService, timeout: float = 300.0) -> Service:
    services.deploy_service(owner, new)
    return settled(owner, new.name, timeout)


def events_of(owner: Transport, name: str) -> list[str]:
    """The oldest first."""
    return [each.event for each in services.list_events(owner, name)][::-1]


def refused(owner: Transport, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Status and sentence of a request that is meant to fail."""
    response = owner.http.request(method, path, json=body)
    assert response.status_code >= 400, response.text
    return response.status_code, str(response.json()["detail"])
