"""Registries for these tests: Debian's for the whole run, a store, and a client that is in no mood to wait."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.images.registry.credentials import Credentials
from fairlead.images.registry.registry import Registry
from fairlead.stores.folder import FolderStore
from tests.containers import RegistryServer, running_registry

PAUSES = (0.01, 0.01, 0.01)


@pytest.fixture(scope="session")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """It asks nobody who they are."""
    with running_registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def name() -> str:
    """A repository of this test's own."""
    return f"test/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def where(open_registry: RegistryServer, name: str) -> str:
    """That repository, with its host."""
    return f"{open_registry.host}/{name}"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def other_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "other-store")


@pytest.fixture
def client() -> Iterator[Registry]:
    with anonymous() as registry:
        yield registry


def anonymous(*, chunk: int = 1 << 20) -> Registry:
    return Registry(lambda _: None, pauses=PAUSES, chunk=chunk)


def login(user: str = "", password: str = "", identity_token: str = "") -> Registry:
    return Registry(lambda _: Credentials(user=user, password=password, identity_token=identity_token), pauses=PAUSES)
