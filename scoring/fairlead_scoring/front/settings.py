"""What the supervisor tells the front at its start; parsed once, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead_scoring.front.limits import Limits

PATHS = ("keys_file", "tls_cert", "tls_key", "app_root")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontSettings:
    limits: Limits = field(default_factory=Limits)
    name: str = ""
    title: str = "ML service"
    version: str = "1.0"
    prefix: str = ""
    keys_file: Path | None = None
    cors_origins: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    says_version: bool = True
    is_loopback: bool = True
    app_root: Path | None = None
    log_form: str = "json"
    log_level: str = "info"

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> FrontSettings:
        paths: dict[str, Any] = {name: Path(told[name]) if told.get(name) else None for name in PATHS}
        limits = Limits(**told.get("limits", {}))
        origins = tuple(told.get("cors_origins", ()))
        rest = {name: value for name, value in told.items() if name not in paths and name not in ("limits", "cors_origins")}
        return cls(limits=limits, cors_origins=origins, **paths, **rest)
