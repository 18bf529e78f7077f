"""Making a bundle: the same inputs give the same bytes anywhere, and what cannot work later is refused now."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.bundle import Bundle, lay_out
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.bundles import ModelSource, Recipe, make, open_bundle, parse_model
from fairlead.errors import Conflict, InvalidBundle, UsageError

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@dataclass(frozen=True)
class FakeFlavor:
    name: str = "fake"
    score_py: str = "# from the flavor\n"


@dataclass(frozen=True)
class FakeFound:
    flavor: FakeFlavor = FakeFlavor()
    requirements: tuple[str, ...] = ("fake==1.0", "numpy>=2")
    schema: dict[str, Any] | None = field(default=None)


def fake(path: Path) -> FakeFound:
    return FakeFound()


def never(path: Path) -> FakeFound:
    raise AssertionError("a recipe with a script asks no flavor")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A script with siblings, two models, requirements, a schema, a sample."""
    root = tmp_path / "in"
    (root / "src" / "pack" / "__pycache__").mkdir(parents=True)
    (root / "net" / "variables").mkdir(parents=True)
    contents = {
        "src/score.py": SCRIPT, "src/pack/__init__.py": "", "src/pack/__pycache__/x.pyc": "c", "src/tool.sh": "#!/bin/sh\n", "src/data.csv": "1,2\n",
        "src/notes.md": "n", "model.pkl": "pickle", "net/saved.pb": "pb", "net/variables/v.0": "v", "r.txt": "numpy==2.3.1\n",
        "env.yml": "dependencies: [python=3.11]\n", "sample.json": '{"data": [[1, 2]]}',
        "schema.json": json.dumps({"inputs": [{"name": "data", "type": {"kind": "tensor", "shape": [-1, 2]}}]}),
    }  # fmt: skip
    for name, text in contents.items():
        (root / name).write_text(text)
    (root / "src" / "tool.sh").chmod(0o700)
    return root


def recipe(files: Path, **changes: Any) -> Recipe:
    said: dict[str, Any] = {"models": [ModelSource(name="ridge", path=files / "model.pkl")], "script": files / "src" / "score.py", **changes}
    return Recipe(**said)


def whole(files: Path, **changes: Any) -> Recipe:
    models = [ModelSource(name="ridge", path=files / "model.pkl", version="3"), ModelSource(name="net", path=files / "net")]
    said = {"source_dir": files / "src", "requirements": files / "r.txt", "schema": files / "schema.json", "sample": files / "sample.json"}
    return recipe(files, models=models, **{**said, **changes})


def listed(bundle: Bundle) -> list[str]:
    return [each.path for each in bundle.manifest.files]


def refused(made: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        made()
    return str(caught.value)


def test_everything_is_in_its_place(files: Path, tmp_path: Path) -> None:
    bundle = make(whole(files, serving={"concurrency": 2}), tmp_path / "out", never)
    assert listed(bundle) == [
        "azureml-models/net/1/net/saved.pb", "azureml-models/net/1/net/variables/v.0", "azureml-models/ridge/3/model.pkl", "code/data.csv", "code/notes.md",
        "code/pack/__init__.py", "code/score.py", "code/tool.sh", "requirements.txt", "sample.json",
    ]  # fmt: skip
    assert [each.path for each in bundle.manifest.files if each.executable] == ["code/tool.sh"]
    manifest = bundle.manifest
    assert (manifest.name, manifest.entry_script, manifest.requirements, manifest.sample) == ("ridge", "score.py", "requirements.txt", "sample.json")
    assert manifest.serving == {"concurrency": 2}
    signature = manifest.signature()
    assert signature is not None
    assert signature.inputs[0].name == "data"
    assert open_bundle(tmp_path / "out").digest == bundle.digest
    assert lay_out(bundle, tmp_path / "work").model_dir == (tmp_path / "work" / "azureml-models").resolve()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "work"]


def test_a_script_ships_alone_unless_its_folder_is_asked_for(files: Path, tmp_path: Path) -> None:
    assert listed(make(recipe(files), tmp_path / "out", never)) == ["azureml-models/ridge/1/model.pkl", "code/score.py"]


def test_without_a_script_the_flavor_speaks(files: Path, tmp_path: Path) -> None:
    bundle = make(recipe(files, script=None), tmp_path / "out", fake)
    assert (bundle.path / "code" / "score.py").read_text() == "# from the flavor\n"
    assert (bundle.path / "requirements.txt").read_text() == "fake==1.0\nnumpy>=2\n"
    assert (bundle.manifest.flavor, bundle.manifest.models[0].flavor) == ("fake", "fake")
    given_own = make(recipe(files, script=None, conda=files / "env.yml"), tmp_path / "own", fake)
    assert (given_own.manifest.requirements, given_own.manifest.conda) == (None, "conda.yml")


