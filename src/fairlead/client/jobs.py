"""Batch jobs and batch services: one function per route, and `changes`, which follows a job to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from fairlead.client.transport import Transport, checked
from fairlead.client.watching import changes_of
from fairlead.errors import Unavailable
from fairlead.schemas.batch_services import BatchService, NewBatchService, NewServiceJob
from fairlead.schemas.jobs import Job, JobEvent, JobLog, JobLogText, JobQuery, JobRows, NewJob, OutputPart, Rerun


def create_job(transport: Transport, new: NewJob) -> Job:
    """Returns at once; `changes` tells how it goes on. Raises Conflict when another job has the name."""
    return transport.create(Job, transport.path("jobs"), new)


def list_jobs(transport: Transport, **filters: Any) -> Iterator[Job]:
    """Newest first. state, service, experiment, …"""
    return transport.each(Job, transport.path("jobs"), filters)


def show_job(transport: Transport, name: str) -> Job:
    """By name or id. Raises NotFound."""
    return transport.get(Job, transport.path("jobs", name))


def changes(transport: Transport, name: str, *, timeout: float | None = None) -> Iterator[Job]:
    """The job each time that something of it changed, until it is over or the time is; the last one is how it stands then."""
    return changes_of(transport, Job, "jobs", name, timeout=timeout)


def wait_over(transport: Transport, name: str) -> Job:
    """How it stands when it is over."""
    *_, last = changes(transport, name)
    return last


def cancel_job(transport: Transport, name: str) -> Job:
    """Asks for its end, which comes within seconds; silent when it is over already."""
    return transport.send(Job, "POST", transport.path("jobs", name, "cancel")).value


def rerun_job(transport: Transport, name: str, new_name: str | None = None) -> Job:
    return transport.create(Job, transport.path("jobs", name, "rerun"), Rerun(name=new_name))


def delete_job(transport: Transport, name: str) -> None:
    """One that is over: its logs go, and answers that the server keeps. Raises Conflict while it runs."""
    transport.request("DELETE", transport.path("jobs", name))


def list_events(transport: Transport, name: str) -> Iterator[JobEvent]:
    """Oldest first."""
    return transport.each(JobEvent, transport.path("jobs", name, "events"))


def list_logs(transport: Transport, name: str) -> Iterator[JobLog]:
    return transport.each(JobLog, transport.path("jobs", name, "logs"))


def read_log(transport: Transport, name: str, path: str, *, offset: int = 0) -> JobLogText:
    """A piece of one file. Raises NotFound."""
    return transport.get(JobLogText, f"{transport.path('jobs', name, 'logs')}/{path}", {"offset": offset})


def list_outputs(transport: Transport, name: str) -> Iterator[OutputPart]:
    """What is published so far."""
    return transport.each(OutputPart, transport.path("jobs", name, "outputs"))


@contextmanager
def read_output(transport: Transport, name: str, path: str) -> Iterator[Iterator[bytes]]:
    """The bytes of one published file. Raises NotFound, Unavailable."""
    request = transport.http.build_request("GET", f"{transport.path('jobs', name, 'outputs')}/{path}")
    try:
        response = transport.http.send(request, stream=True)
    except httpx2.TransportError as fault:
        raise Unavailable(f"The connection to {transport.url} broke ({fault}); see `fairlead server status`, and try again.") from fault
    try:
        yield checked(response).iter_raw()
    finally:
        response.close()


def query_jobs(transport: Transport, sql: str) -> JobRows:
    """One SELECT over the records `job_events`. Raises UsageError for what is none."""
    return transport.send(JobRows, "POST", f"{transport.path('jobs')}:query", body=JobQuery(sql=sql)).value


def create_service(transport: Transport, new: NewBatchService) -> BatchService:
    return transport.create(BatchService, transport.path("batch-services"), new)


def list_services(transport: Transport) -> Iterator[BatchService]:
    return transport.each(BatchService, transport.path("batch-services"))


def show_service(transport: Transport, name: str) -> BatchService:
    """Raises NotFound."""
    return transport.get(BatchService, transport.path("batch-services", name))


def delete_service(transport: Transport, name: str) -> None:
    """Its jobs stay. Raises NotFound."""
    transport.request("DELETE", transport.path("batch-services", name))


def run_service(transport: Transport, name: str, job: str, new: NewServiceJob) -> Job:
    """The caller chooses the job's name, so asking again is harmless. Raises Conflict when it was asked for with other parameters."""
    return transport.send(Job, "PUT", transport.path("batch-services", name, "jobs", job), body=new).value


def list_service_jobs(transport: Transport, name: str) -> Iterator[Job]:
    return transport.each(Job, transport.path("batch-services", name, "jobs"))


def show_service_job(transport: Transport, name: str, job: str) -> Job:
    return transport.get(Job, transport.path("batch-services", name, "jobs", job))


def cancel_service_job(transport: Transport, name: str, job: str) -> Job:
    return transport.send(Job, "POST", transport.path("batch-services", name, "jobs", job, "cancel")).value
