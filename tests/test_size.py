"""Limits of ARCHITECTURE, house style: file <= 400 lines, function <= 40, nine functions of ten <= 20, only lazy extras imported in functions."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
LONGEST_OF_NINE_IN_TEN = 20
PACKAGES = ("src/fairlead", "scoring/fairlead_scoring", "tests", "benchmarks")
WRITTEN_BY_A_PROGRAM = "src/fairlead/server/migrations/versions/"
SIGNATURE_IS_AN_INTERFACE = ("src/fairlead/cli/", "src/fairlead/sdk/")  # Typer's options, and the signatures that Azure ML programs know


@dataclass(frozen=True, order=True)
class Function:
    lines: int
    place: str


def test_no_file_is_too_long(repository: Path) -> None:
    too_long = [f"{path.relative_to(repository)}: {lines} lines" for path in sources(repository) if (lines := line_count(path)) > LONGEST_FILE]
    assert not too_long, f"Split by noun, {LONGEST_FILE} lines at most: {too_long}"


def test_no_function_is_too_long(repository: Path) -> None:
    too_long = [one for path in sources(repository) for one in functions(path, repository) if one.lines > LONGEST_FUNCTION]
    assert not too_long, f"{LONGEST_FUNCTION} lines at most, docstring not counted: {sorted(too_long, reverse=True)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_most_functions_are_short(package: str, repository: Path) -> None:
    lengths = sorted(one for path in sources(repository, package) for one in functions(path, repository))
    if lengths:
        ninetieth = lengths[int(0.9 * len(lengths))]
        longer = [one for one in lengths if one.lines > LONGEST_OF_NINE_IN_TEN]
        assert ninetieth.lines <= LONGEST_OF_NINE_IN_TEN, f"p90 is {ninetieth.lines} lines; {len(longer)} of {len(lengths)} are longer: {longer[::-1]}"


def test_a_function_is_measured_without_its_docstring_and_a_command_without_its_signature(tmp_path: Path) -> None:
    text = 'def score(\n    a: int,\n    b: int,\n) -> int:\n    """One.\n\n    Two.\n    """\n    total = a + b\n    return total\n'
    for name, lines in (("src/fairlead/bundles.py", 6), ("src/fairlead/cli/serve.py", 2)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        assert functions(path, tmp_path) == [Function(lines, f"{name}:1 score")]


def sources(repository: Path, *under: str) -> Iterator[Path]:
    """Python files that git knows or would take: generated and downloaded ones are not ours."""
    command = ["git", "-C", str(repository), "ls-files", "--cached", "--others", "--exclude-standard", "*.py", *(f"{folder}/*.py" for folder in under)]
    if under:
        command.remove("*.py")
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    yield from (repository / name for name in listed if name and not name.startswith(WRITTEN_BY_A_PROGRAM) and (repository / name).exists())


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path, repository: Path) -> list[Function]:
    name = path.relative_to(repository).as_posix()
    body_only = name.startswith(SIGNATURE_IS_AN_INTERFACE)
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [Function(length(node, body_only=body_only), f"{name}:{node.lineno} {node.name}") for node in found]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef, *, body_only: bool) -> int:
    """Lines from `def` to the end, or of the body alone, less the docstring."""
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    docstring = _last_line(first) - first.lineno + 1 if documented else 0
    start = first.lineno if body_only else node.lineno
    return _last_line(node) - start + 1 - docstring


def _last_line(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno
