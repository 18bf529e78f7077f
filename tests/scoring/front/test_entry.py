"""Who may enter: origins of browsers (CORS), and keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead_scoring.front.limits import Limits
from fairlead_scoring.front.settings import FrontSettings

from tests.scoring.front.wire import Wire, get, keys_file, scored, wire

Hold = Callable[[Wire], Wire]

# CORS: the reference's table 1.9.
CORS = FrontSettings(cors_origins=("https://a.example", "https://b.example"))


@pytest.mark.parametrize(("origin", "allowed"), [("https://a.example", True), ("https://b.example", True), ("https://evil.example", False), (None, False)])
@pytest.mark.parametrize("path", ["/", "/swagger.json", "/score"])
def test_an_allowed_origin_is_echoed_and_a_refused_one_gets_the_answer_without(hold: Hold, path: str, origin: str | None, allowed: bool) -> None:
    one = hold(Wire(CORS))
    one.add_worker()
    headers = [f"origin: {origin}"] if origin else []
    if path == "/score":
        response = scored(one, *headers)
    else:
        client = one.connect()
        client.send(get(path, *headers))
        (response,) = client.responses()
    assert response.status == 200
    assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert response.headers["vary"] == "Origin"


def test_a_preflight_names_methods_and_headers_and_needs_no_key(hold: Hold, tmp_path: Path) -> None:
    one = hold(Wire(FrontSettings(cors_origins=("https://a.example",), keys_file=keys_file(tmp_path, "k"))))
    one.add_worker()
    client = one.connect()
    asked = ("origin: https://a.example", "access-control-request-method: POST", "access-control-request-headers: authorization, content-type")
    client.send(get("/score", *asked, method="OPTIONS") + get("/score", method="OPTIONS"))
    preflight, plain = client.responses()
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert preflight.headers["access-control-allow-methods"] == "GET, POST"
    assert preflight.headers["access-control-allow-headers"] == "authorization, content-type"
    assert plain.status == 401
    assert one.front.pool.in_flight == 0


def test_any_origin_may_be_allowed(hold: Hold) -> None:
    client = hold(Wire(FrontSettings(cors_origins=("*",)))).connect()
    client.send(get("/version", "origin: https://c.example"))
    assert client.responses()[0].headers["access-control-allow-origin"] == "*"


def test_without_cors_there_is_none(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("/version", "origin: https://a.example"))
    assert not [name for name in client.responses()[0].headers if name.startswith("access-control") or name == "vary"]


# Keys.
OPEN = ["/", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready"]
CLOSED = ["/score", "/swagger.json", "/openapi.json", "/docs", "/sample", "/status", "/version", "/v2", "/v2/models/m", "/v2/models/m/ready", "/metrics"]


@pytest.mark.parametrize("path", OPEN + CLOSED)
def test_without_a_key_only_health_answers(hold: Hold, tmp_path: Path, path: str) -> None:
    one = hold(Wire(FrontSettings(keys_file=keys_file(tmp_path, "k"), is_loopback=False)))
    one.add_worker()
    client = one.connect()
    client.send(get(path))
    (response,) = client.responses()
    assert response.status == (200 if path in OPEN else 401)
    assert ("www-authenticate" in response.headers) == (path in CLOSED)


def test_metrics_need_no_key_on_loopback(hold: Hold, tmp_path: Path) -> None:
    client = hold(Wire(FrontSettings(keys_file=keys_file(tmp_path, "k"), is_loopback=True))).connect()
    client.send(get("/metrics"))
    assert client.statuses == [200]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("authorization: Bearer one", 200),
        ("authorization: bearer two", 200),
        ("authorization: Bearer  one ", 200),
        ("authorization: Bearer three", 401),
        ("authorization: Bearer", 401),
        ("authorization: one", 401),
        ("authorization: Basic one", 401),
        ("authorization: Bearer " + hashlib.sha256(b"one").hexdigest(), 401),
        ("x-key: one", 401),
    ],
)
def test_either_key_opens_and_nothing_else_does(hold: Hold, tmp_path: Path, header: str, status: int) -> None:
    one = hold(Wire(FrontSettings(keys_file=keys_file(tmp_path, "one", "two"))))
    client = one.connect()
    client.send(get("/version", header))
    assert client.statuses == [status]


def test_a_request_without_key_never_reaches_a_worker_nor_sends_its_body(hold: Hold, tmp_path: Path) -> None:
    one = hold(Wire(FrontSettings(keys_file=keys_file(tmp_path, "k"), limits=Limits())))
    one.add_worker()
    client = one.connect()
    client.send(get("/score", "content-length: 90000000", method="POST"))
    assert client.statuses == [401]
    client.send(b"a" * 100_000)
    one.turn()
    assert (one.front.pool.in_flight, one.front.buffered) == (0, 0)


def test_keys_are_read_again_when_the_file_changes_and_a_broken_file_changes_nothing(hold: Hold, tmp_path: Path) -> None:
    file = keys_file(tmp_path, "old")
    one = hold(Wire(FrontSettings(keys_file=file)))

    def allows(key: str) -> bool:
        client = one.connect()
        client.send(get("/version", f"authorization: Bearer {key}"))
        return client.statuses == [200]

    assert (allows("old"), allows("new")) == (True, False)
    file.write_text("{ broken")
    one.pass_time(1)
    one.pass_time(1)
    assert allows("old")
    log = one.log()
    assert log.count("cannot be used") == 1
    keys_file(tmp_path, "new", "other")
    one.pass_time(1)
    assert (allows("old"), allows("new"), allows("other")) == (False, True, True)
