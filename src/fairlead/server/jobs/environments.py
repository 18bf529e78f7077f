"""The two environments of a job: what a service of the same would get, and that with what batch needs beside, in equal versions (DECISIONS 42)."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fairlead.environments import locking
from fairlead.environments.locking import Lock
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentFailure
from fairlead.server.making import provision
from fairlead.server.making.caches import Caches
from fairlead.server.making.plans import Plan
from fairlead.server.making.provision import Locked, Pinned
from fairlead.stores import Store
from fairlead.targets.files import read_json, write_json

LOG = logging.getLogger(__name__)
Say = Callable[[str], None]
LONGEST = 400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """own, batch: what was locked before, if it was; `batch` is the blob of the second lock's text. beside: what batch needs, by the environment's Python.

    welcome: what it takes where it can be had, without moving a version.
    """

    plan: Plan
    bundle: Path
    beside: Callable[[str], Sequence[str]]
    own: Pinned | None = None
    batch: str | None = None
    welcome: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class BatchLocked:
    """own: as a service has it. batch, batch_blob: in which the driver runs."""

    own: Locked
    batch: Lock
    batch_blob: str


def lock(store: Store, caches: Caches, of: Ingredients, say: Say) -> BatchLocked:
    """Nothing is installed yet. Raises EnvironmentFailure, UsageError."""
    own = provision.lock_here(store, caches, of.plan, of.bundle, of.own, say)
    source_builds = bool((of.plan.environment.spec or {}).get("allow_source_builds"))
    if of.batch is not None:
        with store.open(of.batch) as stream:
            batch = locking.locked(stream.read().decode(), own.lock.python, source_builds=source_builds)
        return BatchLocked(own=own, batch=batch, batch_blob=of.batch)
    batch = _with_welcome(own.lock, of, caches, say)
    return BatchLocked(own=own, batch=batch, batch_blob=store.put(io.BytesIO(batch.text.encode())).digest)


def _with_welcome(own: Lock, of: Ingredients, caches: Caches, say: Say) -> Lock:
    beside, asked_for = tuple(of.beside(own.python)), _asked_for(of, own)
    held = {_name(each) for each in own.requirements}
    welcome = [each for each in of.welcome if _name(each) not in held]
    if welcome:
        try:
            return _second(own, (*beside, *welcome), asked_for, caches, say)
        except EnvironmentFailure as failure:
            said = f"{', '.join(map(_name, welcome))} cannot be had ({str(failure)[:LONGEST]}); the job does without, and is slower"
            LOG.info("%s", said)
            say(said)
    return _second(own, beside, asked_for, caches, say)


def _second(own: Lock, beside: Sequence[str], asked_for: frozenset[str], caches: Caches, say: Say) -> Lock:
    """In the versions of the first; but for packages that came along unasked, and that batch cannot take in that version.

    Which those are is remembered beside the locks: a resolver takes long to find that there is no way.
    """
    say(f"Choosing versions of what batch needs beside: {', '.join(_name(each) for each in beside)}")
    found_before = caches.locks / f"{_spec(own, own.requirements, beside).digest}-{own.python}.gave-way.json"
    loose = set(read_json(found_before).get("pins", ())) & set(own.requirements)
    while True:
        if loose:
            say(f"Batch needs another version than {', '.join(sorted(map(_pin, loose)))}, which nothing of the model asks for by its name.")
        pins = [each for each in own.requirements if each not in loose]
        try:
            made = locking.lock(_spec(own, pins, beside), kept=caches.locks, say=say)
        except EnvironmentFailure as failure:
            more = {each for each in pins if failure.cause == "conflict" and _name(each) not in asked_for and _pin(each) in failure.log}
            if not more:
                raise _named(failure, pins, beside) from failure
            loose |= more
        else:
            if loose:
                write_json(found_before, {"pins": sorted(loose)})
            return made


def _spec(own: Lock, pins: Sequence[str], beside: Sequence[str]) -> EnvironmentSpec:
    return EnvironmentSpec(python=own.python, requirements=(*pins, *beside), constraints=tuple(pins), allow_source_builds=own.source_builds)


def _asked_for(of: Ingredients, own: Lock) -> frozenset[str]:
    """Names of packages that the model, or whoever described its environment, named; of a lock all."""
    spec = provision.spec_of(of.plan, of.bundle)
    lines = own.requirements if spec.lock is not None else (*spec.requirements, *spec.constraints)
    return frozenset(canonicalize_name(found[0]) for each in lines if (found := _NAME.match(each.strip())))


def _named(failure: EnvironmentFailure, pins: Sequence[str], beside: Sequence[str]) -> EnvironmentFailure:
    """Which two contradict each other: a pin of the model's environment, and what batch needs."""
    if failure.cause not in ("conflict", "no-such-version"):
        return failure
    said = " ".join(failure.log.split())
    needs = [each for each in beside if _is_in(_name(each), said)]
    held = [each for each in pins if _is_in(_name(each), said)]
    if not needs or not held:
        return failure
    need = needs[0]
    pin = next((each for each in held if _name(each) == _name(need)), held[0])
    message = (
        f"Batch needs {need}, and the model's environment has {_pin(pin)}: they do not go together. "
        f"Register the model, or describe an environment, with a version of {_name(pin)} that does. ({str(failure)[:LONGEST]})"
    )
    return EnvironmentFailure(message, cause="conflict", log=failure.log)


def _pin(line: str) -> str:
    return line.partition(";")[0].strip()


def _name(line: str) -> str:
    return canonicalize_name(Requirement(line).name)


def _is_in(name: str, said: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", said, re.IGNORECASE) is not None
