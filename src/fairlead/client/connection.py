"""Which server, which workspace, which token: arguments over FAIRLEAD_URL, FAIRLEAD_TOKEN, FAIRLEAD_WORKSPACE over the user's configuration file over the
local server, which starts by itself."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2

from fairlead import places
from fairlead.client import local_server
from fairlead.client.transport import Transport
from fairlead.errors import UsageError

CONFIG_FILE = "config.json"
TARGET = "target"
TOKEN_FILE = "token"  # noqa: S105 - its name, not its content


def connect(*, url: str | None = None, token: str | None = None, workspace: str | None = None) -> Transport:
    """Raises UsageError when a server is named without a token, Unavailable when the local one cannot be started."""
    kept = _configuration()
    chosen = url or os.environ.get("FAIRLEAD_URL") or kept.get("url")
    where = workspace or os.environ.get("FAIRLEAD_WORKSPACE") or kept.get("workspace") or "default"
    given = token or os.environ.get("FAIRLEAD_TOKEN") or (_token_file(kept) if chosen == kept.get("url") else None)  # a token goes to its own server only
    ca_file = os.environ.get("FAIRLEAD_CA_FILE") or kept.get("ca_file")
    if chosen is None:
        found = local_server.ensure()
        if not (given or found.token):
            raise UsageError(f"The local server {found.url} left no token; set FAIRLEAD_TOKEN. An administrator makes one with `fairlead token create`.")
        return Transport(found.url, given or found.token, where, trust=local_server.trust(found))
    if given is None:
        raise UsageError(f"There is no token for {chosen}; set FAIRLEAD_TOKEN. An owner makes one with `fairlead token create`.")
    return Transport(chosen, given, where, trust=Path(ca_file) if ca_file else None)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the configuration file says; without a url, the local server."""

    url: str | None = None
    workspace: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None


def choose(choice: Choice) -> None:
    """Writes the configuration file, whole but for the default target, for its owner's eyes."""
    said = {name: str(value) for name, value in asdict(choice).items() if value is not None}
    _keep(said | {name: value for name, value in _kept_anyway().items() if name == TARGET})


def default_target() -> str | None:
    """Where services go when nobody says it: FAIRLEAD_TARGET over the configuration file; None leaves it to the server. Not checked."""
    return os.environ.get("FAIRLEAD_TARGET") or _configuration().get(TARGET) or None


def choose_target(target: str | None) -> None:
    """From now on; None: the server's own choice."""
    kept = {name: value for name, value in _configuration().items() if name != TARGET}
    _keep(kept | ({TARGET: target} if target is not None else {}))


def configured_url() -> str | None:
    """The server that was chosen; None: the local one. Starts nothing."""
    return os.environ.get("FAIRLEAD_URL") or _configuration().get("url")


def keep_token(token: str) -> Path:
    path = places.config_dir() / TOKEN_FILE
    _write_private(path, token + "\n")
    return path


def read_token(path: Path) -> str:
    """Raises UsageError, also when others of this machine can read it."""
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"The token file {path} cannot be read ({error}); set FAIRLEAD_TOKEN instead.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"The token file {path} can be read by others; run `chmod 600 {path}`.")
    if not token:
        raise UsageError(f"The token file {path} is empty; write the token into it.")
    return token


def checked_url(url: str) -> str:
    """Raises UsageError for what is no address of a server."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.userinfo:
        raise UsageError(f"{url!r} is no address of a server; write such as https://fairlead.example.org.")
    return url.rstrip("/")


def _keep(said: dict[str, Any]) -> None:
    _write_private(places.config_dir() / CONFIG_FILE, json.dumps(said, indent=2) + "\n")


def _kept_anyway() -> dict[str, Any]:
    """Whoever chooses a server anew need not mend a broken file first."""
    try:
        return _configuration()
    except UsageError:
        return {}


def _configuration() -> dict[str, Any]:
    path = places.config_dir() / CONFIG_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); correct it, or delete it.") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must be a JSON object with url, workspace and token_file; correct it, or delete it.")
    return content


def _token_file(kept: dict[str, Any]) -> str | None:
    path = kept.get("token_file")
    if not path:
        return None
    return read_token(Path(path))


def _write_private(path: Path, text: str) -> None:
    try:
        places.make_private(path.parent)
        number, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(new).replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); make room, or correct the folder's rights.") from error
