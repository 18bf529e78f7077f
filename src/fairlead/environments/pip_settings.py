"""pip's settings of this machine: where packages come from, and whom to trust. uv itself reads none of them."""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path

_OTHERS = ("trusted-host", "timeout", "retries")
_ADDRESSES = ("index-url", "extra-index-url", "find-links", "cert")
_OF_UV = ("UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_URL", "UV_NO_INDEX")


def for_uv(given: Mapping[str, str]) -> dict[str, str]:
    """Variables that tell uv what pip is told; none about packages where uv has settings of its own, which then stand alone.

    Folders and file: indexes that only extend an index are left out but for find-links: uv would list the hashes of one wheel of a version where
    the index has one for every platform. Among further indexes uv's own order holds, which a namesake on another index cannot get around.
    """
    said = read(given)
    variables = {"SSL_CERT_FILE": said["cert"]} if said.get("cert") and not given.get("SSL_CERT_FILE") and Path(said["cert"]).is_file() else {}
    if any(given.get(name) for name in _OF_UV) or any(path.is_file() for path in _files_of_uv(given)):
        return variables
    further = [word for word in said.get("extra-index-url", "").split() if not word.startswith("file:")]
    links = [word for word in said.get("find-links", "").split() if "://" in word or Path(word).is_dir()]
    if said.get("index-url"):
        variables["UV_DEFAULT_INDEX"] = said["index-url"]
    if further:
        variables["UV_INDEX"] = " ".join(further)  # uv's order, not pip's: what one of these has is taken from there alone, so no namesake elsewhere wins
    if links:
        variables["UV_FIND_LINKS"] = ",".join(links)
    return variables


def read(given: Mapping[str, str]) -> dict[str, str]:
    """By pip's names; variables over configuration files, as pip has it."""
    kept: dict[str, str] = {}
    for path in _files(given):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
        except (OSError, configparser.Error):
            continue  # pip itself will say so
        for section in ("global", "install"):
            if parser.has_section(section):
                kept.update({key: value for key, value in parser.items(section) if key in (*_ADDRESSES, *_OTHERS)})
    variables = {key: given.get(f"PIP_{key.upper().replace('-', '_')}") for key in _ADDRESSES}
    return kept | {key: value for key, value in variables.items() if value}


def _files(given: Mapping[str, str]) -> Iterator[Path]:
    """Where pip looks, the strongest last (contract: pip's documentation, Configuration)."""
    yield Path("/etc/pip.conf")
    yield _home(given) / ".pip" / "pip.conf"
    yield _configurations(given) / "pip" / "pip.conf"
    if given.get("PIP_CONFIG_FILE"):
        yield Path(given["PIP_CONFIG_FILE"])


def _files_of_uv(given: Mapping[str, str]) -> Iterator[Path]:
    yield Path("/etc/uv/uv.toml")
    yield _configurations(given) / "uv" / "uv.toml"


def _configurations(given: Mapping[str, str]) -> Path:
    return Path(given.get("XDG_CONFIG_HOME") or _home(given) / ".config")


def _home(given: Mapping[str, str]) -> Path:
    return Path(given.get("HOME") or "~").expanduser()