MAKE = """
import os, sys, pathlib
os.umask(int(sys.argv[3], 8))
from fairlead.bundles import ModelSource, Recipe, make
root, out = map(pathlib.Path, sys.argv[1:3])
models = [ModelSource(name="ridge", path=root / "model.pkl", version="3"), ModelSource(name="net", path=root / "net")]
made = make(Recipe(models=models, script=root / "src/score.py", source_dir=root / "src", requirements=root / "r.txt", schema=root / "schema.json",
                   sample=root / "sample.json"), out, None)
print(made.digest)
"""


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(umask=st.sampled_from([0o000, 0o022, 0o077]), seed=st.integers(0, 2**32 - 1), order=st.randoms(use_true_random=False), time=st.integers(1, 2**31))
def test_the_same_inputs_give_the_same_bytes(files: Path, tmp_path: Path, umask: int, seed: int, order: random.Random, time: int) -> None:
    """Another umask, hash seed, place, modification time and order of creation, in another process."""
    reference = make(whole(files), tmp_path / "reference", never)
    place = tmp_path / f"elsewhere {umask} {seed}"
    paths = sorted(path for path in files.rglob("*") if path.is_file())
    order.shuffle(paths)
    for path in paths:
        copy = place / path.relative_to(files)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        os.utime(copy, (time, time))
    env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", MAKE, place, place / "out", f"{umask:o}"], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == reference.digest, done.stderr
    assert (place / "out" / "bundle.json").read_bytes() == (tmp_path / "reference" / "bundle.json").read_bytes()
    shutil.rmtree(place)


def test_a_place_that_is_taken(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    first = make(recipe(files), out, never)
    assert make(recipe(files), out, never) == first
    with pytest.raises(Conflict, match="already holds bundle"):
        make(whole(files), out, never)
    (out / "code" / "score.py").write_text("changed")
    with pytest.raises(Conflict, match=r"changed code/score\.py"):
        make(recipe(files), out, never)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(Conflict, match="exists and is no bundle"):
        make(recipe(files), tmp_path / "mine", never)
    with pytest.raises(InvalidBundle, match=r"changed code/score\.py"):
        open_bundle(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "mine", "out"]


def test_a_refusal_leaves_nothing_behind(files: Path, tmp_path: Path) -> None:
    (files / "src" / "score.py").write_text("def init(:\n")
    assert "line 1: " in refused(lambda: make(recipe(files), tmp_path / "sub" / "out", never))
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_script_is_compiled_never_run(files: Path, tmp_path: Path) -> None:
    (files / "src" / "score.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{SCRIPT}")
    make(recipe(files), tmp_path / "out", never)
    assert not (tmp_path / "ran").exists()
    (files / "src" / "score.py").write_bytes(b"x = '\xff'\n")
    assert "score.py, line" in refused(lambda: make(recipe(files), tmp_path / "other", never))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": [], "script": None}, "neither a model nor a script"),
        ({"models": [ModelSource(name="a", path=Path("x")), ModelSource(name="b", path=Path("y"))], "script": None}, "must be one model"),
        ({"script": None, "source_dir": Path()}, "give --script too"),
        ({"script": Path("absent.py")}, "Script absent.py does not exist"),
        ({"requirements": Path("r"), "conda": Path("c")}, "give one"),
        ({"schema": Path("s"), "schema_from_sample": True}, "not from both"),
        ({"schema_from_sample": True}, "give --sample FILE too"),
        ({"source_dir": Path("absent")}, "Source folder absent does not exist"),
        ({"name": "a b"}, "Bundle name 'a b' is not usable"),
        ({"models": [ModelSource(name="a", path=Path("absent"))]}, "absent does not exist"),
        ({"models": [ModelSource(name="a", path=Path(__file__), version="0")]}, "whole number"),
    ],
)
def test_recipes_that_make_no_sense(files: Path, tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(lambda: make(recipe(files, **changes), tmp_path / "out", fake))


def test_two_models_of_one_name(files: Path, tmp_path: Path) -> None:
    twins = [ModelSource(name="net", path=files / "net"), ModelSource(name="Net", path=files / "model.pkl")]
    assert "Two models are called" in refused(lambda: make(recipe(files, models=twins), tmp_path / "out", never))
    versions = [ModelSource(name="net", path=files / "net"), ModelSource(name="net", path=files / "model.pkl", version="2")]
    assert len(make(recipe(files, models=versions), tmp_path / "out", never).manifest.models) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("numpy\n-r base.txt\n", "line 2: '-r base.txt' leans on a file"),
        ("./wheels/x.whl\n", "leans on a file"),
        ("-e .\n", "leans on a file"),
        ("--extra-index-url https://me:secret@pypi.internal/simple\n", "holds a password"),
    ],
)
def test_requirements_must_stand_on_their_own(files: Path, tmp_path: Path, text: str, sentence: str) -> None:
    (files / "r.txt").write_text(text)
    said = refused(lambda: make(whole(files), tmp_path / "out", never))
    assert sentence in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        ('{"data": [[1]]}', "does not fit the schema: data, row 0: expected 2 values, got 1 value"),
        ("{}", "has no 'data'"),
        ("[[1, 2, 3]]", "expected 2 values, got 3 values"),
        ("5", "no JSON object"),
        ("{", "is not JSON"),
    ],
)
def test_a_sample_must_fit_the_schema(files: Path, tmp_path: Path, sample: str, sentence: str) -> None:
    (files / "sample.json").write_text(sample)
    assert sentence in refused(lambda: make(whole(files), tmp_path / "out", never))


