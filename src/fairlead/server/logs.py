"""The log of the control plane: one JSON object per line, to standard error or to a file that is rotated by size. No secret passes."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any, TextIO, cast

from fairlead.errors import BootFailure, UsageError
from fairlead.server.redaction import without_secrets
from fairlead.server.settings import Settings

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
LEVELS = ("debug", "info", "warning", "error")


class JsonLines(logging.Formatter):
    """Whatever a record carries beyond its message becomes a member of the object."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps(line, default=str, ensure_ascii=False))


def begin(settings: Settings) -> None:
    """Every logger of this process writes there from now on. Raises BootFailure when the file cannot be written."""
    if settings.log_level not in LEVELS:
        raise UsageError(f"--log-level {settings.log_level}: say one of {', '.join(LEVELS)}.")
    handler = _handler(settings)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, root.level))  # its start and end are told in our own words
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _handler(settings: Settings) -> logging.Handler:
    path = settings.log_path
    if path is None:
        return logging.StreamHandler(sys.stderr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _PrivateFile(path, maxBytes=settings.log_bytes, backupCount=settings.log_files, encoding="utf-8")
    except OSError as error:
        raise BootFailure(f"The log {path} cannot be written ({error.strerror or error}); name another with --log-file (- is standard error).") from error


class _PrivateFile(RotatingFileHandler):
    """Readable by its owner alone: it names people and addresses."""

    def _open(self) -> TextIO:  # type: ignore[override]
        return cast(
            TextIO,
            os.fdopen(
                os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "a", encoding="utf-8", errors="backslashreplace"
            ),
        )
