"""Images: time to make one, size, what a swapped model sends, and time to ready, beside `docker build` of a plain Dockerfile.

python -m benchmarks.images [--rounds 3] [--only build,swap,size,ready,bentoml]

Needs root's Docker engine with BuildKit, docker-registry, and .base/base.tar (scripts/base-image). Ours is the command `fairlead package` with
its server running, as dockerd is; both sides have the base, and every wheel in their installer's cache (uv's, pip's). All are taken in turn, on an
otherwise quiet machine; ratios are taken within a round, the median is shown.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import image_peers, image_registry, image_start, results
from benchmarks.docker_build import NAME, Plain, plain
from benchmarks.peers import ROOT
from fairlead.client.connection import connect
from fairlead.environments.locking import lock
from fairlead.environments.spec import EnvironmentSpec
from fairlead.images.pip_wheel import pip_wheel
from fairlead.schemas.images import Image
from fairlead.sdk import packaging

FAIRLEAD = Path(sys.executable).with_name("fairlead")
BASE = ROOT / ".base" / "base.tar"
BASE_NAME = "fairlead-test/base:1"
PACKAGES = ("scikit-learn==1.9.1", "pandas")
PADDING = 10_000_000  # bytes that no compression makes smaller
SCRIPT = """import json
import os
import joblib


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "iris.joblib"))["model"]


def run(data):
    return model.predict(json.loads(data)["data"]).tolist()