def test_a_schema_read_off_the_sample(files: Path, tmp_path: Path) -> None:
    bundle = make(whole(files, schema=None, schema_from_sample=True), tmp_path / "out", never)
    signature = bundle.manifest.signature()
    assert signature is not None
    assert signature.inputs[0].type.to_json() == {"kind": "tensor", "dtype": "float64", "shape": [-1, 2], "nulls": False}
    (files / "schema.json").write_text('{"inputs": [{"name": "x", "type": {"kind": "value", "schema": {"oneOf": []}}}]}')
    assert "'oneOf' is not enforced" in refused(lambda: make(whole(files), tmp_path / "other", never))


@pytest.mark.parametrize("name", [".env", "sub/.env.production", "id_rsa", "tls/server.PEM", ".aws/config", ".netrc"])
def test_files_that_look_private_stay_out_unless_asked_for(files: Path, tmp_path: Path, name: str) -> None:
    secret = files / "src" / name
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("s3cret")
    said = refused(lambda: make(whole(files), tmp_path / "out", never))
    assert f"{name} looks like a key" in said
    assert f"code/{name}" in listed(make(whole(files, allow=[Path(name).name]), tmp_path / "out", never))


def test_examples_of_private_files_are_harmless(files: Path, tmp_path: Path) -> None:
    (files / "src" / ".env.example").write_text("KEY=")
    assert "code/.env.example" in listed(make(whole(files), tmp_path / "out", never))


def test_ignored_files_stay_behind(files: Path, tmp_path: Path) -> None:
    (files / "src" / ".gitignore").write_text("*.py\n")
    (files / "src" / ".amlignore").write_text("# mine\n*.csv\n/notes.md\n!keep.csv\n")
    (files / "src" / "keep.csv").write_text("k")
    (files / "src" / "env" / "bin").mkdir(parents=True)
    (files / "src" / "env" / "pyvenv.cfg").write_text("")
    (files / "src" / ".env").symlink_to("score.py")  # ignored next, so never looked at
    (files / "src" / ".amlignore").write_text((files / "src" / ".amlignore").read_text() + ".env\n")
    bundle = make(whole(files), files / "src" / "out", never)
    assert [path for path in listed(bundle) if path.startswith("code/")] == ["code/keep.csv", "code/pack/__init__.py", "code/score.py", "code/tool.sh"]
    (files / "src" / ".amlignore").write_text("score.py\n")
    assert "is ignored by the rules" in refused(lambda: make(whole(files), tmp_path / "out", never))


def test_links_are_followed_where_they_stay_inside(files: Path, tmp_path: Path) -> None:
    (files / "blob").write_text("weights")
    (files / "net" / "link.bin").symlink_to(files / "blob")  # as model hubs keep them: the content was named on the command line
    (files / "src" / "inside.md").symlink_to("notes.md")
    bundle = make(whole(files), tmp_path / "out", never)
    assert (bundle.path / "azureml-models/net/1/net/link.bin").read_text() == "weights"
    assert not (bundle.path / "code/inside.md").is_symlink()
    (files / "src" / "passwd").symlink_to("/etc/passwd")
    assert "leads out of" in refused(lambda: make(whole(files), tmp_path / "other", never))
    (files / "net" / "dangling").symlink_to("nowhere")
    assert "leads nowhere" in refused(lambda: make(recipe(files, models=[ModelSource(name="n", path=files / "net")]), tmp_path / "other", never))


@pytest.mark.parametrize(
    ("said", "name", "version", "path"),
    [
        ("model.pkl", "model", "1", "model.pkl"),
        ("churn=model.pkl", "churn", "1", "model.pkl"),
        ("churn:12=model.pkl", "churn", "12", "model.pkl"),
        ("net", "net", "1", "net"),
        ("a=b.pkl", "a-b", "1", "a=b.pkl"),
        ("./my model (1).v2.pkl", "my-model-1-.v2", "1", "my model (1).v2.pkl"),
    ],
)
def test_how_a_model_is_written(files: Path, said: str, name: str, version: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "a=b.pkl").write_text("")
    (files / "my model (1).v2.pkl").write_text("")
    monkeypatch.chdir(files)
    assert parse_model(said) == ModelSource(name=name, version=version, path=Path(path))


@pytest.mark.parametrize(
    ("said", "sentence"), [("absent.pkl", "does not exist"), ("n=absent", "does not exist"), ("n:1.2=x", "whole number"), ("b c=x", "does not exist")]
)
def test_models_that_cannot_be_read(said: str, sentence: str) -> None:
    assert sentence in refused(lambda: parse_model(said))
