"""Modules beside a script that it imports, and that do not ship with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path


def left_behind(script: Path, shipped: Sequence[Path]) -> str | None:
    """A sentence with what to say, or None; a script that cannot be read is told elsewhere. `shipped`: files and folders that go with it."""
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return None
    gone = {path.stem for path in shipped} | {script.stem}
    found = sorted({name for name in _imported(tree) if name not in gone and _is_beside(script, name)})
    if not found:
        return None
    way = f"--source-dir {script.parent} ships the folder (in Python, source_directory)."
    ship = "does not ship" if len(found) == 1 else "do not ship"
    return f"{script.name} imports {', '.join(found)} from beside it, which {ship} with it: {way}"


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _is_beside(script: Path, name: str) -> bool:
    return (script.parent / f"{name}.py").is_file() or (script.parent / name / "__init__.py").is_file()
