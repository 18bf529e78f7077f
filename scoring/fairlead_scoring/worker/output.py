"""What the script prints and logs: one line each, with the id of the request that was being scored."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import logging.config
import sys
import threading
from pathlib import Path
from typing import Any, Iterable

from fairlead_scoring.lines import LineWriter

REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
INIT_ID = "00000000-0000-0000-0000-000000000000"  # what the Azure server puts before lines printed by init()


class Prints(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr: collects until the line ends, then hands the line on."""

    def __init__(self, lines: LineWriter, name: str, level: str, fd: int) -> None:
        self._lines, self._name, self._level, self._fd = lines, name, level, fd
        self._rest = threading.local()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole = getattr(self._rest, "text", "") + text
        *finished, rest = whole.split("\n")
        self._rest.text = rest
        for line in finished:
            self._lines.say(self._level, self._name, line, request_id=REQUEST_ID.get())
        return len(text)

    def flush(self) -> None:
        rest = getattr(self._rest, "text", "")
        if rest:
            self._rest.text = ""
            self._lines.say(self._level, self._name, rest, request_id=REQUEST_ID.get())


class LogHandler(logging.Handler):
    def __init__(self, lines: LineWriter) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        level = record.levelname.lower()
        self._lines.say(level, record.name, message, request_id=REQUEST_ID.get())


def take_over(lines: LineWriter, level: str, folders: Iterable[Path]) -> None:
    """Route print, sys.stdout, sys.stderr and logging through `lines`; a logging.json in one of the folders replaces the logging part."""
    sys.stdout = Prints(lines, "print", "info", 1)
    sys.stderr = Prints(lines, "stderr", "warning", 2)
    for folder in folders:
        own = folder / "logging.json"
        if own.is_file():
            logging.config.dictConfig(_checked(own))
            return
    root = logging.getLogger()
    root.handlers[:] = [LogHandler(lines)]
    root.setLevel(level.upper())


def _checked(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); correct it or remove it.") from error
