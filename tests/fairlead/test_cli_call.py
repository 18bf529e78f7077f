"""`fairlead call`: what it sends, what it shows, and its sentence for each way in which a service does not answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.call import parse
from tests.fairlead.test_cli_keys import fairlead, made
from tests.live import Launcher, Service, free_port

SCRIPT = """
import time
from typing import List
from fairlead_scoring import typed

def init(): pass

@typed
def run(data: List[float], sleep: float = 0.0) -> List[float]:
    time.sleep(sleep)
    if not data:
        raise ValueError("nothing in it")
    return [2 * one for one in data]
"""
PLAIN = "def init(): pass\ndef run(data): return data\n"


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("services"))
    yield launcher
    launcher.end()


@pytest.fixture(scope="module")
def service(launch: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("app")
    (folder / "score.py").write_text(SCRIPT)
    (folder / "sample.json").write_text('{"data": [1.5, 2.0]}')
    options: list[str | Path] = ["--entry-script", folder / "score.py", "--app-root", folder, "--sample", folder / "sample.json"]
    return launch(*options, "--prefix", "/models/a", "--deadline", "2")


def called(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    assert fairlead("call", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def failed(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 1) -> str:
    assert fairlead("call", *arguments) == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "form", ["{port}", "127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/models/a", "http://127.0.0.1:{port}/models/a/score"]
)
def test_without_data_the_services_own_sample_is_sent(capsys: pytest.CaptureFixture[str], service: Service, form: str) -> None:
    answer = called(capsys, form.format(port=service.port))
    assert (answer["status"], answer["body"]) == (200, [3.0, 4.0])
    assert answer["headers"]["x-request-id"]


def test_only_the_sample(capsys: pytest.CaptureFixture[str], service: Service) -> None:
    assert fairlead("call", service.url, "--sample") == 0
    assert json.loads(capsys.readouterr().out) == {"data": [1.5, 2.0]}


def test_a_text_or_a_file_is_sent(capsys: pytest.CaptureFixture[str], service: Service, tmp_path: Path) -> None:
    assert called(capsys, service.url, "--data", '{"data": [5]}')["body"] == [10.0]
    (tmp_path / "body.json").write_text('{"data": [7]}')
    assert called(capsys, service.url, "--data", f"@{tmp_path / 'body.json'}")["body"] == [14.0]


def test_another_route_and_content_type(capsys: pytest.CaptureFixture[str], service: Service, tmp_path: Path) -> None:
    assert called(capsys, service.url, "--route", "invocations", "--data", '{"inputs": {"data": [1]}}')["status"] == 200
    assert called(capsys, f"{service.url}/invocations", "--data", '{"inputs": {"data": [1]}}')["status"] == 200
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert failed(capsys, service.url, "--data", f"@{tmp_path / 'rows.csv'}").startswith("fairlead: The service answered 415")


def test_the_answer_is_shown_in_80_columns(capsys: pytest.CaptureFixture[str], service: Service) -> None:
    assert fairlead("call", service.url) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("200 OK")
    assert "request id" in shown
    assert "revision" in shown
    assert "3.0" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_body_can_be_kept_as_it_came(capsys: pytest.CaptureFixture[str], service: Service, tmp_path: Path) -> None:
    assert fairlead("call", service.url, "-o", str(tmp_path / "answer.json")) == 0
    assert json.loads((tmp_path / "answer.json").read_text()) == [3.0, 4.0]
    assert "9 bytes in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"data": "x"}', "The service answered 400 Bad Request: data"),
        ('{"data": []}', "500 Internal Server Error: An unexpected error occurred in scoring script"),
        ('{"data": [1], "sleep": 60}', "Scoring timeout after 2000 ms"),
    ],
)
def test_a_refusal_is_shown_with_the_services_words(capsys: pytest.CaptureFixture[str], service: Service, data: str, words: str) -> None:
    assert words in failed(capsys, service.url, "--data", data)


def test_a_service_without_a_sample_asks_for_data(capsys: pytest.CaptureFixture[str], launch: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(PLAIN)
    plain = launch("--entry-script", tmp_path / "score.py", "--app-root", tmp_path)
    assert "gives no sample; send a body of yours with --data" in failed(capsys, plain.url)
    assert called(capsys, plain.url, "--data", "just text")["body"] == "just text"
    assert "404" in failed(capsys, f"{plain.url}/elsewhere", "--data", "x")


def test_keys_come_from_a_file_or_the_environment_and_are_never_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, launch: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text(PLAIN)
    keys = made(capsys, "new", tmp_path / "keys.json")
    closed = launch("--entry-script", tmp_path / "score.py", "--app-root", tmp_path, "--keys", tmp_path / "keys.json")
    (tmp_path / "key").write_text(keys["primary"] + "\n")
    assert "Set FAIRLEAD_KEY" in failed(capsys, closed.url, "--data", "x")
    for arguments in ((), ("--json",)):
        assert fairlead("call", closed.url, "--data", "x", "--key-file", tmp_path / "key", *arguments) == 0
        said = capsys.readouterr()
        assert keys["primary"] not in said.out + said.err
    monkeypatch.setenv("FAIRLEAD_KEY", keys["secondary"])
    assert called(capsys, closed.url, "--data", "x")["status"] == 200
    monkeypatch.setenv("FAIRLEAD_KEY", "wrong")
    assert "not one of the service's" in failed(capsys, closed.url, "--data", "x")
    assert "holds no keys" in failed(capsys, closed.url, "--data", "x", "--key-file", tmp_path / "keys.json", code=2)


def test_nothing_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Nothing listens at http://127.0.0.1" in failed(capsys, f"http://127.0.0.1:{free_port()}", "--data", "x")


def answers_with(reply: Callable[[socket.socket], None]) -> int:
    """The port of a peer that takes one connection and does this to it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            reply(connection)

    threading.Thread(target=take, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def test_an_answer_that_does_not_come_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    over = threading.Event()
    port = answers_with(lambda _: assert_waited(over))
    assert "did not answer within 0.3 s" in failed(capsys, str(port), "--data", "x", "--timeout", "0.3")
    over.set()


def assert_waited(over: threading.Event) -> None:
    assert over.wait(20)


def hang_up(connection: socket.socket) -> None:
    connection.recv(10)


def test_a_connection_that_ends_without_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert "without an answer" in failed(capsys, str(answers_with(hang_up)), "--data", "x")


def test_https_to_a_plain_port(capsys: pytest.CaptureFixture[str], service: Service) -> None:
    assert "is it http:// rather than https://?" in failed(capsys, f"https://127.0.0.1:{service.port}", "--data", "1")


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://a:99999", "http://key@a"])
def test_what_is_no_address_is_a_usage_error(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert failed(capsys, url, "--data", "x", code=2)


@pytest.mark.parametrize(
    ("url", "address", "route"),
    [
        ("5001", "http://127.0.0.1:5001", ""),
        ("host", "http://host:80", ""),
        ("https://host/a/b/score", "https://host:443/a/b", "score"),
        ("http://[::1]:5001/invocations/", "http://[::1]:5001", "invocations"),
    ],
)
def test_forms_of_an_address(url: str, address: str, route: str) -> None:
    service, found = parse(url, key=None, timeout=1, ca_file=None)
    assert (service.address, found) == (address, route)
