"""The image of every example answers its sample as the host does: the same bundle, the same versions, another machine.

Images are built into one store with one cache, and the engine is sent only layers that it lacks. `async-backend` asks a backend beside it, in its container.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from fairlead.environments.locking import lock
from fairlead.environments.requirement_lines import read_requirements
from fairlead.environments.spec import EnvironmentSpec
from fairlead.images.archive import chain_ids
from fairlead.images.bases import open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.layout import LayoutBlobs
from tests.containers import require_base, require_engine
from tests.fairlead.images.running import clear_engine, load, running
from tests.live import Launcher, free_port
from tests.needs import require

pytestmark = pytest.mark.engine

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
JSON = {"Content-Type": "application/json"}
CUT = {"Content-Type": "multipart/form-data; boundary=cut"}
FORM = b'--cut\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\ncontent-type: image/jpeg\r\n\r\n%b\r\n--cut--\r\n'
PATIENTS = {"age": 59, "bmi": 32.1, "bp": 101}, {"age": 48, "bmi": 21.6, "bp": 87}
TRAIN = "python train.py"
DEMO = "python -c 'import demo; demo.OUT.mkdir(); demo.train()'"
NOTEBOOK = """python -c '
import json
cells = ["".join(cell["source"]) for cell in json.load(open("notebook.ipynb"))["cells"] if cell["cell_type"] == "code"]
exec("\\n".join(cell for cell in cells if not any(word in cell for word in ("fairlead", "service", "by_script"))))
open("sample.json", "w").write(json.dumps({"data": tests.head(2).to_dict("records")}))
'"""
SCIKIT = (
    "scikit-learn", "pandas", "pillow", "pydantic", "httpx2", "inference-schema[numpy-support,pandas-support]",
)  # fmt: skip
TORCH = ("torch", "numpy")
TORCH_VERSION = tuple(f"torch=={importlib.metadata.version(each)}" for each in ("torch",) if importlib.util.find_spec(each))


@dataclass(frozen=True, kw_only=True)
class Example:
    """`prepare`: shell, in a copy of the folder. `bundle`: arguments of `fairlead bundle`. `body`: what is asked, or the file that has it."""

    bundle: str
    body: Path | object
    prepare: str = TRAIN
    packages: tuple[str, ...] = SCIKIT
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)

    def content(self, folder: Path) -> bytes:
        said = (folder / self.body).read_bytes() if isinstance(self.body, Path) else json.dumps(self.body).encode()
        return FORM % said if self.headers is CUT else said


ALL = {
    "async-backend": Example(prepare="true", bundle="--script score.py --name orders", body={"customers": ["ada", "grace"]}),
    "azure-schema": Example(bundle="model=out/model.joblib --script score.py", body={"data": PATIENTS}),
    "azure-v1": Example(bundle="sklearn_regression_model=out/sklearn_regression_model.pkl --script score.py", body={"data": [[0.04, 0.05] * 5]}),
    "batched": Example(bundle="model=out/model.joblib --script score.py", body=Path("out/image.json")),
    "dataframe": Example(bundle="out/model.joblib", body=Path("out/customers.json")),
    "demo": Example(prepare=DEMO, bundle="out/model.joblib", body=Path("out/rows.json")),
    "image": Example(bundle="palette=out/palette.joblib --script score.py", body=Path("out/flower.jpg"), headers=CUT),
    "lightgbm": Example(bundle="out/model.txt", body=Path("out/patients.json"), packages=("lightgbm", "pandas")),
    "notebook": Example(prepare=NOTEBOOK, bundle="wine=wine.joblib --script score.py", body=Path("sample.json")),
    "onnx": Example(bundle="out/model.onnx", body=Path("out/wines.json"), packages=("onnxruntime",)),
    "pytorch": Example(bundle="out/digits.pt2", body=Path("out/images.json"), packages=TORCH),
    "pytorch (TorchScript)": Example(bundle="out/digits.pt", body=Path("out/images.json"), packages=TORCH),
    "scikit-learn": Example(bundle="out/model.joblib", body=Path("out/rows.json")),
    "streaming": Example(bundle="chain=out/chain.json --script score.py", body={"start": "beautiful", "words": 8}),
    "two-models": Example(bundle="cultivar=out/cultivar.joblib alcohol:3=out/alcohol.joblib --script score.py", body=Path("out/wines.json")),
    "typed": Example(bundle="model=out/model.joblib --script score.py", body={"patients": PATIENTS}),
    "xgboost": Example(bundle="out/model.ubj", body=Path("out/rows.json"), packages=("xgboost-cpu",)),
}


