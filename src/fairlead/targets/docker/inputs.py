"""What a container is given before it starts, as a tar for its volume: options, keys, sample, recorded answer, secrets. Nobody but its user may read it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Mapping
from typing import Any

from fairlead.targets.docker.blueprint import BUNDLE, LIVE, PORT, PYTHON, REPORT, USER
from fairlead.targets.options import KEYS, SECRETS, input_files, input_paths, keys_of, options_of
from fairlead.targets.types import Service

FOLDER = LIVE.rpartition("/")[2]
CERT, KEY = "cert.pem", "key.pem"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")  # as the runtime sets them, which sees all cores


def all_files(service: Service, *, ends_tls: bool) -> bytes:
    """ends_tls: the container's own port is the service's address, not a router's."""
    options = json.dumps(_options(service, ends_tls=ends_tls), indent=1).encode()
    return _tar({"options.json": options, **input_files(service), **live_files(service, ends_tls=ends_tls)})


def live_files(service: Service, *, ends_tls: bool) -> dict[str, bytes]:
    """Those that may change while it runs: it reads them again within a second. Raises OSError for a certificate that is gone."""
    keys = keys_of(service.auth)
    files = {} if keys is None else {KEYS: json.dumps(keys).encode()}
    if ends_tls and service.tls is not None:
        files |= {CERT: service.tls.cert.read_bytes(), KEY: service.tls.key.read_bytes()}
    return files


def live_digest(files: Mapping[str, bytes]) -> str:
    said = json.dumps({name: hashlib.sha256(content).hexdigest() for name, content in files.items()}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def live_tar(files: Mapping[str, bytes]) -> bytes:
    return _tar(files)


def report_in(tar: bytes | None) -> dict[str, Any]:
    """What the runtime wrote of its last start; empty when it wrote nothing."""
    try:
        with tarfile.open(fileobj=io.BytesIO(tar or b"")) as archive:
            file = archive.extractfile(REPORT.rpartition("/")[2])
            said = json.loads(file.read()) if file else {}
    except (tarfile.TarError, KeyError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _options(service: Service, *, ends_tls: bool) -> dict[str, Any]:
    has_tls = ends_tls and service.tls is not None
    return {
        **options_of(service),
        **input_paths(service, LIVE),
        "environment": {**_threads(service), **service.environment},
        "bundle": BUNDLE,
        "python": PYTHON,
        "host": "0.0.0.0",  # noqa: S104 - of the container; who can reach it, the published address says
        "port": PORT,
        "workers": service.workers,
        "keys": None if service.auth.mode == "none" else f"{LIVE}/{KEYS}",
        "tls_cert": f"{LIVE}/{CERT}" if has_tls else None,
        "tls_key": f"{LIVE}/{KEY}" if has_tls else None,
        "report": REPORT,
    }


def _threads(service: Service) -> dict[str, str]:
    """A limit of cores is not seen inside: libraries would start a thread for each core of the machine."""
    if service.resources.cpu is None:
        return {}
    return dict.fromkeys(THREAD_VARIABLES, str(max(1, int(service.resources.cpu / service.workers))))


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Times with fractions: the runtime knows a changed file by them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in (FOLDER, f"{FOLDER}/{SECRETS}"):
            archive.addfile(_member(folder, 0o700, tarfile.DIRTYPE))
        for name, content in files.items():
            member = _member(f"{FOLDER}/{name}", 0o400, tarfile.REGTYPE)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _member(name: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.type, member.uid, member.gid, member.mtime = mode, kind, USER, USER, time.time()
    return member
