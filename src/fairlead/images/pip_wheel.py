"""pip as one file, for bases that have none: pinned by its hash, fetched by uv from the index of this machine, packed again without what the install added."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

from fairlead.environments.uv_command import run_uv
from fairlead.errors import EnvironmentFailure

VERSION = "26.3"
REQUIREMENT = f"pip=={VERSION} --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
NAME = f"pip-{VERSION}-py3-none-any.whl"
_INSTALL = ("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", "wheel", "-r", "pip.txt")
_ADDED = frozenset(("INSTALLER", "REQUESTED", "direct_url.json", ".lock"))
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day of zip


def pip_wheel(cache: Path) -> Path:
    """`cache`: a folder where it stays for the next time. The same bytes on every machine of one zlib. Raises EnvironmentFailure."""
    kept = cache / NAME
    if kept.is_file():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".pip-") as name:
        folder = Path(name)
        (folder / "pip.txt").write_text(REQUIREMENT + "\n")
        done = run_uv(_INSTALL, folder=folder)
        if done.code:
            raise EnvironmentFailure(f"pip {VERSION}, which installs packages inside the build, cannot be fetched: {_last(done.output)}", cause="no-pip")
        _pack(folder / "wheel", folder / NAME)
        os.replace(folder / NAME, kept)  # noqa: PTH105 - says that it replaces
    return kept


def _pack(folder: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            inside = path.relative_to(folder)
            if inside.parts[0] == "bin" or "__pycache__" in inside.parts or path.name in _ADDED:
                continue
            entry = zipfile.ZipInfo(inside.as_posix(), _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "uv said nothing."
