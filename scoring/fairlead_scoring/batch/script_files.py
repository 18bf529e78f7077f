"""Files that a script of summary_only writes itself: into a folder of its process, from where they are brought to a store when a shard ends.

A file keeps its name, so a shard that is done again replaces what it left. A script that names its files by what is in them leaves each once.
"""

from __future__ import annotations

import os
import shutil
from typing import Callable, Dict, Iterator, Optional, Tuple

from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.places import Place
from fairlead_scoring.batch.places.database import DatabasePlace
from fairlead_scoring.batch.places.disk import DiskPlace

FOLDER = "AZUREML_BI_OUTPUT_PATH"
_CHUNK = 1 << 20


def files_of_script(order: Order, open_output: Callable[[], Place], folder: str) -> Optional[ScriptFiles]:
    """None where the script writes to where its files stay, or is to write none."""
    if order.output is None or order.output.action != "summary_only":
        return None
    place = open_output()
    return None if isinstance(place, (DiskPlace, DatabasePlace)) else ScriptFiles(place, folder)


class ScriptFiles:
    def __init__(self, place: Place, folder: str) -> None:
        """What lies in the folder now is the bundle's own, and stays here."""
        os.makedirs(folder, exist_ok=True)
        self._place, self._folder = place, folder
        self._known: Dict[str, Tuple[int, int]] = dict(self._each())

    def bring(self) -> None:
        """Those that are new or were changed. Raises PlaceFault."""
        for path, stamp in sorted(self._each()):
            if self._known.get(path) == stamp:
                continue
            with open(os.path.join(self._folder, path), "rb") as file, self._place.write(path.replace(os.sep, "/")) as out:
                shutil.copyfileobj(file, out, _CHUNK)
            self._known[path] = stamp

    def _each(self) -> Iterator[Tuple[str, Tuple[int, int]]]:
        for above, folders, names in os.walk(self._folder):
            folders[:] = [each for each in folders if not each.startswith((".", "_"))]
            for name in names:
                whole = os.path.join(above, name)
                if not name.startswith((".", "_")) and os.path.isfile(whole):
                    told = os.stat(whole)
                    yield os.path.relpath(whole, self._folder), (told.st_size, told.st_mtime_ns)
