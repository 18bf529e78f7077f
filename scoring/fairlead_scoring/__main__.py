"""`python -m fairlead_scoring serve|worker|ready|batch`, and the same by path: `python /…/fairlead_scoring worker`.

By path is how workers start: the package is registered from its own folder, so an environment that has none of Fairlead's
dependencies, and an older Python, can run it, and nothing of Fairlead's environment becomes importable there.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys


def main() -> int:
    if not __package__:
        _register()
    commands = {
        "serve": "fairlead_scoring.supervisor.main",
        "worker": "fairlead_scoring.worker.main",
        "front": "fairlead_scoring.front.main",
        "ready": "fairlead_scoring.supervisor.ready",
        "batch": "fairlead_scoring.batch.main",
        "batch-child": "fairlead_scoring.batch.child",
    }
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.stderr.write("usage: python -m fairlead_scoring serve BUNDLE [--port N] …   (serve --help lists all)\n")
        return 2
    command = importlib.import_module(commands[sys.argv[1]])
    return int(command.main(sys.argv[2:]))


def _register() -> None:
    """Make `fairlead_scoring` importable from this folder, and this folder's neighbours not."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]
    spec = importlib.util.spec_from_file_location("fairlead_scoring", os.path.join(here, "__init__.py"), submodule_search_locations=[here])
    if spec is None or spec.loader is None:
        raise ImportError(f"fairlead_scoring cannot be loaded from {here}")
    package = importlib.util.module_from_spec(spec)
    sys.modules["fairlead_scoring"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    sys.exit(main())
