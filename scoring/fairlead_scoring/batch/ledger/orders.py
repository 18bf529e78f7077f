"""Which orders are the same job: those that give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, List, Mapping

from fairlead_scoring.batch.job import Order

_NO_MATTER = ("version", "id", "name", "engine", "limits", "log_level", "side_credentials")  # neither decides what a row's answer is, nor where it is written
_MANIFEST = "bundle.json"


def essence(order: Order) -> Dict[str, Any]:
    """What decides the output's bytes. A bundle is known by its manifest, wherever it lies."""
    said: Dict[str, Any] = json.loads(json.dumps({name: value for name, value in order.to_json().items() if name not in _NO_MATTER}))
    said["bundle"] = _bundle_of(order.bundle)
    for each in (*said["inputs"], said["output"] or {}):
        each.pop("credentials", None)
    (said["output"] or {"options": {}})["options"].pop("overwrite", None)
    return said


def order_digest(order: Order) -> str:
    return digest_of(essence(order))


def digest_of(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The members that are not the same, for a sentence."""
    names: List[str] = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    return "; ".join(f"{name} was {_short(there.get(name))}, is {_short(here.get(name))}" for name in names[:3]) or "it was ordered by another release"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _bundle_of(folder: str) -> str:
    path = os.path.join(folder, _MANIFEST)
    if not os.path.isfile(path):
        return folder
    with open(path, "rb") as file:
        return f"sha256:{hashlib.sha256(file.read()).hexdigest()}"
