"""`serve`: reads what to do, takes the port, and supervises until told to stop."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from pathlib import Path

from fairlead_scoring.errors import BootFault, RuntimeFault, cause_of
from fairlead_scoring.supervisor import control_socket, handoff
from fairlead_scoring.supervisor.attempt import Attempt, Report, failure_of
from fairlead_scoring.supervisor.control_socket import Place
from fairlead_scoring.supervisor.front_settings import is_loopback
from fairlead_scoring.supervisor.log_file import writer_of
from fairlead_scoring.supervisor.options import ServeOptions, read, replaced_variables, unknown_variables
from fairlead_scoring.supervisor.tree import Supervisor


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["--adopt-fd"]:
            return _adopt(int(arguments[1]))
        return _serve(read(arguments, dict(os.environ)))
    except RuntimeFault as fault:
        sys.stderr.write(f"{fault}\n")
        return fault.exit_code


def _serve(options: ServeOptions) -> int:
    place = control_socket.take(options.control, options.control_lock_fd) if options.control else None
    try:
        return _start(options, place).run()
    except RuntimeFault as fault:
        attempt = Attempt(serial=1, generation=options.generation, revision=options.revision or "")
        attempt.fail(failure_of(fault))
        Report(options.report).write(attempt)
        if place is not None:
            place.leave()
        raise


def _start(options: ServeOptions, place: Place | None) -> Supervisor:
    """Raises BootFault: what has to be there before any process can be started."""
    lines = writer_of(options)
    for sentence in (*replaced_variables(dict(os.environ)), *unknown_variables(dict(os.environ))):
        lines.say("warning", "supervisor", sentence)
    listeners = [listen(options.host, options.port)]
    is_alone = options.report is None  # else somebody runs it who knows where it can be reached: of a container, this address says nothing
    if options.keys is None and is_alone and not is_loopback(listeners[0]):
        said = f"Anyone who can reach {options.host} may score: no key is asked for. Make keys with `fairlead keys new FILE` and start with --keys FILE."
        lines.say("warning", "supervisor", said)
    if options.metrics_port is not None:
        listeners.append(listen(options.host, options.metrics_port, flag="--metrics-port"))
    return Supervisor(options, lines, listeners, _folder(options.work), place)


def _folder(work: str | None) -> Path:
    try:
        if work is not None:
            Path(work).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="fairlead-", dir=work))
    except OSError as error:
        said = f"No working directory can be made in {work or tempfile.gettempdir()} ({error.strerror}); make room, or name another place with --work."
        raise BootFault(said, cause=cause_of(error)) from error


def _adopt(fd: int) -> int:
    taken = handoff.receive(fd)
    lines = writer_of(taken.options, taken.log_fd)
    listeners = [socket.socket(fileno=number) for number in taken.listener_fds]
    if not handoff.is_alone(taken):
        handoff.send_home(taken)
        return 0
    supervisor = Supervisor(taken.options, lines, listeners, Path(taken.folder), handoff.place_of(taken))
    supervisor.take_over(taken)
    return supervisor.run()


def listen(host: str, port: int, *, flag: str = "--port") -> socket.socket:
    """Raises BootFault when the address cannot be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.set_inheritable(True)
        return listener
    except OSError as error:
        cure = (
            f"end what listens there, or choose another with {flag} (0 picks a free one)"
            if error.errno == errno.EADDRINUSE
            else "name an address of this machine with --host"
        )
        taken = "port-taken" if error.errno == errno.EADDRINUSE else ""
        raise BootFault(f"Cannot listen on {host}:{port} ({error.strerror or error}); {cure}.", cause=taken) from error
