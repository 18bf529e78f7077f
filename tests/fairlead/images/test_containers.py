"""Images in a real engine: loaded, run with a read-only root, answering as on the host; and what other tools say of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from fairlead_scoring.bundle import Bundle

from fairlead.bundles import ModelSource, Recipe, make
from fairlead.images.archive import chain_ids
from fairlead.images.bases import open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.layout import LayoutBlobs, write_layout, write_tar
from fairlead.images.types import BuiltImage
from tests.containers import require_base, require_engine
from tests.fairlead.images.conftest import bundle_of
from tests.fairlead.images.running import Container, clear_engine, docker, load, running
from tests.fairlead.test_bundles import never
from tests.live import Launcher
from tests.waiting import until

pytestmark = pytest.mark.engine

Lock = Callable[..., str]
ALLOW = {"FAIRLEAD_UNSAFE_FORMATS": "allow"}
CONTAINERD = "/var/run/docker/containerd/containerd.sock"
PACKAGES = ("scikit-learn", "scipy", "numpy", "joblib", "threadpoolctl", "narwhals", "cloudpickle")
SAMPLE = {"data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}
SCRIPT = """
import json
import os
import joblib

def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "iris.joblib"))

def run(data):
    return model.predict_proba(json.loads(data)["data"]).tolist()