"""
TRAIN = """import os, sys, joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))
joblib.dump({"model": model, "padding": os.urandom(int(sys.argv[2]))}, sys.argv[1])
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=",".join(PARTS) + "; results of others are kept")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fairlead-images-") as name, _ground(Path(name)) as ground:
        command = shlex.join(["python", "-m", "benchmarks.images", *arguments])
        records = [{"part": part, "command": command, **PARTS[part](ground, options.rounds)} for part in options.only]
    for record in records:
        print(record, flush=True)
    before = (results.read("images") or {"records": []})["records"]
    results.write("images", [*(each for each in before if each["part"] not in options.only), *records])


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What both sides have. `bundles`: two that differ in their model alone. `image`: ours of the first, loaded into the engine as `name`."""

    room: Path
    lock: str
    bundles: tuple[Path, Path]
    plain: Plain
    image: Image
    name: str


@contextmanager
def _ground(room: Path) -> Iterator[Ground]:
    os.environ |= {"FAIRLEAD_HOME": str(room / "home"), "FAIRLEAD_IMAGE_BASE": str(BASE)}
    subprocess.run(["docker", "load", "--quiet", "--input", BASE], check=True, capture_output=True)
    locked = lock(EnvironmentSpec(requirements=PACKAGES, python="3.11")).text
    bundles = _bundle(room, locked, "one"), _bundle(room, locked, "two")
    context = plain(BASE_NAME, locked, pip_wheel(room), room)
    context.use(bundles[0])
    context.fill_caches()
    try:
        subprocess.run([FAIRLEAD, "server", "start"], check=True, capture_output=True)
        image, _ = package(bundles[0], "first")
        with connect() as transport:
            name = packaging.load(transport, image)
        yield Ground(room=room, lock=locked, bundles=bundles, plain=context, image=image, name=name)
    finally:
        subprocess.run([FAIRLEAD, "server", "stop"], check=False, capture_output=True)
        listed = subprocess.run(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"], check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(["docker", "rmi", *(each for each in listed if each.startswith((f"{NAME}:", "first:")))], check=False, capture_output=True)


def _bundle(room: Path, locked: str, name: str) -> Path:
    folder = room / name
    folder.mkdir()
    (folder / "score.py").write_text(SCRIPT)
    (folder / "requirements.txt").write_text(locked)
    subprocess.run([sys.executable, "-c", TRAIN, folder / "iris.joblib", str(PADDING)], check=True)
    options = ["--script", "score.py", "--requirements", "requirements.txt", "--name", "iris", "-o", "bundle"]
    subprocess.run([FAIRLEAD, "bundle", "iris=iris.joblib", *options], check=True, capture_output=True, cwd=folder)
    return folder / "bundle"


def package(bundle: Path, name: str) -> tuple[Image, float]:
    """The image, and the seconds of `fairlead package`."""
    started = time.perf_counter()
    done = subprocess.run([FAIRLEAD, "package", bundle, "--name", name, "--json"], capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"The image cannot be made: {done.stderr[-800:]}")
    return Image.model_validate_json(done.stdout), took


def build(ground: Ground, rounds: int) -> dict[str, Any]:
    """Seconds of every way in turn. `fresh`: nothing packed; `packed`: every package packed before, but in no such layer; `again`: all is there."""
    ours = ground.room / "home" / "cache" / "images"
    ways: dict[str, Callable[[int], float]] = {
        "docker_fresh": lambda turn: ground.plain.build("built"),
        "docker_folder": lambda turn: ground.plain.build("built", wheels="folder"),
        "docker_again": lambda turn: ground.plain.build("built", wheels="folder", cached=True),
        "fresh": lambda turn: _packaged(ground, f"fresh-{turn}", ours / "parts", ours / "layers", ours / "wheels"),
        "packed": lambda turn: _packaged(ground, f"packed-{turn}", ours / "layers", ours / "wheels"),
        "again": lambda turn: _packaged(ground, f"again-{turn}"),
    }
    seen: dict[str, list[float]] = {name: [] for name in ways}
    loads = []
    ground.plain.build("built", wheels="folder", cached=True)
    for turn in range(rounds):
        loads.append(os.getloadavg()[0])
        for name, way in ways.items():
            seen[name].append(way(turn))
            print(f"{name}: {seen[name][-1]:.2f} s", flush=True)
    against = {"fresh": "docker_fresh", "fresh_to_folder": "docker_folder", "packed": "docker_fresh", "again": "docker_fresh", "again_to_again": "docker_again"}
    ratios = {name: _ratio(seen[name.partition("_")[0]], seen[other]) for name, other in against.items()}
    return {"seconds": {name: statistics.median(each) for name, each in seen.items()}, "ratios": ratios, "load_before": loads}


def _packaged(ground: Ground, name: str, *forgotten: Path) -> float:
    for folder in forgotten:
        shutil.rmtree(folder)
    return package(ground.bundles[0], name)[1]


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def swap(ground: Ground, _rounds: int) -> dict[str, Any]:
    """Another model: what is new of the image, and what a registry that has the first one is sent."""
    first, (second, _) = ground.image, package(ground.bundles[1], "second")
    new = [each for each in second.platforms[0].layers if each.digest not in {layer.digest for layer in first.platforms[0].layers}]
    model = (ground.bundles[1] / "azureml-models" / "iris" / "1" / "iris.joblib").stat().st_size
    with image_registry.running(ground.room) as registry, connect() as transport:
        packaging.push(transport, first, f"{registry.host}/ours:1", lambda _line: None)
        before = registry.stored()
        pushed = packaging.push(transport, second, f"{registry.host}/ours:2", lambda _line: None)
        ours = registry.stored() - before
        theirs = image_registry.docker_swap(registry, ground.plain, ground.bundles)
    return {
        "new_layers": [each.what for each in new],
        "model_bytes": model,
        "sent_bytes": pushed.sent_bytes,
        "above_model_bytes": max(pushed.sent_bytes, ours) - model,
        "docker_above_model_bytes": theirs - model,
    }


def size(ground: Ground, _rounds: int) -> dict[str, Any]:
    """Compressed bytes, by layer; `added` is what is neither base nor the user's packages nor the model."""
    layers = ground.image.platforms[0].layers
    sizes = {what: sum(each.size for each in layers if each.what == what) for what in dict.fromkeys(each.what for each in layers)}
    own = {"base", "environment", *(what for what in sizes if what.startswith("model:"))}
    with image_registry.running(ground.room) as registry:
        ground.plain.use(ground.bundles[0])
        ground.plain.build("built", wheels="folder", cached=True)
        docker = image_registry.docker_sizes(registry, f"{NAME}:built")
    added = (ground.image.size or 0) - sum(sizes[what] for what in own)
    whole = {"added_mb": added / 1e6, "total_mb": (ground.image.size or 0) / 1e6, "docker_mb": sum(docker) / 1e6}
    return {**whole, "layers": sizes, "docker_layers": docker}


def ready(ground: Ground, rounds: int) -> dict[str, Any]:
    return image_start.measure(ground.name, ground.bundles[0], ground.lock, ground.room, max(5, rounds))


def bentoml(ground: Ground, _rounds: int) -> dict[str, Any]:
    return image_peers.bentoml(BASE_NAME, ground.lock, ground.room)


PARTS: dict[str, Callable[[Ground, int], dict[str, Any]]] = {"build": build, "swap": swap, "size": size, "ready": ready, "bentoml": bentoml}

if __name__ == "__main__":
    main(sys.argv[1:])
