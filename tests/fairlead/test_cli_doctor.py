"""`fairlead service doctor`: services broken in every way, what it names first, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import psutil
import pytest

from fairlead import Workspace
from fairlead.client import access, services
from fairlead.client.transport import Transport
from fairlead.schemas.access import NewToken, NewWorkspace
from fairlead.schemas.access import Workspace as Place
from tests.control_plane import ControlPlane
from tests.deploying import ECHO, Shell
from tests.fairlead.doctoring import STEPS, Sick
from tests.live import free_port
from tests.waiting import until


@pytest.fixture
def sick(shell: Shell) -> Sick:
    return Sick(shell)


def kill(processes: list[psutil.Process]) -> None:
    """All at once, so that none starts the others again."""
    assert processes
    for each in processes:
        each.send_signal(signal.SIGSTOP)
    for each in processes:
        each.kill()


def test_a_service_that_is_well(sick: Sick) -> None:
    assert sick.deploy().code == 0
    told = sick.doctor()
    assert (told.code, told.first, told.steps) == (0, None, STEPS)
    done = sick.shell("service", "doctor", "sick")
    assert (done.code, done.out.count("✓"), done.out.count("✗")) == (0, 10, 0)
    assert "sick is well." in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_a_service_without_a_sample_still_asks_for_its_key(sick: Sick) -> None:
    (sick.shell.folder / "score.py").write_text(ECHO)
    assert sick.shell("deploy", "score.py", "-n", "sick").code == 0
    told = sick.doctor()
    assert (told.code, told.first, told.steps) == (0, None, STEPS)


@pytest.mark.parametrize(
    ("script", "step", "cause", "shows"),
    [
        ("import no_such_package\n" + ECHO, "import", "package-missing", "no_such_package"),
        ("raise ValueError('at import')\n" + ECHO, "import", "script-error", "at import"),
        ("def init():\n    print('I try'); raise RuntimeError('no licence')\ndef run(data): return 1\n", "model load", "init-raised", "I try"),
        ("def init():\n    open('/nowhere/model.pkl')\ndef run(data): return 1\n", "model load", "init-raised", "/nowhere/model.pkl"),
        ("import os\ndef init():\n    print('bye', flush=True); os._exit(5)\ndef run(data): return 1\n", "model load", "worker-ended", "bye"),
        ("def init(): pass\ndef run(data): raise KeyError('x')\n", "sample answer", "sample-failed", "KeyError"),
    ],
)
def test_a_script_that_is_broken(sick: Sick, script: str, step: str, cause: str, shows: str) -> None:
    sick.deploy(script)
    told = sick.doctor()
    assert (told.code, told.first, told.check["cause"]) == (3, step, cause)
    assert told.steps == STEPS[: STEPS.index(step) + 1]
    assert shows in told.check["said"] + "\n".join(told.check["log_lines"])
    assert told.check["cure"]


def test_an_init_that_does_not_end_is_not_said_to_have_ended(sick: Sick) -> None:
    sick.deploy("import threading\ndef init():\n    print('I wait', flush=True); threading.Event().wait()\ndef run(data): return 1\n", "--no-wait")
    until(lambda: sick.show()["stage"] == "proving", "it is started")
    told = sick.doctor()
    assert (told.code, told.first) == (6, "import")
    assert "init() has not come to its end" in told.check["said"]


def test_an_answer_that_is_not_the_recorded_one(sick: Sick) -> None:
    (sick.shell.folder / "expected.json").write_text('{"echo": 2}')
    sick.deploy(ECHO, "--expected", "expected.json")
    told = sick.doctor()
    assert (told.code, told.first, told.check["cause"]) == (3, "sample answer", "answer-differs")


def test_a_package_that_no_index_has(sick: Sick) -> None:
    (sick.shell.folder / "requirements.txt").write_text("no-such-package-of-anyone==1.0\n")
    sick.deploy(ECHO, "--requirements", "requirements.txt")
    told = sick.doctor()
    assert (told.code, told.first, told.steps) == (3, "image", STEPS[:3])
    assert "no-such-package-of-anyone" in told.check["said"]


def test_an_update_that_failed_while_the_old_revision_serves(sick: Sick) -> None:
    assert sick.deploy().code == 0
    sick.deploy("def init(): raise RuntimeError('no')\ndef run(data): return 1\n", "--overwrite")
    told = sick.doctor()
    assert (told.code, told.first) == (3, "model load")
    assert "Revision 1 goes on serving." in told.check["said"]


def test_a_run_that_fails_only_later(sick: Sick) -> None:
    """The sample passed at the deployment; now it does not, and the lines of that very request show why."""
    gone = sick.shell.folder / "table"
    gone.write_text("x")
    script = f"def init(): pass\ndef run(data):\n    return open({str(gone)!r}).read()\n"
    assert sick.deploy(script).code == 0
    gone.unlink()
    told = sick.doctor()
    assert (told.code, told.first) == (3, "sample answer")
    assert "FileNotFoundError" in "\n".join(told.check["log_lines"])


def test_a_port_that_is_taken_before_the_deployment(sick: Sick) -> None:
    port = free_port()
    with stranger(port):
        sick.deploy(ECHO, "--port", str(port))
        told = sick.doctor()
    assert (told.code, told.first, told.check["cause"]) == (3, "address", "port-taken")
    assert told.steps == ["server", "service", "image", "address"]


def test_a_port_that_another_process_took_after_the_service_was_killed(local_plane: ControlPlane, tmp_path: Path) -> None:
    sick = Sick(Shell(local_plane, "default", tmp_path))
    assert sick.deploy().code == 0
    port, processes = sick.show()["port"], sick.processes()
    local_plane.kill()
    kill(processes)
    with stranger(port):
        local_plane.restart()
        until(lambda: sick.show()["state"] == "Unhealthy", "the server to see that it has ended")
        told = sick.doctor()
    assert (told.code, told.first, told.check["cause"]) == (3, "address", "port-taken")


def test_a_service_that_is_killed_again_and_again(sick: Sick, deploying_plane: ControlPlane) -> None:
    """The server starts it again, later each time; in between it is down, and that is what is said."""
    assert sick.deploy().code == 0
    with deploying_plane.transport(workspace=sick.shell.workspace) as transport:
        for tries in (1, 2, 3):
            until(lambda: services.show_service(transport, "sick").state == "Healthy", "it to serve")
            kill(sick.processes())
            until(lambda tries=tries: restarts(transport) == tries, "the server to see that it has ended")  # type: ignore[misc]
        told = sick.doctor()
    assert (told.code, told.first) == (3, "start")
    assert "It has served and nobody ended it" in told.check["said"]


def test_a_worker_that_hangs(sick: Sick) -> None:
    assert sick.deploy().code == 0
    worker = next(each for each in sick.processes() if "worker" in each.cmdline())
    os.kill(worker.pid, signal.SIGSTOP)
    told = sick.doctor()
    assert told.code != 0
    assert told.first in {"readiness", "sample answer"}


def test_a_key_that_is_wrong(sick: Sick) -> None:
    assert sick.deploy().code == 0
    old = json.loads(sick.shell.ok("service", "get-keys", "sick", "--json"))["primary"]
    (sick.shell.folder / "key.txt").write_text(old + "\n")
    assert sick.doctor("--key-file", "key.txt").code == 0
    sick.shell.ok("service", "regen-key", "sick", "--key", "primary", "-q")
    until(lambda: sick.doctor("--key-file", "key.txt").code, "the old key to be refused")
    told = sick.doctor("--key-file", "key.txt")
    assert (told.code, told.first) == (5, "auth")
    assert "get-keys sick" in told.check["cure"]
    assert old not in json.dumps(told.check)


@pytest.mark.parametrize("auth", ["none", "token"])
def test_other_ways_to_enter(sick: Sick, auth: str) -> None:
    assert sick.deploy(ECHO, "--auth", auth).code == 0
    told = sick.doctor()
    assert (told.code, told.first, told.steps) == (0, None, STEPS)


def test_a_reader_is_told_what_could_not_be_tried(sick: Sick, deploying_plane: ControlPlane) -> None:
    assert sick.deploy().code == 0
    told = sick.doctor(env=token_of(deploying_plane, sick.shell.workspace, "reader"))
    assert (told.code, told.first) == (0, None)
    assert (told.check["step"], told.check["result"]) == ("auth", "unknown")
    assert "--key-file" in told.check["said"]


def test_a_token_without_rights_in_the_workspace(sick: Sick, deploying_plane: ControlPlane, ws: Workspace) -> None:
    assert sick.deploy().code == 0
    other = f"test-{uuid.uuid4().hex[:12]}"
    with deploying_plane.transport() as transport:
        transport.create(Place, "/v1/workspaces", NewWorkspace(name=other))
    told = sick.doctor(env=token_of(deploying_plane, other, "owner"))
    assert (told.code, told.first) == (5, "service")
    assert "fairlead workspace add" in told.check["cure"]


def test_a_token_that_is_none(sick: Sick, deploying_plane: ControlPlane) -> None:
    told = sick.doctor(env={"FAIRLEAD_URL": deploying_plane.url, "FAIRLEAD_TOKEN": "fl_nonsense"})
    assert (told.code, told.first) == (5, "server")


def test_a_service_that_is_not_there(sick: Sick) -> None:
    told = sick.doctor()
    assert (told.code, told.first) == (2, "service")


def test_a_server_that_is_stopped(sick: Sick) -> None:
    told = sick.doctor(env={"FAIRLEAD_URL": f"http://127.0.0.1:{free_port()}", "FAIRLEAD_TOKEN": "x"})
    assert (told.code, told.first) == (6, "server")


def test_a_person_sees_lines_and_the_cure(sick: Sick) -> None:
    sick.deploy("def init():\n    print('I try'); raise RuntimeError('no licence')\ndef run(data): return 1\n")
    done = sick.shell("service", "doctor", "sick")
    assert done.code == 3
    assert done.out.count("✗") == 1
    assert done.out.index("Its log") < done.out.index("I try") < done.out.index("What to do") < done.out.index("Correct init()")


def restarts(transport: Transport) -> int:
    return sum(each.event == "restarted" for each in services.list_events(transport, "sick"))


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Another program that speaks HTTP at the port."""

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    server = until(lambda: _bound(port, Hello), f"port {port} to be free")
    assert server is not None
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bound(port: int, handler: type[BaseHTTPRequestHandler]) -> HTTPServer | None:
    try:
        return HTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return None  # those who were killed still end


def token_of(plane: ControlPlane, workspace: str, role: Literal["reader", "owner"]) -> dict[str, str]:
    """Variables of a program that has only this role, only there."""
    with plane.transport(workspace=workspace) as transport:
        made = access.create_token(transport, NewToken(name="doctor", principal=f"p-{uuid.uuid4().hex[:8]}", role=role))
    return {"FAIRLEAD_URL": plane.url, "FAIRLEAD_TOKEN": made.token}
