"""Entry of the proof process: reads a job, writes a result, both JSON. Registers its own package, so that no site-packages of ours are seen."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType


def main() -> int:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    register("fairlead_scoring", Path(job["scoring"]))
    register("fairlead_prover", here)
    result = importlib.import_module("fairlead_prover.proof").prove(job)
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def register(name: str, folder: Path) -> ModuleType:
    """Make a package importable from its folder, and nothing beside it."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no package.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    raise SystemExit(main())
