"""What no target can run, and what cannot change while a service runs."""

from __future__ import annotations

import re

from fairlead.errors import UsageError
from fairlead.targets.types import Service

LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|::1|localhost")
SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def check(service: Service) -> None:
    """Raises UsageError for what can never run."""
    if service.auth.mode == "none" and not is_loopback(service.host):
        raise UsageError(f"{service.name} would be open to everyone who can reach {service.host}: ask for keys or tokens, or bind it to 127.0.0.1.")
    if service.auth.mode == "key" and "primary" not in service.auth.key_hashes:
        raise UsageError(f"{service.name} asks for keys and has none: give the SHA-256 of a primary key, or turn keys off.")
    if service.auth.mode == "token" and (len(service.auth.token_secret) < 32 or not service.auth.audience):
        raise UsageError(f"{service.name} asks for tokens: give a secret of 32 bytes or more, and the audience that tokens are made for.")
    if min(service.workers, service.replicas) < 1:
        raise UsageError(f"{service.name} needs at least one worker and one replica.")
    for name in service.secrets:
        if not SECRET_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a secret: it becomes a file; use letters, digits, dots, dashes and underscores.")
    for name, value in service.environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise UsageError(f"{name!r} is no environment variable: a name has no =, and neither name nor value has a NUL.")


def check_address(service: Service, host: str, port: int, *, tls: bool) -> None:
    """Raises UsageError for a service that would move away from where it runs."""
    asked = service.port or port
    if (service.host, asked) != (host, port):
        raise UsageError(f"{service.name} runs at {host}:{port} and cannot move to {service.host}:{asked} while it does: stop it, and deploy it there.")
    if (service.tls is not None) != tls:
        raise UsageError(f"{service.name} runs {'with' if tls else 'without'} TLS, which cannot change while it does: stop it, and deploy it again.")


def is_loopback(host: str) -> bool:
    return LOOPBACK.fullmatch(host) is not None


def endpoint_of(host: str, port: int, *, tls: bool) -> str:
    """Where a client of this machine finds it."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to show, not to bind
    return f"{'https' if tls else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{port}"
