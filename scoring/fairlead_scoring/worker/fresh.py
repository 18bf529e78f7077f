"""Imports what ships with a script from its source, never from a bytecode cache.

Python takes a cache for current when the source's size and whole second of change are the same; a script that is edited and reloaded within a
second can be both. Installed packages keep their caches.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Callable, List, Optional

_INSTALLED = (f"{os.sep}site-packages", f"{os.sep}dist-packages")
_LIBRARY = os.path.dirname(os.__file__)


class FreshLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> Optional[CodeType]:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def import_fresh_below(folders: List[Path]) -> None:
    """Modules and packages in and below these folders, but for what is installed there, are compiled each time."""
    roots = [str(folder.resolve()) for folder in folders]
    sys.path_hooks.insert(0, _hook(roots))
    for cached in [path for path in sys.path_importer_cache if _is_below(path, roots)]:
        del sys.path_importer_cache[cached]


def _hook(roots: List[str]) -> Callable[[str], Any]:
    def find(path: str) -> FileFinder:
        if not _is_below(path, roots):
            raise ImportError(path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (FreshLoader, SOURCE_SUFFIXES))

    return find


def _is_below(path: str, roots: List[str]) -> bool:
    if not os.path.isdir(path) or path.startswith(_LIBRARY) or any(each in path for each in _INSTALLED):
        return False
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)
