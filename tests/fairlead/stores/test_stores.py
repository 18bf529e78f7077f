"""The contract, held by every store."""

from __future__ import annotations

import pytest

from fairlead.stores import FolderStore, Store, UrlStore
from fairlead.testing import MemoryStore
from tests.fairlead.stores.contract import StoreContract


class TestFolder(StoreContract):
    @pytest.fixture
    def store(self, folder_store: FolderStore) -> Store:
        return folder_store


class TestUrl(StoreContract):
    @pytest.fixture
    def store(self, url_store: UrlStore) -> Store:
        return url_store


@pytest.mark.needs("s3fs", "moto")
class TestS3(StoreContract):
    @pytest.fixture
    def store(self, s3_store: UrlStore) -> Store:
        return s3_store


class TestFake(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()
