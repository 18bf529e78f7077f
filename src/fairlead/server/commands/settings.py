"""`python -m fairlead.server settings`: every setting, its value, and who said it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from fairlead.server import settings as store
from fairlead.server.settings import Settings


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(settings: Settings, _told: Namespace, flags: dict[str, Any]) -> dict[str, Any]:
    effective = {"database_url": settings.database, "store_url": settings.store, "unsafe_formats": settings.formats, "log_file": settings.log_path or "-"}
    items = [
        {"name": name, "value": store.shown(effective.get(name, said.value)), "source": said.source, "variable": f"FAIRLEAD_{name.upper()}"}
        for name, said in store.told(flags).items()
        if name != "local"
    ]
    return {"settings": items}
