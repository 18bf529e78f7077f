"""The same scripts in Python 3.8 with nothing installed: what a script of its own time runs in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.needs import python

TYPED = """
import dataclasses, datetime, enum
from typing import List, Optional
from fairlead_scoring import typed
class Mode(enum.Enum):
    A = 'a'
@dataclasses.dataclass
class Row:
    x: float
    at: datetime.datetime
    mode: Optional[Mode] = None
def init(): pass
@typed
def run(rows: List[Row], scale: float = 2.0): return [rows[0].x * scale, rows[0].at, rows[0].mode]
"""
SCRIPTS = {
    "plain": ("def init(): pass\ndef run(data): return [data]\n", '{"a": 1}', ['{"a": 1}']),
    "typed": (
        TYPED,
        '{"rows": [{"x": 1, "at": "2024-01-02T03:04:05.1Z", "mode": "a"}]}',
        [2.0, "2024-01-02T03:04:05.100000+00:00", "a"],
    ),
    "headers": ("def init(): pass\ndef run(data, request_headers): return request_headers['Content-Type']\n", "", "application/json"),
    "values": (
        "import decimal\ndef init(): pass\ndef run(data): return {'d': decimal.Decimal('1.5'), 's': {'x'}, 'b': b'ab'}\n",
        "",
        {"d": 1.5, "s": ["x"], "b": "YWI="},
    ),
}
PROGRAM = """
import json, sys, pathlib
from fairlead_scoring.worker.exchange import Request
from fairlead_scoring.worker.script import load
folder = pathlib.Path(sys.argv[1])
script = load(pathlib.Path("score.py"), folder, None)
script.init()
json.dumps(script.contract())
request = Request(sys.argv[2].encode(), headers=[(b"content-type", b"application/json")])
answer = script.encode(script.run(script.bind(request)), request)
print(answer.body.decode())
"""


@pytest.mark.needs("python3.8")
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_run_on_python_3_8(name: str, tmp_path: Path, repository: Path) -> None:
    source, body, expected = SCRIPTS[name]
    (tmp_path / "score.py").write_text(source)
    done = subprocess.run(
        [str(python("3.8")), "-B", "-I", "-c", f"import sys; sys.path.insert(0, {str(repository / 'scoring')!r})\n{PROGRAM}", str(tmp_path), body],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
