"""wrk against one server: closed loop, every answer checked, CPU of the server's tree over the same seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import HERE
from benchmarks.processes import cpu_of
from benchmarks.servers import Rows, Server, labels_in


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent, and the only bodies that may come back; parts: bodies in rotation, their answers in the same order."""

    bodies: tuple[bytes, ...]
    answers: tuple[bytes, ...]


def load_of(server: Server, parts: Sequence[Rows], expected: Sequence[Sequence[int]] | None) -> Load:
    """Asks the server once per part. SystemExit when its labels differ from the model's own (expected)."""
    answers = tuple(server.ask(rows) for rows in parts)
    for rows, answer, labels in zip(parts, answers, expected or (), strict=False):
        if labels_in(answer) != list(labels):
            raise SystemExit(f"{server.peer.name} answers {answer[:200]!r} for {str(rows)[:200]}; right is {labels}.")
    return Load(bodies=tuple(server.peer.body(rows) for rows in parts), answers=answers)


def press(server: Server, load: Load, *, connections: int, seconds: float) -> dict[str, Any]:
    """One run. Numbers: requests per CPU-second of the tree, p50/p99 in ms, CPU in µs per request, errors by kind."""
    watched = server.tree.pids()
    before, tree_before = cpu_of(watched), server.tree.cpu_seconds()
    answer = _wrk(server, load, connections=connections, seconds=seconds)
    cpu = server.tree.cpu_seconds() - tree_before
    if cpu <= 0 or cpu_of(watched) < before:
        raise SystemExit(f"{server.peer.name}: no CPU was counted, or its processes ended during the run.")
    requests = int(answer["requests"])
    errors = {kind: answer[kind] for kind in ("bad_status", "bad_body", "connect", "read", "write", "timeout")}
    errors["misrouted"] = _misrouted(load, answer["counts"], connections)
    errors["unchecked"] = requests - sum(answer["counts"].values()) - errors["bad_status"] - errors["bad_body"]
    return {
        "requests": requests,
        "rps": requests / answer["duration_us"] * 1e6,
        "per_cpu_second": requests / cpu,
        "cpu_us": cpu / max(requests, 1) * 1e6,
        "p50_ms": answer["p50_us"] / 1000,
        "p99_ms": answer["p99_us"] / 1000,
        "errors": {kind: count for kind, count in errors.items() if count},
        "first_bad": answer["first_bad"],
    }


def _misrouted(load: Load, counts: dict[str, int], connections: int) -> int:
    """Bodies are sent in rotation, so each answer's count is known up to what is in flight."""
    total = sum(counts.values())
    shares = Counter(answer.decode() for answer in load.answers)
    allowed = 2 * connections + 2 * len(load.bodies)
    off = (abs(counts.get(body, 0) - total * share / len(load.answers)) for body, share in shares.items())
    return sum(round(distance) for distance in off if distance > allowed)


def _wrk(server: Server, load: Load, *, connections: int, seconds: float) -> dict[str, Any]:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: install Debian's package `wrk`.")
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.lua"
        spec.write_bytes(_lua(server.peer.path, load))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(HERE / "wrk.lua")]
        command += [f"http://127.0.0.1:{server.port}", "--", str(spec)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise SystemExit(f"wrk failed on {server.peer.name}: {done.stdout[-500:]} {done.stderr[-500:]}")
    answer: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return answer


def _lua(path: str, load: Load) -> bytes:
    bodies = b",".join(map(_quoted, load.bodies))
    expected = b",".join(b"[" + _quoted(answer) + b"]=true" for answer in set(load.answers))
    return b"return {path=" + _quoted(path.encode()) + b",bodies={" + bodies + b"},expected={" + expected + b"}}"


def _quoted(text: bytes) -> bytes:
    escaped = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b'"' + escaped + b'"'
