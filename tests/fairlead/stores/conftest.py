"""Stores of every kind, each new and empty."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from fairlead.stores import FolderStore, UrlStore
from tests.s3 import S3Server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, with this process's environment pointing at it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return s3_server


@pytest.fixture
def s3_store(s3: S3Server) -> UrlStore:
    return UrlStore(f"s3://{s3.make_bucket()}/some/folder")


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def url_store() -> UrlStore:
    return UrlStore(f"memory://{uuid.uuid4().hex}/folder")
