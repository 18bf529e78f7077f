"""The base of an image: pulled from a registry, laid down from what was uploaded, or what the server's setting names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from fairlead.errors import EnvironmentFailure, NotFound, Unavailable, UsageError
from fairlead.images.bases import Base, open_base, own, pull_base
from fairlead.images.registry.answers import is_refused
from fairlead.images.registry.credentials import Credentials, find_credentials
from fairlead.images.registry.references import parse_reference
from fairlead.images.registry.registry import Registry
from fairlead.images.types import Blobs, Descriptor
from fairlead.schemas.bases import BaseWish
from fairlead.server.making.caches import read_tree
from fairlead.stores import Store, lay_down

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Login:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """`default`: the setting image_base, for everybody. A base that the plan names goes into `holdings`; `login`: for its registry.

    lends_logins: the server's own Docker log-ins serve whoever names a base; where the server is one user's own, that is the same user.
    """

    store: Store
    cache: Path
    default: str
    holdings: Blobs
    login: Login | None = None
    lends_logins: bool = False
    platforms: tuple[str, ...] = ()


@contextmanager
def open_for(grounds: Grounds, wish: BaseWish | None, python: str, say: Say) -> Iterator[Base]:
    """Raises UsageError, EnvironmentFailure for one that does not fit, NotFound, Unavailable when the registry stays away."""
    if wish is not None and wish.tree is not None:
        with _laid_down(grounds, wish.tree) as place:
            yield _uploaded(grounds, place, say)
        return
    if wish is not None and wish.image is not None:
        yield _pulled(grounds, wish.image, grounds.holdings, say)
        return
    said = grounds.default.replace("{python}", python)
    if said.startswith("/"):
        yield open_base(Path(said), grounds.store, grounds.cache, platforms=grounds.platforms, say=say)
        return
    yield _pulled(replace(grounds, login=None, lends_logins=True), said, grounds.store, say)  # whoever chose it has given the server its log-ins


def _uploaded(grounds: Grounds, place: Path, say: Say) -> Base:
    """Where it lies for now is nobody's business."""
    try:
        return open_base(place, grounds.holdings, grounds.cache, platforms=grounds.platforms, say=say)
    except (UsageError, NotFound) as error:
        raise type(error)(str(error).replace(str(place), f"The uploaded base {place.name!r}" if place.is_file() else "The uploaded base")) from error


def _pulled(grounds: Grounds, said: str, into: Blobs, say: Say) -> Base:
    """Never a path: whoever asks for an image does not read this machine's files."""
    reference = parse_reference(said)
    login = grounds.login

    def credentials(host: str) -> Credentials | None:
        if login is not None:
            return Credentials(user=login.username, password=login.password) if host == reference.host else None
        return find_credentials(host) if grounds.lends_logins else None

    def pull(_: str, blobs: Blobs, platforms: Collection[str]) -> Descriptor:
        try:
            with Registry(credentials, say=say) as registry:
                return registry.pull(reference, blobs, platforms or (own(),), say)
        except Unavailable as error:
            is_closed = is_refused(error)
            if not is_closed and not _is_name_unknown(error):
                raise
            where = "a registry at whose address nobody listens (connection refused)" if is_closed else "a registry whose name this machine does not know"
            cure = "Name another base (--base, or the server's setting image_base): a reference, or the path of an OCI layout or Docker archive."
            raise EnvironmentFailure(f"The base image {said} is in {where}. {cure}", cause="base-unreachable") from error

    return pull_base(str(reference), pull, into, grounds.cache, platforms=grounds.platforms, say=say)


def _is_name_unknown(error: BaseException | None) -> bool:
    """Trying again for minutes is for registries that are there."""
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def _laid_down(grounds: Grounds, tree: str) -> Iterator[Path]:
    """An OCI layout as the folder that it is, an archive as the one file of its tree."""
    grounds.cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".base-", dir=grounds.cache) as name:
        folder = Path(name) / "base"
        lay_down(grounds.store, read_tree(grounds.store, tree), folder, link=True)
        inside = list(folder.iterdir())
        yield inside[0] if len(inside) == 1 and inside[0].is_file() else folder
