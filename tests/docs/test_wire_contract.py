"""docs/wire-contract.md names every route and every status code that the code knows, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fairlead_scoring import openapi
from fairlead_scoring.front import ids
from fairlead_scoring.front.limits import Limits
from fairlead_scoring.front.routes import PLAIN, Routes
from fairlead_scoring.worker import reading

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "wire-contract.md").read_text()
SOURCES = [*(ROOT / "scoring/fairlead_scoring/front").glob("*.py"), *(ROOT / "scoring/fairlead_scoring/worker").glob("*.py")]
ANSWERING = frozenset(("send", "refuse", "_refuse", "_fail", "_json", "on_refusal", "show", "BadInput", "Answer"))
OF_THE_LOG = 499  # the caller had gone: nobody is answered with it


def section(title: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    rest = PAGE.split(f"\n## {title}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rest.splitlines() if line.startswith("|")]
    end = next((place for place, row in enumerate(rows[2:], 2) if set(row[0]) == {"-"}), len(rows) + 1)
    return rows[2 : end - 1]


def test_routes() -> None:
    rows = {row[0].strip("`"): row for row in section("Routes")}
    routes = Routes("", "")
    models = {path for path in rows if path.startswith("/v2/models")}
    assert {path.encode() for path in rows.keys() - models} == PLAIN.keys()
    assert len(models) == 6
    for path, row in rows.items():
        route = routes.find(path.replace("{", "").replace("}", "").encode())
        assert route is not None, path
        said = {method.strip() for method in row[1].split(",")}
        assert said == {method.decode() for method in route.methods} - {"HEAD"}, path
        assert (row[2] == "yes") == route.is_open, path


def test_status_codes() -> None:
    said = {int(row[0]) for row in section("Status codes")}
    known = {code for source in SOURCES for code in codes(ast.parse(source.read_text()))}
    assert said == known - {OF_THE_LOG}
    assert {int(code) for code in openapi._FAILURES} <= said


def codes(tree: ast.AST) -> set[int]:
    """Numbers that stand where a status stands: arguments of what answers, `status=`, and pairs of a status and a sentence."""
    found = set[int]()
    for node in ast.walk(tree):
        values: list[ast.AST] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            values = [*node.args[:2]] if name in ANSWERING else []
            values += [keyword.value for keyword in node.keywords if keyword.arg == "status"]
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and not isinstance(getattr(node.elts[1], "value", ""), int):
            values = [node.elts[0]]
        for value in values:
            parts = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            found.update(part.value for part in parts if isinstance(part, ast.Constant) and type(part.value) is int and 200 <= part.value < 600)
    return found


def test_the_search_for_codes_finds_them() -> None:
    source = "x.refuse(e, 418, 'a')\nraise BadInput('a', status=417)\nreturn 416, 'a'\nself._json(e, 200 if r else 503, {})\nsend(20, 1024)"
    assert codes(ast.parse(source)) == {418, 417, 416, 200, 503}


def test_request_ids() -> None:
    values = {"A": b"a", "B": b"b", "C": b"c", "": b""}
    rows = table("### Request ids")
    assert len(rows) == 8
    names = (b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id")
    for row in rows:
        found = ids.IdSource().of({name: values[cell] for name, cell in zip(names, row[:3], strict=True) if cell})
        new = values.get(row[3]) or found.request
        expected = [new, new if row[4] in ("new", "the new one") else values[row[4]], values[row[5]]]
        assert [found.request, found.legacy, found.client] == expected, row
        assert (row[3] == "new") == (found.request not in values.values())


def table(heading: str) -> list[list[str]]:
    rest = PAGE.split(f"\n{heading}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in rest.splitlines() if line.startswith("|")][2:]


def test_limits() -> None:
    limits = Limits()
    said = {row[0]: row[1] for row in section("Limits")}
    expected = {
        "body, as sent or unpacked": f"{limits.body >> 20} MiB",
        "body, unpacked": f"{limits.expansion} times what was sent, 8 MiB at least",
        "headers, all together": f"{limits.headers >> 10} KiB, {limits.header_count} of them",
        "time to complete the headers": f"{limits.header_time:g} s",
        f"body, after {limits.header_time:g} s": f"{limits.body_rate >> 10} KiB/s at least",
        "idle connection": f"{limits.keep_alive:g} s",
        "reader that takes nothing": f"{limits.write_stall:g} s",
        "connections": f"{limits.connections:,}",
        "pipelined requests on a connection": str(limits.pipelined),
        "rest of a request that was refused early": f"{limits.linger:g} s",
        "depth of JSON": str(reading.DEPTH_LIMIT),
        "bodies in memory, all together": f"{limits.buffered >> 20} MiB",
        "requests waiting": f"{limits.waiting} per worker, or two full batches where that is more",
        "time waiting": f"{limits.wait:g} s",
        "time in `run()`": f"{limits.deadline:g} s",
        "time between chunks of a stream": f"{limits.chunk_wait:g} s",
        "request id": f"{ids.LIMIT} characters",
    }
    assert said == expected
