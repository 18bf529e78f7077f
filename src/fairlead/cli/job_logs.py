"""`fairlead job logs`: the files that a job writes while it runs, as Azure ML lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.client import jobs
from fairlead.client.connection import connect
from fairlead.client.transport import Transport
from fairlead.errors import UsageError

SAID_BY_SCRIPTS = "user/"

Name = Annotated[str, typer.Argument(metavar="JOB", help="The job's name or id.", show_default=False)]
Service = Annotated[str | None, typer.Option("--service", "-s", help="The batch service that it is a job of, where JOB is its name there.")]
Path = Annotated[str | None, typer.Option("--path", "-p", help="One file, or those below a folder; default: what the script printed, user/.")]
List = Annotated[bool, typer.Option("--list", help="The names of the files instead.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until the job is over, or Ctrl-C.")]


def add_to(app: typer.Typer) -> None:
    app.command()(logs)


def logs(
    name: Name,
    service: Service = None,
    path: Path = None,
    list_: List = False,
    follow: Follow = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what a job's script printed and raised, or another file of its log.

    \b
    fairlead job logs nightly
    fairlead job logs nightly --list
    fairlead job logs nightly --path sys/master_role.txt
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        identity = (jobs.show_job(transport, name) if service is None else jobs.show_service_job(transport, service, name)).id
        if list_:
            found = list(jobs.list_logs(transport, identity))
            rows = [(each.path, size(each.size), each.updated_at) for each in found]
            output.table(found, ("PATH", "SIZE", "CHANGED"), rows, empty="Nothing is logged yet.")
            return
        reading = Reading(transport, identity, path, quiet=quiet)
        if as_json:
            output.result({"lines": [line for _, text in reading.pieces() for line in text.splitlines()]}, short="")
            return
        reading.show()
        for job in jobs.changes(transport, identity) if follow else ():
            reading.show()
            if job.is_settled:
                reading.show()


class Reading:
    """Several files, of which each look shows what has come since the last."""

    def __init__(self, transport: Transport, job: str, path: str | None, *, quiet: bool) -> None:
        self._transport = transport
        self._job = job
        self._path = path
        self._quiet = quiet
        self._read: dict[str, int] = {}
        self._shown: str | None = None

    def show(self) -> None:
        """A file's name stands above what it says, unless it is the only one that was asked for."""
        for path, text in self.pieces():
            if path not in (self._shown, self._path) and not self._quiet:
                print(f"==> {path} <==")
            self._shown = path
            print(text, end="" if text.endswith("\n") else "\n", flush=True)

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Raises UsageError when no file is meant."""
        for path in self._paths():
            is_over = False
            while not is_over:
                told = jobs.read_log(self._transport, self._job, path, offset=self._read.get(path, 0))
                is_over = told.end or told.next_offset == told.offset
                self._read[path] = told.next_offset
                if told.text:
                    yield path, told.text

    def _paths(self) -> list[str]:
        found = [each.path for each in jobs.list_logs(self._transport, self._job)]
        if self._path is None:
            return [path for path in found if path.startswith(SAID_BY_SCRIPTS)]
        wanted = self._path.removeprefix("logs/").rstrip("/")
        chosen = [path for path in found if path == wanted or path.startswith(f"{wanted}/")]
        if not chosen:
            raise UsageError(f"The job has no log {self._path}; `--list` shows those there are.")
        return chosen
