"""Spark ML pipelines: the folder that `PipelineModel.write().save(path)` makes. Told by its metadata; no Spark is started."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fairlead.flavors.contents import head
from fairlead.flavors.flavor import Flavor

_RELEASE = re.compile(r"\d+\.\d+\.\d+")
_OLD_COMPANIONS = {"numpy": "numpy<2", "pandas": "pandas<3"}  # what Spark 3 was written for


def _detect(path: Path) -> bool:
    return _metadata(path).get("class", "").endswith(".PipelineModel") and (path / "stages").is_dir()


def why_not(path: Path) -> str | None:
    """What is wrong with a folder of Spark ML's that is no fitted pipeline, and what to do; None for any other file or folder."""
    name = str(_metadata(path).get("class", "")).rpartition(".")[2]
    if not name:
        return None
    if name == "Pipeline":
        return f"{path.name} is a Spark ML pipeline that was not fitted. Save what its fit() returns."
    made = f"PipelineModel([assembler, {name[:1].lower()}{name[1:]}])"
    return f"{path.name} is a {name} that was saved alone: no file says of which columns its vectors are made. Save it in a pipeline: {made}."


def requirements(folder: Path, pinned: tuple[str, ...]) -> tuple[str, ...]:
    """`pinned`, with the Spark that wrote the folder; vendors' versions (3.5.1.2.4-db) are on no index, and leave what is installed."""
    release = _RELEASE.fullmatch(str(_metadata(folder).get("sparkVersion")))
    if release is None:
        return pinned
    old = _OLD_COMPANIONS if int(release[0].partition(".")[0]) < 4 else {}
    names = [re.split(r"[<>=~!]", line)[0] for line in pinned]
    return tuple(f"pyspark=={release[0]}" if name == "pyspark" else old.get(name, line) for name, line in zip(names, pinned, strict=True))


def _metadata(path: Path) -> dict[str, Any]:
    """The first line of `metadata/part-*`; empty when this is no folder of Spark ML's."""
    parts = sorted((path / "metadata").glob("part-*")) if path.is_dir() else []
    lines = head(parts[0]).splitlines() if parts else []
    try:
        said = json.loads(lines[0]) if lines else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) and isinstance(said.get("class"), str) and "sparkVersion" in said else {}


FLAVOR = Flavor(
    name="spark-ml",
    requirements=("pyspark", "numpy", "pandas", "pyarrow"),
    template="spark_ml.py",
    detect=_detect,
    suffixes=("a folder of Spark ML's PipelineModel",),
)
