"""Inference configurations as the seeds' repositories have them: old and new form, JSON and YAML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.configurations.environment_block import NamedEnvironment
from fairlead.configurations.inference_config import InferenceConfiguration, inference_configuration, read_inference_config
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import UsageError

CONDA = "name: scoring\ndependencies:\n- python=3.9\n- pip:\n  - azureml-defaults\n  - scikit-learn\n"
OLD = """\
entryScript: score.py
runtime: python
condaFile: config/conda.yml
extraDockerfileSteps:
schemaFile:
sourceDirectory: .
enableGpu: False
baseImage:
baseImageRegistry:
"""
NEW = {
    "entryScript": "score.py",
    "environment": {
        "docker": {
            "arguments": [],
            "baseDockerfile": None,
            "baseImage": "example.org/base:1",
            "enabled": False,
            "sharedVolumes": True,
            "shmSize": None,
        },
        "environmentVariables": {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
        "name": "my-deploy-env",
        "python": {
            "baseCondaEnvironment": None,
            "condaDependencies": {
                "channels": ["conda-forge"],
                "dependencies": ["python=3.8.2", {"pip": ["azureml-defaults", "inference-schema[numpy-support]"]}],
                "name": "project_environment",
            },
            "condaDependenciesFile": None,
            "interpreterPath": "python",
            "userManagedDependencies": False,
        },
        "version": "1",
    },
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "config").mkdir(parents=True)
    (folder / "score.py").write_text("def init():\n    pass\n\ndef run(raw_data):\n    return raw_data\n")
    (folder / "config" / "conda.yml").write_text(CONDA)
    return folder


def written(project: Path, content: object, name: str = "inferenceconfig.json") -> Path:
    path = project / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_old_form_with_bare_keys(project: Path) -> None:
    read = read_inference_config(written(project, OLD, "inferenceConfig.yml"))
    assert (read.entry_script, read.source_directory, read.runtime, read.enable_gpu) == ("score.py", project, "python", False)
    assert isinstance(read.spec, EnvironmentSpec)
    assert (read.spec.python, read.spec.requirements) == ("3.9", ("scikit-learn",))
    assert (read.schema_file, dict(read.docker), read.description) == (None, {}, None)


def test_the_new_form_with_everything_inside(project: Path) -> None:
    read = read_inference_config(written(project, NEW))
    assert isinstance(read.spec, EnvironmentSpec)
    assert (read.spec.python, read.spec.requirements) == ("3.8", ("inference-schema[numpy-support]",))
    assert read.docker == {"base_image": "example.org/base:1"}
    assert read.variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    assert not [notice for notice in read.notices if "not known" in notice]


def test_a_file_in_a_folder_below_names_paths_from_the_working_directory(project: Path) -> None:
    """As the seeds' pipelines call it: `--ic config/inference-config.yml` from the project's folder."""
    path = written(project, OLD, "config/inference-config.yml")
    assert read_inference_config(path, working_directory=project).source_directory == project
    with pytest.raises(UsageError, match=r"entryScript 'score\.py' is not in .*config and .*elsewhere\. Write its path relative to sourceDirectory"):
        read_inference_config(path, working_directory=project.parent / "elsewhere")


def test_the_script_beside_the_file_comes_first(project: Path, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("")
    read = read_inference_config(written(project, {"entryScript": "score.py"}), working_directory=tmp_path)
    assert read.source_directory == project
    assert "there is another in" in read.notices[0]


@pytest.mark.parametrize("key", ["entryScript", "entry_script", "executionScript", "execution_script", "EntryScript"])
def test_every_spelling_of_the_script(project: Path, key: str) -> None:
    assert read_inference_config(written(project, {key: "score.py"})).entry_script == "score.py"


def test_the_sdks_spellings(project: Path) -> None:
    (project / "steps").write_text("RUN apt-get update\n")
    keywords = {"runtime": "python", "execution_script": "score.py", "conda_file": "config/conda.yml", "extra_docker_file_steps": "steps", "enable_gpu": None}
    read = inference_configuration(keywords, where="InferenceConfig", folders=(project,))
    assert read.docker == {"extra_steps": "RUN apt-get update\n"}
    assert isinstance(read.spec, EnvironmentSpec)
    spec = EnvironmentSpec(requirements=("six",), variables={"A": "b"})
    given = inference_configuration({"entry_script": "score.py", "environment": spec}, where="InferenceConfig", folders=(project,))
    assert (given.spec, given.variables) == (spec, {"A": "b"})


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"name": "sklearn", "version": "3"}, NamedEnvironment(name="sklearn", version="3")),
        ({"name": "sklearn", "version": 3, "docker": {"enabled": False}}, NamedEnvironment(name="sklearn", version="3")),
        ({"name": "sklearn"}, NamedEnvironment(name="sklearn")),
        ("sklearn", NamedEnvironment(name="sklearn")),
    ],
)
def test_a_registered_environment_by_name(project: Path, environment: object, named: NamedEnvironment) -> None:
    assert read_inference_config(written(project, {"entryScript": "score.py", "environment": environment})).spec == named


def test_a_name_beside_a_conda_file_is_only_a_name(project: Path) -> None:
    read = read_inference_config(written(project, OLD + "environment: diabetes_regression\n", "i.yml"))
    assert isinstance(read.spec, EnvironmentSpec)
    assert any("'diabetes_regression' is only a name here" in notice for notice in read.notices)


def test_requirements_do_as_well_as_a_conda_file(project: Path) -> None:
    (project / "requirements.txt").write_text("six\n")
    read = read_inference_config(written(project, {"entryScript": "score.py", "condaFile": "requirements.txt"}))
    assert isinstance(read.spec, EnvironmentSpec)
    assert read.spec.requirements == ("six",)


def test_images_keep_their_part_and_no_password(project: Path) -> None:
    docker = {"baseDockerfile": "FROM example.org/x\nRUN true\n", "shmSize": "2g", "arguments": ["--ipc=host"], "gpuSupport": True}
    registry = {"address": "example.org", "username": "me", "password": "pa55"}
    read = read_inference_config(written(project, {"entryScript": "score.py", "environment": {"docker": {**docker, "baseImageRegistry": registry}}}))
    assert read.docker == {
        "base_dockerfile": docker["baseDockerfile"],
        "base_image_registry": {"address": "example.org", "username": "me"},
        "shm_size": "2g",
        "arguments": ["--ipc=host"],
        "gpu": True,
    }
    assert any("password is left out" in notice for notice in read.notices)
    assert "pa55" not in repr(read)


def test_an_unknown_key_is_told_with_the_nearest(project: Path) -> None:
    read = read_inference_config(written(project, {"entryScript": "score.py", "condaFiles": "x", "zzz": 1, "environment": {"pyton": {}}}))
    said = "\n".join(read.notices)
    assert "key 'condaFiles' is not known and changes nothing; did you mean 'condaFile'?" in said
    assert "key 'zzz' is not known and changes nothing." in said
    assert "environment: key 'pyton' is not known and changes nothing; did you mean 'python'?" in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "entryScript is not set"),
        ([], "must hold keys with values"),
        ("", "entryScript is not set"),
        ('{\n"entryScript": \n', "line 3: this is no JSON"),
        ({"entryScript": "score.py", "entry_script": "other.py"}, "'entry_script' is said twice"),
        ({"entryScript": "nowhere.py"}, "entryScript 'nowhere.py' is not in"),
        ({"entryScript": 3}, "entryScript is 3; it must be text"),
        ({"entryScript": "config/conda.yml"}, "it must be a Python file"),
        ({"entryScript": "../outside.py"}, "entryScript '../outside.py' is outside of the source directory"),
        ({"entryScript": "link.py"}, "entryScript 'link.py' is outside of the source directory"),
        ({"entryScript": "score.py", "condaFile": "../conda.yml"}, "condaFile '../conda.yml' is outside of the source directory"),
        ({"entryScript": "score.py", "condaFile": "conda.yml"}, "condaFile 'conda.yml' is no file in"),
        ({"entryScript": "score.py", "runtime": "java"}, "runtime is 'java'; it must be one of python, python-slim, spark-py"),
        ({"entryScript": "score.py", "enableGpu": "perhaps"}, "enableGpu is 'perhaps'; it must be true or false"),
        ({"entryScript": "score.py", "environment": {"name": "x"}, "condaFile": "config/conda.yml"}, "condaFile cannot stand beside 'environment'"),
        ({"entryScript": "score.py", "environment": {"docker": {"baseImage": "x", "baseDockerfile": "FROM y"}}}, "baseImage and baseDockerfile are both set"),
        ({"entryScript": "score.py", "environment": {"python": {"condaDependencies": {}, "condaDependenciesFile": "x"}}}, "are both set. Delete one"),
        ({"entryScript": "score.py", "environment": {"python": {"condaDependenciesFile": "../x.yml"}}}, "outside of the source directory"),
        ({"entryScript": "score.py", "environment": {"python": 3}}, "python is 3; it must hold keys with values"),
        ({"entryScript": "score.py", "environment": 3}, "environment is 3; it must hold keys with values"),
        ({"entryScript": "broken.py"}, "entryScript broken.py, line 2: "),
        ({"entryScript": "nul.py"}, "nul.py"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_cure(project: Path, content: object, reason: str) -> None:
    (project.parent / "outside.py").write_text("")
    (project / "link.py").symlink_to(project.parent / "outside.py")
    (project / "broken.py").write_text("def run(raw_data):\n    return (1\n")
    (project / "nul.py").write_bytes(b"a = 1\x00\n")
    with pytest.raises(UsageError) as caught:
        read_inference_config(written(project, content))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_script_is_checked_for_the_python_that_runs_it(project: Path) -> None:
    (project / "score.py").write_text("def run(x):\n    match x:\n        case 1:\n            return '\\d'\n")
    with pytest.raises(UsageError, match=r"score\.py, line 4: Pattern matching .*\(Python 3\.9\)"):
        read_inference_config(written(project, OLD, "i.yml"))
    assert read_inference_config(written(project, {"entryScript": "score.py"})).entry_script == "score.py"


def test_it_survives_the_wire(project: Path) -> None:
    for content in (NEW, {"entryScript": "score.py", "environment": "sklearn"}, {"entryScript": "score.py", "schemaFile": "config/conda.yml"}):
        read = read_inference_config(written(project, content))
        assert InferenceConfiguration.from_json(json.loads(json.dumps(read.to_json())), project) == read
    with pytest.raises(UsageError, match="no inference configuration"):
        InferenceConfiguration.from_json({"entry": 1}, project)
