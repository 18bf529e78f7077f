"""The garbage collector in a worker: out of the way while a script loads, as the script wants it afterwards."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.live import Launcher

SCRIPT = """
import gc
import weakref
{at_import}
class Node: pass
def init():
    pass
def run(data):
    node = Node()
    node.itself = node
    gone = weakref.ref(node)
    del node
    gc.collect()
    return {{"threshold": gc.get_threshold(), "enabled": gc.isenabled(), "frozen": gc.get_freeze_count() > 0, "collected": gone() is None}}
"""
AS_EVER = {"threshold": list(gc.get_threshold()), "enabled": True, "frozen": True, "collected": True}


@pytest.mark.parametrize(
    ("at_import", "changed"),
    [("", {}), ("gc.set_threshold(123, 4, 5)", {"threshold": [123, 4, 5]}), ("gc.disable()", {"enabled": False})],
    ids=["untouched", "thresholds", "disabled"],
)
def test_is_as_the_script_wants_it(at_import: str, changed: dict[str, object], serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT.format(at_import=at_import))
    service = serve("--entry-script", tmp_path / "score.py", cwd=tmp_path)
    assert service.post("/score", {"data": [1]}).json() == AS_EVER | changed
