"""Where the script of a running service came from, for a program that did not deploy it."""

from __future__ import annotations

from pathlib import Path

from fairlead.configurations.deployment_config import DeploymentConfiguration
from fairlead.errors import UsageError
from fairlead.schemas.services import Revision, Service
from fairlead.sdk.deploying import Source, Wish


def recorded_source(name: str, revision: Revision, folder: Path | None = None) -> Source:
    """The script that the deployment recorded, if this machine has it; `folder` is where it lies now. Raises UsageError."""
    if revision.code is None:
        raise UsageError(f"{name} has no script of its own to reload; `fairlead service update {name} -m MODEL` takes another model.")
    record = revision.inference_config or {}
    if folder is not None:
        script = folder / revision.code.entry_script
        return Source(
            script=_existing(name, script), folder=folder, record={**record, "scriptPath": str(script.absolute()), "sourceDirectory": str(folder.absolute())}
        )
    script_said, folder_said = record.get("scriptPath"), record.get("sourceDirectory")
    if not script_said:
        raise UsageError(f"Where the script of {name} lies was not recorded; say its folder: `fairlead service reload {name} --source-dir DIR`.")
    return Source(script=_existing(name, Path(script_said)), folder=Path(folder_said) if folder_said else None, record=record)


def same_elsewhere(service: Service, revision: Revision, configuration: DeploymentConfiguration, target: str | None) -> Wish:
    """What a service is made of, to be deployed under another name: its models, and its script with the packages as they are recorded."""
    source = None if revision.code is None else recorded_source(service.name, revision)
    return Wish(models=service.models, source=source, configuration=configuration, target=target)


def _existing(name: str, script: Path) -> Path:
    if not script.is_file():
        raise UsageError(f"The script of {name} is not at {script} on this machine; say where: `fairlead service reload {name} --source-dir DIR`.")
    return script
