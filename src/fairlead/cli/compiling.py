"""`--compile`: a model becomes ONNX on its way into a bundle or the registry, if it is proved to answer the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.errors import UsageError
from fairlead.flavors.compile import TOLERANCE, compile_if_proved, compile_onnx

How = Annotated[
    str | None, typer.Option("--compile", metavar="onnx|auto", help="Compile to ONNX, with a proof of equal answers; auto keeps the original without.")
]
Tolerance = Annotated[float, typer.Option(help="With --compile: how far scores may differ, absolute below 1 and relative above.")]
DEFAULT = TOLERANCE


@dataclass(frozen=True)
class Compiled:
    """proof: what was compared and found, without what differs from run to run."""

    path: Path
    proof: dict[str, Any]


def compiled(model: Path, how: str, tolerance: float, sample: Any, python: Path, folder: Path, say: Callable[[str], None]) -> Compiled | None:
    """The compiled model, in the folder; None with `auto` where there is no proof. sample: rows, or a body. Raises UsageError, CompileRefused."""
    if how not in ("onnx", "auto"):
        raise UsageError(f"--compile {how}: say onnx, or auto.")
    if tolerance < 0:
        raise UsageError(f"--tolerance {tolerance:g}: scores cannot differ by less than nothing; give 0 or more.")
    say(f"compiling {model.name} and comparing its answers ...")
    result = (compile_onnx if how == "onnx" else compile_if_proved)(model, sample, python, tolerance)
    if isinstance(result, str):
        say(result)
        return None
    path = folder / f"{model.stem}.onnx"
    path.write_bytes(result.onnx)
    say(_speed_up(result.proof))
    return Compiled(path, {name: value for name, value in result.proof.items() if name != "speed"})


def _speed_up(proof: dict[str, Any]) -> str:
    speed, worst = proof["speed"], proof["worst"]["difference"]
    times = speed["original"]["64"] / speed["compiled"]["64"]
    return f"equal on {proof['rows']:,} rows (worst difference of a score {worst:.1e}); 64 rows take {times:.1f} times less."
