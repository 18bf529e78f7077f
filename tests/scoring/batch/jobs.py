"""Batch jobs as users have them: a bundle, an order in a place, and the driver as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import psutil
import pyarrow as pa
import pyarrow.dataset
from fairlead_scoring.batch.job import Engine, Input, Limits, MiniBatch, Order, Output

from fairlead.bundles import ModelSource, Recipe, make
from fairlead.flavors import inspect

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def bundle_of_script(folder: Path, text: str, *, models: Mapping[str, Path] | None = None) -> Path:
    """A bundle with this score.py."""
    script = folder / "source" / "score.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text)
    sources = [ModelSource(name=name, path=path) for name, path in (models or {}).items()]
    return make(Recipe(script=script, models=sources, name="job"), folder / "bundle", inspect).path


def bundle_of_model(folder: Path, model: Any) -> Path:
    """A no-code bundle of a scikit-learn model."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.joblib"
    joblib.dump(model, path)
    return make(Recipe(models=[ModelSource(name="model", path=path)]), folder / "bundle", inspect).path


@dataclass(frozen=True)
class Job:
    """place: the driver's; out: where its answers go."""

    place: Path
    out: Path

    def drive(self, *, timeout: float = 120.0, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """From here to its end."""
        command = [sys.executable, "-m", "fairlead_scoring", "batch", str(self.place)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env={**ENVIRONMENT, **(env or {})})

    def start(self, *, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """In a session of its own; the caller waits for it."""
        command = [sys.executable, "-m", "fairlead_scoring", "batch", str(self.place)]
        with (self.place / "said.txt").open("ab") as said:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, env={**ENVIRONMENT, **(env or {})})

    @property
    def progress(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.place / "progress.json").read_text())
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.place / "events.jsonl").read_text().splitlines()]

    @property
    def answers(self) -> pa.Table:
        """All parts, in order."""
        parts = sorted(self.out.glob("part-*.parquet"))
        return pa.dataset.dataset([str(part) for part in parts], format="parquet").to_table()

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        files = sorted(self.out.glob("_quarantine/*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def published(self) -> dict[str, bytes]:
        """Every file that is an answer, by its path."""
        files = [path for path in self.out.rglob("*") if path.is_file() and "_fairlead" not in path.parts and path.name != "_manifest.json"]
        return {str(path.relative_to(self.out)): path.read_bytes() for path in files}


def order_job(folder: Path, bundle: Path, inputs: str | Input, **said: Any) -> Job:
    """said: members of Order; output: those of Output; limits, mini_batch, processes in short."""
    place, out = folder / "place", folder / "out"
    place.mkdir(parents=True, exist_ok=True)
    output = {"url": str(out), **said.pop("output", {})}
    order = Order(
        id=said.pop("id", "job-1"),
        name="job",
        bundle=str(bundle),
        inputs=(inputs if isinstance(inputs, Input) else Input((inputs,)),),
        output=Output(**output),
        limits=Limits(**said.pop("limits", {})),
        mini_batch=MiniBatch(**said.pop("mini_batch", {})),
        engine=Engine(processes=said.pop("processes", 1)),
        **said,
    )
    (place / "job.json").write_text(json.dumps(order.to_json()))
    return Job(place, out)


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