"""
TRAIN = "import sys, joblib\nfrom sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression\n"
TRAIN += "joblib.dump(LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True)), sys.argv[1])\n"


@dataclass(frozen=True, kw_only=True)
class Iris:
    """A scikit-learn bundle, its image, and the name and label under which it is in the engine."""

    bundle: Bundle
    image: BuiltImage
    blobs: LayoutBlobs
    name: str
    mark: str
    identity: str


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory, image_cache: Path, locked: Lock) -> Iterator[Iris]:
    require_engine()
    folder, mark = tmp_path_factory.mktemp("iris"), f"fairlead-test-iris-{os.getpid()}"
    subprocess.run([sys.executable, "-c", TRAIN, folder / "iris.joblib"], check=True)
    (folder / "score.py").write_text(SCRIPT)
    (folder / "sample.json").write_text(json.dumps(SAMPLE))
    recipe = Recipe(models=[ModelSource(name="iris", path=folder / "iris.joblib")], script=folder / "score.py", sample=folder / "sample.json")
    bundle, blobs = make(recipe, folder / "bundle", never), LayoutBlobs(folder / "blobs")
    base = open_base(require_base(), blobs, image_cache)
    wanted = ImageRecipe(bundle=bundle.path, lock=locked(*PACKAGES), python="3.11", base=base, labels={mark: "1"})
    image = build_image(wanted, blobs, image_cache)
    name = f"{mark}/iris:1"
    try:
        yield Iris(bundle=bundle, image=image, blobs=blobs, name=name, mark=mark, identity=load(blobs, image.platforms[0], name))
    finally:
        clear_engine(mark)


@pytest.fixture(scope="module")
def served(iris: Iris) -> Iterator[Container]:
    with running(iris.name, iris.mark, variables=ALLOW) as container:
        yield container


def test_answers_its_sample_as_on_the_host_with_a_read_only_root(iris: Iris, served: Container, serve: Launcher) -> None:
    on_host = serve(iris.bundle.path, env=ALLOW).post("/score", SAMPLE)
    in_container = httpx2.post(f"{served.url}/score", json=SAMPLE, trust_env=False)
    assert in_container.status_code == on_host.status == 200
    assert in_container.json() == on_host.json()
    assert served.run("id", "-u").stdout.strip() == "10001"
    assert served.run("touch", "/opt/fairlead/x").returncode != 0


def test_every_module_comes_compiled(served: Container) -> None:
    for python, module in (("/opt/fairlead/env/bin/python", "sklearn.linear_model"), ("/opt/fairlead/runtime/bin/python", "fairlead_scoring.front.main")):
        said = served.run(python, "-v", "-c", f"import {module}").stderr
        loaded = [line for line in said.splitlines() if line.startswith("# code object from '/opt/fairlead/")]
        assert len(loaded) > 20
        assert [line for line in loaded if not line.endswith(".pyc'")] == []


def test_a_touched_source_is_not_looked_at(served: Container) -> None:
    """Unchecked hashes: neither times nor contents of sources are compared."""
    flags = served.run("python", "-c", "import joblib; print(open(joblib.__cached__, 'rb').read(8)[4:])").stdout.strip()
    assert flags == "b'\\x01\\x00\\x00\\x00'"


def test_health_is_asked_and_answered(iris: Iris, served: Container) -> None:
    probe = ["/opt/fairlead/runtime/bin/python", "-m", "fairlead_scoring", "ready"]
    assert json.loads(docker("inspect", iris.name))[0]["Config"]["Healthcheck"]["Test"] == ["CMD", *probe]
    assert [served.run(*probe, *port).returncode for port in ([], ["9"], ["none"])] == [0, 1, 1]
    until(lambda: served.state()["Health"]["Status"] == "healthy", "the engine to find it healthy", timeout=60)


def test_a_stop_is_heard(iris: Iris, engine_mark: str) -> None:
    with running(iris.name, engine_mark, variables=ALLOW) as container:
        docker("stop", "--time", "20", container.id)
        assert container.state()["ExitCode"] == 0


def test_the_engine_knows_the_image_by_our_digests(iris: Iris) -> None:
    assert iris.identity == f"sha256:{iris.image.platforms[0].config.digest}"
    layers = json.loads(docker("inspect", iris.name))[0]["RootFS"]["Layers"]
    assert layers == [f"sha256:{layer.diff_id}" for layer in iris.image.platforms[0].layers]


def test_layers_that_the_engine_has_need_not_be_sent(iris: Iris, tmp_path: Path, image_cache: Path, locked: Lock, engine_mark: str) -> None:
    """Another model: the archive has one layer in it."""
    base = open_base(require_base(), iris.blobs, image_cache)
    lock = locked(*PACKAGES)
    bundle = bundle_of(tmp_path, os.urandom(200_000))
    image = build_image(ImageRecipe(bundle=bundle.path, lock=lock, python="3.11", base=base, labels={engine_mark: "1"}), iris.blobs, image_cache).platforms[0]
    there = json.loads(docker("inspect", iris.name))[0]["RootFS"]["Layers"]
    load(iris.blobs, image, f"{engine_mark}/other:1", leave_out=chain_ids(each.removeprefix("sha256:") for each in there))
    with running(f"{engine_mark}/other:1", engine_mark) as container:
        assert httpx2.post(f"{container.url}/score", json={"data": [7]}, trust_env=False).json() == {"data": [7]}


@pytest.mark.needs("skopeo")
def test_skopeo_reads_and_copies_the_layout(iris: Iris, tmp_path: Path) -> None:
    image = iris.image.platforms[0]
    assert image.sbom is not None
    write_layout(iris.blobs, iris.image.descriptor, tmp_path / "out", "1", [image.sbom])
    said = skopeo("inspect", f"oci:{tmp_path / 'out'}:1")
    assert (said["Digest"], said["Architecture"], said["Os"]) == (f"sha256:{iris.image.descriptor.digest}", "amd64", "linux")
    assert said["Layers"] == [f"sha256:{layer.descriptor.digest}" for layer in image.layers]
    write_tar(iris.blobs, iris.image.descriptor, tmp_path / "out.tar", "1")
    skopeo("copy", "--quiet", f"oci-archive:{tmp_path / 'out.tar'}:1", f"oci:{tmp_path / 'copied'}:1")
    assert skopeo("inspect", f"oci:{tmp_path / 'copied'}:1")["Digest"] == said["Digest"]
    skopeo("copy", "--quiet", f"oci:{tmp_path / 'out'}:1", f"dir:{tmp_path / 'unpacked'}")  # reads every blob and compares its digest


@pytest.mark.needs("ctr")
def test_containerd_imports_and_runs_it(iris: Iris, tmp_path: Path) -> None:
    """Debian's containerd, the one that Docker's engine started, in a namespace of our own."""
    namespace, name = iris.mark, f"{iris.mark}:1"
    ctr = ["ctr", "--address", CONTAINERD, "--namespace", namespace]
    write_tar(iris.blobs, iris.image.descriptor, tmp_path / "image.tar", name)
    try:
        subprocess.run([*ctr, "images", "import", tmp_path / "image.tar"], check=True, capture_output=True)
        python = "/opt/fairlead/env/bin/python"
        done = subprocess.run([*ctr, "run", "--rm", name, namespace, python, "-c", "import sklearn; print(sklearn.__file__)"], capture_output=True, text=True)
        assert done.stdout.startswith("/opt/fairlead/env/"), done.stderr
    finally:
        subprocess.run([*ctr, "images", "rm", "--sync", name], capture_output=True)
        until(lambda: not subprocess.run([*ctr, "snapshots", "ls"], capture_output=True, text=True).stdout.splitlines()[1:], "containerd to clear up")
        subprocess.run(["ctr", "--address", CONTAINERD, "namespaces", "rm", namespace], check=True, capture_output=True)


def skopeo(*arguments: str) -> dict[str, object]:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout or "{}")
    return said
