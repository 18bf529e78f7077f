"""From a model in memory to one that is registered or served: saved by its own library, tried in a new process, with what it needs and takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from fairlead import flavors
from fairlead.errors import BootFailure, UsageError
from fairlead.sdk import registering, saving
from fairlead.sdk.live import LiveService
from fairlead.sdk.model import Model
from fairlead.sdk.model_search import dataset
from fairlead.sdk.sample_rows import differs, first_rows, request_of
from fairlead.sdk.samples import sample_text
from fairlead.sdk.workspace import Workspace

__all__ = ["register", "serve"]
REHEARSAL_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What a new process found: the declared inputs and output, and the answer to the sample."""

    schema: dict[str, Any]
    request: str | None
    answer: str | None


def register(
    model: Any,
    name: str | None = None,
    sample: Any = None,
    *,
    workspace: Workspace | None = None,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    description: str = "",
    run_id: str | None = None,
    datasets: Sequence[tuple[str, object]] | None = None,
    parent: str | None = None,
) -> Model:
    """Registers a fitted model that is in memory (scikit-learn, XGBoost, LightGBM, PyTorch, ONNX), or the file at a path.

    The model is saved by its own library (which format, `fairlead.sdk.saving.save` says), loaded again in a new process of this Python, and
    asked the sample there: what cannot be loaded, or answers otherwise than here, is not registered. Recorded are the pinned versions of the
    packages that it needs, the Python version, the declared inputs and output, the first rows of the sample as a request, and its answer,
    which every deployment must give again before it gets traffic. `sample`: rows as the model takes them (array, DataFrame, list), or a request
    body. `name`: by default what the model is. `workspace`: by default `Workspace.from_config()`.

        >>> model = fairlead.register(LogisticRegression().fit(X, y), "churn", sample=X[:3])
        >>> fairlead.Model.deploy(model.workspace, "churn", [model])

    Raises UsageError for what is no model, and for one with classes that are defined in the notebook itself.
    """
    with tempfile.TemporaryDirectory(prefix="fairlead-model-") as folder:
        path, rehearsed = _saved(model, sample, Path(folder))
        wish = registering.Registration(
            path=path,
            name=name or (path.stem if _is_path(model) else saving.name_of(model)),
            description=description,
            tags=dict(tags or {}),
            properties=dict(properties or {}),
            metrics=dict(metrics or {}),
            sample_input=rehearsed.request if rehearsed else sample_text(sample),
            sample_output=rehearsed.answer if rehearsed else None,
            schema=rehearsed.schema if rehearsed else None,
            run_id=run_id,
            datasets=[dataset(purpose, each) for purpose, each in datasets or ()],
            parent=parent,
            environment=sys.executable,
        )
        chosen = workspace or Workspace.from_config()
        return Model.of(chosen, registering.register(chosen.transport, wish))


def serve(model: Any, sample: Any = None, *, port: int | None = None, workers: int = 1) -> LiveService:
    """Serves a model in memory, or a file, score.py or bundle at a path, in the background of this program: for a try, not for good.

    It runs `fairlead serve` with this Python's packages and ends with `stop()`, or with the program; nothing is registered. What is to stay is
    registered and deployed. Returns when the service answers; raises BootFailure with the last lines of its log when it does not.

        >>> with fairlead.serve(model, sample=X[:1]) as service:
        ...     service.run({"data": [[1, 2]]})
        {'predict_proba': [[0.7, 0.3]]}
    """
    folder = tempfile.TemporaryDirectory(prefix="fairlead-serve-")
    try:
        path = Path(model) if _is_path(model) else saving.save(model, Path(folder.name), sample)
        if not path.exists():
            raise UsageError(f"{path} does not exist; give a model, or the path of a model file, a score.py or a bundle.")
        body = sample_text(sample) if _is_path(model) else request_of(model, sample)
    except BaseException:
        folder.cleanup()
        raise
    return LiveService.start(path, folder, body, port=port, workers=workers)


def _saved(model: Any, sample: Any, folder: Path) -> tuple[Path, Rehearsed | None]:
    if _is_path(model):
        return Path(model), None
    path = saving.save(model, folder, sample)
    rehearsed = _rehearse(path, request_of(model, sample))
    _refuse_otherwise(model, sample, rehearsed)
    return path, rehearsed


def _rehearse(path: Path, request: str | None) -> Rehearsed:
    """Raises UsageError with the last line that the new process said."""
    flavor = flavors.inspect(path, Path(sys.executable)).flavor
    with resources.as_file(resources.files("fairlead.flavors").joinpath("templates", flavor.template)) as template:
        child = Path(__file__).with_name("rehearsal.py")
        command = [sys.executable, "-I", str(child), str(template), str(path)]
        try:
            done = subprocess.run(command, input=request or "", capture_output=True, text=True, timeout=REHEARSAL_SECONDS)
        except subprocess.TimeoutExpired:
            raise BootFailure(f"The saved model did not answer its sample within {REHEARSAL_SECONDS} s; try with fewer rows.") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()][-1:] or ["it said nothing"]
        cure = "What it needs must be an installed package, and the sample must be rows as the model takes them."
        raise UsageError(f"The saved model does not work in a new process: {said[0].strip()}. {cure}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    body = request or (json.dumps(told["sample"]) if told["sample"] else None)
    return Rehearsed(schema=told["schema"], request=body, answer=None if told["answer"] is None else json.dumps(told["answer"]))


def _refuse_otherwise(model: Any, sample: Any, rehearsed: Rehearsed) -> None:
    """The file must answer as the model here does."""
    method = saving.method_of(model)
    rows = first_rows(sample)
    if method is None or rows is None or rehearsed.answer is None or type(model).__name__ == "Booster":
        return
    here, there = getattr(model, method)(rows), json.loads(rehearsed.answer).get(method)
    if there is not None and (where := differs(here, there)):
        raise UsageError(f"The saved model answers otherwise than the one in memory: {where}. Save it yourself, and register the file.")


def _is_path(model: Any) -> bool:
    return isinstance(model, str | Path)
