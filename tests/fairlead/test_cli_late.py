"""Commands that are imported late: each is found where its noun says, and a noun's short commands do without them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence

import pytest
import typer

from fairlead import cli

LATE = [(noun, module, names) for noun in cli.NOUNS for module, names in vars(importlib.import_module(f"fairlead.cli.{noun}")).get("LATER", {}).items()]


@pytest.mark.parametrize(("noun", "module", "names"), LATE, ids=[module for _, module, _ in LATE])
def test_each_module_adds_what_its_noun_says(noun: str, module: str, names: Sequence[str]) -> None:
    app = typer.Typer()
    importlib.import_module(f"fairlead.cli.{module}").add_to(app)
    assert {each.name or each.callback.__name__ for each in app.registered_commands if each.callback} == set(names)


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (["service", "list"], []),
        (["service", "list", "batch"], ["batch_services"]),
        (["service", "listjobs"], ["batch_services", "batch_jobs"]),
        (["service", "run", "churn"], ["service_calls"]),
        (["service", "run", "batch", "-n", "x"], ["batch_services", "batch_jobs"]),
        (["service", "lst"], [module for noun, module, _ in LATE if noun == "service"]),
        (["service", "--help"], [module for noun, module, _ in LATE if noun == "service"]),
        (["service"], [module for noun, module, _ in LATE if noun == "service"]),
        (["model", "list"], []),
        (["model", "alias", "list", "churn"], []),
        (["model", "register", "deploy"], ["model_register"]),
    ],
    ids=lambda said: " ".join(said) or "none",
)
def test_only_what_is_asked_for_is_imported(words: list[str], there: list[str]) -> None:
    names = [module for noun, module, _ in LATE if noun == words[0]]
    there_are = f"[name for name in {names!r} if 'fairlead.cli.' + name in sys.modules]"
    code = f"import sys; from fairlead import cli; cli.application({words[0]!r}, {words[1:]!r}); print(*{there_are})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == there
