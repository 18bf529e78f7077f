"""Where state, configuration and caches live on this machine. `FAIRLEAD_HOME` puts all three below one folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import platformdirs

HOME_VARIABLE = "FAIRLEAD_HOME"
NETWORK_FILESYSTEMS = frozenset({"afpfs", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "sshfs", "webdav"})
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that takes no more."""


def state_dir() -> Path:
    """What must survive: database, blobs, services, logs. Never on NFS."""
    return _below_home("state") or Path(platformdirs.user_state_dir("fairlead"))


def config_dir() -> Path:
    """Which server, which workspace, the caller's token."""
    return _below_home("config") or Path(platformdirs.user_config_dir("fairlead"))


def cache_dir() -> Path:
    """What can be made again: environments, laid-down bundles."""
    return _below_home("cache") or Path(platformdirs.user_cache_dir("fairlead"))


def make_private(folder: Path) -> Path:
    """The folder, there and readable by its owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def discard(beside: Path) -> None:
    """What was written beside a file and did not take its place, if it is there. Never the reason why something fails."""
    with contextlib.suppress(OSError):
        beside.unlink()


def network_filesystem(folder: Path) -> str | None:
    """The kind of network file system that the folder is on, or would be made on; None for a disk of this machine."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    return network_kind(there.resolve(), _mounts())


def network_kind(folder: Path, mounts: Mapping[Path, str]) -> str | None:
    kind = next((mounts[each] for each in (folder, *folder.parents) if each in mounts), "")
    return kind if kind.removeprefix("fuse.") in NETWORK_FILESYSTEMS else None


def mounts_of(mountinfo: str) -> dict[Path, str]:
    """Where what is mounted, of /proc/self/mountinfo; the last of several at one place is the one seen."""
    return dict(_mount(line) for line in mountinfo.splitlines())


def _mounts() -> dict[Path, str]:
    if sys.platform == "darwin":
        said = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout
        return {Path(found[1]): found[2] for found in re.finditer(r" on (.+) \((\w+)", said)}
    try:
        return mounts_of(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return {}


def _mount(line: str) -> tuple[Path, str]:
    before, _, after = line.partition(" - ")
    place = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), before.split()[4])
    return Path(place), after.split()[0]


def _below_home(name: str) -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home).absolute() / name if home else None