WITHOUT = {"batch", "spark-ml"}  # scores files, and has no service; needs Java, which the base image of the tests lacks


def test_none_is_left_out() -> None:
    assert WITHOUT | {name.partition(" ")[0] for name in ALL} == {each.name for each in EXAMPLES.iterdir() if each.is_dir()}


@pytest.mark.parametrize("name", ALL)
def test_answers_in_a_container_as_on_the_host(name: str, yard: Yard, tmp_path: Path, serve: Launcher) -> None:
    example, folder, port = ALL[name], tmp_path / "example", str(free_port())
    require(*(["torch"] if example.packages is TORCH else []))
    shutil.copytree(EXAMPLES / name.partition(" ")[0], folder, ignore=shutil.ignore_patterns("out", "__pycache__"))
    shell(example.prepare, folder)
    shell(f"fairlead bundle {example.bundle} -o bundle", folder)
    image = yard.image(folder / "bundle", example.packages)
    content, headers = example.content(folder), dict(example.headers)
    variables = {"FAIRLEAD_UNSAFE_FORMATS": "allow", "BACKEND": f"http://127.0.0.1:{port}"}
    with beside(folder / "backend.py", [sys.executable], port):
        expected = serve(folder / "bundle", env=variables).post("/score", content, headers)
    assert expected.status == 200
    with running(image, yard.mark, variables=variables) as container, beside(folder / "backend.py", ["docker", "exec", "-i", container.id, "python"], port):
        answer = httpx2.post(f"{container.url}/score", content=content, headers=headers, trust_env=False, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (expected.status, expected.headers["content-type"])
    assert answer.content == expected.body or answer.json() == expected.json()  # 1e-08 and 1e-8: not every environment has orjson


@dataclass(frozen=True, kw_only=True)
class Yard:
    """Where all images are made. `mark`: label of what is in the engine, and where its names begin; `versions`: those that the tests use.

    loaded: stacks of layers, from the lowest on, that the engine has.
    """

    folder: Path
    mark: str
    versions: tuple[str, ...]
    loaded: set[tuple[str, ...]] = field(default_factory=set)

    def image(self, bundle: Path, packages: tuple[str, ...]) -> str:
        """Loaded into the engine; answers its name."""
        cache, blobs = self.folder / "cache", LayoutBlobs(self.folder / "blobs")
        locked = lock(EnvironmentSpec(requirements=packages, constraints=self.versions, python="3.11"), kept=self.folder / "locks")
        base = open_base(require_base(), blobs, cache)
        recipe = ImageRecipe(bundle=bundle, lock=locked.text, python="3.11", base=base, labels={self.mark: "1"})
        image = build_image(recipe, blobs, cache).platforms[0]
        name, diff_ids = f"{self.mark}/{uuid.uuid4().hex[:8]}:1", [layer.diff_id for layer in image.layers]
        stacks = [tuple(diff_ids[:height]) for height in range(1, len(diff_ids) + 1)]
        there: Sequence[str] = max((each for each in stacks if each in self.loaded), key=len, default=())
        load(blobs, image, name, leave_out=chain_ids(there))
        self.loaded.update(stacks)
        return name


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Yard]:
    require_engine()
    mark = f"fairlead-test-examples-{os.getpid()}"
    lines = read_requirements(repository / "requirements" / "test.lock").requirements
    try:
        yield Yard(folder=tmp_path_factory.mktemp("yard"), mark=mark, versions=(*lines, *TORCH_VERSION))
    finally:
        clear_engine(mark)


def shell(command: str, folder: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], cwd=folder, env={**os.environ, "PATH": programs}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@contextmanager
def beside(script: Path, python: Sequence[str], port: str) -> Iterator[None]:
    """The example's backend, if it has one, run by that Python."""
    if not script.exists():
        yield
        return
    process = subprocess.Popen([*python, "-", port], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(script.read_bytes())
    process.stdin.close()
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
