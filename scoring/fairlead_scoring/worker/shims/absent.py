"""Names that scripts import and mostly never use: they import, annotate and subclass, and say what to do when they are used."""

from __future__ import annotations

import functools
from typing import Any, Dict

from fairlead_scoring.worker.shims.exceptions import NeedsAzure

CURES = {
    "Dataset": "Put the data into the bundle, or let the caller send it.",
    "Datastore": "Put the data into the bundle, or let the caller send it.",
    "Environment": "Name the packages with --requirements or --conda.",
    "InferenceConfig": "Deploy with 'fairlead deploy'.",
    "Keyvault": "Read the secret from the environment variable or file that the deployment gives the script.",
    "Workspace": "Find models with Model.get_model_path(name), or in the folder AZUREML_MODEL_DIR.",
}
OTHERWISE = "Do without it here, or add azureml-core to the requirements, which speaks to Azure."


def needs_azure(what: str, cure: str = OTHERWISE) -> NeedsAzure:
    return NeedsAzure(f"{what} needs Azure ML, which this service does without: azureml-core is not installed. {cure}")


class Absent(type):
    """The class of all such classes."""

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise needs_azure(f"{cls.__name__}()", CURES.get(cls.__name__, OTHERWISE))

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise needs_azure(f"{cls.__name__}.{name}", CURES.get(cls.__name__, OTHERWISE))


@functools.lru_cache(maxsize=None)
def stand_in(name: str) -> Absent:
    """One class per name, the same from every module."""
    namespace: Dict[str, Any] = {"__doc__": f"{name} of azureml-core, which is not installed here.", "__module__": "azureml.core"}
    return Absent(name, (), namespace)
