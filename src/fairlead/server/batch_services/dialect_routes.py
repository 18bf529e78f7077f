"""`/azureml/workspaces/{workspace}/v1/…`: the seeds' own REST of batch services (2.7), with its error bodies."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from fairlead.schemas.batch_dialect import DeploymentInfo, HealthReport, JobStart, WebService, WebServiceDefinition, WebServiceJob
from fairlead.schemas.batch_services import BatchServiceName
from fairlead.schemas.data_urls import holder_of, read_url
from fairlead.schemas.jobs import JobName
from fairlead.server.access import Contributor, Reader
from fairlead.server.batch_services import defining, dialect, running
from fairlead.server.batch_services.routes import brought
from fairlead.server.context import Parts
from fairlead.server.data import stores
from fairlead.server.data.ground import ground_of
from fairlead.server.jobs import ordering, showing
from fairlead.server.jobs.showing import Filters
from fairlead.server.making import uploads
from fairlead.server.paging import MOST, Paging
from fairlead.server.problems import SEEDS_DOCUMENTED
from fairlead.server.routing import Router
from fairlead.server.sessions import Reading, Writing

router = Router(prefix="/azureml/workspaces/{workspace}/v1", tags=["batch services as of Azure ML"], responses=SEEDS_DOCUMENTED)
ServiceName = Annotated[BatchServiceName, Path(description="Letters, digits, dots, dashes and underscores.")]
JobId = Annotated[JobName, Path(description="Chosen by the caller.")]


@router.get("/health")
def show_batch_health(access: Reader) -> HealthReport:  # noqa: ARG001 - to be a reader is enough
    """200 while it answers."""
    return HealthReport()


@router.get("/deploymentinfo")
def show_deployment_info(access: Reader, session: Reading, parts: Parts) -> DeploymentInfo:
    """Accounts and buckets of the workspace's datastores, which jobs may use."""
    holders = {holder_of(read_url(each.url)) for each in stores.stores(session, ground_of(parts.settings), access.workspace_id)}
    return DeploymentInfo(Storage=[{"Value": name} for name in sorted(filter(None, holders))])


@router.get("/webservices")
def list_web_services(access: Reader, session: Reading) -> list[WebService]:
    """By name; the first 500."""
    return [dialect.show_service(each) for each in defining.list_services(session, access, Paging(MOST, None)).items]


@router.put("/webservices/{name}")
def put_web_service(access: Contributor, session: Writing, parts: Parts, name: ServiceName, body: WebServiceDefinition) -> WebService:
    """New, or in the place of the one of its name."""
    driver, contents = dialect.driver_of(parts, body)
    new = dialect.definition_of(name, body, driver)
    if not contents:
        uploads.refuse_strange_trees(parts, access, brought(new))
    dialect.keep(session, access, contents)
    return dialect.show_service(defining.define(session, access, new))


@router.get("/webservices/{name}")
def show_web_service(access: Reader, session: Reading, name: str) -> WebService:
    """Its definition."""
    return dialect.show_service(defining.to_wire(defining.find(session, access, name)))


@router.delete("/webservices/{name}")
def delete_web_service(access: Contributor, session: Writing, name: str) -> WebService:
    """Its jobs stay. Answers what it was."""
    row = defining.find(session, access, name, lock=True)
    shown = dialect.show_service(defining.to_wire(row))
    defining.delete(session, access, row)
    return shown


@router.get("/webservices/{name}/jobs")
def list_web_service_jobs(access: Reader, session: Reading, name: str) -> list[WebServiceJob]:
    """The newest 500 first."""
    scope = defining.find(session, access, name).id
    found = showing.list_jobs(session, access, Filters(), Paging(MOST, None), scope=scope)
    return [dialect.show_job(each, access.workspace) for each in found.items]


@router.put("/webservices/{name}/jobs/{job}", status_code=202)
def put_web_service_job(access: Contributor, session: Writing, parts: Parts, name: str, job: JobId, body: JobStart, response: Response) -> WebServiceJob:
    """The caller chooses the id, so asking again is harmless."""
    new = dialect.job_of(job, body)
    uploads.refuse_strange_trees(parts, access, running.trees(new))
    made = running.run(session, access, parts, defining.find(session, access, name, lock=True), new)
    response.headers["location"] = f"/azureml/workspaces/{access.workspace}/v1/webservices/{name}/jobs/{made.name}"
    return dialect.show_job(made, access.workspace)


@router.get("/webservices/{name}/jobs/{job}")
def show_web_service_job(access: Reader, session: Reading, name: str, job: str) -> WebServiceJob:
    """How far it is."""
    return dialect.show_job(showing.to_wire(session, defining.find_job(session, access, name, job)), access.workspace)


@router.post("/webservices/{name}/jobs/{job}/cancel", status_code=202)
def cancel_web_service_job(access: Contributor, session: Writing, parts: Parts, name: str, job: str) -> WebServiceJob:
    """It ends within seconds. Silent when it is over already."""
    return dialect.show_job(ordering.cancel(session, access, parts, defining.find_job(session, access, name, job, lock=True)), access.workspace)
