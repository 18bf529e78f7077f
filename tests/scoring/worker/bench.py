"""A workbench: a script's source becomes a loaded script, and one request becomes its answer, without processes or HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker.exchange import Answer, Request
from fairlead_scoring.worker.script import Script, load
from fairlead_scoring.worker.step import Step


class Bench:
    def __init__(self, app_root: Path, lines: LineWriter, log: Path) -> None:
        self.app_root, self.lines, self._log = app_root, lines, log
        self.app_root.mkdir()

    def write(self, source: str, name: str = "score.py") -> Path:
        path = self.app_root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    def load(self, source: str, source_dir: Path | None = None, **options: Any) -> Script:
        script = load(self.write(source), self.app_root, source_dir, options)
        script.init()
        return script

    def answer(self, script: Script, body: Any = b"", *, headers: dict[str, str] | None = None, method: str = "POST", query: str = "") -> Answer:
        """A body that is not bytes is sent as JSON."""
        sent = {"Content-Type": "application/json"} if headers is None else headers
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
        request = Request(payload, request_id="r1", method=method, query=query.encode(), headers=raw)
        (answer,) = Step(script, script.contract(), self.lines).answer([request])
        return answer

    def result(self, script: Script, body: Any = b"") -> Any:
        """The parsed body of an answer that must be 200."""
        answer = self.answer(script, body)
        assert answer.status == 200, answer.body
        return json.loads(bytes_of(answer))

    def refusal(self, script: Script, body: Any = b"") -> dict[str, Any]:
        """The parsed body of an answer that must be 400."""
        answer = self.answer(script, body)
        assert answer.status == 400, answer.body
        assert answer.failed is False
        return cast(dict[str, Any], json.loads(bytes_of(answer)))

    @property
    def log(self) -> str:
        return "\n".join(json.loads(line)["message"] for line in self._log.read_text().splitlines())


def bytes_of(answer: Answer) -> bytes:
    """The whole body, a streamed one included."""
    return answer.body if isinstance(answer.body, bytes) else b"".join(cast(Iterator[bytes], answer.body))
