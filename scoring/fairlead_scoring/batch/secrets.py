"""PLACE/secrets: credentials of storages, which the driver alone reads, and the workspace's secrets for the script. Those of storages begin with a dot."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, Dict

from fairlead_scoring.batch.job import SECRETS


def read_secrets(place: str) -> Dict[str, Dict[str, Any]]:
    """Name → options; what is no JSON object is a password, of a database for example."""
    folder = os.path.join(place, SECRETS)
    found: Dict[str, Dict[str, Any]] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        found[name] = said if isinstance(said, dict) else {"password": text.rstrip("\n")}
    return found


def lay_out_for_script(place: str, folder: str) -> None:
    """The script's own secrets alone, as files."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    source = os.path.join(place, SECRETS)
    for name in os.listdir(source) if os.path.isdir(source) else []:
        if not name.startswith("."):
            shutil.copy(os.path.join(source, name), os.path.join(folder, name))
