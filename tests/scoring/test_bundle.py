"""A bundle is exactly what its manifest says, or it does not open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.bundle import (
    MANIFEST,
    BundledFile,
    BundledModel,
    BundleError,
    Manifest,
    canonical,
    digest,
    is_bundle,
    lay_out,
    list_files,
    open_bundle,
    write_manifest,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SAMPLE = b'{"data": [[1.0]]}'


def build(root: Path, **fields: Any) -> str:
    """A small bundle with a script, a sibling with a strange name, one file model and one folder model."""
    (root / "code" / "pack").mkdir(parents=True)
    (root / "code" / "score.py").write_text("def init(): ...\ndef run(data): return data\n")
    (root / "code" / "pack" / "näme ü.txt").write_bytes(b"\x00\xff")
    (root / "code" / "tool.sh").write_text("#!/bin/sh\n")
    (root / "code" / "tool.sh").chmod(0o755)
    for model in ("ridge/1/model.pkl", "net/12/saved/variables/v.bin"):
        (root / "azureml-models" / model).parent.mkdir(parents=True)
        (root / "azureml-models" / model).write_bytes(model.encode())
    (root / "sample.json").write_bytes(SAMPLE)
    models = (BundledModel("ridge", "1", "azureml-models/ridge/1/model.pkl"), BundledModel("net", "12", "azureml-models/net/12/saved"))
    said: dict[str, Any] = {"entry_script": "score.py", "models": models, "sample": "sample.json", **fields}
    return write_manifest(root, Manifest("two", list_files(root), **said))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_opens_and_knows_its_name(root: Path, tmp_path: Path) -> None:
    bundle = open_bundle(root)
    assert bundle.digest == digest(bundle.manifest) == build(tmp_path / "again")
    assert bundle.sample() == SAMPLE
    assert [each.path for each in bundle.manifest.files if each.executable] == ["code/tool.sh"]
    assert is_bundle(root)
    assert not is_bundle(root / "code")
    with pytest.raises(BundleError, match="not 00"):
        open_bundle(root, expected="00")


def test_canonical_bytes_are_pinned() -> None:
    """The digest is a contract: this manifest has had this name since the first release."""
    manifest = Manifest("one", (BundledFile("code/ö.py", 0, "0" * 64),), entry_script="ö.py")
    assert canonical(manifest.to_json()).decode() == (
        '{"conda":null,"entry_script":"ö.py","files":[{"exec":false,"path":"code/ö.py","sha256":"' + "0" * 64 + '","size":0}],'
        '"flavor":null,"manifest_version":1,"models":[],"name":"one","proof":null,"requirements":null,"sample":null,"schema":null,"serving":{}}'
    )


def test_every_missing_changed_and_extra_file_is_named(root: Path) -> None:
    (root / "code" / "score.py").unlink()
    (root / "sample.json").write_bytes(SAMPLE.replace(b"1", b"2"))
    (root / "code" / "tool.sh").chmod(0o644)
    (root / "azureml-models" / "ridge" / "1" / "more").write_text("")
    with pytest.raises(BundleError, match=r"missing code/score.py; changed code/tool.sh, sample.json; extra azureml-models/ridge/1/more\.") as caught:
        open_bundle(root)
    assert caught.value.missing == ("code/score.py",)
    assert caught.value.changed == ("code/tool.sh", "sample.json")
    assert caught.value.extra == ("azureml-models/ridge/1/more",)
    assert open_bundle(root, verify=False).manifest.name == "two"


def test_empty_folders_times_and_other_peoples_bits_do_not_count(root: Path) -> None:
    (root / "code" / "empty").mkdir()
    (root / "sample.json").chmod(0o400)
    (root / "sample.json").touch()
    open_bundle(root)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_single_byte_counts(root: Path, data: st.DataObject) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    victim = data.draw(st.sampled_from(files), label="file")
    whole = victim.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1), label="byte")
    kind = data.draw(st.sampled_from(["flip", "drop", "double", "truncate"]), label="mutation")
    if kind == "flip":
        flip = data.draw(st.integers(1, 255), label="flip")
        mutated = whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
    else:
        mutated = {"drop": whole[:place] + whole[place + 1 :], "double": whole[: place + 1] + whole[place:], "truncate": whole[:place]}[kind]
    name = open_bundle(root, verify=False).digest
    victim.write_bytes(mutated)
    try:
        with pytest.raises(BundleError) as caught:
            open_bundle(root, expected=name)
        if victim.name != MANIFEST:
            assert caught.value.changed == (victim.relative_to(root).as_posix(),)
    finally:
        victim.write_bytes(whole)


def test_links_and_special_files_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    (root / "code" / "pack" / "näme ü.txt").unlink()
    (root / "code" / "pack" / "näme ü.txt").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match=r"code/pack/näme ü.txt is a link"):
        open_bundle(root)
    shutil.rmtree(root / "code" / "pack")
    (root / "code" / "pack").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="code/pack is a link"):
        open_bundle(root)


def rewritten(root: Path, **changes: Any) -> None:
    said = json.loads((root / MANIFEST).read_text())
    said.update(changes)
    (root / MANIFEST).write_bytes(canonical(said))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "code/../../x", "code//x", "./x", "", "C:x", "a\\b", "bundle.json", "a\0b"])
def test_paths_that_leave_the_bundle_are_refused(root: Path, path: str) -> None:
    rewritten(root, files=[{"path": path, "size": 0, "sha256": "0" * 64, "exec": False}])
    with pytest.raises(BundleError, match=r"does not stay inside|is the manifest's own"):
        open_bundle(root, verify=False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"manifest_version": 2}, "manifest_version 2; this Fairlead reads 1"),
        ({"manifest_version": "1"}, "manifest_version is missing"),
        ({"manifest_version": True}, "manifest_version is missing"),
        ({"entry_script": "other.py"}, "'code/other.py' is named but not among the files"),
        ({"entry_script": 5}, "entry_script is 5"),
        ({"requirements": "r.txt"}, "'r.txt' is named but not among the files"),
        ({"serving": []}, r"serving is \[\]"),
        ({"name": "../x"}, "Bundle name"),
        ({"files": {}}, "files must be a list"),
        ({"files": [{"path": "a", "size": 0, "sha256": "zz", "exec": False}]}, "file 'a' needs path, size, sha256 and exec"),
        ({"models": [{"name": "a", "version": "1", "path": "code/x", "flavor": None}]}, "must be azureml-models/a/1/<entry>"),
        ({"models": [{"name": "a", "version": "01", "path": "azureml-models/a/01/x", "flavor": None}]}, "whole number"),
        ({"models": [{"name": "a", "version": "1", "path": "azureml-models/a/1/x", "flavor": None}]}, "no file below"),
        ({"models": [{"name": "a", "version": 1, "path": "x", "flavor": None}]}, "as text"),
        ({"schema": {"inputs": [{"name": "x", "type": {"kind": "value", "schema": {"$ref": "#"}}}]}}, r"schema: .*'\$ref' is not enforced"),
    ],
)
def test_manifests_that_make_no_sense_are_refused(root: Path, changes: dict[str, Any], sentence: str) -> None:
    rewritten(root, **changes)
    with pytest.raises(BundleError, match=sentence):
        open_bundle(root, verify=False)


def test_a_file_cannot_be_a_folder_too(root: Path) -> None:
    files = [BundledFile(path, 0, "0" * 64).to_json() for path in ("x", "x/y/z")]
    rewritten(root, files=files, entry_script=None, models=[], sample=None)
    with pytest.raises(BundleError, match="'x' is listed as a file and as a folder"):
        open_bundle(root, verify=False)


def test_fields_of_later_releases_are_kept(root: Path) -> None:
    before = open_bundle(root).digest
    rewritten(root, signature_of_tomorrow={"by": "me"})
    bundle = open_bundle(root)
    assert bundle.manifest.extra == {"signature_of_tomorrow": {"by": "me"}}
    assert bundle.digest == digest(bundle.manifest) != before


@pytest.mark.parametrize("raw", [b"", b"[]", b"nope", b"\xff", b'{"manifest_version":1}', b"[" * 100_000])
def test_what_is_no_manifest_is_a_sentence(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(raw)
    with pytest.raises(BundleError):
        open_bundle(tmp_path)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: bundle.json cannot be read"):
        open_bundle(tmp_path)


def test_layout_of_several_models(root: Path, tmp_path: Path) -> None:
    before = open_bundle(root)
    layout = lay_out(before, tmp_path / "work")
    assert layout.entry_script == layout.app_root / "score.py"
    assert layout.model_dir == layout.app_root / "azureml-models"
    assert (layout.model_dir / "ridge" / "1" / "model.pkl").read_bytes() == b"ridge/1/model.pkl"
    assert [entry.name for entry in (layout.model_dir / "net" / "12").iterdir()] == ["saved"]
    assert (layout.app_root / "tool.sh").stat().st_mode & 0o777 == 0o755
    (layout.app_root / "score.py").write_text("changed")
    (layout.model_dir / "ridge" / "1" / "scratch").write_text("the model's folder is the worker's own")
    open_bundle(root)
    with pytest.raises(BundleError, match="is not empty"):
        lay_out(before, tmp_path / "work")


def laid_out(folder: Path, code: str, *models: str) -> dict[str, bytes | None]:
    """Files and links at the top of the working directory; None for a folder's."""
    for path in (code, *models):
        (folder / "b" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "b" / path).write_text(path)
    parts = [model.split("/") for model in models]
    entries = tuple(BundledModel(name, version, f"azureml-models/{name}/{version}/{entry}") for _, name, version, entry, *_ in parts)
    write_manifest(folder / "b", Manifest("b", list_files(folder / "b"), models=entries))
    root = lay_out(open_bundle(folder / "b"), folder / "w").app_root
    return {each.name: each.read_bytes() if each.is_file() else None for each in root.iterdir() if each.name != "azureml-models"}


