"""Which files of a script's folder stay behind: what is never source, and what .amlignore (or else .gitignore) in that folder says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NEVER_SOURCE = frozenset(
    {
        ".git", ".hg", ".svn", ".bzr", "__pycache__", ".venv", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
        ".ipynb_checkpoints", ".idea", ".vscode", "node_modules", ".DS_Store", ".amlignore", ".gitignore",
    }
)  # fmt: skip
IGNORE_FILES = (".amlignore", ".gitignore")  # the first that is there counts alone, as in Azure ML


@dataclass(frozen=True)
class Rule:
    """One line of an ignore file. anchored: the pattern speaks of the path from the top, not of a name anywhere."""

    pattern: re.Pattern[str]
    folders_only: bool
    keeps: bool

    def speaks_of(self, path: str, is_folder: bool) -> bool:
        return (is_folder or not self.folders_only) and self.pattern.fullmatch(path) is not None


def read_rules(folder: Path) -> tuple[Rule, ...]:
    """The rules of the folder's ignore file; those of ignore files further down are not read."""
    for name in IGNORE_FILES:
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
            return tuple(rule for line in lines if (rule := parse_rule(line)))
    return ()


def parse_rule(line: str) -> Rule | None:
    """gitignore's syntax: `#`, `!`, a trailing `/`, `/` elsewhere anchors, `*`, `?`, `[...]`, `**`."""
    text = line.rstrip()
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text[1:] if keeps else text.removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    body = _translate(text.removeprefix("/"))
    return Rule(re.compile(body if anchored else f"(?:.*/)?{body}", re.DOTALL), folders_only, keeps)


def is_ignored(rules: Sequence[Rule], path: str, is_folder: bool) -> bool:
    """The last rule that speaks of the path decides."""
    return next((not rule.keeps for rule in reversed(rules) if rule.speaks_of(path, is_folder)), False)


def source_files(folder: Path) -> Iterator[str]:
    """Relative paths of the files that ship, in order. A folder that is ignored is not entered."""
    yield from _walk(folder, "", read_rules(folder))


def _walk(root: Path, below: str, rules: Sequence[Rule]) -> Iterator[str]:
    for entry in sorted((root / below).iterdir(), key=lambda entry: entry.name):
        path = f"{below}/{entry.name}" if below else entry.name
        is_folder = entry.is_dir() and not entry.is_symlink()
        if entry.name in NEVER_SOURCE or entry.suffix in (".pyc", ".pyo") or is_ignored(rules, path, is_folder):
            continue
        if not is_folder:
            yield path
        elif not (entry / "pyvenv.cfg").exists():
            yield from _walk(root, path, rules)


_TOKENS = re.compile(r"\*\*/|/\*\*\Z|\*\*|\*|\?|\[!?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _translate(pattern: str) -> str:
    return "".join(map(_translate_token, _TOKENS.findall(pattern)))


def _translate_token(token: str) -> str:
    fixed = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token)
    if fixed is not None:
        return fixed
    if len(token) > 1 and token.startswith("["):
        negated = token.startswith("[!")
        inside = token[2 if negated else 1 : -1].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^").replace("]", "\\]")
        return f"[{'^' if negated else ''}{inside}]"
    return re.escape(token[1:] if len(token) > 1 else token)
