"""Compiles the modules of one distribution to .pyc that never look at their source again (PEP 552, unchecked hash).

An image's file system may be read-only, so what is not compiled here is compiled at each start. The same sources give the same bytes:
one fresh interpreter per distribution, without site-packages, with a fixed hash seed, in a fixed order.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.environments.pythons import find_python
from fairlead.errors import EnvironmentFailure

_ASK = "import sys, platform; print(platform.python_implementation(), platform.python_version(), sys.implementation.cache_tag)"
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
_COMPILE = """
import json, py_compile, sys
for source, target, place in json.load(sys.stdin):
    try:
        py_compile.compile(source, target, place, doraise=True, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, RecursionError, OSError):
        pass  # a template, or for another Python: it says so to whoever imports it
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """`source`: here. `place`: where it will lie, which tracebacks show. `target`: where the .pyc is written."""

    source: Path
    place: str
    target: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """A Python of this machine. `version`: such as `CPython 3.11.7`; `tag`: cpython-311."""

    python: Path
    version: str
    tag: str

    def compile(self, modules: Sequence[Module]) -> None:
        """What does not compile is left out. Raises EnvironmentFailure when the interpreter itself fails."""
        for folder in {each.target.parent for each in modules}:
            folder.mkdir(parents=True, exist_ok=True)
        listed = json.dumps([[str(each.source), str(each.target), each.place] for each in modules])
        command = [str(self.python), "-s", "-S", "-B", "-W", "ignore", "-c", _COMPILE]
        done = subprocess.run(command, input=listed, env=_ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode:
            raise EnvironmentFailure(f"{self.python} cannot compile packages: {done.stderr.strip()[-200:]}", cause="cannot-compile", log=done.stderr)


def find_compiler(minor: str) -> Compiler | None:
    """None when there is no CPython of that minor on this machine."""
    try:
        python = find_python(minor)
    except EnvironmentFailure:
        return None
    said = subprocess.run([str(python), "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=False).stdout.split()
    if len(said) != 3 or said[0] != "CPython":
        return None
    return Compiler(python=python, version=f"CPython {said[1]}", tag=said[2])
