"""`serve`: reads what to do, takes the port, and supervises until told to stop."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from pathlib import Path

from fairlead_scoring.errors import BootFault, RuntimeFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor import handoff
from fairlead_scoring.supervisor.front_settings import is_loopback
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
    lines = log_of(options)
    for sentence in (*replaced_variables(dict(os.environ)), *unknown_variables(dict(os.environ))):
        lines.say("warning", "supervisor", sentence)
    listeners = [listen(options.host, options.port)]
    if options.keys is None and not is_loopback(listeners[0]):
        said = f"Anyone who can reach {options.host} may score: no key is asked for. Make keys with `fairlead keys new FILE` and start with --keys FILE."
        lines.say("warning", "supervisor", said)
    if options.metrics_port is not None:
        listeners.append(listen(options.host, options.metrics_port, flag="--metrics-port"))
    return Supervisor(options, lines, listeners, Path(tempfile.mkdtemp(prefix="fairlead-"))).run()


def _adopt(fd: int) -> int:
    taken = handoff.receive(fd)
    lines = log_of(taken.options, taken.log_fd)
    listeners = [socket.socket(fileno=number) for number in taken.listener_fds]
    if not handoff.is_alone(taken):
        handoff.send_home(taken)
        return 0
    supervisor = Supervisor(taken.options, lines, listeners, Path(taken.folder))
    supervisor.take_over(taken)
    return supervisor.run()


def log_of(options: ServeOptions, fd: int | None = None) -> LineWriter:
    if fd is None:
        fd = _open_log(options.log_file)
        os.set_inheritable(fd, True)
    form = options.log_form
    if form == "auto":
        form = "text" if os.isatty(fd) else "json"
    return LineWriter(fd, form=form, level=options.log_level)


def _open_log(path: str | None) -> int:
    if path is None:
        return os.dup(1)
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    except OSError as error:
        raise BootFault(f"The log file {path} cannot be written ({error.strerror}); name another with --log-file.") from error


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
        raise BootFault(f"Cannot listen on {host}:{port} ({error.strerror or error}); {cure}.") from error
