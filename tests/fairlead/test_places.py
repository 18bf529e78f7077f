"""Which file system a folder is on, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import places

MOUNTINFO = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 21 0:40 / /home rw,relatime shared:5 - nfs4 server:/export/home rw,vers=4.2
31 30 8:2 / /home/local\\040disk rw - xfs /dev/sdb1 rw
32 21 0:41 / /mnt/laptop rw - fuse.sshfs me@laptop:/ rw
33 21 0:42 / /data rw - ext4 /dev/sdc1 rw
34 33 0:43 / /data rw - cifs //server/data rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/fairlead", None),
        ("/home/ada/.local/state/fairlead", "nfs4"),
        ("/home/local disk/fairlead", None),
        ("/mnt/laptop/state", "fuse.sshfs"),
        ("/data/fairlead", "cifs"),
        ("/homework", None),
    ],
)
def test_the_nearest_mount_decides(folder: str, kind: str | None) -> None:
    assert places.network_kind(Path(folder), places.mounts_of(MOUNTINFO)) == kind


def test_this_machine_s_own_disk_is_no_network(tmp_path: Path) -> None:
    assert places.network_filesystem(tmp_path / "not" / "there" / "yet") is None
