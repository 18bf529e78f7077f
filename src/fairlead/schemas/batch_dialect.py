"""Batch services as the seeds' own REST has them (2.7), in its words and spelling. What is not understood is let through, as that server did."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fairlead.schemas.batch_services import ParameterId, Value
from fairlead.schemas.jobs import Url
from fairlead.schemas.storable import check_storable
from fairlead.schemas.wire import Flag, Key, Text


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _check_storable(cls, said: Any) -> Any:
        check_storable(said)
        return said


class Asset(_Said):
    """Uri: `tree:DIGEST/path/of/file` of an uploaded tree, or a file of the server's machine that jobs may read."""

    Id: Key
    Uri: Url


class DeclaredParameter(_Said):
    """Value: the default, or the Id of an asset."""

    Id: ParameterId
    IsRuntime: Flag = True
    IsOptional: Flag | None = None
    Kind: Literal["Reference", "Value"] = "Reference"
    Direction: Literal["Input", "Output"] = "Input"
    Value: Annotated[str, Field(max_length=4096)] | None = None


class Package(_Said):
    """Ids of assets. The driver's program, and files beside it."""

    DriverProgramAsset: Key
    JarAssets: list[Key] = Field(default_factory=list)
    PythonAssets: list[Key] = Field(default_factory=list)
    FileAssets: list[Key] = Field(default_factory=list)
    ArchiveAssets: list[Key] = Field(default_factory=list)
    Configuration: dict[str, Any] = Field(default_factory=dict)
    Repositories: list[Any] = Field(default_factory=list)
    Packages: list[Any] = Field(default_factory=list)


class WebServiceDefinition(_Said):
    """2.7a. `Requirements` is ours: lines of packages that the driver needs."""

    Title: Text = ""
    Assets: Annotated[list[Asset], Field(max_length=1000)] = Field(default_factory=list)
    Parameters: Annotated[list[DeclaredParameter], Field(max_length=500)] = Field(default_factory=list)
    PackageType: Text = "Spark20"
    Package: Package
    DockerImageUri: Text = ""
    Requirements: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_assets(self) -> Self:
        known = {each.Id for each in self.Assets}
        named = (self.Package.DriverProgramAsset, *self.Package.PythonAssets, *self.Package.FileAssets)
        strange = next((each for each in named if each not in known), None)
        if strange is not None:
            raise ValueError(f"the package names the asset {strange!r}, which is not among the assets")
        return self


class WebService(BaseModel):
    """A definition as it is shown."""

    Id: str
    Name: str
    Title: str
    ModificationTimeUtc: datetime
    Assets: list[dict[str, str]]
    Parameters: list[dict[str, Any]]
    PackageType: str = "Spark20"
    Package: dict[str, Any]
    Usage: str


class JobStart(_Said):
    Parameters: Annotated[dict[ParameterId, Value], Field(max_length=500)] = Field(default_factory=dict)


class WebServiceJob(BaseModel):
    """State: NotStarted and InProgress are on their way; Succeeded, Failed and Cancelled are the end."""

    WebServiceId: str
    JobId: str
    Name: str
    State: Literal["NotStarted", "InProgress", "Succeeded", "Failed", "Cancelled"]
    CreationTimeUtc: datetime
    ModificationTimeUtc: datetime
    DriverLogFile: str
    """Where its log can be read."""
    Error: str | None = None


class HealthReport(BaseModel):
    Status: Literal["Healthy"] = "Healthy"


class DeploymentInfo(BaseModel):
    """Storage accounts and buckets that inputs and outputs may lie in; a secret of the workspace opens others, too."""

    Storage: list[dict[str, str]] = Field(default_factory=list)


class SeedsError(BaseModel):
    code: str
    message: str
    details: list[dict[str, str]]


class SeedsProblem(BaseModel):
    """Clients print the messages of `details`."""

    error: SeedsError
