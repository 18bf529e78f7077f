"""Fairlead takes a trained model to production: register, package, publish, operate.

    import fairlead

    ws = fairlead.Workspace.from_config()
    model = fairlead.Model.register(ws, "churn.pkl", "churn")
    service = fairlead.Model.deploy(ws, "churn", [model])
    service.wait_for_deployment(show_output=True)
    print(service.run('{"data": [[1, 2]]}'))

Everything here is imported when it is first used, so `import fairlead` costs next to nothing. Errors are the same classes everywhere; the names with
Exception behind them are those that Azure ML programs catch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.configurations.deployment_config import DeploymentConfiguration as DeploymentConfiguration
    from fairlead.errors import BlobDamaged as BlobDamaged
    from fairlead.errors import BlobNotFound as BlobNotFound
    from fairlead.errors import BootFailure as BootFailure
    from fairlead.errors import Changed as Changed
    from fairlead.errors import Conflict as Conflict
    from fairlead.errors import DigestMismatch as DigestMismatch
    from fairlead.errors import EnvironmentFailure as EnvironmentFailure
    from fairlead.errors import EnvironmentNotFound as EnvironmentNotFound
    from fairlead.errors import FairleadError as FairleadError
    from fairlead.errors import FairleadError as WebserviceException
    from fairlead.errors import Forbidden as Forbidden
    from fairlead.errors import InUse as InUse
    from fairlead.errors import InvalidBundle as InvalidBundle
    from fairlead.errors import InvalidTree as InvalidTree
    from fairlead.errors import NotFound as ModelNotFoundException
    from fairlead.errors import NotFound as NotFound
    from fairlead.errors import NotSatisfiable as NotSatisfiable
    from fairlead.errors import QuotaExceeded as QuotaExceeded
    from fairlead.errors import StoreFull as StoreFull
    from fairlead.errors import StoreUnavailable as StoreUnavailable
    from fairlead.errors import TooLarge as TooLarge
    from fairlead.errors import Unauthenticated as Unauthenticated
    from fairlead.errors import Unavailable as Unavailable
    from fairlead.errors import UploadNotFound as UploadNotFound
    from fairlead.errors import UsageError as ComputeTargetException
    from fairlead.errors import UsageError as UsageError
    from fairlead.errors import UsageError as UserErrorException
    from fairlead.errors import WrongOffset as WrongOffset
    from fairlead.sdk.batch_job import BatchJob as BatchJob
    from fairlead.sdk.compute import AmlCompute as AmlCompute
    from fairlead.sdk.compute import ComputeTarget as ComputeTarget
    from fairlead.sdk.compute_webservices import AciWebservice as AciWebservice
    from fairlead.sdk.compute_webservices import AksWebservice as AksWebservice
    from fairlead.sdk.compute_webservices import LocalWebservice as LocalWebservice
    from fairlead.sdk.conda_dependencies import CondaDependencies as CondaDependencies
    from fairlead.sdk.data_path import DataPath as DataPath
    from fairlead.sdk.data_path import DataReference as DataReference
    from fairlead.sdk.dataset_factory import Dataset as Dataset
    from fairlead.sdk.dataset_factory import DataType as DataType
    from fairlead.sdk.datastore import Datastore as Datastore
    from fairlead.sdk.environment import Environment as Environment
    from fairlead.sdk.image import ContainerImage as ContainerImage
    from fairlead.sdk.image import Image as Image
    from fairlead.sdk.inference_config import InferenceConfig as InferenceConfig
    from fairlead.sdk.live import LiveService as LiveService
    from fairlead.sdk.memory import register as register
    from fairlead.sdk.memory import serve as serve
    from fairlead.sdk.model import Model as Model
    from fairlead.sdk.model_package import ContainerRegistry as ContainerRegistry
    from fairlead.sdk.model_package import ModelPackage as ModelPackage
    from fairlead.sdk.parallel_run_config import ParallelRunConfig as ParallelRunConfig
    from fairlead.sdk.parallel_run_step import ParallelRunStep as ParallelRunStep
    from fairlead.sdk.pipeline import Experiment as Experiment
    from fairlead.sdk.pipeline import Pipeline as Pipeline
    from fairlead.sdk.pipeline_run import PipelineRun as PipelineRun
    from fairlead.sdk.pipeline_run import StepRun as StepRun
    from fairlead.sdk.resources import ResourceConfiguration as ResourceConfiguration
    from fairlead.sdk.step_data import OutputFileDatasetConfig as OutputFileDatasetConfig
    from fairlead.sdk.step_data import PipelineData as PipelineData
    from fairlead.sdk.trial import ModelProfile as ModelProfile
    from fairlead.sdk.webservice import Webservice as Webservice
    from fairlead.sdk.workspace import Workspace as Workspace

__version__ = "0.1.0"
__all__ = [
    "AciWebservice",
    "AksWebservice",
    "AmlCompute",
    "BatchJob",
    "BlobDamaged",
    "BlobNotFound",
    "BootFailure",
    "Changed",
    "ComputeTarget",
    "ComputeTargetException",
    "CondaDependencies",
    "Conflict",
    "ContainerImage",
    "ContainerRegistry",
    "DataPath",
    "DataReference",
    "DataType",
    "Dataset",
    "Datastore",
    "DeploymentConfiguration",
    "DigestMismatch",
    "Environment",
    "EnvironmentFailure",
    "EnvironmentNotFound",
    "Experiment",
    "FairleadError",
    "Forbidden",
    "Image",
    "InUse",
    "InferenceConfig",
    "InvalidBundle",
    "InvalidTree",
    "LiveService",
    "LocalWebservice",
    "Model",
    "ModelNotFoundException",
    "ModelPackage",
    "ModelProfile",
    "NotFound",
    "NotSatisfiable",
    "OutputFileDatasetConfig",
    "ParallelRunConfig",
    "ParallelRunStep",
    "Pipeline",
    "PipelineData",
    "PipelineRun",
    "QuotaExceeded",
    "ResourceConfiguration",
    "StepRun",
    "StoreFull",
    "StoreUnavailable",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UploadNotFound",
    "UsageError",
    "UserErrorException",
    "Webservice",
    "WebserviceException",
    "Workspace",
    "WrongOffset",
    "__version__",
    "register",
    "serve",
]

_HOMES = {
    "fairlead.configurations.deployment_config": ("DeploymentConfiguration",),
    "fairlead.errors": (
        "BlobDamaged",
        "BlobNotFound",
        "BootFailure",
        "Changed",
        "Conflict",
        "DigestMismatch",
        "EnvironmentFailure",
        "EnvironmentNotFound",
        "FairleadError",
        "Forbidden",
        "InUse",
        "InvalidBundle",
        "InvalidTree",
        "NotFound",
        "NotSatisfiable",
        "QuotaExceeded",
        "StoreFull",
        "StoreUnavailable",
        "TooLarge",
        "Unauthenticated",
        "Unavailable",
        "UploadNotFound",
        "UsageError",
        "WrongOffset",
    ),
    "fairlead.sdk.batch_job": ("BatchJob",),
    "fairlead.sdk.compute": ("AmlCompute", "ComputeTarget"),
    "fairlead.sdk.compute_webservices": (
        "AciWebservice",
        "AksWebservice",
        "LocalWebservice",
    ),
    "fairlead.sdk.conda_dependencies": ("CondaDependencies",),
    "fairlead.sdk.data_path": ("DataPath", "DataReference"),
    "fairlead.sdk.dataset_factory": ("DataType", "Dataset"),
    "fairlead.sdk.datastore": ("Datastore",),
    "fairlead.sdk.environment": ("Environment",),
    "fairlead.sdk.image": (
        "ContainerImage",
        "Image",
    ),
    "fairlead.sdk.inference_config": ("InferenceConfig",),
    "fairlead.sdk.live": ("LiveService",),
    "fairlead.sdk.memory": (
        "register",
        "serve",
    ),
    "fairlead.sdk.model": ("Model",),
    "fairlead.sdk.model_package": (
        "ContainerRegistry",
        "ModelPackage",
    ),
    "fairlead.sdk.parallel_run_config": ("ParallelRunConfig",),
    "fairlead.sdk.parallel_run_step": ("ParallelRunStep",),
    "fairlead.sdk.pipeline": (
        "Experiment",
        "Pipeline",
    ),
    "fairlead.sdk.pipeline_run": (
        "PipelineRun",
        "StepRun",
    ),
    "fairlead.sdk.resources": ("ResourceConfiguration",),
    "fairlead.sdk.step_data": (
        "OutputFileDatasetConfig",
        "PipelineData",
    ),
    "fairlead.sdk.trial": ("ModelProfile",),
    "fairlead.sdk.webservice": ("Webservice",),
    "fairlead.sdk.workspace": ("Workspace",),
}
_ALIASES = {
    "ComputeTargetException": "UsageError",
    "ModelNotFoundException": "NotFound",
    "UserErrorException": "UsageError",
    "WebserviceException": "FairleadError",
}
_ABSENT = {
    "Clusters are not in this release. `Model.deploy` with an AksWebservice configuration runs on the server's machine; leave the cluster out.": (
        "AksCompute",
        "AksEndpoint",
    ),
    "Training runs are not in this release. A script trains as it is; `Model.register(..., metrics={'auc': 0.9}, run_id=...)` keeps what came of it. "
    "Scoring and batch scripts may go on importing Run from azureml.core.": ("Run", "RunConfiguration", "ScriptRunConfig"),
    "Pipelines of several steps, published pipelines and schedules are not in this release; here a pipeline is one ParallelRunStep.": (
        "PipelineEndpoint",
        "PipelineParameter",
        "PublishedPipeline",
        "PythonScriptStep",
        "Schedule",
        "ScheduleRecurrence",
    ),
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first asked for. Raises ImportError for those of Azure ML that are not here, whose sentence an
    AttributeError would lose under `from fairlead import`."""
    known = _ALIASES.get(name, name)
    home = next((module for module, names in _HOMES.items() if known in names), None)
    if home is None:
        absent = next((why for why, names in _ABSENT.items() if name in names), None)
        if absent is not None:
            raise ImportError(f"There is no {name} in fairlead. {absent}", name=__name__)
        raise AttributeError(f"module 'fairlead' has no attribute {name!r}")
    return vars(importlib.import_module(home))[known]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
