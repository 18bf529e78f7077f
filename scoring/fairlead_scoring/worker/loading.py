"""Finding and importing the script, the way the Azure scoring server does it, with the traps in its sys.path taken out."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, List, NamedTuple, Optional

from fairlead_scoring.worker.faults import ScriptFault, while_initialising, while_loading
from fairlead_scoring.worker.fresh import FreshLoader, import_fresh_below

MODULE_NAME = "entry_module"


class Loaded(NamedTuple):
    """`path` is for messages. `init` is the outer script's, `run` the inner one's where a driver module wraps it."""

    path: str
    init: Callable[[], Any]
    run: Callable[..., Any]
    describe: Optional[Callable[[], Any]]

    def initialise(self) -> None:
        """The script's init(). Raises ScriptFault for whatever it raises, but for the Ctrl-C of whoever watches."""
        try:
            self.init()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise while_initialising(self.path, error) from error


def import_script(entry_script: Optional[Path], app_root: Path, source_dir: Optional[Path]) -> Loaded:
    """Raises ScriptFault. Without an entry script a module called `main` is imported."""
    entry_script = app_root / entry_script if entry_script else None
    _put_first([app_root, entry_script.parent if entry_script else None, source_dir])
    module = _import_file(entry_script) if entry_script else _import_main(app_root)
    path = str(entry_script) if entry_script else str(module.__file__)
    for name in ("init", "run"):
        if not callable(getattr(module, name, None)):
            raise ScriptFault(f"The script {path} does not define {name}(); a scoring script needs init() and run(data).")
    driver = getattr(module, "driver_module", None)
    inner = driver if isinstance(driver, ModuleType) and hasattr(driver, "run") else module
    return Loaded(path, module.init, inner.run, getattr(module, "describe", None))


def _put_first(folders: List[Optional[Path]]) -> None:
    """The app root, then the script's folder, then the source directory, before everything that is installed."""
    wanted = list(dict.fromkeys(str(folder.resolve()) for folder in folders if folder is not None))
    sys.path[:] = wanted + [folder for folder in sys.path if folder not in wanted]
    import_fresh_below([Path(folder) for folder in wanted])


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ScriptFault(f"The entry script {path} does not exist.")
    spec = importlib.util.spec_from_file_location(MODULE_NAME, str(path), loader=FreshLoader(MODULE_NAME, str(path)))
    if spec is None or spec.loader is None:
        raise ScriptFault(f"The entry script {path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module  # pickles and dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise while_loading(str(path), error) from error
    return module


def _import_main(app_root: Path) -> ModuleType:
    try:
        return importlib.import_module("main")
    except ModuleNotFoundError as error:
        if error.name == "main":
            raise ScriptFault(f"No entry script was named and there is no main.py in {app_root}.") from error
        raise while_loading("main.py", error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise while_loading("main.py", error) from error
