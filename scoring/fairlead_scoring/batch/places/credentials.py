"""Credentials: the forms in which people have them, and whether a store can be opened without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from fairlead_scoring.batch.places.addresses import Address
from fairlead_scoring.batch.places.faults import Refused

_PLAIN = {"account", "account_name", "anon", "bucket", "container", "container_name", "endpoint_url", "profile", "project", "region", "region_name"}
_S3_WORDS = {
    "access_key": "key",
    "access_key_id": "key",
    "aws_access_key_id": "key",
    "secret_key": "secret",
    "secret_access_key": "secret",
    "aws_secret_access_key": "secret",
    "session_token": "token",
    "aws_session_token": "token",
    "endpoint": "endpoint_url",
    "aws_endpoint_url": "endpoint_url",
}
_REGIONS = ("region", "region_name", "aws_region", "aws_default_region")
_S3_NETWORK = {
    "retries": {"total_max_attempts": 1, "mode": "standard"},
    "connect_timeout": 10,
    "read_timeout": 60,
}  # s3fs tries requests again, retrying.py the rest
_AZURE_SIGNS = (
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_ID",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
)


def is_for_azure(given: Mapping[str, Any]) -> bool:
    return any(name in given for name in ("account_key", "sas_token", "connection_string", "account_name"))


def options_for(address: Address, given: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """fsspec's options. Raises Refused for another account's store, and where there is nothing to open it with."""
    said = dict(given or {})
    _refuse_foreign(address, said)
    for name in ("bucket", "container", "container_name"):
        said.pop(name, None)
    options = {"s3": _s3, "abfs": _azure, "gs": _google}.get(address.protocol, lambda _, rest: rest)(address, said)
    return {"use_listings_cache": False, "skip_instance_cache": True, **options}


def secrets_in(given: Optional[Mapping[str, Any]]) -> Tuple[str, ...]:
    """What no message may show."""
    found: List[str] = []
    for name, value in (given or {}).items():
        if isinstance(value, Mapping):
            found += secrets_in(value)
        elif isinstance(value, str) and len(value) > 3 and name not in _PLAIN:
            found.append(value)
    return tuple(sorted(found, key=len, reverse=True))


def _refuse_foreign(address: Address, said: Mapping[str, Any]) -> None:
    account = said.get("account_name")
    if address.account and account and account != address.account:
        raise Refused(
            f"{address.url} is in the storage account {address.account}, and the credentials given are for {account}. Name credentials for {address.account}."
        )
    bucket = next((said[name] for name in ("bucket", "container", "container_name") if said.get(name)), None)
    if bucket and address.protocol != "http" and bucket != address.bucket:
        raise Refused(f"{address.url} is in {address.bucket}, and the credentials given are for {bucket}. Name credentials for {address.bucket}.")


def _s3(address: Address, said: Dict[str, Any]) -> Dict[str, Any]:
    options = {_S3_WORDS.get(name, name): value for name, value in said.items() if name not in _REGIONS}
    region = next((said[name] for name in _REGIONS if said.get(name)), None)
    client = dict(options.pop("client_kwargs", {}))
    if region:
        client["region_name"] = region
    if not (options.get("key") or options.get("anon") or _aws_has_credentials(options.get("profile"))):
        raise _nothing(address, f"the bucket {address.bucket}", "key and secret", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    return {"max_concurrency": 3, **options, "client_kwargs": client, "config_kwargs": {**_S3_NETWORK, **options.get("config_kwargs", {})}}


def _aws_has_credentials(profile: Optional[str]) -> bool:
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return True
    try:
        import botocore.exceptions
        import botocore.session
    except ImportError:
        return True  # that the library is missing is said where it is needed
    try:
        return botocore.session.Session(profile=profile).get_credentials() is not None
    except botocore.exceptions.BotoCoreError:
        return False


def _azure(address: Address, said: Dict[str, Any]) -> Dict[str, Any]:
    account = address.account or said.get("account_name") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not account:
        raise Refused(f"{address.url} names no storage account; write abfs://{address.bucket}@ACCOUNT.dfs.core.windows.net/FOLDER, or give account_name.")
    if any(said.get(name) for name in ("account_key", "sas_token", "connection_string", "credential", "client_secret", "anon")):
        return {**said, "account_name": account}
    own = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", account)
    by_login = Path(os.environ.get("AZURE_CONFIG_DIR", "~/.azure")).expanduser().is_dir()
    if own != account or not (by_login or any(os.environ.get(name) for name in _AZURE_SIGNS)):
        cure = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
        raise _nothing(address, f"the storage account {account}", "account_name and account_key, or sas_token", cure)
    return {"anon": False, **said, "account_name": account}


def _google(address: Address, said: Dict[str, Any]) -> Dict[str, Any]:
    if said.get("token") or os.environ.get("STORAGE_EMULATOR_HOST"):
        return said
    try:
        import google.auth
        import google.auth.exceptions
    except ImportError:
        return said  # as with botocore
    try:
        google.auth.default()
    except google.auth.exceptions.DefaultCredentialsError:
        raise _nothing(address, f"the bucket {address.bucket}", "token", "GOOGLE_APPLICATION_CREDENTIALS") from None
    return said


def _nothing(address: Address, whose: str, members: str, variables: str) -> Refused:
    return Refused(
        f"{address.url} is in {whose}, for which there are no credentials. Give some by name (--credentials; members {members}), or set {variables}."
    )
