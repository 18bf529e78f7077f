"""Makes the virtual environment of every peer under benchmarks/.peers/ from its pinned requirements.

python -m benchmarks.peers                   all of them
python -m benchmarks.peers fastapi fairlead  some
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = HERE / ".peers"
REQUIREMENTS = HERE / "requirements"

NAMES = ("models", "asgi", "fastapi", "fairlead", "azureml", "litserve", "mlflow", "bentoml", "ray", "batch")


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment; SystemExit with the cure when it was not made."""
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"The environment of '{name}' is missing: run `python -m benchmarks.peers {name}`.")
    return python


def make(name: str) -> Path:
    """Makes or renews one environment; nothing happens when its requirements did not change."""
    lock = REQUIREMENTS / f"{name}.txt"
    stamp = PEERS / name / "requirements.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(PEERS / name, clear=True, with_pip=True)
        _pip(name, "-r", str(lock))
        if name in ("fairlead", "batch"):
            _pip(name, "--no-deps", "-e", str(ROOT / "scoring"), "-e", str(ROOT))
        stamp.write_text(wanted)
    return PEERS / name


def _pip(name: str, *arguments: str) -> None:
    command = [str(PEERS / name / "bin" / "python"), "-m", "pip", "install", "--quiet", *arguments]
    print("+", " ".join(command), flush=True)
    subprocess.run(command, check=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PEER", help=", ".join(NAMES))
    names = parser.parse_args(arguments).names or list(NAMES)
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"unknown peer {', '.join(unknown)}; known are {', '.join(NAMES)}")
    for name in names:
        print(f"{name}: {make(name)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
