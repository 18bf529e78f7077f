"""A server that deploys, shared by the tests of the SDK and of the commands, and scripts that need no packages."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead import Workspace, cli
from tests.containers import BASE_OF_IMAGES
from tests.control_plane import ControlPlane, ControlPlanes
from tests.live import FAIRLEAD
from tests.local_home import share_environments

ECHO = """
import json
import os

def init():
    print("loading")

def run(data):
    return {"echo": json.loads(data), "greeting": os.environ.get("GREETING", "hello")}
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs `fairlead` as a person does, in a workspace of its own."""

    def __init__(self, plane: ControlPlane, workspace: str, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self._env = plane.env | {"FAIRLEAD_WORKSPACE": workspace, "FAIRLEAD_TARGET": "local", "COLUMNS": "80"}

    def __call__(self, *arguments: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None, under: Sequence[str] = ()) -> Done:
        """`under`: a command that runs the one that follows it."""
        command = [*under, str(FAIRLEAD), *(str(each) for each in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=self._env | dict(env or {}), cwd=self.folder, input=stdin, timeout=240)
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path) -> str:
        """Its standard output; fails unless it ends with 0."""
        done = self(*arguments)
        assert done.code == 0, f"{arguments} ended with {done.code}: {done.err}"
        return done.out


@pytest.fixture(scope="session")
def deploying_plane(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Iterator[ControlPlane]:
    """A server that serves pickles too, as the one of a user's own machine does. Neither stop it nor count what else it holds."""
    folder = tmp_path_factory.mktemp("deploying-plane")
    share_environments(folder / "home", environments)
    started = ControlPlanes(folder)
    try:
        yield started("--unsafe-formats", "allow", "--batch-roots", str(tmp_path_factory.getbasetemp()), env=BASE_OF_IMAGES, home=folder / "home")
    finally:
        started.end()


@pytest.fixture
def ws(deploying_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A new workspace, which the SDK finds by itself; its services end with the test."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("FAIRLEAD_URL", deploying_plane.url)
    monkeypatch.setenv("FAIRLEAD_TOKEN", deploying_plane.token)
    monkeypatch.setenv("FAIRLEAD_WORKSPACE", name)
    monkeypatch.setenv("FAIRLEAD_TARGET", "local")  # also where an engine could take what was ACI
    with Workspace.create(name) as workspace:
        yield workspace
        for service in workspace.webservices.values():
            service.delete()


@pytest.fixture
def shell(ws: Workspace, deploying_plane: ControlPlane, tmp_path: Path) -> Shell:
    return Shell(deploying_plane, ws.name, tmp_path)


def in_process(capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """The same in this very process, which is quicker; `ws` says which server and workspace."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    said = capsys.readouterr()
    return Done(int(ended.value.code or 0), said.out, said.err)


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """score.py in a folder of its own, with a sample beside it."""
    (tmp_path / "score.py").write_text(ECHO)
    (tmp_path / "sample.json").write_text('{"x": 1}')
    return tmp_path / "score.py"


def hears_ctrl_c() -> None:
    """As in a terminal; a shell that runs the tests in the background would have it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def in_a_terminal(arguments: list[str], shell: Shell, plane: ControlPlane) -> str:
    """What a person sees: without colours, and of each line only what stands there in the end."""
    leader, follower = pty.openpty()
    env = plane.env | {"FAIRLEAD_WORKSPACE": shell.workspace, "COLUMNS": "80", "LINES": "50", "TERM": "xterm"}
    with subprocess.Popen([FAIRLEAD, *arguments], stdin=follower, stdout=follower, stderr=follower, env=env, cwd=shell.folder, close_fds=True):
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 65536):
                shown += piece
        except OSError:  # the other end is closed: it has ended
            pass
    os.close(leader)
    return "\n".join(_plain(line) for line in shown.decode().split("\n"))


def _plain(line: str) -> str:
    out = ""
    inside = False
    for character in line.rstrip("\r").rpartition("\r")[2]:
        if character == "\x1b":
            inside = True
        elif inside:
            inside = not character.isalpha()
        else:
            out += character
    return out
