"""From a plan, its bundle and its lock to an image in the store: the same for an image that was asked for, and for one that a service needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy.orm import Session

from fairlead.flavors import unsafe
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.layout import reachable
from fairlead.images.types import BuiltImage
from fairlead.server.accounts.secrets import open_secrets
from fairlead.server.db import Database
from fairlead.server.images.bases import Grounds, Login, open_for
from fairlead.server.images.holdings import Holdings
from fairlead.server.making.packaging import Packed
from fairlead.server.making.plans import Plan
from fairlead.server.making.provision import Locked
from fairlead.server.sealing import Seal
from fairlead.stores import Store

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Yard:
    """What building and running images needs of a server. `cache`: remembers layers by what made them. `base`, `docker_host`, `may_build`: settings.

    lends_logins: as `bases.Grounds` has it.
    """

    store: Store
    cache: Path
    base: str
    seal: Seal = field(repr=False)
    docker_host: str = ""
    may_build: bool = False
    lends_logins: bool = False
    key: EllipticCurvePublicKey | None = None
    """Images that run must be signed with it."""


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """What an image is made of, but for its base. No platforms: those of the base."""

    plan: Plan
    packed: Packed
    locked: Locked
    platforms: tuple[str, ...] = ()
    git_commit: str | None = None

    @property
    def labels(self) -> dict[str, str]:
        """What the bundle itself does not say. No names or numbers of the image: they would make another image of the same content."""
        said = {
            "ai.fairlead.model": " ".join(each.reference for each in self.plan.models),
            "ai.fairlead.lock": self.locked.lock.digest,
            "org.opencontainers.image.revision": self.git_commit or "",
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, kw_only=True)
class Asker:
    """For whom an image is built. `holdings`: the store as they have it. `login`: for the registry of the base, if the plan says one."""

    holdings: Holdings
    login: Login | None


@dataclass(frozen=True, kw_only=True)
class Made:
    """And what came of them. `blobs`: digest to size of everything that it consists of, its lists of packages too. `note`: for whoever runs it."""

    of: Ingredients
    built: BuiltImage
    blobs: dict[str, int]
    note: str = ""


def asker_of(database: Database, yard: Yard, workspace_id: str, plan: Plan) -> Asker:
    """Raises NotFound when the secret of the base's registry is gone."""
    with database.reading() as session:
        login = _login(session, yard.seal, workspace_id, plan)
    return Asker(holdings=Holdings(store=yard.store, database=database, workspace_id=workspace_id), login=login)


def assemble(yard: Yard, of: Ingredients, asker: Asker, say: Say) -> Made:
    """Takes as long as it takes: pulls the base, fetches wheels. Raises EnvironmentFailure, UsageError, Unavailable."""
    grounds = Grounds(
        store=yard.store,
        cache=yard.cache,
        default=yard.base,
        holdings=asker.holdings,
        login=asker.login,
        lends_logins=yard.lends_logins,
        platforms=of.platforms,
    )
    lock = of.locked.lock
    with open_for(grounds, of.plan.base, lock.python, say) as base:
        recipe = ImageRecipe(
            bundle=of.packed.place,
            lock=lock.text,
            python=lock.python,
            base=base,
            platforms=of.platforms,
            labels=of.labels,
            variables=of.locked.variables,
        )
        built = build_image(recipe, yard.store, yard.cache, say)
    roots = [built.descriptor, *(each.sbom for each in built.platforms if each.sbom is not None)]
    note = " ".join(filter(None, (*built.notices, note_of_formats(of.packed))))
    return Made(of=of, built=built, note=note, blobs={each.digest: each.size for root in roots for each in reachable(yard.store, root)})


def note_of_formats(packed: Packed) -> str:
    """Empty when loading its models runs no code."""
    found = unsafe.scan(packed.place)
    return f"{unsafe.notice(found)} A container loads it only with FAIRLEAD_UNSAFE_FORMATS=allow (docker run --env)." if found else ""


def _login(session: Session, seal: Seal, workspace_id: str, plan: Plan) -> Login | None:
    base = plan.base
    if base is None or base.username is None or base.password_secret is None:
        return None
    secret = open_secrets(session, seal, workspace_id, [base.password_secret])[base.password_secret]
    return Login(username=base.username, password=secret.decode())
