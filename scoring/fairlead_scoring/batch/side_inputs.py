"""Side inputs: fetched before init(), and given to the script as paths."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Optional

from fairlead_scoring.batch import workplace
from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.job_places import Secrets
from fairlead_scoring.batch.places import Vanished, open_place
from fairlead_scoring.errors import UsageFault


def fetch_all(order: Order, secrets: Secrets, folder: str, there: Mapping[str, str]) -> Dict[str, str]:
    """Name → path. there: those that are here already. Raises PlaceFault, UsageFault."""
    missing = {name: url for name, url in order.side_inputs.items() if name not in there}
    return {**there, **{name: _fetch(url, os.path.join(folder, "side", name), _credentials(order, secrets, name)) for name, url in missing.items()}}


def _credentials(order: Order, secrets: Secrets, name: str) -> Optional[Mapping[str, Any]]:
    said = order.side_credentials.get(name)
    if said is not None and said not in secrets:
        raise UsageFault(f"The side input {name!r} names the credentials {said!r}, and there are none of that name; see `fairlead secret list`.")
    return None if said is None else secrets[said]


def _fetch(url: str, folder: str, credentials: Optional[Mapping[str, Any]]) -> str:
    """A file, or a folder with all that is below it; what is here already stays where it is."""
    path = workplace.local_path(url)
    if path is not None:
        if not os.path.exists(path):
            raise Vanished(f"The side input {path} is not there. See to its name.")
        return os.path.abspath(path)
    os.makedirs(folder, exist_ok=True)
    place = open_place(url, credentials)
    if place.exists(url):
        return str(place.fetch(url, folder))
    for entry in place.entries():
        place.fetch(entry.url, folder)
    return folder
