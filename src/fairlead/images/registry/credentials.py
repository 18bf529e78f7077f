"""What a registry lets in: from the caller, from the environment, or from where `docker login` keeps it.

Secrets are never shown: not by repr, not in an error, not in the arguments of a process.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.errors import UsageError
from fairlead.images.registry.references import DEFAULT_HOST

USER_VARIABLE = "FAIRLEAD_REGISTRY_USER"
PASSWORD_VARIABLE = "FAIRLEAD_REGISTRY_PASSWORD"  # noqa: S105 - the name of a variable
HOST_VARIABLE = "FAIRLEAD_REGISTRY_HOST"

_DEFAULT_HOST_KEY = "https://index.docker.io/v1/"  # under which Docker keeps the default registry's
_IDENTITY_USER = "<token>"  # a helper says so that its secret is an identity token
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user with a password, or an identity token (OAuth 2 refresh token) that `docker login` got in its place."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def hide_in(self, text: str) -> str:
        """The text without them, whoever echoed them."""
        for secret in (self.password, self.identity_token, self.basic.removeprefix("Basic ")):
            text = text.replace(secret, "***") if secret else text
        return text


def find_credentials(host: str, environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """For the registry of that host; None: nobody said any, so ask as anybody.

    The variables FAIRLEAD_REGISTRY_USER and _PASSWORD come first for the host that FAIRLEAD_REGISTRY_HOST names. Without that
    one they are for every host that Docker's configuration does not know, except the public default, which is no place for them.
    Raises UsageError when the configuration cannot be read or a helper fails.
    """
    said = _from_variables(environ)
    if said and environ.get(HOST_VARIABLE) == host:
        return said
    known = _from_docker(host, environ)
    return known or (said if not environ.get(HOST_VARIABLE) and host != DEFAULT_HOST else None)


def _from_variables(environ: Mapping[str, str]) -> Credentials | None:
    user, password = environ.get(USER_VARIABLE, ""), environ.get(PASSWORD_VARIABLE, "")
    if bool(user) != bool(password):
        raise UsageError(f"Only one of {USER_VARIABLE} and {PASSWORD_VARIABLE} is set; set both, or none.")
    return Credentials(user=user, password=password) if user else None


def _from_docker(host: str, environ: Mapping[str, str]) -> Credentials | None:
    path = _config_path(environ)
    config = _read_config(path)
    helper = _section(config, "credHelpers").get(host) or config.get("credsStore")
    key = _DEFAULT_HOST_KEY if host == DEFAULT_HOST else host
    if helper and (found := _ask_helper(str(helper), key)):
        return found
    entry = next((value for name, value in _section(config, "auths").items() if _host_of(name) == host), None)
    return _from_entry(entry, host, path) if isinstance(entry, dict) else None


def _config_path(environ: Mapping[str, str]) -> Path:
    folder = environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as fault:
        raise UsageError(f"{path} cannot be read ({type(fault).__name__}); mend it, or set DOCKER_CONFIG to another folder.") from None
    return config if isinstance(config, dict) else {}


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _host_of(name: str) -> str:
    """Of a key in `auths`: older ones are addresses."""
    host = re.sub(r"^https?://", "", name).partition("/")[0]
    return DEFAULT_HOST if host in ("index.docker.io", "registry-1.docker.io") else host


def _from_entry(entry: dict[str, Any], host: str, path: Path) -> Credentials | None:
    token = str(entry.get("identitytoken") or "")
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(entry["auth"]), validate=True).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise UsageError(f"What {path} keeps for {host} is not readable; run `docker login {host}` again.") from None
    return Credentials(user=user, password=password, identity_token=token) if user or token else None


def _ask_helper(helper: str, key: str) -> Credentials | None:
    """A program of Docker's credential-helper protocol: the key on its input, JSON on its output."""
    program = shutil.which(f"docker-credential-{helper}") if _HELPER.fullmatch(helper) else None
    if program is None:
        raise UsageError(f"Docker's configuration names the credential helper docker-credential-{helper}, which is not on the PATH; install it.")
    try:
        done = subprocess.run([program, "get"], input=key, capture_output=True, text=True, timeout=_HELPER_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise UsageError(f"{program} did not answer for {key} ({type(fault).__name__}); run `{program} get` by hand.") from None
    if done.returncode:
        if "credentials not found" in (done.stdout + done.stderr).lower():
            return None
        raise UsageError(f"{program} has failed for {key} with exit code {done.returncode}; run `echo {key} | {program} get` to see why.")
    return _from_helper(done.stdout, program)


def _from_helper(said: str, program: str) -> Credentials | None:
    try:
        found = json.loads(said)
        user, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{program} answered something else than the credential-helper protocol has; update it.") from None
    if user == _IDENTITY_USER:
        return Credentials(identity_token=secret)
    return Credentials(user=user, password=secret) if user or secret else None
