"""`fairlead keys`: makes and changes the two keys of a service. The file holds their SHA-256 only; the keys are shown once."""

from __future__ import annotations

import enum
import hashlib
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.errors import Conflict, UsageError

NAMES = ("primary", "secondary")


class Action(enum.StrEnum):
    NEW = "new"
    ROTATE = "rotate"


class Which(enum.StrEnum):
    PRIMARY = "primary"
    SECONDARY = "secondary"


def keys(
    action: Annotated[Action, typer.Argument(help="new: make two keys. rotate: replace one of them, the other stays valid.")],
    file: Annotated[Path, typer.Argument(help="The keys file, as given to `fairlead serve --keys`.")],
    which: Annotated[Which | None, typer.Argument(help="The key to rotate.")] = None,
    force: Annotated[bool, typer.Option("--force", help="new: replace the keys of a file that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the keys as JSON.")] = False,
) -> None:
    """Make or change the two keys of a service; a running service takes them within a second."""
    if action is Action.NEW:
        made = _new(file, which, force=force)
    else:
        made = _rotate(file, which, force=force)
    if as_json:
        print(json.dumps(made))
    else:
        for name, key in made.items():
            print(f"{name:<10} {key}")
    print(f"Shown this once: {file} holds only their SHA-256. Send one as `Authorization: Bearer KEY`.", file=sys.stderr)


def _new(file: Path, which: Which | None, *, force: bool) -> dict[str, str]:
    if which is not None:
        raise UsageError(f"`keys new` makes both keys; leave out '{which}', or use `fairlead keys rotate {file} {which}`.")
    if file.exists() and not force:
        raise Conflict(f"{file} exists: its keys would stop working. Change one with `fairlead keys rotate {file} secondary`, or replace both with --force.")
    made = {name: _key() for name in NAMES}
    _write(file, {name: _hash(key) for name, key in made.items()})
    return made


def _rotate(file: Path, which: Which | None, *, force: bool) -> dict[str, str]:
    if which is None:
        raise UsageError(f"Which key? `fairlead keys rotate {file} primary`, or secondary.")
    if force:
        raise UsageError("--force belongs to `keys new`; rotate replaces the key that it names.")
    made = {str(which): _key()}
    _write(file, {**_read(file), **{name: _hash(key) for name, key in made.items()}})
    return made


def _key() -> str:
    return secrets.token_urlsafe(32)  # 256 bits


def _hash(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _read(file: Path) -> dict[str, str]:
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The keys file {file} cannot be read ({error.strerror}); make one with `fairlead keys new {file}`.") from error
    except ValueError as error:
        raise UsageError(f"{file} is no keys file ({error}); make one with `fairlead keys new {file} --force`.") from error
    if not isinstance(content, dict) or not content.keys() <= set(NAMES):
        raise UsageError(f"{file} is no keys file: it must be an object with primary and secondary; make one with `fairlead keys new {file} --force`.")
    return content


def _write(file: Path, hashes: dict[str, str]) -> None:
    """Whole or not at all, readable by the owner alone: a service that looks meanwhile sees the old keys or the new ones."""
    try:
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror}); name a file in a folder of yours.") from error
    try:
        with os.fdopen(number, "w", encoding="utf-8") as handle:
            json.dump({name: hashes[name] for name in NAMES if name in hashes}, handle, indent=2)
            handle.write("\n")
            handle.flush()
            os.fsync(handle.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
