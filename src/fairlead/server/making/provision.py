"""The environment: which packages, in which exact versions; for services of this machine built here, and looked at before anything runs in it."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

from fairlead.bundles import open_bundle
from fairlead.environments import checking, locking
from fairlead.environments.checking import Mismatch
from fairlead.environments.locking import Lock
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentFailure
from fairlead.server.making.caches import Caches
from fairlead.server.making.packaging import requirements_of
from fairlead.server.making.plans import Plan
from fairlead.stores import Store

_TABLES = frozenset({"pandas"})
_EXACT = re.compile(r"==\s*(\d+\.\d+)(?:\.\d+)*(?=\s*(?:;|$))")


@dataclass(frozen=True, kw_only=True)
class Provision:
    """`lock_blob`: where the lock's text is kept."""

    lock_digest: str
    lock_blob: str
    python_version: str
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """What an earlier revision made of the same was locked to."""

    lock_blob: str
    python_version: str
    variables: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Locked:
    """`blob`: where the lock's text is kept."""

    lock: Lock
    blob: str
    variables: dict[str, str]


@dataclass(frozen=True)
class _How:
    """`system`: what the packages are for, as `sys.platform` says it."""

    say: Callable[[str], None]
    system: str


def provide(store: Store, caches: Caches, plan: Plan, bundle: Path, pinned: Pinned | None, say: Callable[[str], None]) -> Provision:
    """Quick when everything is there. Raises EnvironmentFailure, UsageError."""
    found = _locked(store, caches, plan, bundle, pinned, _How(say, sys.platform))
    lock = found.lock
    built = caches.builder.build(lock, say)
    wanted = _wanted(plan)
    if wanted and not caches.was_checked(lock.digest, wanted):
        _refuse(plan, checking.check(built.python, wanted))
        caches.note_checked(lock.digest, wanted)
    return Provision(lock_digest=lock.digest, lock_blob=found.blob, python_version=lock.python, variables=found.variables)


def lock(store: Store, caches: Caches, plan: Plan, bundle: Path, pinned: Pinned | None, say: Callable[[str], None]) -> Locked:
    """For an image, in which it is unpacked: nothing is installed here. Raises EnvironmentFailure, UsageError."""
    found = _locked(store, caches, plan, bundle, pinned, _How(say, "linux"))
    _refuse(plan, checking.check_pins(found.lock.requirements, _wanted(plan), python=found.lock.python))
    return found


def lock_here(store: Store, caches: Caches, plan: Plan, bundle: Path, pinned: Pinned | None, say: Callable[[str], None]) -> Locked:
    """As `provide` would have it, and nothing is installed. Raises EnvironmentFailure, UsageError."""
    found = _locked(store, caches, plan, bundle, pinned, _How(say, sys.platform))
    _refuse(plan, checking.check_pins(found.lock.requirements, _wanted(plan), python=found.lock.python))
    return found


def _locked(store: Store, caches: Caches, plan: Plan, bundle: Path, pinned: Pinned | None, how: _How) -> Locked:
    if pinned is not None:
        with store.open(pinned.lock_blob) as stream:
            kept = locking.locked(stream.read().decode(), pinned.python_version, system=how.system)
        return Locked(lock=kept, blob=pinned.lock_blob, variables=pinned.variables)
    spec = spec_of(plan, bundle)
    made = locking.lock(spec, kept=caches.locks, system=how.system, say=how.say)
    return Locked(lock=made, blob=_keep(store, made), variables=dict(spec.variables))


def spec_of(plan: Plan, bundle: Path) -> EnvironmentSpec:
    """As asked for; else what the models were registered with; else what the bundle says."""
    if plan.environment.spec is not None:
        return EnvironmentSpec.from_json(plan.environment.spec)
    python = next((model.python for model in plan.models if model.python), None)
    requirements = requirements_of(plan)
    if requirements:
        return EnvironmentSpec(python=python, requirements=tuple(requirements))
    manifest = open_bundle(bundle, verify=False).manifest
    if manifest.conda is not None:
        return EnvironmentSpec.from_conda(bundle / manifest.conda)
    if manifest.requirements is not None:
        return EnvironmentSpec.from_requirements(bundle / manifest.requirements, python=python)
    return EnvironmentSpec(python=python)


def _keep(store: Store, lock: Lock) -> str:
    return store.put(io.BytesIO(lock.text.encode())).digest


def _wanted(plan: Plan) -> list[str]:
    """What the models need is there, whoever described the environment. Another patch release than the recorded one is no reason to refuse; and pandas
    makes tables of requests for our own scripts: a script of the caller's own says itself what it needs."""
    needed = requirements_of(plan)
    if plan.environment.spec is None:
        return needed
    of_tables = _TABLES if plan.code is not None else frozenset()
    return [_EXACT.sub(r"==\1.*", line) for line in needed if Requirement(line).name.lower() not in of_tables]


def _refuse(plan: Plan, found: Sequence[Mismatch]) -> None:
    if found:
        first = found[0]
        raise EnvironmentFailure(
            f"{first}. The model {_owner(plan, first.package)} was registered with it: add it to the environment, or register it with what it needs now.",
            cause="missing-package" if first.found is None else "wrong-version",
            log="\n".join(str(each) for each in found),
        )


def _owner(plan: Plan, package: str) -> str:
    name = package.lower().replace("_", "-")
    return next((model.reference for model in plan.models if any(line.lower().replace("_", "-").startswith(name) for line in model.requirements)), "")
