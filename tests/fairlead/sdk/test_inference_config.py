"""What an InferenceConfig takes, in old and new words, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import Environment, InferenceConfig, UsageError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """score.py, myenv.yml and requirements.txt here; src/score.py and src/env.yml below."""
    (tmp_path / "src").mkdir()
    for folder in (tmp_path, tmp_path / "src"):
        (folder / "score.py").write_text("def init(): ...\ndef run(data): return data\n")
        (folder / ("myenv.yml" if folder == tmp_path else "env.yml")).write_text("name: e\ndependencies: [python=3.11, {pip: [joblib]}]\n")
    (tmp_path / "requirements.txt").write_text("joblib==1.5.2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("word", ["entry_script", "execution_script"])
def test_the_script_has_two_words(word: str) -> None:
    words: dict[str, Any] = {"runtime": "python", "conda_file": "myenv.yml", word: "score.py"}
    config = InferenceConfig(**words)
    source, spec = config.source(), config.packages()
    assert (source.script, source.folder) == (Path("score.py"), None)
    assert spec is not None
    assert getattr(spec, "requirements") == ("joblib",)  # noqa: B009 - a spec or a name
    assert source.record["entryScript"] == "score.py"


def test_paths_are_inside_the_source_directory() -> None:
    source = InferenceConfig(entry_script="score.py", source_directory="src", conda_file="env.yml").source()
    assert (source.script, source.folder) == (Path("src/score.py"), Path("src"))
    assert InferenceConfig("src/score.py", source_directory="src").source().script == Path("src/score.py")


def test_packages_are_read_again_each_time(place: Path) -> None:
    config = InferenceConfig("score.py", requirements_file="requirements.txt")
    (place / "requirements.txt").write_text("numpy\n")
    assert config.packages() is not None
    assert "numpy" in str(config.packages())


@pytest.mark.parametrize(("runtime", "packages"), [("python", None), ("Python-slim", None), ("scikit-py", "scikit-learn"), ("spark-py", "pyspark")])
def test_a_runtime_brings_its_packages(runtime: str, packages: str | None) -> None:
    spec = InferenceConfig("score.py", runtime=runtime).packages()
    assert (spec is None) if packages is None else packages in str(spec)


def test_what_images_use_is_kept() -> None:
    config = InferenceConfig("score.py", base_image="python:3.11", enable_gpu=True, cuda_version="12", description="d")
    assert config.to_json().items() >= {"baseImage": "python:3.11", "enableGpu": True, "cudaVersion": "12", "description": "d"}.items()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({}, "needs a script"),
        ({"entry_script": "score.py", "execution_script": "score.py"}, "two words for one thing"),
        ({"entry_script": "absent.py"}, "Script absent.py does not exist|entry_script absent.py does not exist"),
        ({"entry_script": "score.py", "source_directory": "absent"}, "source_directory absent does not exist"),
        ({"entry_script": "score.py", "source_directory": "src", "conda_file": "myenv.yml"}, "does not lie in source_directory src"),
        ({"entry_script": "score.py", "conda_file": "absent.yml"}, "conda_file absent.yml does not exist"),
        ({"entry_script": "score.py", "conda_file": "myenv.yml", "requirements_file": "requirements.txt"}, "give one"),
        ({"entry_script": "score.py", "runtime": "cntk-py"}, "CNTK ended in 2019"),
        ({"entry_script": "score.py", "runtime": "r"}, "Runtime 'r' is not known"),
        ({"entry_script": "score.py", "environment": Environment("e"), "conda_file": "myenv.yml"}, "conda_file and environment say the same thing twice"),
        ({"entry_script": "score.py", "environment": Environment("e"), "runtime": "python"}, "runtime and environment"),
    ],
)
def test_what_makes_no_sense_is_refused(words: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        InferenceConfig(**words)
