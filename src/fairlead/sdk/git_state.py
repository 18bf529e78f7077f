"""Which commit the files of a folder are from, asked of git itself."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class GitState:
    """`dirty`: something in the folder differs from the commit. `remote`: address of `origin`, without a password."""

    commit: str
    dirty: bool
    remote: str | None = None


def git_state(folder: Path) -> GitState | None:
    """None where there is no repository, no commit yet, or no git."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return GitState(commit=commit, dirty=bool(changed), remote=_without_password(_git(folder, "remote", "get-url", "origin")))


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _without_password(address: str | None) -> str | None:
    if not address:
        return None
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" if mark else address
