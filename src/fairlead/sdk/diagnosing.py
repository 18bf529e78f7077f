"""From the server to an answer: what is the first thing that is wrong with a service, which lines of its log show it, and what cures it.

Everything comes from what the server tells any client, and from requests that any caller could make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fairlead.client import access, services
from fairlead.client.transport import Transport
from fairlead.errors import FairleadError, Forbidden, NotFound, Unauthenticated, Unavailable
from fairlead.schemas.services import Failure, Revision, Service, ServiceState, Stage
from fairlead.sdk.diagnosis import CANNOT_BE_REACHED, Finding, Step, before, of_failure, well, wrong
from fairlead.sdk.service_requests import Credential, look, occupant

LOG_LINES = 15
PATIENCE = 3.0  # seconds for what is on its way
ENDED = (ServiceState.STOPPED, ServiceState.FAILED)
ON_ITS_WAY = (ServiceState.TRANSITIONING, ServiceState.UPDATING)


def diagnose(connect: Callable[[], Transport], named: Callable[[Transport], str], *, key: str | None = None) -> Iterator[Finding]:
    """Each step as it is looked at, in order; the one that is not well is the last. `key`: a key or token to try, not the service's own."""
    try:
        with connect() as transport:
            yield from _diagnose(transport, named, key)
    except (Unavailable, Unauthenticated) as error:
        cure = (
            "`fairlead server status` says whether it runs."
            if isinstance(error, Unavailable)
            else "`fairlead connect` shows whose token is used, and takes another."
        )
        yield wrong(Step.SERVER, str(error), cure=cure, exit_code=error.exit_code)


def _diagnose(transport: Transport, named: Callable[[Transport], str], key: str | None) -> Iterator[Finding]:
    try:
        service = _settled(transport, named(transport))
    except (Forbidden, NotFound) as error:
        yield well(Step.SERVER, f"{transport.url} answers")
        yield _not_shown(transport, error)
        return
    yield well(Step.SERVER, f"{transport.url} answers")
    yield well(Step.SERVICE, _about(service))
    revisions = {each.number: each for each in services.list_revisions(transport, service.name)}
    at_fault = _at_fault(transport, service, revisions)
    shown = revisions.get(service.revision or service.wanted_revision)
    if at_fault is not None:
        yield from (_passed(step, service, shown) for step in before(at_fault.step))
        yield at_fault
        return
    yield from (_passed(step, service, shown) for step in before(Step.READY))
    for found in look(service, shown.short_id if shown else "", _credential(transport, service, key), transport.url):
        yield _with_log(transport, service, found)


def _not_shown(transport: Transport, error: FairleadError) -> Finding:
    """Who is no member is told the same as who mistypes a name; whose token it is says which."""
    me = access.show_me(transport)
    if isinstance(error, NotFound) and (me.is_admin or transport.workspace in me.workspaces):
        return wrong(Step.SERVICE, str(error), cure="Correct the name, or the workspace (--workspace).", exit_code=error.exit_code)
    said = f"{me.principal} may not enter the workspace {transport.workspace!r}; there are for them: {', '.join(me.workspaces) or 'none'}."
    cure = f"An owner of it adds you: `fairlead workspace add {me.principal} --role contributor -w {transport.workspace}`."
    return wrong(Step.SERVICE, said, cure=cure, exit_code=Forbidden.exit_code)


def _settled(transport: Transport, name: str) -> Service:
    """As it is when what is on its way has come, or after a little patience."""
    service = services.show_service(transport, name)
    for service in services.changes(transport, name, timeout=PATIENCE):  # noqa: B007 - the last one counts
        pass
    return service


def _at_fault(transport: Transport, service: Service, revisions: dict[int, Revision]) -> Finding | None:
    """What the server knows to be wrong; None when it knows nothing."""
    failure = service.update_error or _failure_of(service, revisions)
    if failure is not None:
        found = of_failure(service.name, _with_lines(transport, service, failure))
        if service.revision is None:
            return found
        said = f"{found.said} Revision {service.revision} goes on serving."
        return wrong(found.step, said, cause=found.cause, log_lines=found.log_lines, cure=found.cure, exit_code=found.exit_code)
    if service.state in ENDED or (service.state is ServiceState.UNHEALTHY and not service.workers_ready):
        return _not_serving(transport, service)
    if service.state in ON_ITS_WAY and service.revision is None:
        return _on_its_way(transport, service)
    return None


