"""azureml.exceptions: the same names in the same tree."""

from __future__ import annotations

from typing import Any, Optional


class AzureMLException(Exception):
    def __init__(self, exception_message: str = "", inner_exception: Optional[BaseException] = None, **_: Any) -> None:
        super().__init__(exception_message)
        self.inner_exception = inner_exception

    @property
    def message(self) -> str:
        return str(self)


class AzureMLAggregatedException(AzureMLException):
    pass


class ComputeTargetException(AzureMLException):
    pass


class DiscoveryUrlNotFoundException(AzureMLException):
    pass


class ActivityFailedException(AzureMLException):
    pass


class DatasetTimestampMissingError(AzureMLException):
    pass


class ExperimentExecutionException(AzureMLException):
    pass


class ModelNotFoundException(AzureMLException):
    pass


class ModelPathNotFoundException(AzureMLException):
    pass


class ParallelRunException(AzureMLException):
    pass


class ProjectSystemException(AzureMLException):
    pass


class RunConfigurationException(AzureMLException):
    pass


class RunEnvironmentException(AzureMLException):
    pass


class ServiceException(AzureMLException):
    pass


class SnapshotException(AzureMLException):
    pass


class TrainingException(AzureMLException):
    pass


class UserErrorException(AzureMLException):
    pass


class AuthenticationException(UserErrorException):
    pass


class WebserviceException(AzureMLException):
    pass


class WorkspaceException(AzureMLException):
    pass


class NeedsAzure(UserErrorException, AttributeError):
    """Something that only Azure ML itself can do; an AttributeError too, so that hasattr() tells the truth."""
