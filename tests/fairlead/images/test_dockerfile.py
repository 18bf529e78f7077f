"""A Dockerfile and its context: what is in them, that they are the same each time, and that no name in them becomes an instruction."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from fairlead_scoring.bundle import open_bundle

from fairlead.errors import Conflict, UsageError
from fairlead.images.dockerfile import DockerfileRecipe, write_context
from fairlead.images.dockerfile_text import Words, dockerfile
from tests.fairlead.images.contexts import recipe


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> DockerfileRecipe:
    return recipe(tmp_path_factory.mktemp("recipe"))


def changed(known: DockerfileRecipe, **changes: object) -> DockerfileRecipe:
    said = {name: getattr(known, name) for name in known.__slots__}
    return DockerfileRecipe(**{**said, **changes})


def contents(folder: Path) -> Mapping[str, tuple[int, float, str]]:
    return {
        str(each.relative_to(folder)): (each.stat().st_mode, each.stat().st_mtime, hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() else "")
        for each in folder.rglob("*")
    }


def test_a_context_has_all_that_the_build_copies(known: DockerfileRecipe, tmp_path: Path) -> None:
    text = write_context(known, tmp_path / "out").read_text()
    inside = set(contents(tmp_path / "out"))
    assert {"fairlead/code/code/score.py", "fairlead/model/bundle.json", "fairlead/model/azureml-models/churn/1/churn.txt"} <= inside
    assert {"fairlead/runtime/fairlead_scoring/supervisor/main.py", "fairlead/requirements.lock", "fairlead/runtime.lock", ".dockerignore"} <= inside
    assert not [name for name in inside if "__pycache__" in name]
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY" and not rest.startswith("--from"):
            assert (tmp_path / "out" / rest.split()[0]).exists(), line


def test_code_and_model_are_together_the_bundle(known: DockerfileRecipe, tmp_path: Path) -> None:
    write_context(known, tmp_path / "out")
    for part in ("code", "model"):
        shutil.copytree(tmp_path / "out" / "fairlead" / part, tmp_path / "joined", dirs_exist_ok=True)
    assert open_bundle(tmp_path / "joined").digest == open_bundle(known.bundle).digest


def test_it_is_the_same_wherever_and_whenever_it_is_written(known: DockerfileRecipe, tmp_path: Path) -> None:
    write_context(changed(known, labels={"b": "1", "a": "2"}), tmp_path / "first")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(known.bundle, elsewhere)
    old = os.umask(0o077)
    try:
        write_context(changed(known, labels={"a": "2", "b": "1"}, bundle=elsewhere, cache=tmp_path / "cache"), tmp_path / "second")
    finally:
        os.umask(old)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_another_folder_is_not_written_over(known: DockerfileRecipe, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(Conflict, match="not empty"):
        write_context(known, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(known: DockerfileRecipe, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert write_context(known, tmp_path / "out").is_file()


def test_what_steps_copy_lies_where_they_say(known: DockerfileRecipe, tmp_path: Path) -> None:
    steps = "COPY settings.ini /etc/a\nRUN true"
    text = write_context(changed(known, extra_steps=steps), tmp_path / "out").read_text()
    assert (tmp_path / "out" / "settings.ini").read_text() == "[a]\n"
    at = text.index("COPY settings.ini")
    assert text.index("COPY --from=fairlead-environment") < at < text.index("COPY --from=fairlead-runtime")


def test_a_whole_folder_copied_brings_what_is_not_ours(known: DockerfileRecipe, tmp_path: Path) -> None:
    write_context(changed(known, extra_steps="COPY . /src"), tmp_path / "out")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"Dockerfile", ".dockerignore", "README.md", "fairlead", "score.py", "settings.ini"}


@pytest.mark.parametrize("said", ["../churn.txt", "missing.txt", "link.txt", "*.nothing"])
def test_what_lies_elsewhere_is_not_copied(known: DockerfileRecipe, tmp_path: Path, said: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "link.txt").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="is not in"):
        write_context(changed(known, source=source, extra_steps=f"COPY {said} /x"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_our_name_is_refused(known: DockerfileRecipe, tmp_path: Path) -> None:
    (tmp_path / "source" / "fairlead").mkdir(parents=True)
    with pytest.raises(UsageError, match="Give that folder another name"):
        write_context(changed(known, source=tmp_path / "source", extra_steps="COPY fairlead /x"), tmp_path / "out")


def words(**said: object) -> Words:
    return Words(**{"python": "3.11", "pip": "pip.whl", **said})  # type: ignore[arg-type]


def test_without_a_base_it_is_the_slim_image_of_the_locks_python() -> None:
    assert dockerfile(words(python="3.12")).startswith("FROM python:3.12-slim AS fairlead-base\n")


def test_a_persons_dockerfile_comes_first_and_unchanged() -> None:
    theirs = "# syntax=docker/dockerfile:1\nARG V=1\nFROM ubuntu:24.04 AS mine\nRUN install python\n"
    text = dockerfile(words(base_dockerfile=theirs))
    assert text.startswith(theirs)
    assert text.count("\nFROM mine") == 3


@pytest.mark.parametrize("image", ["a b", "a\nRUN evil", "$BASE", "--platform=x", "", "a AS b"])
def test_no_image_is_an_instruction(image: str) -> None:
    if not image:
        assert "python:3.11-slim" in dockerfile(words(base_image=image))
        return
    with pytest.raises(UsageError, match="is no image"):
        dockerfile(words(base_image=image))


@pytest.mark.parametrize("said", ["a\nRUN evil", "a\rb", "a\0"])
def test_no_label_or_variable_is_another_line(said: str) -> None:
    for where in ({"labels": {"a": said}}, {"labels": {said: "a"}}, {"variables": {"A": said}}):
        with pytest.raises(UsageError, match="control character"):
            dockerfile(words(**where))


@pytest.mark.parametrize("name", ["A B", "A=B", "A\nRUN evil", "1A", "", "Ä"])
def test_no_name_of_a_variable_is_anything_else(name: str) -> None:
    with pytest.raises(UsageError, match="no name for a variable"):
        dockerfile(words(variables={name: "x"}))


def test_python_versions_are_versions() -> None:
    with pytest.raises(UsageError, match="no Python version"):
        dockerfile(words(python="3.11; rm -rf /"))
