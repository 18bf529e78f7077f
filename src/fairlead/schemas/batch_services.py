"""Batch services (1.C): a driver, or a registered model, with named inputs, outputs and parameters; jobs are runs of it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fairlead.errors import UsageError
from fairlead.schemas.access import SecretName
from fairlead.schemas.jobs import InputFormat, JobName, OutputFormat, Scoring
from fairlead.schemas.services import Code, EnvironmentWish
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.wire import Flag, JsonObject, Key, Request, Stamped, Text, Whole

BatchServiceName = Annotated[str, Spelling.of_letters("name for a batch service", 127)]
ParameterId = Annotated[
    str,
    Spelling(
        r"^-{0,2}[A-Za-z][A-Za-z0-9_.-]{0,120}$",
        "name for a parameter",
        "has up to 121 letters, digits and . _ -, a letter first, with one or two dashes before it or none",
    ),
]
Value = Annotated[str, StringConstraints(max_length=4096)]
"""Of a Value: any text. Of a Reference: a URL or path, `tree:DIGEST` (uploaded), `dataset:NAME[:VERSION]`, `datastore:NAME/PATH`.

`output:NAME`, of an output: the server keeps it, for download."""
Kind = Literal["Reference", "Value"]
Direction = Literal["Input", "Output"]
INPUT, OUTPUT = "--input", "--output"  # what a service made from a model takes
_FLAG = re.compile(r"-{0,2}[A-Za-z][A-Za-z0-9_.-]{0,120}")


class Parameter(Request):
    """`id` carries its own dashes: it is the driver's flag. Without `default` it must be given in every run."""

    id: ParameterId
    kind: Kind = "Reference"
    direction: Direction = "Input"
    default: Value | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.kind == "Value" and self.direction == "Output":
            raise ValueError(f"{self.id}: an output is a Reference: a place that the driver writes to")
        return self


class NewBatchService(Scoring):
    """Either `driver`, whose program is run once with the parameters as its arguments; or `models`, and a job scores --input to --output."""

    name: BatchServiceName
    title: Text = ""
    """Default: the name."""
    driver: Code | None = None
    """The driver's program, and what it depends on beside it."""
    models: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    code: Code | None = None
    """With models: a scoring script."""
    script: Text | None = None
    """With code: a batch script in it, as of a job."""
    parameters: Annotated[list[Parameter], Field(max_length=500)] = Field(default_factory=list)
    """Of a model's service: omitted, or defaults of --input and --output."""
    input_format: InputFormat | None = None
    input_options: JsonObject = Field(default_factory=dict)
    output_format: OutputFormat = "parquet"
    keep: Annotated[list[Key], Field(max_length=10_000)] = Field(default_factory=list)
    environment: EnvironmentWish | None = None
    description: Text = ""
    tags: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)
    overwrite: Flag = False
    """Replace the service of that name; its jobs stay."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if (self.driver is None) == (not self.models):
            raise ValueError("a batch service has either a driver, or models; give one of them")
        if self.driver is not None and (self.code or self.script):
            raise ValueError("code and script belong to models; a driver is its own program")
        seen = [each.id for each in self.parameters]
        plain = [each.lstrip("-") for each in seen]
        twice = next((each for each in seen if plain.count(each.lstrip("-")) > 1), None)
        if twice is not None:
            raise ValueError(f"the parameter {twice} is declared twice")
        strange = next((each for each in seen if self.models and each not in (INPUT, OUTPUT)), None)
        if strange is not None:
            raise ValueError(f"{strange}: a service that scores a model takes {INPUT} and {OUTPUT} only")
        return self


class BatchService(Stamped):
    """`version` counts definitions: from 1, and one more with each replacement."""

    name: str
    title: str
    kind: Literal["score", "program"]
    version: Whole
    driver: Code | None = None
    models: list[str] = Field(default_factory=list)
    code: Code | None = None
    script: Text | None = None
    parameters: list[Parameter]
    environment: str | None = None
    """`name:version`, where a registered one was asked for."""
    settings: JsonObject = Field(default_factory=dict)
    """Of Scoring, and formats; as they were given."""
    usage: str
    """`fairlead service run batch -n NAME …`: what may be left out stands in brackets."""
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    updated_at: datetime


class NewServiceJob(Request):
    """A run of a batch service. The same name and parameters again is the same job."""

    name: JobName | None = None
    parameters: Annotated[dict[ParameterId, Value], Field(max_length=500)] = Field(default_factory=dict)
    credentials: Annotated[dict[ParameterId, SecretName], Field(max_length=500)] = Field(default_factory=dict)
    """For a Reference: the secret of the workspace that opens it."""
    experiment: Key | None = None
    tags: Annotated[dict[Key, Text], Field(max_length=200)] = Field(default_factory=dict)


def split_parameter(said: str) -> tuple[str, str | None]:
    """`--name`, `--name:VALUE`: the first colon splits, so that a value may be a URL. Raises UsageError."""
    name, colon, value = said.partition(":")
    if not _FLAG.fullmatch(name):
        raise UsageError(f"{said[:100]!r} names no parameter; write --name or --name:VALUE, such as --input-data:data.csv.")
    return name, value if colon else None
