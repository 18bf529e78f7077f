"""What `import fairlead` offers: every name, documented with an example, and nothing imported before it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fairlead
from fairlead import errors

PUBLIC = [name for name in fairlead.__all__ if name != "__version__"]
CLASSES = [name for name in PUBLIC if inspect.isclass(vars(errors).get(name)) is False and name[0].isupper() and not name.endswith("Exception")]
PLAIN = {"serialize", "close"}  # a word says what these do


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there(name: str) -> None:
    assert public(name).__name__
    assert name in dir(fairlead)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wokspace'"):
        public("Wokspace")


@pytest.mark.parametrize(("name", "cure"), [("AksCompute", "leave the cluster out"), ("Run", "Model.register"), ("PythonScriptStep", "one ParallelRunStep")])
def test_a_name_of_azures_that_is_not_here_says_what_to_do(name: str, cure: str) -> None:
    with pytest.raises(ImportError, match=rf"There is no {name} in fairlead\. .*{cure}"):
        exec(f"from fairlead import {name}", {})  # noqa: S102 - the words of a program


def test_every_error_is_public() -> None:
    raised = {name for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, errors.FairleadError)}
    assert raised <= set(PUBLIC)


def test_errors_have_the_names_that_azure_programs_catch() -> None:
    assert fairlead.WebserviceException is errors.FairleadError
    assert fairlead.ModelNotFoundException is errors.NotFound
    assert fairlead.UserErrorException is errors.UsageError


def test_frameworks_have_the_words_of_the_tutorials() -> None:
    said = fairlead.Model.Framework
    assert (said.SCIKITLEARN, said.TENSORFLOW, said.ONNX, said.CUSTOM) == ("ScikitLearn", "TensorFlow", "Onnx", "Custom")


@pytest.mark.parametrize("module", ["pydantic", "httpx2", "yaml", "fairlead.errors", "fairlead.sdk"])
def test_importing_fairlead_imports_nothing_else(module: str) -> None:
    shown = subprocess.run([sys.executable, "-c", f"import fairlead, sys\nprint({module!r} in sys.modules)"], capture_output=True, text=True)
    assert shown.stdout.strip() == "False", shown.stdout + shown.stderr


def test_type_checkers_see_what_is_there_when_it_runs() -> None:
    tree = ast.parse(Path(fairlead.__file__).read_text())
    seen = {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname}
    assert seen == set(PUBLIC)


@pytest.mark.parametrize("name", [*CLASSES, "register", "serve"])
def test_each_class_and_function_has_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(public(name)) or "") or name == "DeploymentConfiguration"


@pytest.mark.parametrize(
    "name",
    [
        "Workspace",
        "Model",
        "Environment",
        "InferenceConfig",
        "Webservice",
        "LocalWebservice",
        "LiveService",
        "ModelProfile",
        "Datastore",
        "ComputeTarget",
        "AmlCompute",
    ],
)
def test_each_method_says_what_it_does(name: str) -> None:
    for method, found in vars(public(name)).items():
        plain = found.__func__ if isinstance(found, staticmethod | classmethod) else found
        if inspect.isfunction(plain) and not method.startswith("_"):
            documented = inspect.getdoc(plain) or ""
            assert documented, f"{name}.{method} has no docstring"
            if len(inspect.signature(plain).parameters) > 1 and method not in PLAIN:
                assert ">>>" in documented or "Raises" in documented or method.startswith(("of", "source", "packages", "spec", "wish")), f"{name}.{method}"


SIGNATURES = {
    "Model.register": ["workspace", "model_path", "model_name", "tags", "properties", "description", "datasets", "model_framework", "model_framework_version",
                       "child_paths", "sample_input_dataset", "sample_output_dataset", "resource_configuration"],
    "Model.list": ["workspace", "name", "tags", "properties", "run_id", "latest", "dataset_id", "expand", "page_count", "model_framework"],
    "Model.deploy": ["workspace", "name", "models", "inference_config", "deployment_config", "deployment_target", "overwrite", "show_output"],
    "Model.package": ["workspace", "models", "inference_config", "generate_dockerfile", "image_name", "image_label"],
    "Model.profile": ["workspace", "profile_name", "models", "inference_config", "input_dataset", "cpu", "memory_in_gb", "description"],
    "Model.get_model_path": ["model_name", "version", "_workspace"],
    "Webservice.list": ["workspace", "compute_type", "image_name", "image_id", "model_name", "model_id", "tags", "properties", "image_digest"],
    "LocalWebservice.deploy_configuration": ["port"],
    "AciWebservice.deploy_configuration": ["cpu_cores", "memory_gb", "tags", "properties", "description", "location", "auth_enabled", "ssl_enabled"],
    "AksWebservice.deploy_configuration": ["autoscale_enabled", "autoscale_min_replicas", "autoscale_max_replicas", "autoscale_refresh_seconds"],
    "Workspace.from_config": ["path", "auth"],
    "Workspace.get": ["name", "auth", "subscription_id", "resource_group"],
    "Environment.from_conda_specification": ["name", "file_path"],
    "Environment.get": ["workspace", "name", "version", "label"],
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_stand_in_the_order_of_the_seeds(name: str) -> None:
    kind, _, method = name.partition(".")
    parameters = [each for each in inspect.signature(inspect.getattr_static(public(kind), method).__func__).parameters if each != "cls"]
    assert parameters[: len(SIGNATURES[name])] == SIGNATURES[name]


def public(name: str) -> Any:
    return inspect.getattr_static(fairlead, name, None) or fairlead.__getattr__(name)
