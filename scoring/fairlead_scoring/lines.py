"""One log line, as JSON for machines or as text for a terminal; the same for supervisor, front and workers."""

from __future__ import annotations

import json
import os
import select
import stat
import threading
import time
from typing import Any, Dict, List, Optional

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
MARKS = {"warning": "WARN ", "error": "ERROR", "critical": "FATAL", "debug": "DEBUG"}
HELD_LIMIT = 1 << 20


def utc_now(moment: Optional[float] = None) -> str:
    """UTC, milliseconds, RFC 3339."""
    moment = time.time() if moment is None else moment
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"


def compose(form: str, level: str, source: str, message: str, **fields: Any) -> str:
    """form: `json` or `text`. Fields that are None or empty are left out."""
    said = {key: value for key, value in fields.items() if value not in (None, "")}
    if form == "json":
        return json.dumps({"time": utc_now(), "level": level, "source": source, "message": message, **said}, default=str) + "\n"
    request_id = said.pop("request_id", None)
    tail = "".join(f"  {key}={value}" for key, value in said.items())
    mark = f"  [{str(request_id)[:8]}]" if request_id else ""
    first, more, rest = message.partition("\n")
    return "{}  {:5} {:10} {}{}{}{}{}\n".format(time.strftime("%H:%M:%S"), MARKS.get(level, "INFO "), source, first, mark, tail, more, rest)


class LineWriter:
    """Writes whole lines to a descriptor. A reader that stands still costs lines (counted), never a blocked process."""

    def __init__(self, fd: int, *, form: str = "json", level: str = "info", about: Optional[Dict[str, str]] = None) -> None:
        """`about`: fields of every JSON line."""
        self.form = form
        self.fd = fd
        self.level = level
        self.dropped = 0
        self._about = about or {}
        self._renew_turn()
        os.register_at_fork(after_in_child=self._renew_turn)  # a thread that had it is not in the copy
        self._held: List[bytes] = []
        self._held_size = 0
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)

    def _renew_turn(self) -> None:
        """A script's threads print, too; what prints in a signal's handler may come into the midst of it."""
        self._turn = threading.RLock()

    def say(self, level: str, source: str, message: str, **fields: Any) -> None:
        if LEVELS.get(level, 20) >= LEVELS[self.level]:
            if self.form == "json":
                fields = {**fields, **self._about}
            self.write(compose(self.form, level, source, message, **fields).encode("utf-8", "replace"))

    def write(self, lines: bytes) -> None:
        with self._turn:
            if self._held_size > HELD_LIMIT:
                self.dropped += lines.count(b"\n")
                return
            self._held.append(lines)
            self._held_size += len(lines)
            self._flush()

    def turn_to(self, fd: int) -> None:
        """Go on in another file, from one line to the next; the descriptor's number stays, so nothing that knows it has to be told."""
        os.dup2(fd, self.fd, inheritable=os.get_inheritable(self.fd))
        os.close(fd)

    def flush(self) -> None:
        with self._turn:
            self._flush()

    def _flush(self) -> None:
        while self._held and (self._is_file or self._is_writable()):
            data, self._held, self._held_size = b"".join(self._held), [], 0
            piece = data if self._is_file else _whole_lines(data)
            try:
                written = os.write(self.fd, piece)
            except OSError:  # the log's reader is gone, or the disk is full; serving goes on
                self.dropped += data.count(b"\n")
                return
            if written < len(data):
                self._held, self._held_size = [data[written:]], len(data) - written

    def _is_writable(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(0))


def _whole_lines(data: bytes) -> bytes:
    """As much as a pipe takes at once when it is writable at all, without blocking and without mixing with what others write."""
    if len(data) <= select.PIPE_BUF:
        return data
    return data[: data.rfind(b"\n", 0, select.PIPE_BUF) + 1] or data[: select.PIPE_BUF]
