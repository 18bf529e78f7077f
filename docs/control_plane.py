"""What docs/generate.py says of the control plane: its routes, its settings, the errors of all parts."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from fastapi.routing import APIRoute

from fairlead import errors
from fairlead.flavors import errors as flavors
from fairlead.server import app, settings
from fairlead.server.access import need_of

NEEDS = {
    None: "nobody in particular: open",
    "anyone": "any valid token",
    "reader": "reader",
    "contributor": "contributor",
    "owner": "owner",
    "admin": "administrator",
}
ENVIRONMENT_ONLY = {
    "FAIRLEAD_MASTER_KEY": "the master key itself, base64 of 32 bytes, where no file can be given",
    "FAIRLEAD_FAULT": "for tests: the name of a point at which the server kills itself",
    "FAIRLEAD_FAULT_FILE": "for tests: a file that names such a point",
}
_ROW = re.compile(r"^[│├└─ ]*(\w+) +(\d{3}) +(\d+) +(.+)$")


def api_rows() -> Iterator[tuple[str, str, str, str]]:
    """method, path, what it needs, what it does."""
    for route in sorted(app.routes(), key=lambda each: (each.path, sorted(each.methods or ()))):
        for method in sorted(route.methods or ()):
            yield f"`{method}`", f"`{route.path}`", NEEDS[need_of(route)], words_of(route)


def words_of(route: APIRoute) -> str:
    """The first paragraph of what its function says of itself."""
    said = inspect.getdoc(route.endpoint) or ""
    assert said, f"{sorted(route.methods or ())} {route.path} has no words: give {route.endpoint.__name__} a docstring."
    return " ".join(said.split("\n\n")[0].split())


def error_rows() -> Iterator[tuple[str, str, str, str, str]]:
    """class, problem type, status, exit code, meaning: of the tree in fairlead.errors, which must be right."""
    tree = [found.groups() for line in (errors.__doc__ or "").splitlines() if (found := _ROW.match(line))]
    described = {name: (int(status), int(code), meaning) for name, status, code, meaning in tree}
    classes = {each.__name__: each for each in errors._descendants(errors.FairleadError) if each.__module__ == errors.__name__}
    assert described.keys() == classes.keys(), f"The tree in fairlead.errors must name {described.keys() ^ classes.keys()}."
    for name, (status, code, meaning) in described.items():
        kind = classes[name]
        assert (status, code) == (kind.status, kind.exit_code), f"The tree in fairlead.errors is wrong on {name}."
        yield f"`{name}`", f"`{kind.problem_type()}`", str(status), str(code), meaning
    for kind in (flavors.FlavorError, flavors.UnknownModel, flavors.CompileRefused):
        yield f"`{kind.__name__}`", f"`{kind.problem_type()}`", str(kind.status), str(kind.exit_code), inspect.getdoc(kind) or ""


def setting_rows() -> Iterator[tuple[str, str, str, str]]:
    """variable, meaning, flag, default."""
    words = _words_of_fields(settings.Settings)
    for each in fields(settings.Settings):
        assert words.get(each.name), f"The server's setting {each.name} has no words: write them below it in Settings."
        default = f"`{each.default}`" if isinstance(each.default, str | int | float) and each.default not in ("", False) else ""
        yield f"`FAIRLEAD_{each.name.upper()}`", words[each.name], f"`--{each.name.replace('_', '-')}`", default
    for name, meaning in ENVIRONMENT_ONLY.items():
        yield f"`{name}`", meaning, "", ""


def _words_of_fields(kind: type) -> dict[str, str]:
    """The string that follows a field, as readers of the code see it; Python itself forgets it."""
    module = importlib.import_module(kind.__module__)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    body = next(each.body for each in tree.body if isinstance(each, ast.ClassDef) and each.name == kind.__name__)
    found = {}
    for field, after in itertools.pairwise(body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = words
            case _:
                pass
    return found
