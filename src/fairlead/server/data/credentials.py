"""Credentials of a place: what people call them, and the options of fsspec that they become. They are only ever a secret of the workspace."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from fairlead.errors import UsageError
from fairlead.schemas.data import DatastoreKind
from fairlead.schemas.data_urls import Url, account_of

_S3 = {
    "key": "key",
    "secret": "secret",
    "token": "token",
    "endpoint_url": "endpoint_url",
    "region": "region",
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "aws_endpoint_url": "endpoint_url",
    "aws_default_region": "region",
    "aws_region": "region",
}
_AZURE = {
    name: name for name in ("account_name", "account_key", "sas_token", "connection_string", "tenant_id", "client_id", "client_secret")
}  # as adlfs calls them
_DATABASE = {"user": "user", "username": "user", "password": "password"}
_WEB = {"username": "username", "user": "username", "password": "password", "token": "token", "headers": "headers"}
NAMED = ("s3", "gcs", "azure-blob")
_WORDS: Mapping[DatastoreKind, Mapping[str, str]] = {
    "s3": _S3,
    "azure-blob": _AZURE,
    "gcs": {"token": "token"},
    "http": _WEB,
    "postgresql": _DATABASE,
    "folder": {},
    "sqlite": {},
}


def options_of(url: Url, said: Mapping[str, Any]) -> dict[str, Any]:
    """The options that fsspec, or a database's driver, takes. Raises UsageError that names the words, never their values."""
    if url.kind == "gcs" and said.get("type") in ("service_account", "authorized_user"):
        return {"token": dict(said)}  # the file that Google gives
    words = _WORDS[url.kind]
    if not words:
        raise UsageError(f"{url.text} is reached without credentials; leave them out.")
    given = {name.lower(): value for name, value in said.items() if value not in (None, "")}
    strange = sorted(given.keys() - words.keys() - ({"client_kwargs", "anon"} if url.kind in NAMED else set()))
    if strange or not given:
        raise UsageError(f"Credentials of {url.text} are {', '.join(dict.fromkeys(words.values()))}; {', '.join(strange) or 'none'} was given.")
    plain = {words.get(name, name): value for name, value in given.items()}
    return _finished(url, plain)


def read_secret(url: Url, content: bytes, name: str) -> dict[str, Any]:
    """Of a secret that somebody set by hand, or that is finished already: JSON, or a database's password alone. Raises UsageError."""
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    if isinstance(said, dict):
        return options_of(url, said)
    if url.kind == "postgresql":
        return {"password": content.decode(errors="replace").rstrip("\n")}
    raise UsageError(f"The secret {name!r} is no JSON object with the credentials of {url.text}; set it anew with `fairlead secret set {name}`.")


def anonymous(url: Url) -> dict[str, Any] | None:
    """None: nothing needs to be said."""
    if url.kind == "azure-blob":
        return {"anon": True} | ({"account_name": account_of(url)} if account_of(url) else {})
    if url.kind == "s3":
        return {"anon": True}
    return {"token": "anon"} if url.kind == "gcs" else None


def _finished(url: Url, plain: dict[str, Any]) -> dict[str, Any]:
    if url.kind == "azure-blob":
        return ({"account_name": account_of(url)} if account_of(url) and "connection_string" not in plain else {}) | plain
    if url.kind == "s3" and "region" in plain:
        return {name: value for name, value in plain.items() if name != "region"} | {
            "client_kwargs": {**plain.get("client_kwargs", {}), "region_name": plain["region"]}
        }
    return {"headers": {**plain.get("headers", {}), **_authorization(plain)}} if url.kind == "http" else plain


def _authorization(plain: Mapping[str, Any]) -> dict[str, str]:
    if "token" in plain:
        return {"Authorization": f"Bearer {plain['token']}"}
    if "username" in plain:
        pair = f"{plain['username']}:{plain.get('password', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}