def test_a_model_is_found_by_its_own_name_in_the_working_directory(tmp_path: Path) -> None:
    """So the first generation laid it down, and its scripts say `joblib.load("food.model")`."""
    found = laid_out(tmp_path, "code/score.py", "azureml-models/food/2/food.model", "azureml-models/net/1/saved/v.bin")
    assert found == {"score.py": b"code/score.py", "food.model": b"azureml-models/food/2/food.model", "saved": None}


@pytest.mark.parametrize(
    ("code", "models"),
    [
        ("code/model.pkl", ["azureml-models/a/1/model.pkl"]),  # the script's own file
        ("code/score.txt", ["azureml-models/a/1/model.pkl", "azureml-models/b/1/model.pkl"]),  # which of them?
        ("code/score.txt", ["azureml-models/a/1/joblib.py"]),  # it would be imported
        ("code/score.txt", ["azureml-models/a/1/joblib/__init__.py"]),
    ],
)
def test_what_would_hide_something_is_not_linked(tmp_path: Path, code: str, models: list[str]) -> None:
    assert list(laid_out(tmp_path, code, *models)) == [code.removeprefix("code/")]
    assert laid_out(tmp_path / "again", code, *models)[code.removeprefix("code/")] == code.encode()


def test_layout_of_one_model(tmp_path: Path) -> None:
    model = BundledModel("ridge", "3", "azureml-models/ridge/3/my model.pkl")
    (tmp_path / "b" / model.path).parent.mkdir(parents=True)
    (tmp_path / "b" / model.path).write_text("")
    write_manifest(tmp_path / "b", Manifest("one", list_files(tmp_path / "b"), models=(model,)))
    layout = lay_out(open_bundle(tmp_path / "b"), tmp_path / "w")
    assert layout.model_dir == (tmp_path / "w" / "azureml-models" / "ridge" / "3").resolve()
    assert [entry.name for entry in layout.model_dir.iterdir()] == ["my model.pkl"]
    assert layout.entry_script is None
