"""Nothing is without words: commands, options, routes, their parameters, settings, variables, errors. The pages of docs/reference/ hold them all."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fairlead import cli
from fairlead.server import app

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
AS_WRITTEN = {"fairlead server logs", "fairlead service logs", "fairlead image logs", "fairlead environment lock", "fairlead env cluster"}
"""Commands that print lines of a file as they are, however one asks; and one that only says what to do instead."""
INTERNAL = {"Stopped", "NameTaken"}
"""Errors that are caught where they are raised."""


def commands() -> list[tuple[str, Any]]:
    """Every command, with the nouns' own, by its full name."""
    found = []
    for name in sorted({*cli.COMMANDS, *cli.NOUNS}):
        click = typer.main.get_command(cli.application(name))
        found += _below(f"fairlead {name}", vars(click)["commands"][name])
    return found


def _below(name: str, command: Any) -> list[tuple[str, Any]]:
    verbs = vars(command).get("commands")
    if verbs is None:
        return [(name, command)]
    return [(name, command), *(each for verb in verbs for each in _below(f"{name} {verb}", verbs[verb]))]


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in commands()])
def test_every_command_and_option_has_help(name: str, command: Any) -> None:
    assert command.help or command.short_help
    silent = [each.opts for each in command.params if not getattr(each, "help", None) and not getattr(each, "hidden", False)]
    assert not silent, f"{name}: these need help=…"
    if "commands" not in vars(command):
        assert f"\n## {name}\n" in (REFERENCE / "commands.md").read_text(encoding="utf-8"), "Run scripts/docs."


@pytest.mark.parametrize("name", sorted(cli.NOUNS))
def test_every_command_of_a_noun_shows_an_example_and_takes_json_and_quiet(name: str) -> None:
    for full, command in commands():
        if full.split()[1] == name and "commands" not in vars(command):
            assert "fairlead " in (command.help or ""), f"`{full} --help` shows no example."
            flags = {flag for each in command.params for flag in each.opts}
            assert full in AS_WRITTEN or {"--json", "--quiet"} <= flags, f"`{full}` must take --json and --quiet."


def test_every_route_says_what_it_does() -> None:
    page = (REFERENCE / "api.md").read_text(encoding="utf-8")
    for route in app.routes():
        for method in route.methods or ():
            assert inspect.getdoc(route.endpoint), f"{method} {route.path}: give {route.endpoint.__name__} a docstring."
            assert f"| `{method}` | `{route.path}` |" in page, "Run scripts/docs."


def test_every_error_class_is_on_its_page() -> None:
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    missing = [name for name in error_classes() if name not in INTERNAL and f"| `{name}` |" not in page]
    assert not missing, f"Add them to the tree in fairlead.errors, or to docs/control_plane.py: {missing}"


def error_classes() -> Iterator[str]:
    """Every class of the sources whose ancestors end in FairleadError."""
    bases: dict[str, list[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]

    def is_one(name: str) -> bool:
        return name == "FairleadError" or any(is_one(base) for base in bases.get(name, []) if base != name)

    yield from (name for name in bases if is_one(name))
