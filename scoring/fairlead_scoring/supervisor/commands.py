"""What the control socket understands, and what it answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

from fairlead_scoring.supervisor.changes import Changes
from fairlead_scoring.supervisor.crew import Crew
from fairlead_scoring.supervisor.log_file import LogFile


class Service(Protocol):
    """What is asked of the supervisor itself."""

    @property
    def port(self) -> int: ...
    @property
    def url(self) -> str: ...
    @property
    def is_linked(self) -> bool: ...
    @property
    def has_served(self) -> bool: ...
    @property
    def is_stopping(self) -> bool: ...
    def stop(self, *, forget_secrets: bool) -> None: ...


class Commands:
    def __init__(self, service: Service, crew: Crew, changes: Changes, log: LogFile) -> None:
        self._service = service
        self._crew = crew
        self._changes = changes
        self._log = log
        self._known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": self._status,
            "reload": self._reload,
            "stop": self._stop,
            "reopen-log": self._reopen_log,
        }

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        command = self._known.get(str(asked.get("do")))
        if command is None:
            return {"ok": False, "message": f"There is no command {str(asked.get('do'))[:80]}; there are {', '.join(self._known)}."}
        return command(asked)

    def _status(self, _asked: dict[str, Any]) -> dict[str, Any]:
        serving = self._changes.serving
        workers = {"ready": len(self._crew.ready_ones()), "wanted": self._changes.options.workers}
        return {
            "ok": True,
            "state": self._state(),
            "revision": serving.get("revision"),
            "generation": serving.get("generation"),
            "since": serving.get("since"),
            "last": self._changes.last.told(),
            "workers": workers,
            "restarts": self._crew.restarts,
            "reason": self._crew.reason,
            "port": self._service.port,
            "url": self._service.url,
            "pid": os.getpid(),
        }

    def _state(self) -> str:
        if self._service.is_stopping:
            return "stopping"
        if not self._service.has_served:
            return "starting"
        if not self._crew.ready_ones() or not self._service.is_linked:
            return "unhealthy"
        return "running" if self._changes.last.is_over else "updating"

    def _reload(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._service.is_stopping:
            return {"ok": False, "message": "The service is about to end."}
        return {"ok": True, "serial": self._changes.ask(fresh=bool(asked.get("fresh", True)))}

    def _stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._service.stop(forget_secrets=bool(asked.get("forget_secrets")))
        return {"ok": True}

    def _reopen_log(self, _asked: dict[str, Any]) -> dict[str, Any]:
        trouble = self._log.reopen()
        return {"ok": not trouble, "message": trouble}
