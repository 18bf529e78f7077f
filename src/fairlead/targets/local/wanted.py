"""A Service as files for the runtime: its options, its keys, and the inputs of its generation."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.errors import UsageError
from fairlead.targets import checking
from fairlead.targets.files import read_json, write_json, write_whole
from fairlead.targets.local.place import Place
from fairlead.targets.options import SECRETS, input_files, input_paths, keys_of, options_of
from fairlead.targets.types import Service


def check(service: Service) -> None:
    """Raises UsageError for what can never run."""
    checking.check(service)
    if service.bundle is None or service.python is None:
        raise UsageError(f"{service.name} has no bundle or no environment on this machine, and processes need both.")


def options_here(service: Service, place: Place, port: int, inputs: Path) -> dict[str, Any]:
    return {
        **options_of(service),
        **input_paths(service, str(inputs)),
        "bundle": str(service.bundle),
        "python": str(service.python),
        "host": service.host,
        "port": port,
        "workers": service.workers * service.replicas,
        "keys": None if service.auth.mode == "none" else str(place.keys),
        "tls_cert": str(service.tls.cert) if service.tls else None,
        "tls_key": str(service.tls.key) if service.tls else None,
        "log_file": str(place.log),
        "log_max_bytes": service.max_log_bytes,
        "control": str(place.socket),
        "report": str(place.report),
        "work": str(place.work),
    }


def write_keys(service: Service, place: Place) -> bool:
    """Whether they are others than before. A running service reads them again within a second."""
    keys = keys_of(service.auth)
    changed = keys is not None and read_json(place.keys) != keys
    if changed:
        write_json(place.keys, keys)
    return changed


def write_inputs(service: Service, place: Place, before: str | None) -> str:
    """The folder of sample, recorded answer and secrets: the one there was before when it holds just these, so that the same workers may go on."""
    files = input_files(service)
    if before is not None and _holds(place.inputs / before, files):
        return before
    name = uuid.uuid4().hex[:12]
    folder = place.inputs / name
    for inside in (folder, folder / SECRETS):
        inside.mkdir(mode=0o700)
    for file, value in files.items():
        write_whole(folder / file, value)
    return name


def remove_inputs(place: Place, keep: Mapping[str, str]) -> None:
    for folder in place.inputs.iterdir() if place.inputs.is_dir() else ():
        if folder.name not in keep.values():
            shutil.rmtree(folder, ignore_errors=True)


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return folder.is_dir() and there.keys() == files.keys() and all(there[name].read_bytes() == value for name, value in files.items())
