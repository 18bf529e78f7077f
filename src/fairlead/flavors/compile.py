"""Compiles a model to ONNX, in a process of its own, and keeps the result only with a proof that it answers the same."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairlead.flavors import detect
from fairlead.flavors.errors import CompileRefused

HERE = Path(__file__).resolve().parent
COMPILABLE = ("scikit-learn", "xgboost", "lightgbm")
TOLERANCE = 1e-5
ROWS = 10_000
TIMEOUT = 900.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileResult:
    """The compiled model, and for the manifest what was proved: methods, rows, seed, tolerance, worst difference and its row, versions, speed."""

    onnx: bytes
    proof: dict[str, Any]


def compile_onnx(
    model_path: Path, sample: Any = None, python: Path | None = None, tolerance: float = TOLERANCE, *, rows: int = ROWS, seed: int = 0
) -> CompileResult:
    """Convert and prove in `python` (this interpreter when None), which loads the model: an unsafe file runs its code there.

    sample: rows, or a body {"data": rows}, that give the range of the generated rows. tolerance: of scores, absolute below 1 and relative above.
    Raises CompileRefused with the reason: no conversion, or the worst row where the answers differ.
    """
    flavor = detect(model_path)
    if flavor is None or flavor.name not in COMPILABLE:
        named = flavor.name if flavor else "unknown"
        raise CompileRefused(f"{model_path.name} is of the flavor {named}; what compiles is {', '.join(COMPILABLE)}. Leave out --compile.")
    with tempfile.TemporaryDirectory(prefix="fairlead-compile-") as folder:
        job = _job(Path(folder), model_path, HERE / "templates" / flavor.template)
        job.update(sample=sample, tolerance=tolerance, rows=rows, seed=seed)
        said = _run(Path(folder), job, python or Path(sys.executable))
        if said.get("refused"):
            raise CompileRefused(f"{model_path.name} is not compiled: {said['refused']} Leave out --compile, or say --compile auto.")
        return CompileResult(onnx=Path(said["onnx"]).read_bytes(), proof=said["proof"])


def compile_if_proved(model_path: Path, sample: Any = None, python: Path | None = None, tolerance: float = TOLERANCE) -> CompileResult | str:
    """`--compile auto`: the compiled model, or the sentence that says why the original is kept."""
    try:
        return compile_onnx(model_path, sample, python, tolerance)
    except CompileRefused as refusal:
        return str(refusal)


def _job(folder: Path, model_path: Path, template: Path) -> dict[str, Any]:
    (folder / "model").mkdir()
    (folder / "onnx").mkdir()
    (folder / "model" / model_path.name).symlink_to(model_path.resolve())
    spec = find_spec("fairlead_scoring")
    scoring = (spec.submodule_search_locations or [""])[0] if spec else ""
    return {
        "scoring": scoring,
        "template": str(template),
        "onnx_template": str(HERE / "templates" / "onnx.py"),
        "model_dir": str(folder / "model"),
        "onnx_dir": str(folder / "onnx"),
        "result": str(folder / "result.json"),
    }


def _run(folder: Path, job: dict[str, Any], python: Path) -> dict[str, Any]:
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [str(python), str(HERE / "prover" / "__main__.py"), str(folder / "job.json")]
    _log.info("$ %s", shlex.join(command))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=folder)
    except subprocess.TimeoutExpired as fault:
        raise CompileRefused(f"The proof did not end within {TIMEOUT:.0f} s. Give fewer rows, or leave out --compile.") from fault
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CompileRefused(f"{python} could not compile the model: {last[-400:]} It needs onnx, onnxruntime, skl2onnx and the model's own library.")
    said: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return said
