"""Where a scoring script without code of its own finds its model: the one file or folder under AZUREML_MODEL_DIR.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import List


def model_file(*suffixes: str) -> Path:
    """The model file: the only one with such a suffix, or the only file at all. Raises FileNotFoundError with what is there."""
    files = _files()
    for chosen in ([path for path in files if path.name.lower().endswith(suffixes)], files):
        if len(chosen) == 1:
            _see_code_beside(chosen[0])
            return chosen[0]
    shown = ", ".join(path.name for path in files[:8]) or "nothing"
    raise FileNotFoundError(
        "One model file ({}) is needed in AZUREML_MODEL_DIR, found {}. Bundle the model alone, or write a score.py.".format(" ".join(suffixes), shown)
    )


def model_folder(marker: str) -> Path:
    """The folder that holds `marker` (a file of the format), nearest to the top. Raises FileNotFoundError."""
    found = sorted((path.parent for path in _files() if path.name == marker), key=lambda folder: len(folder.parts))
    if not found:
        raise FileNotFoundError(f"A folder with {marker} is needed in AZUREML_MODEL_DIR, there is none. Bundle the folder, not a file in it.")
    return found[0]


def threads() -> int:
    """Threads for one `run()`: OMP_NUM_THREADS, which the runtime sets to cores ÷ workers, or the user to anything; else 1."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else 1


def _files() -> List[Path]:
    top = Path(os.environ["AZUREML_MODEL_DIR"])
    if top.is_file():
        return [top]
    found = (Path(place, name) for place, _, names in os.walk(str(top), followlinks=True) for name in names)
    return sorted(path for path in found if not path.name.startswith(".") and path.is_file())


def _see_code_beside(path: Path) -> None:
    """An MLflow folder may bring the modules that its pickle names, under `code`."""
    code = path.parent / "code"
    if (path.parent / "MLmodel").is_file() and code.is_dir() and str(code) not in sys.path:
        sys.path.append(str(code))
