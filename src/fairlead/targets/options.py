"""A Service in the words of the runtime: what `serve --options` and its keys file hold, wherever it runs."""

from __future__ import annotations

import base64
from typing import Any

from fairlead.targets.types import Auth, Service

ISSUER = "fairlead"
SAMPLE, EXPECTED, SECRETS, KEYS = "sample.json", "expected.json", "secrets", "keys.json"


def options_of(service: Service) -> dict[str, Any]:
    """Those that do not depend on the place."""
    return {
        "revision": service.revision,
        "generation": service.generation,
        "name": service.name,
        "limits": dict(service.limits),
        "environment": dict(service.environment),
        "tolerance": service.tolerance,
        "unsafe_formats": service.unsafe_formats,
        "log_level": service.log_level,
        "log_form": "json",
    }


def input_files(service: Service) -> dict[str, bytes]:
    """Sample, recorded answer and secrets, by path."""
    files = {f"{SECRETS}/{name}": value for name, value in service.secrets.items()}
    return files | {name: value for name, value in ((SAMPLE, service.sample), (EXPECTED, service.expected)) if value is not None}


def input_paths(service: Service, folder: str) -> dict[str, str | None]:
    """The options that point to them."""
    return {
        "secrets": f"{folder}/{SECRETS}" if service.secrets else None,
        "sample": f"{folder}/{SAMPLE}" if service.sample is not None else None,
        "expected": f"{folder}/{EXPECTED}" if service.expected is not None else None,
    }


def keys_of(auth: Auth) -> dict[str, Any] | None:
    """The keys file; None where no key is asked for."""
    if auth.mode == "none":
        return None
    if auth.mode == "token":
        secret = base64.urlsafe_b64encode(auth.token_secret).decode().rstrip("=")
        return {"token": {"secret": secret, "audience": auth.audience, "issuer": ISSUER}}
    return {name: f"sha256:{digest.removeprefix('sha256:')}" for name, digest in auth.key_hashes.items()}
