"""azureml.api of 2017: scripts describe their schema in a main() that no service calls."""

from __future__ import annotations

from typing import Any

from fairlead_scoring.worker.shims.exceptions import UserErrorException


class DataTypes:
    NUMPY = "Numpy"
    PANDAS = "Pandas"
    SPARK = "Spark"
    STANDARD = "Standard"


class SampleDefinition:
    def __init__(self, input_type: str, sample: Any) -> None:
        self.type = input_type
        self.sample = sample


def generate_schema(*_: Any, **__: Any) -> Any:
    raise UserErrorException(
        "generate_schema() is gone with the Workbench: declare inputs with inference-schema's decorators, or with 'fairlead bundle --schema'."
    )
