"""How this machine reaches its package index, for builds inside containers: they see neither its files nor its certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.environments import pip_settings

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # arguments that every builder knows and keeps nowhere
_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_INDEXES = {"index-url": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"), "extra-index-url": ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL")}
_NOT_INSIDE = ("cert", "find-links")  # the one goes as a file of its own, the other is a folder here


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """`pip`: a configuration file of pip, which may hold passwords. `authorities`: certificates in PEM. Neither becomes part of an image."""

    pip: str = ""
    authorities: str = ""
    proxies: tuple[str, ...] = ()  # names of variables that are set

    def __repr__(self) -> str:
        return "BuildSettings()"


def of_this_machine(variables: Mapping[str, str] = os.environ) -> BuildSettings:
    """Variables over configuration files of pip, as pip itself has it. Addresses that only this machine knows (file:) are left out."""
    kept = pip_settings.read(variables)
    for key, names in _INDEXES.items():
        said = next((variables[name] for name in names if variables.get(name)), None)
        if said is not None:
            kept[key] = said
    lines = [f"{key} = {' '.join(words)}" for key, value in sorted(kept.items()) if (words := _reachable(value)) and key not in _NOT_INSIDE]
    named = next((variables[name] for name in _AUTHORITIES if variables.get(name)), kept.get("cert", ""))
    return BuildSettings(
        pip="\n".join(["[global]", *lines, ""]) if lines else "",
        authorities=_text(Path(named)) if named else "",
        proxies=tuple(name for name in PROXIES if variables.get(name)),
    )


def _reachable(value: str) -> list[str]:
    return [word for word in value.split() if not word.startswith("file:")]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
