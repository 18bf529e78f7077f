"""How a service starts, warns, is restarted and ends, as processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.live import RUNTIME, Launcher, Service
from tests.scoring.front.conftest import BEHAVING
from tests.scoring.front.wire import keys_file
from tests.waiting import until

SCRIPT = "import json\ndef init(): pass\ndef run(data): return {'size': len(data)}\n"
SLOW_START = "import time\ndef init(): time.sleep(1.5)\ndef run(data): return 1\n"
ASYNC = """
import asyncio, json, time
running = most = ended = 0

def init(): pass

async def run(data):
    global running, most, ended
    asked = json.loads(data)
    if asked.get("count"):
        return [most, ended]
    running += 1
    most = max(most, running)
    try:
        if asked.get("block"):
            time.sleep(60)
        if asked.get("stubborn"):
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
        await asyncio.sleep(asked.get("seconds", 0))
        return asked["tag"]
    finally:
        running -= 1
        ended += 1
"""


def start(serve: Launcher, folder: Path, script: str, *options: str | Path, env: dict[str, str] | None = None, ready: bool = True) -> Service:
    (folder / "score.py").write_text(script)
    return serve("--entry-script", folder / "score.py", "--app-root", folder, *options, env=env, ready=ready)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUNTIME, *arguments], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Nothing to serve"),
        (["--no-such-flag"], 2, "--no-such-flag"),
        (["b", "--port", "x"], 2, "invalid int value"),
        (["/no/such/bundle", "--port", "0"], 3, "/no/such/bundle"),
        (["--entry-script", "/no/such/score.py", "--port", "0"], 3, "/no/such/score.py does not exist"),
        (["--entry-script", __file__, "--python", "/no/such/python", "--port", "0"], 3, "/no/such/python cannot be started"),
        (["--entry-script", __file__, "--host", "203.0.113.1", "--port", "0"], 3, "203.0.113.1"),
        (["--entry-script", __file__, "--keys", "/no/such/keys.json", "--port", "0"], 3, "fairlead keys new"),
    ],
)
def test_a_start_that_cannot_be_ends_with_its_code_and_one_sentence(arguments: list[str], code: int, words: str) -> None:
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["{}", '{"primary": "the key itself"}', "[1]"])
def test_a_keys_file_that_is_none_ends_the_start(serve: Launcher, tmp_path: Path, content: str) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(content)
    service = start(serve, tmp_path, SCRIPT, "--keys", keys, ready=False)
    assert service.wait_exit(30) == 3
    assert str(keys) in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def test_a_front_that_cannot_come_back_is_tried_again_with_back_off_and_serves_in_the_end(serve: Launcher, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, "k")
    good = keys.read_text()
    service = start(serve, tmp_path, SCRIPT, "--keys", keys)
    keys.write_text("broken")
    (pid,) = [process.pid for process in service.processes() if "front" in process.cmdline()]
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.log.read_text().count("exited with 3") >= 3, "three attempts")
    attempts = [record["time"] for record in service.records if "exited with 3" in record["message"]]
    assert "cannot be used" in service.log.read_text()
    assert len(attempts) < 10, "a loop without a pause"
    keys.write_text(good)
    service.wait_ready()
    assert service.request("POST", "/score", b"abc", {"authorization": "Bearer k"}).json() == {"size": 3}


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="only Linux limits another process")
def test_a_front_for_which_there_is_no_descriptor_comes_back_when_there_is(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, SCRIPT)
    supervisor = psutil.Process(service.pid)
    (front,) = [process for process in service.processes() if "front" in process.cmdline()]
    before = supervisor.rlimit(psutil.RLIMIT_NOFILE)
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))
    front.kill()
    service.wait_log("The front cannot be started (Too many open files)")
    supervisor.rlimit(psutil.RLIMIT_NOFILE, before)
    service.wait_ready()
    assert service.request("POST", "/score", b"abc").json() == {"size": 3}
    assert [worker["id"] for worker in service.get("/status").json()["workers"]] == ["w1"]


def test_an_open_address_without_keys_is_warned_of_once(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, SCRIPT, "--host", "0.0.0.0")  # noqa: S104 - that is the point
    warnings = [record for record in service.records if record["level"] == "warning"]
    assert len(warnings) == 1
    assert "no key is asked for" in warnings[0]["message"]
    assert "fairlead keys new" in warnings[0]["message"]


@pytest.mark.parametrize("options", [(), ("--host", "0.0.0.0", "--keys")])  # noqa: S104
def test_loopback_or_keys_need_no_warning(serve: Launcher, tmp_path: Path, options: tuple[str, ...]) -> None:
    service = start(serve, tmp_path, SCRIPT, *options, *([keys_file(tmp_path, "k")] if options else []))
    assert not [record for record in service.records if record["level"] != "info"]


def test_variables_without_effect_are_named_in_the_log(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, SCRIPT, env={"WORKER_PRELOAD": "true", "FAIRLEAD_MAX_WAITNG": "3"})
    service.wait_log("WORKER_PRELOAD has no effect here")
    service.wait_log("did you mean FAIRLEAD_MAX_WAITING?")


def test_until_the_model_is_loaded_everything_but_liveness_is_503(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, SLOW_START, ready=False)
    until(lambda: _status(service, "/livez") == 200, "the front to listen")
    assert [_status(service, path) for path in ("/", "/readyz", "/ping", "/v2/health/ready", "/swagger.json")] == [503] * 5
    refused = service.post("/score", b"x")
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    service.wait_ready()
    assert service.post("/score", b"x").json() == 1


def test_a_reader_of_the_log_that_stands_still_stops_nobody(tmp_path: Path) -> None:
    """Standard output is a pipe that nobody empties; lines are dropped and counted, requests are not."""
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data):\n    print('y' * 3000)\n    return 1\n")
    reader, writer = os.pipe()
    port = _free_port()
    command = [*RUNTIME, "--entry-script", "score.py", "--app-root", str(tmp_path), "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.DEVNULL, cwd=tmp_path, start_new_session=True)
    os.close(writer)
    try:
        until(lambda: _get(port, "/readyz").startswith(b"HTTP/1.1 200"), "the service to be ready")
        for _ in range(300):
            assert _post(port, b"x" * 1000).startswith(b"HTTP/1.1 200")
    finally:
        process.terminate()
        assert process.wait(20) == 0
        os.close(reader)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_is_answered_before_the_service_ends(serve: Launcher, tmp_path: Path, by: signal.Signals) -> None:
    service = start(serve, tmp_path, BEHAVING)
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.settimeout(20)
        client.sendall(_request(b'{"do": "sleep", "seconds": 1, "tag": 7}'))
        until(lambda: service.get("/status").json()["queue"]["in_flight"] == 1, "the request to run")
        os.kill(service.pid, by)
        answer = _read_all(client)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert service.wait_exit(20) == 0


def test_a_slow_reader_gets_the_whole_of_a_large_last_answer(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, BEHAVING)
    size = 20_000_000
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.settimeout(20)
        client.sendall(_request(json.dumps({"do": "large", "size": size}).encode()))
        first = client.recv(1000)
        service.process.terminate()
        until(lambda: _is_closed(service.port), "the port to be closed")
        answer = first + _read_all(client)
    assert len(answer.partition(b"\r\n\r\n")[2]) == size + 2
    assert service.wait_exit(20) == 0


# Scripts whose run() is a coroutine.
def test_coroutines_run_side_by_side_and_idle_costs_nothing(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, ASYNC, "--concurrency", "4")
    clients = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(8)]
    for tag, client in enumerate(clients):
        client.sendall(_request(json.dumps({"tag": tag, "seconds": 0.3}).encode()))
    for tag, client in enumerate(clients):
        client.settimeout(20)
        assert client.recv(65536).endswith(f"\r\n\r\n{tag}".encode())
        client.close()
    assert service.post("/score", {"count": True}).json() == [4, 8]
    (pid,) = [worker["pid"] for worker in service.get("/status").json()["workers"]]
    worker = psutil.Process(pid)
    spent = worker.cpu_times().user
    until(lambda: service.get("/livez").status == 200 and worker.cpu_times().user >= spent, "a moment")
    with pytest.raises(psutil.TimeoutExpired):
        worker.wait(1.0)
    assert worker.cpu_times().user - spent < 0.3, "it turns without anything to do"


def test_a_coroutine_whose_client_leaves_or_that_is_late_is_cancelled(serve: Launcher, tmp_path: Path) -> None:
    service = start(serve, tmp_path, ASYNC, "--deadline", "0.5")
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(_request(b'{"tag": 1, "seconds": 60}'))
        until(lambda: service.post("/score", {"count": True}).json()[0] == 1, "the coroutine to run")
    until(lambda: service.post("/score", {"count": True}).json()[1] == 1, "the coroutine to be cancelled")
    late = service.post("/score", {"tag": 2, "seconds": 60})
    assert (late.status, late.json()["message"]) == (500, "Scoring timeout after 500 ms")
    until(lambda: service.post("/score", {"count": True}).json()[1] == 2, "the late one to be cancelled")
    assert service.get("/status").json()["restarts"] == 0


@pytest.mark.parametrize("how", ["block", "stubborn"])
def test_a_coroutine_that_cannot_be_cancelled_costs_its_worker(serve: Launcher, tmp_path: Path, how: str) -> None:
    service = start(serve, tmp_path, ASYNC, "--deadline", "0.5")
    assert service.post("/score", {"tag": 1, how: True}).status == 500
    until(lambda: service.get("/status").json()["restarts"] == 1, "a new worker")
    service.wait_ready()
    assert service.post("/score", {"tag": 2}).json() == 2


def test_two_fronts_share_an_async_worker_while_one_takes_over(serve: Launcher, tmp_path: Path) -> None:
    """Each numbers its requests itself; the old one's end is no reason to cancel the new one's."""
    service = start(serve, tmp_path, ASYNC)
    old = service.get("/status").json()["front_pid"]
    with socket.create_connection(("127.0.0.1", service.port)) as first:
        first.sendall(_request(b'{"tag": 1, "seconds": 2}'))
        until(lambda: service.get("/status").json()["queue"]["in_flight"] == 1, "the request to run")
        os.kill(service.pid, signal.SIGUSR2)
        until(lambda: service.get("/status").json()["front_pid"] != old, "the new front")
        with socket.create_connection(("127.0.0.1", service.port)) as second:
            second.sendall(_request(b'{"tag": 2, "seconds": 3}'))
            answers = [_first_answer(client) for client in (first, second)]
    assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [b"1", b"2"]


def _status(service: Service, path: str) -> int:
    try:
        return service.get(path).status
    except OSError:
        return 0


def _request(body: bytes) -> bytes:
    return b"POST /score HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _get(port: int, path: str) -> bytes:
    return _exchange(port, f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())


def _post(port: int, body: bytes) -> bytes:
    return _exchange(port, _request(body).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))


def _exchange(port: int, data: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(data)
            return _read_all(client)
    except ConnectionRefusedError:
        return b""


def _first_answer(client: socket.socket) -> bytes:
    client.settimeout(20)
    return client.recv(65536)


def _read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def _is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


HEARD_LATE = """
import os, signal
from types import SimpleNamespace
from fairlead_scoring.supervisor import tree

settled = SimpleNamespace(is_settled=True)
it = SimpleNamespace(_signals=tree._signal_pipe(), _stopping=None, _wants_successor=True, _fronts=settled, _crew=settled, _changes=settled)
it._options = SimpleNamespace(drain_grace=3)
it._stop = lambda grace: setattr(it, "_stopping", grace)
it._signalled = lambda: tree.Supervisor._signalled(it)
os.kill(os.getpid(), signal.SIGTERM)  # after the last look at the pipe
tree.Supervisor._replace_self(it)
print(it._stopping, it._wants_successor, signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_a_stop_that_comes_before_the_successor_is_heard() -> None:
    said = subprocess.run([sys.executable, "-c", HEARD_LATE], capture_output=True, text=True, timeout=60)
    assert said.stdout == "3 False set()\n", said.stderr
