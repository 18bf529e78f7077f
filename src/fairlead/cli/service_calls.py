"""`fairlead service run|logs`: one request, and what the service has said."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.deployment import credential_of
from fairlead.cli.log_lines import as_text
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import Id, Name, Words, find
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.sdk.scoring import score_service
from fairlead.sdk.webservice import START_UP

Data = Annotated[str | None, typer.Option("-d", "--data", metavar="TEXT|@FILE", help="The request's body; default: the service's own sample.")]
Lines = Annotated[int, typer.Option("-l", "--num-lines", min=1, max=1_000_000, help="How many lines, the last ones.")]
Init = Annotated[bool, typer.Option("--init", help="Only what was said while it started.")]
RequestId = Annotated[str | None, typer.Option("-r", "--request-id", help="Only lines of this request.")]
Revision = Annotated[int | None, typer.Option(help="Only lines of this revision.")]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on with new lines until Ctrl-C.")]
_NO_LINE_OF_REQUEST = "No line is kept of the request {}; the answer's header x-request-id says its id, and old lines go when a log grows."


def add_to(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(logs)
    app.command("get-logs", hidden=True)(logs)


def run(
    words: Words = None, name: Name = None, identity: Id = None, data: Data = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Score one request; the key is added by itself. Without data the service's sample is sent.

    \b
    fairlead service run churn -d '{"data": [[1, 2]]}'
    fairlead service run realtime -n churn -d @request.json
    """
    with connect(workspace=workspace) as transport:
        service = services.show_service(transport, find(transport, words, name, identity))
        answer = score_service(service, credential_of(transport, service), _body(data))
    if as_json or quiet or not isinstance(answer, str):
        print(json.dumps(answer))
    else:
        print(answer)


def logs(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    num_lines: Lines = 200,
    init: Init = False,
    request_id: RequestId = None,
    revision: Revision = None,
    follow: Follow = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show the last lines of a service's log: short text on a terminal, else one JSON object a line.

    \b
    fairlead service logs churn -l 50
    fairlead service logs churn --follow
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        found = services.read_logs(
            transport, find(transport, words, name, identity), tail=num_lines, request_id=START_UP if init else request_id, revision=revision, follow=follow
        )
        form = as_text if sys.stdout.isatty() else str
        lines = []
        for line in found:
            lines.append(line)
            if not as_json:
                print(form(line), flush=follow)
    if as_json:
        output.result({"lines": lines}, short="")
    elif not lines:
        output.say(
            _NO_LINE_OF_REQUEST.format(request_id) if request_id else "Nothing is logged yet." if revision is None else f"Revision {revision} said nothing."
        )


def _body(data: str | None) -> str | bytes | None:
    if data is None or not data.startswith("@"):
        return data
    path = Path(data[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
