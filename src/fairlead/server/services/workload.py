"""From rows to what a target is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.schemas.services import IMAGE_TARGETS, Settings
from fairlead.server.making.caches import Caches
from fairlead.server.making.plans import Plan
from fairlead.server.sealing import Seal
from fairlead.server.services import endpoints, revisions
from fairlead.server.tables.services import EndpointRow, RevisionRow, ServiceRow
from fairlead.targets.types import Image, Resources, Service, Tls

SCALE = {"scoring_timeout_ms": ("deadline", 1000.0), "max_queue_wait_ms": ("wait", 1000.0), "max_waiting": ("waiting", 1.0), "max_body": ("body", 1.0)}
TOLERANCE = 1e-6
GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """All rows that a workload is made of. `secrets`: opened."""

    service: ServiceRow
    revision: RevisionRow
    endpoint: EndpointRow
    workspace: str
    secrets: Mapping[str, bytes]


def workload(seal: Seal, caches: Caches, unsafe_formats: str, wanted: Wanted) -> Service | None:
    """None while bundle or environment are not on this machine (any more), or no image was made."""
    service, revision = wanted.service, wanted.revision
    parts = _image(revision, wanted.workspace) if service.target in IMAGE_TARGETS else _folders(caches, revision)
    if parts is None:
        return None
    plan, settings = revisions.plan_of(revision), revisions.settings_of(revision)
    sample, expected = _sample(plan)
    return Service(
        handle=service.handle,
        workspace=wanted.workspace,
        name=service.name,
        revision=revision.short_id,
        generation=service.generation,
        **parts,
        host=wanted.endpoint.host,
        port=wanted.endpoint.port,
        workers=settings.workers or 1,
        replicas=settings.replicas or 1,
        auth=endpoints.runtime_auth(seal, wanted.endpoint, service.handle),
        tls=_tls(seal, caches, wanted),
        limits=_limits(settings),
        environment={**(revision.variables or {}), **(settings.variables or {})},
        secrets=wanted.secrets,
        sample=sample,
        expected=expected,
        tolerance=TOLERANCE if settings.tolerance is None else settings.tolerance,
        unsafe_formats="allow" if unsafe_formats == "allow" else "deny",
        log_level=settings.log_level or "info",
    )


def _folders(caches: Caches, revision: RevisionRow) -> dict[str, Any] | None:
    bundle, python = caches.bundle(revision.bundle_digest or "-"), caches.python(revision.lock_digest or "-")
    return None if bundle is None or python is None else {"bundle": bundle, "python": python}


def _image(revision: RevisionRow, workspace: str) -> dict[str, Any] | None:
    """Under a name of our own, so that no image of the engine's owner loses its tag."""
    if revision.image is None:
        return None
    image = Image(**revision.image | {"name": f"fairlead/{workspace}/{revision.image['name']}"})
    return {"image": image, "resources": _resources(revisions.settings_of(revision))}


def _resources(settings: Settings) -> Resources:
    memory = None if settings.memory_gb is None else int(settings.memory_gb * GIB)
    return Resources(cpu=settings.cpu, memory=memory, gpu=settings.gpu or None)


def _limits(settings: Settings) -> dict[str, float]:
    said = settings.model_dump(include=set(SCALE), exclude_none=True)
    return {SCALE[name][0]: value / SCALE[name][1] for name, value in said.items()}


def _sample(plan: Plan) -> tuple[bytes | None, bytes | None]:
    """The request's own, else the one model's; the recorded answer belongs to the input that it was recorded with."""
    source = plan if plan.sample_input is not None or len(plan.models) != 1 else plan.models[0]
    if source.sample_input is None:
        return None, None
    return source.sample_input.encode(), None if source.sample_output is None else source.sample_output.encode()


def _tls(seal: Seal, caches: Caches, wanted: Wanted) -> Tls | None:
    key = endpoints.tls_key(seal, wanted.endpoint)
    if key is None or wanted.endpoint.tls_cert is None:
        return None
    cert: Path = caches.private(wanted.service.handle, "cert.pem", wanted.endpoint.tls_cert.encode())
    return Tls(cert=cert, key=caches.private(wanted.service.handle, "key.pem", key))
