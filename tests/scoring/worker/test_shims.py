"""The import table of real scoring scripts, row by row, where the packages are absent; and that installed packages win."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.needs import python
from tests.scoring.worker.interpreters import install_package, run, with_shims

# row of the table → what scripts write
IMPORTS = {
    "azureml.core.model.Model": "from azureml.core.model import Model\nassert Model.get_model_path",
    "azureml.core.Model": "from azureml.core import Model\nimport azureml.core.model\nassert azureml.core.model.Model is Model",
    "azureml.core as a package": "import azureml.core\nassert azureml.core.VERSION.startswith('1.')\nassert azureml.core.Workspace",
    "contrib.services names": "from azureml.contrib.services.aml_request import AMLRequest, rawhttp\n"
    "from azureml.contrib.services.aml_response import AMLResponse",
    "contrib.services packages": "import azureml.contrib.services.aml_request\nassert azureml.contrib.services.aml_request.rawhttp",
    "contrib.services star": "from azureml.contrib.services.aml_request import *\n"
    "from azureml.contrib.services.aml_response import *\nassert AMLResponse and rawhttp",
    "azureml_inference_server_http": "from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp\n"
    "import azureml_inference_server_http.api.aml_response as r\nassert r.AMLResponse",
    "Run, Dataset, Workspace": "from azureml.core import Run, Dataset, Workspace\nfrom azureml.core.run import Run as R\nassert R is Run",
    "deeper modules": "from azureml.core.workspace import Workspace\nimport azureml.core\nassert azureml.core.Workspace is Workspace\n"
    "from azureml.core.authentication import ServicePrincipalAuthentication, MsiAuthentication\nfrom azureml.core.environment import Environment\n"
    "from azureml.core.experiment import Experiment\nfrom azureml.core.dataset import Dataset\nfrom azureml.core.datastore import Datastore\n"
    "from azureml.core.conda_dependencies import CondaDependencies\nfrom azureml.core.webservice import Webservice, AciWebservice\n"
    "from azureml.core.model import InferenceConfig\nfrom azureml.data.dataset_factory import TabularDatasetFactory",
    "exceptions": "from azureml.exceptions import ModelNotFoundException, WebserviceException, AzureMLException\n"
    "assert issubclass(ModelNotFoundException, AzureMLException)",
    "azureml.ai.monitoring": "from azureml.ai.monitoring import Collector\nfrom azureml.ai.monitoring.context import BasicCorrelationContext",
    "azure.ai.mlmonitoring": "from azure.ai.mlmonitoring import Collector",
    "azureml.monitoring": "from azureml.monitoring import ModelDataCollector\nfrom azureml.monitoring.modeldatacollector import ModelDataCollector as M",
    "azureml_user.parallel_run": "from azureml_user.parallel_run import EntryScript\ne = EntryScript()\ne.logger.info('x')\nassert e.working_dir",
    "azureml.api of 2017": "from azureml.api.schema.dataTypes import DataTypes\nfrom azureml.api.schema.sampleDefinition import SampleDefinition\n"
    "from azureml.api.realtime.services import generate_schema\nSampleDefinition(DataTypes.PANDAS, [])",
}


@pytest.fixture(params=[pytest.param("", id="here"), pytest.param("3.8", id="python3.8", marks=pytest.mark.needs("python3.8"))])
def interpreter(request: pytest.FixtureRequest) -> Path:
    return (python(request.param) if request.param else None) or Path(sys.executable)


@pytest.mark.parametrize("row", IMPORTS)
def test_what_scripts_import_is_there(row: str, interpreter: Path, tmp_path: Path) -> None:
    assert run(with_shims(IMPORTS[row]) + "\nprint('ok')", folder=tmp_path, python=interpreter) == "ok"


def test_other_modules_are_as_absent_as_before(interpreter: Path, tmp_path: Path) -> None:
    program = """
        import importlib, importlib.util
        for name in ("azureml.train.automl", "azure.identity", "azureml.core.nothing", "inference_schema.nothing", "no_such_module"):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                print(error.name)
        assert importlib.util.find_spec("azureml.train") is None
    """
    said = run(with_shims(program), folder=tmp_path, python=interpreter)
    assert said.split() == ["azureml.train", "azure.identity", "azureml.core.nothing", *said.split()[3:]]
    assert len(said.split()) == 5


def test_nothing_is_loaded_before_it_is_asked_for(tmp_path: Path) -> None:
    program = "install(); print(sorted(n for n in sys.modules if n.startswith(('azure', 'fairlead_scoring.worker.rawhttp', 'joblib', 'http'))))"
    assert run(with_shims(program), folder=tmp_path) == "[]"


# Stepping aside.


def test_an_installed_package_wins(tmp_path: Path) -> None:
    install_package(tmp_path / "site", "azureml.core.model", "class Model:\n    real = True\n")
    program = """
        from azureml.core.model import Model
        assert Model.real
        from azureml.contrib.services.aml_request import rawhttp      # the installed azureml has none of it
        from azureml.monitoring import ModelDataCollector
        from azureml.core.run import Run                              # nor this part of azureml.core
        import azureml, azureml.core, azureml.monitoring
        print(azureml.__file__ is not None, hasattr(azureml.core, "Workspace"), rawhttp.__module__)
    """
    assert run(with_shims(program), folder=tmp_path, site=tmp_path / "site") == "True False fairlead_scoring.worker.rawhttp"


def test_a_namespace_package_wins_and_is_extended(tmp_path: Path) -> None:
    """Several distributions share azureml and azure without an __init__.py, such as azure-identity."""
    (tmp_path / "site/azure/identity").mkdir(parents=True)
    (tmp_path / "site/azure/identity/__init__.py").write_text("real = True\n")
    (tmp_path / "site/azureml/ai/monitoring").mkdir(parents=True)
    (tmp_path / "site/azureml/ai/monitoring/__init__.py").write_text("class Collector:\n    real = True\n")
    program = """
        from azure.ai.mlmonitoring import Collector as ours
        import azure.identity
        assert azure.identity.real and not hasattr(ours, "real")
        from azureml.core import Model
        from azureml.ai.monitoring import Collector as real
        print(real.real, ours.__module__, Model.__module__)
    """
    expected = "True fairlead_scoring.worker.shims.collector fairlead_scoring.worker.shims.model"
    assert run(with_shims(program), folder=tmp_path, site=tmp_path / "site") == expected


def test_the_real_decorator_marks_the_process_as_ever(tmp_path: Path) -> None:
    text = "_rawHttpRequested = False\ndef rawhttp(run):\n    global _rawHttpRequested\n    _rawHttpRequested = True\n    return run\n"
    install_package(tmp_path / "site", "azureml_inference_server_http.api.aml_request", text)
    program = """
        from azureml_inference_server_http.api.aml_request import rawhttp
        from fairlead_scoring.worker.rawhttp import is_raw
        def run(request): ...
        before = is_raw(run)
        print(before, is_raw(rawhttp(run)))
    """
    assert run(with_shims(program), folder=tmp_path, site=tmp_path / "site") == "False True"


# sklearn.externals.joblib


@pytest.mark.parametrize(
    "line", ["from sklearn.externals import joblib", "import sklearn.externals.joblib as joblib", "from sklearn.externals.joblib import load, dump"]
)
def test_sklearn_externals_joblib_is_joblib(line: str, tmp_path: Path) -> None:
    program = f"import sklearn\n{line}\nimport joblib as real, sys\nassert sys.modules['sklearn.externals.joblib'] is real\nprint(real.load.__module__)"
    assert run(with_shims(program), folder=tmp_path) == "joblib.numpy_pickle"


def test_a_sklearn_without_externals_gets_them(tmp_path: Path) -> None:
    (tmp_path / "site/sklearn").mkdir(parents=True)
    (tmp_path / "site/sklearn/__init__.py").write_text("")
    (tmp_path / "site/joblib.py").write_text("load = 'joblib'")
    assert run(with_shims("from sklearn.externals import joblib; print(joblib.load)"), folder=tmp_path, site=tmp_path / "site") == "joblib"


def test_an_old_sklearn_keeps_its_own_joblib(tmp_path: Path, interpreter: Path) -> None:
    install_package(tmp_path / "site", "sklearn.externals.joblib", "load = 'vendored'")
    program = "from sklearn.externals import joblib; print(joblib.load)"
    assert run(with_shims(program), folder=tmp_path, site=tmp_path / "site", python=interpreter) == "vendored"


def test_a_pickle_of_an_old_sklearn_finds_joblibs_classes(tmp_path: Path) -> None:
    """It names sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper; joblib must meet its own class there."""
    program = """
        import joblib, numpy, pathlib
        joblib.dump(numpy.arange(4.0), "new.pkl")
        old = pathlib.Path("new.pkl").read_bytes()
        name = b"joblib.numpy_pickle"
        aged = b"sklearn.externals.joblib.numpy_pickle"
        assert old.count(bytes([len(name)]) + name) == 1
        framed = old.replace(bytes([len(name)]) + name, bytes([len(aged)]) + aged)
        pathlib.Path("old.pkl").write_bytes(framed[:2] + framed[11:])        # without the frame, whose length is no longer right
        print(joblib.load("old.pkl").tolist())
    """
    assert run(with_shims(program), folder=tmp_path) == "[0.0, 1.0, 2.0, 3.0]"


# What is importable only.


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("Workspace.from_config()", "Workspace.from_config needs Azure ML, which this service does without"),
        ("Workspace('a', 'b', 'c')", "Model.get_model_path(name)"),
        ("Dataset.get_by_name(None, 'x')", "Put the data into the bundle"),
        ("Dataset.Tabular.from_delimited_files('x')", "Dataset.Tabular"),
        ("Model.deploy(None, 'x', [])", "fairlead deploy"),
        ("Model.register(None, 'x', 'y')", "serve or bundle"),
        ("Run.get_context().experiment.workspace", "'experiment' of a run"),
        ("Run(None, 'x')", "/metrics"),
    ],
)
def test_live_azure_says_what_is_not_here_and_what_to_do(use: str, words: str, tmp_path: Path, interpreter: Path) -> None:
    program = f"""
        from azureml.core import Dataset, Model, Run, Workspace
        from azureml.exceptions import AzureMLException
        try:
            {use}
        except AzureMLException as error:
            print(error)
    """
    assert words in run(with_shims(program), folder=tmp_path, python=interpreter)


def test_absent_classes_annotate_subclass_and_deny(tmp_path: Path, interpreter: Path) -> None:
    program = """
        from typing import Optional
        from azureml.core import Workspace
        from azureml.core.authentication import AbstractAuthentication
        def run(ws: Optional[Workspace]) -> Workspace: ...
        class Mine(AbstractAuthentication): ...
        print(isinstance(1, Workspace), hasattr(Workspace, "from_config"), Workspace.__name__)
    """
    assert run(with_shims(program), folder=tmp_path, python=interpreter) == "False False Workspace"


def test_an_offline_run_takes_everything_and_prints_nothing(tmp_path: Path, interpreter: Path) -> None:
    program = """
        from azureml.core import Run
        from azureml.core.run import _OfflineRun
        from azureml.exceptions import RunEnvironmentException
        run = Run.get_context()
        run.log("a", 1); run.log_list("b", [1]); run.log_row("c", x=1); run.tag("d"); run.upload_file("e", "f")
        with run.child_run() as child:
            child.log("x", 2)
        assert isinstance(run, _OfflineRun) and run.id.startswith("OfflineRun") and not hasattr(run, "experiment")
        try:
            Run.get_context(allow_offline=False)
        except RunEnvironmentException:
            print("offline")
    """
    assert run(with_shims(program), folder=tmp_path, python=interpreter) == "offline"
