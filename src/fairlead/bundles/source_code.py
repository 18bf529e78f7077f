"""A scoring script and the files that ship with it, as a bundle and an upload hold them: chosen and checked, nothing of it executed."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from fairlead.bundles.ignored import source_files
from fairlead.bundles.private_files import refuse_private
from fairlead.errors import UsageError


def add_source(target: Path, script: Path, source_dir: Path | None, allow: Sequence[str] = (), *, skip: Sequence[Path] = ()) -> str:
    """Copies the script, and its folder where one ships, below `target`; answers the script's path there. `skip`: places inside that stay behind.

    Raises UsageError for a script that is not there or is no Python, a private-looking file, a link that leads out of the folder.
    """
    if not script.is_file():
        raise UsageError(f"Script {script} does not exist.")
    check_syntax(script)
    if source_dir is None:
        copy_file(script, target / script.name)
        return script.name
    root, entry_script, paths = _chosen(script, source_dir, [place.resolve() for place in skip])
    refuse_private(paths, allow)
    for path in paths:
        if (root / path).is_symlink() and not (root / path).resolve().is_relative_to(root):
            raise UsageError(f"{source_dir / path} is a link that leads out of {source_dir}. Copy the file there, or list it in .amlignore.")
        copy_file(root / path, target / path)
    return entry_script


def add_beside(target: Path, path: Path, allow: Sequence[str] = ()) -> None:
    """Copies a file, or a folder's files by its ignore rules, below `target` under its own name. Raises UsageError, also when the name is taken."""
    name = path.resolve().name
    if (target / name).exists():
        raise UsageError(f"{path}: something called {name} ships already. Rename one of them.")
    if not path.is_dir():
        refuse_private([name], allow)
        copy_file(path, target / name)
        return
    paths = list(source_files(path.resolve()))
    refuse_private([f"{name}/{each}" for each in paths], allow)
    for each in paths:
        copy_file(path / each, target / name / each)


def check_syntax(script: Path) -> None:
    """Compiles without running, so that a typing error is found here and not on the first host."""
    try:
        compile(script.read_bytes(), str(script), "exec", dont_inherit=True)
    except SyntaxError as fault:
        raise UsageError(f"{script}, line {fault.lineno}: {fault.msg}.") from fault
    except ValueError as fault:
        raise UsageError(f"{script} is not Python source: {fault}.") from fault


def copy_file(source: Path, target: Path, *, plain: bool = False) -> None:
    """Content and the owner's executable bit, nothing else; a link to a file is followed."""
    if not source.exists():
        raise UsageError(f"{source} does not exist." if not source.is_symlink() else f"{source} is a link that leads nowhere.")
    if not source.is_file():
        raise UsageError(f"{source} is no file; a bundle holds plain files.")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as fault:
        raise UsageError(f"{source} cannot be copied: {fault.strerror}.") from fault
    executable = not plain and bool(source.stat().st_mode & stat.S_IXUSR)
    target.chmod(0o755 if executable else 0o644)


def _chosen(script: Path, folder: Path, left_out: Sequence[Path]) -> tuple[Path, str, list[str]]:
    """The folder without links, the script's path in it, and the paths of all that ships."""
    if not folder.is_dir():
        raise UsageError(f"Source folder {folder} does not exist.")
    root = folder.resolve()
    try:
        entry_script = script.resolve().relative_to(root).as_posix()
    except ValueError:
        raise UsageError(f"Script {script} does not lie in the source folder {folder}.") from None
    paths = [path for path in source_files(root) if not any((root / path).is_relative_to(place) for place in left_out)]
    if entry_script not in paths:
        raise UsageError(f"Script {script} is ignored by the rules of {folder}, so nothing could be served. Change .amlignore or .gitignore.")
    return root, entry_script, paths
