"""The configuration of an image, as OCI's specification of images 1.1 has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.images.bases import BasePlatform
from fairlead.images.container import COMMAND, ENVIRONMENT, HEALTH, OURS, PORT, USER, moment
from fairlead.images.types import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What people and programs may read off an image. `notes`: for the history, by `what` of a layer."""

    labels: Mapping[str, str]
    variables: Mapping[str, str]
    created: int
    notes: Mapping[str, str]


def configuration(base: BasePlatform, layers: Sequence[Layer], stated: Stated) -> dict[str, Any]:
    """`layers`: all, the base's first."""
    of_platform = {name: base.config[name] for name in ("architecture", "os", "variant", "os.version") if isinstance(base.config.get(name), str)}
    return {
        **of_platform,
        "created": moment(stated.created),
        "config": {
            "User": USER,
            "ExposedPorts": {f"{PORT}/tcp": {}},
            "Env": [f"{name}={value}" for name, value in _variables(base, stated.variables).items()],
            "Cmd": list(COMMAND),
            "WorkingDir": "/tmp",  # noqa: S108 - see HOME
            "Labels": dict(sorted(stated.labels.items())),
            "Healthcheck": HEALTH,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
        "history": [*_base_history(base), *(_step(layer, stated) for layer in layers[len(base.layers) :])],
    }


def _variables(base: BasePlatform, own: Mapping[str, str]) -> dict[str, str]:
    """The base's, ours, then those of the environment, which win; its programs are found first."""
    inside = base.config.get("config")
    said = inside.get("Env") if isinstance(inside, dict) else None
    pairs = [str(each).partition("=") for each in said] if isinstance(said, list) else []
    variables = {name: value for name, _, value in pairs} | OURS
    variables["PATH"] = f"/{ENVIRONMENT}/bin:{variables.get('PATH') or '/usr/local/bin:/usr/bin:/bin'}"
    return variables | dict(sorted(own.items()))


def _base_history(base: BasePlatform) -> list[dict[str, Any]]:
    """As the base tells it, if it tells of each layer; else one line for each."""
    said = base.config.get("history")
    steps = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    if len([each for each in steps if not each.get("empty_layer")]) == len(base.layers):
        return steps
    return [{"created": moment(0), "created_by": "base"} for _ in base.layers]


def _step(layer: Layer, stated: Stated) -> dict[str, Any]:
    return {"created": moment(stated.created), "created_by": "fairlead", "comment": stated.notes.get(layer.what, layer.what)}
