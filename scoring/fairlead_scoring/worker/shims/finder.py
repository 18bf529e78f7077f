"""Finds modules that nobody else finds: at the end of sys.meta_path, so that whatever is installed comes first, module by module.

An installed `azureml` that lacks `azureml.core` gets just that: Python asks every finder for each dotted name, whoever provided the parent.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Dict, Optional, Sequence

from fairlead_scoring.worker.shims.names import ALIASES, NAMES, VERSION

HERE = "fairlead_scoring.worker.shims"
ABSENT = "absent"


def install() -> None:
    """Once per process; a second call changes nothing."""
    if not any(isinstance(finder, ShimFinder) for finder in sys.meta_path):
        sys.meta_path.append(ShimFinder())


class ShimFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:  # noqa: ARG002
        if fullname in ALIASES:
            return importlib.util.spec_from_loader(fullname, _AliasLoader())
        if fullname in NAMES or any(name.startswith(fullname + ".") for name in (*NAMES, *ALIASES)):
            return importlib.util.spec_from_loader(fullname, _ShimLoader(), origin="Fairlead's stand-in", is_package=True)
        return None


class _ShimLoader(importlib.abc.Loader):
    """Fills a module with names from ours."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update({"__version__": VERSION, "VERSION": VERSION})
        for source, names in NAMES.get(module.__name__, {}).items():
            for name in names.split():
                setattr(module, name, _found(source, name))


class _AliasLoader(importlib.abc.Loader):
    """Makes a name another module altogether, with all of it that is loaded: old pickles name `sklearn.externals.joblib.numpy_pickle`."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        alias, name = module.__name__, ALIASES[module.__name__]
        importlib.import_module(name)
        loaded: Dict[str, ModuleType] = {key: value for key, value in sys.modules.items() if key == name or key.startswith(name + ".")}
        sys.modules.update({alias + key[len(name) :]: value for key, value in loaded.items()})


def _found(source: str, name: str) -> Any:
    implementation = importlib.import_module(f"{HERE}.{source}")
    return implementation.stand_in(name) if source == ABSENT else getattr(implementation, name)