def _on_its_way(transport: Transport, service: Service) -> Finding:
    """While it is proved nothing is known of script and model until a worker is ready: init() may never come to its end."""
    said = f"It is still on its way ({service.stage.value if service.stage else 'starting'})."
    cure = f"Wait for it: `fairlead service show {service.name} --wait`."
    if service.stage is not Stage.PROVING or service.workers_ready:
        return wrong(_step_of_stage(service), said, cure=cure, exit_code=CANNOT_BE_REACHED)
    said = f"{said} The script is being imported, or its init() has not come to its end."
    return wrong(Step.IMPORT, said, cure=cure, log_lines=tuple(_lines(transport, service)), exit_code=CANNOT_BE_REACHED)


def _failure_of(service: Service, revisions: dict[int, Revision]) -> Failure | None:
    wanted = revisions.get(service.wanted_revision)
    return wanted.failure if service.state is ServiceState.FAILED and wanted is not None else None


def _not_serving(transport: Transport, service: Service) -> Finding:
    """It has served; why it does not, its address or the last event says better than a state."""
    lacking = next((each.lacks for each in services.list_targets(transport) if each.name == service.target and each.lacks), None)
    if lacking:
        return wrong(Step.START, lacking, cause="engine-failed", cure="On the server's machine, `fairlead env setup` says what is missing and what to do.")
    other = occupant(service)
    if other is not None:
        return other
    events = [each for each in services.list_events(transport, service.name) if each.event in {"unhealthy", "restarted", "failed"}]
    said = service.message or (events[0].message if events else f"It is {service.state.value}.")
    step = Step.READY if service.state is ServiceState.UNHEALTHY and service.workers_wanted and "ended" not in said and "killed" not in said else Step.START
    lines = tuple(_lines(transport, service))
    return wrong(step, said, cure=f"`fairlead service reload {service.name}` starts it anew; if it ends again, its log says why.", log_lines=lines)


def _with_lines(transport: Transport, service: Service, failure: Failure) -> Failure:
    return failure if failure.log_lines else failure.model_copy(update={"log_lines": _lines(transport, service)})


def _with_log(transport: Transport, service: Service, found: Finding) -> Finding:
    """Lines of the very request that failed, else the last ones."""
    if found.is_well is not False or found.step not in (Step.SAMPLE, Step.READY):
        return found
    lines = (found.cause and _lines(transport, service, found.cause)) or _lines(transport, service)
    return wrong(found.step, found.said, log_lines=tuple(lines), cure=found.cure, exit_code=found.exit_code)


def _lines(transport: Transport, service: Service, request_id: str | None = None) -> list[str]:
    try:
        return list(services.read_logs(transport, service.name, tail=LOG_LINES, request_id=request_id or None))
    except FairleadError:
        return []  # another server's machine has it


def _step_of_stage(service: Service) -> Step:
    return of_failure(service.name, Failure(stage=service.stage.value if service.stage else "starting", cause="", message="")).step


def _about(service: Service) -> str:
    what = f"revision {service.revision or service.wanted_revision} of {', '.join(service.models) or 'a script'}"
    return f"{what}, target {service.target}, {service.state.value}"


def _passed(step: Step, service: Service, revision: Revision | None) -> Finding:
    """A step that something later shows to have gone well."""
    said = {
        Step.IMAGE: _parts(revision),
        Step.START: f"{service.workers_ready}/{service.workers_wanted} workers" if service.workers_wanted else "it starts",
        Step.IMPORT: "the script and its packages are imported",
        Step.LOAD: "init() has come to its end",
        Step.READY: "it can answer",
    }
    return well(step, said.get(step, "well"))


def _parts(revision: Revision | None) -> str:
    """What it runs: an image by name and digest, or a bundle in an environment."""
    if revision is not None and revision.image is not None:
        name, _, digest = revision.image.partition("@sha256:")
        return f"image {name}, sha256:{digest[:12]}"
    known = {"bundle": revision.bundle_digest, "environment": revision.environment_lock} if revision else {}
    return ", ".join(f"{what} {digest[:12]}" for what, digest in known.items() if digest) or "its parts are there"


def _credential(transport: Transport, service: Service, key: str | None) -> Credential:
    if key is not None:
        return Credential(text=key, is_given=True)
    if service.auth == "none":
        return Credential()
    try:
        if service.auth == "key":
            return Credential(text=services.show_keys(transport, service.name).primary)
        return Credential(text=services.make_access_token(transport, service.name).access_token)
    except Forbidden:
        kind = "keys" if service.auth == "key" else "tokens"
        return Credential(why=f"your role may not have its {kind}; give one with --key-file")
