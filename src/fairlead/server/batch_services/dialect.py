"""Between the seeds' words for batch services (2.7) and ours."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.batch_dialect import JobStart, WebService, WebServiceDefinition, WebServiceJob
from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob, Parameter
from fairlead.schemas.jobs import Job
from fairlead.schemas.services import Code, EnvironmentWish
from fairlead.server.access import Access
from fairlead.server.batch_services.running import TREE
from fairlead.server.blobs.service import own
from fairlead.server.context import Context
from fairlead.server.jobs.places import check_place, path_of
from fairlead.server.making.caches import Caches
from fairlead.stores import tree_of

DRIVER = "driver"
DRIVER_LOGS = {"program": "user/driver.txt", "score": "sys/driver.txt"}


def definition_of(name: str, said: WebServiceDefinition, driver: Code) -> NewBatchService:
    """Raises UsageError."""
    uris = {each.Id: each.Uri for each in said.Assets}
    parameters = [
        Parameter.of(id=each.Id, kind=each.Kind, direction=each.Direction, default=_default(each.Value, each.IsOptional, uris)) for each in said.Parameters
    ]
    environment = EnvironmentWish.of(spec={"requirements": said.Requirements}) if said.Requirements else None
    return NewBatchService.of(name=name, title=said.Title, driver=driver, parameters=parameters, environment=environment, overwrite=True)


def driver_of(parts: Context, said: WebServiceDefinition) -> tuple[Code, Mapping[str, int]]:
    """The driver's program with what lies beside it, and contents that are new to the store. Raises UsageError, Forbidden."""
    uris = {each.Id: each.Uri for each in said.Assets}
    uri = uris[said.Package.DriverProgramAsset]
    if uri.startswith(TREE):
        digest, _, path = uri.removeprefix(TREE).partition("/")
        if not path:
            raise UsageError(f"{uri[:100]!r} names a tree and no file in it; write tree:DIGEST/driver.py.")
        return Code.of(tree=digest, entry_script=path), {}
    beside = [uris[each] for each in (*said.Package.PythonAssets, *said.Package.FileAssets)]
    return _taken_in(parts, [uri, *beside])


def keep(session: Session, access: Access, contents: Mapping[str, int]) -> None:
    """They are the workspace's from now on. Raises QuotaExceeded."""
    if contents:
        own(session, access.workspace_id, contents)


def job_of(job_id: str, said: JobStart) -> NewServiceJob:
    return NewServiceJob.of(name=job_id, parameters=said.Parameters)


def show_service(service: BatchService) -> WebService:
    code = service.driver or service.code
    assets = [] if code is None else [{"Id": DRIVER, "Uri": f"{TREE}{code.tree}/{code.entry_script}"}]
    return WebService(
        Id=service.id,
        Name=service.name,
        Title=service.title,
        ModificationTimeUtc=service.updated_at,
        Assets=assets,
        Parameters=[_parameter(each) for each in service.parameters],
        Package={"DriverProgramAsset": DRIVER if assets else "", "JarAssets": [], "PythonAssets": [], "FileAssets": [], "ArchiveAssets": []},
        Usage=service.usage,
    )


def show_job(job: Job, workspace: str) -> WebServiceJob:
    return WebServiceJob(
        WebServiceId=job.service or "",
        JobId=job.name,
        Name=job.name,
        State=job.state.value,
        CreationTimeUtc=job.created_at,
        ModificationTimeUtc=job.updated_at,
        DriverLogFile=f"/v1/workspaces/{workspace}/jobs/{job.id}/logs/{DRIVER_LOGS[job.kind]}",
        Error=None if job.failure is None else job.failure.message,
    )


def _default(value: str | None, optional: bool | None, uris: Mapping[str, str]) -> str | None:
    """An optional parameter without a default is given as nothing."""
    if value is None:
        return "" if optional else None
    return uris.get(value, value)


def _parameter(each: Parameter) -> dict[str, Any]:
    said = {"Id": each.id, "IsRuntime": True, "IsOptional": each.default is not None, "Kind": each.kind, "Direction": each.direction}
    return said | ({} if each.default is None else {"Value": each.default})


def _taken_in(parts: Context, uris: Iterable[str]) -> tuple[Code, dict[str, int]]:
    """Files of this machine, as a tree in the store; the first is the program."""
    files = [_file(parts, each) for each in uris]
    caches = Caches(parts.settings.cache_dir, parts.settings.state_dir / "private")
    with caches.room() as room:
        for each in files:
            shutil.copyfile(each, room / each.name)
        tree = tree_of(room)
        sizes = {}
        for one in tree.files:
            with (room / one.path).open("rb") as stream:
                stored = parts.store.put(stream, expect=one.sha256)
            sizes[stored.digest] = stored.size
        listed = parts.store.put(io.BytesIO(tree.to_bytes()))
    return Code(tree=listed.digest, entry_script=files[0].name), sizes | {listed.digest: listed.size}


def _file(parts: Context, uri: str) -> Path:
    path = path_of(check_place(parts.settings, uri))
    if path is None:
        raise UsageError(f"The asset {uri[:200]!r} lies elsewhere; upload it and name it tree:DIGEST/FILE, or put it on the server's machine.")
    if not path.is_file():
        raise UsageError(f"The asset {uri[:200]!r} is no file of the server's machine.")
    return path
