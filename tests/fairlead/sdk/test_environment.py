"""Environments and conda dependencies as objects: what they hold, and what a server makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fairlead import CondaDependencies, Environment, NotFound, UsageError, Workspace
from fairlead.configurations.environment_block import NamedEnvironment


def test_conda_dependencies_are_made_changed_and_written(tmp_path: Path) -> None:
    needed = CondaDependencies.create(conda_packages=["numpy=1.26"], pip_packages=["azureml-defaults", "joblib"], python_version="3.10")
    needed.add_pip_package("joblib==1.5.2")
    needed.add_conda_package("numpy")
    needed.add_channel("conda-forge")
    needed.remove_pip_package("azureml-defaults")
    needed.set_python_version("3.11")
    assert (needed.python_version, needed.pip_packages, needed.conda_packages) == ("3.11", ["joblib==1.5.2"], ["python=3.11", "numpy"])
    assert yaml.safe_load(needed.serialize_to_string())["channels"] == ["conda-forge"]
    assert needed.save_to_file(tmp_path, "env.yml") == "env.yml"
    again = CondaDependencies(tmp_path / "env.yml")
    assert again.as_dict() == needed.as_dict()
    again.remove_conda_package("numpy")
    assert again.conda_packages == ["python=3.11"]


def test_conda_dependencies_refuse_what_they_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="index address does not belong"):
        CondaDependencies.create(pip_indexurl="https://me:secret@x")
    with pytest.raises(UsageError, match="cannot be read as a conda file"):
        CondaDependencies(tmp_path / "absent.yml")
    (tmp_path / "list.yml").write_text("- a\n")
    with pytest.raises(UsageError, match="is no conda file"):
        CondaDependencies(tmp_path / "list.yml")


def test_an_environment_travels_through_a_folder_and_a_clone(tmp_path: Path) -> None:
    made = Environment("scoring")
    made.python.conda_dependencies = CondaDependencies.create(pip_packages=["joblib"], python_version="3.11")
    made.environment_variables = {"LEVEL": "debug"}
    made.docker.base_image = "python:3.11"
    made.save_to_directory(tmp_path / "env")
    again = Environment.load_from_directory(tmp_path / "env")
    assert again.to_json() == made.to_json()
    assert again.spec().variables == {"LEVEL": "debug"}
    assert again.clone("other").to_json() == made.to_json() | {"name": "other"}
    with pytest.raises(UsageError, match="overwrite=True"):
        made.save_to_directory(tmp_path / "env")
    made.save_to_directory(tmp_path / "env", overwrite=True)
    with pytest.raises(UsageError, match="cannot be read"):
        Environment.load_from_directory(tmp_path)


def test_what_cannot_be_built_is_said_at_once(tmp_path: Path) -> None:
    made = Environment("mine")
    made.python.user_managed_dependencies = True
    with pytest.raises(UsageError, match="user-managed"):
        made.spec()
    with pytest.raises(UsageError, match=r"conda env export -n base --from-history > mine\.yml"):
        Environment.from_existing_conda_environment("mine", "base")
    with pytest.raises(UsageError):
        Environment.from_conda_specification("mine", tmp_path / "absent.yml")
    with pytest.raises(UsageError):
        Environment.from_pip_requirements("mine", tmp_path / "absent.txt")


def test_an_environment_is_registered_found_and_listed(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("")
    made = Environment.from_pip_requirements("scoring", tmp_path / "requirements.txt")
    made.environment_variables["GREETING"] = "hi"
    assert made.register(ws).version == "1"
    assert made.wish() == NamedEnvironment(name="scoring", version="1")
    found = Environment.get(ws, "scoring")
    assert (found.name, found.version, found.spec().variables) == ("scoring", "1", {"GREETING": "hi"})
    assert list(ws.environments) == ["scoring"]
    assert found.build(ws).wait_for_completion(show_output=True).status == "Succeeded"
    with pytest.raises(NotFound, match="scoring"):
        Environment.get(ws, "scoring", version=7)
    with pytest.raises(UsageError, match="no label 'stable'"):
        Environment.get(ws, "scoring", label="stable")
