"""What every answer of the front carries: ids, x-ms headers, CORS; who may enter; and what the log says of it."""

from __future__ import annotations

import gzip
import json
import re
import uuid
import zlib
from collections.abc import Callable

import pytest
from fairlead_scoring.front.settings import FrontSettings

from tests.scoring.front.wire import Client, Wire, get, post, scored, wire

Hold = Callable[[Wire], Wire]
IDS = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id")

# Sent A, B, C of IDS; answered. "new" is a fresh GUID, the same in a row. Seeds 2.3.
TRUTH = [
    ((None, None, None), ("new", "new", None)),
    (("A", None, None), ("A", "A", None)),
    ((None, "B", None), ("new", "B", "B")),
    ((None, None, "C"), ("new", "C", "C")),
    (("A", "B", None), ("A", "B", "B")),
    ((None, "B", "C"), ("new", "B", "C")),
    (("A", None, "C"), ("A", "C", "C")),
    (("A", "B", "C"), ("A", "B", "C")),
]


@pytest.mark.parametrize("path", ["/score", "/version", "/none"])
@pytest.mark.parametrize(("sent", "expected"), TRUTH)
def test_ids_follow_the_truth_table_on_every_kind_of_answer(hold: Hold, path: str, sent: tuple[str | None, ...], expected: tuple[str | None, ...]) -> None:
    one = hold(wire())
    one.add_worker()
    headers = [f"{name}: {value}" for name, value in zip(IDS, sent, strict=True) if value]
    if path == "/score":
        response = scored(one, *headers)
    else:
        client = one.connect()
        client.send(get(path, *headers))
        (response,) = client.responses()
    new = response.headers["x-request-id"] if "new" in expected else ""
    assert not new or uuid.UUID(new).version == 4
    assert tuple(response.headers.get(name) for name in IDS) == tuple(new if value == "new" else value for value in expected)


@pytest.mark.parametrize("name", IDS)
def test_an_id_of_more_than_100_characters_is_431_without_ids(hold: Hold, name: str) -> None:
    client = hold(wire()).connect()
    client.send(get("/version", f"{name}: {'a' * 100}") + get("/version", f"{name}: {'a' * 101}"))
    fine, refused = client.responses()
    assert (fine.status, refused.status) == (200, 431)
    assert json.loads(refused.body)["message"] == f"{name} is longer than 100 characters."
    assert not set(IDS) & set(refused.headers)


def test_trace_headers_are_echoed_and_a_broken_traceparent_is_not(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    good = scored(one, "TraceId: t1", f"traceparent: {parent}")
    assert (good.headers["traceid"], good.headers["traceparent"]) == ("t1", parent)
    assert f'"trace_id":"{"ab" * 16}"' in one.log()
    assert "traceparent" not in scored(one, "traceparent: 00-xyz").headers


def test_each_id_is_new(hold: Hold) -> None:
    client = hold(wire()).connect()
    client.send(get("/version") * 200)
    client.send(get("/version") * 200)
    assert len({response.headers["x-request-id"] for response in client.responses()}) == 400


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/version"), 200),
        (get("/status"), 200),
        (get("/none"), 404),
        (get("/score", method="PUT"), 405),
        (get("/score", method="OPTIONS"), 200),
        (get("/swagger.json?version=9"), 404),
        (get("/version", "expect: x"), 417),
        (post(b"\x1f\x8b", "content-encoding: gzip"), 400),
        (post(b"x", "content-encoding: br"), 415),
        (b"nonsense\r\n\r\n", 400),
        (post(b"{}", path="/v2/models/m/infer"), 404),
        (post(b"{}", path="/invocations"), 404),
    ],
)
def test_every_answer_says_that_run_did_not_fail_and_who_answered(hold: Hold, request_bytes: bytes, status: int) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(request_bytes)
    (response,) = client.responses()
    assert response.status == status
    assert response.headers["x-ms-run-function-failed"] == "False"
    assert response.headers["x-ms-server-version"].startswith("fairlead/")
    assert response.headers["x-fairlead-revision"] == "r1"
    assert response.headers["x-request-id"]
    assert "date" in response.headers
    assert "x-ms-run-fn-exec-ms" not in response.headers


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready"])
def test_health_says_nothing_of_run(hold: Hold, path: str) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(get(path))
    (response,) = client.responses()
    assert response.status == 200
    assert "x-ms-run-function-failed" not in response.headers


def test_the_health_page_is_the_azure_servers(hold: Hold) -> None:
    one = hold(wire())
    client = one.connect()
    client.send(get("/"))
    one.add_worker()
    client.send(get("/"))
    starting, ready = client.responses()
    assert (starting.status, starting.headers["retry-after"]) == (503, "2")
    assert (ready.status, ready.body, ready.headers["content-type"]) == (200, b"Healthy", "text/html; charset=utf-8")


def test_the_version_header_can_be_left_out(hold: Hold) -> None:
    one = hold(Wire(FrontSettings(says_version=False)))
    one.add_worker()
    assert "x-ms-server-version" not in scored(one).headers


def test_the_answer_of_run_has_its_time(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    assert scored(one).headers["x-ms-run-fn-exec-ms"] == "1.500"


def test_a_script_cannot_break_out_of_its_header_or_take_the_servers(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    answer = {
        "x-mine": "1\r\nset-cookie: stolen\r\n\r\n<html>",
        "x bad": "1",
        "x-bad:": "1",
        "Content-Length": "999",
        "Transfer-Encoding": "chunked",
        "Connection": "upgrade",
        "X-Request-Id": "forged",
        "x-ms-run-function-failed": "True",
        "content-type": "text/csv",
    }
    response = scored(one, "x-request-id: real", answer=answer)
    assert response.headers["x-mine"] == "1  set-cookie: stolen    <html>"
    assert (response.headers["x-request-id"], response.headers["content-type"]) == ("real", "text/csv")
    assert response.headers["x-ms-run-function-failed"] == "False"
    assert not {"set-cookie", "connection", "x bad", "x-bad", "transfer-encoding"} & set(response.headers)
    assert response.headers["content-length"] == "2"


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 65535])
def test_a_status_that_http_does_not_know_is_an_internal_error(hold: Hold, status: int) -> None:
    one = hold(wire())
    one.add_worker()
    response = scored(one, status=status)
    assert (response.status, response.headers["x-ms-run-function-failed"]) == (500, "False")
    assert f"status {status}" in one.log()


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_body_has_none(hold: Hold, status: int) -> None:
    one = hold(wire())
    one.add_worker()
    response = scored(one, status=status)
    assert (response.status, response.body) == (status, b"")
    assert "content-length" not in response.headers


def test_answers_name_the_revision_of_the_worker_that_made_them(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker("w1", "old")
    client = one.connect()
    client.send(post(b"1"))
    asked = one.asked("w1")
    one.add_worker("w2", "new")
    other = one.connect()
    other.send(get("/version"))
    one.answer(asked[0], ident="w1")
    assert other.responses()[0].headers["x-fairlead-revision"] == "new"
    assert client.responses()[0].headers["x-fairlead-revision"] == "old"
    assert '"revision":"old"' in one.log()


# Zipped bodies.
@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)])
@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_a_zipped_body_arrives_unpacked(hold: Hold, encoding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    data = post(pack(body), f"content-encoding: {encoding}")
    for start in range(0, len(data), 5000):
        client.send(data[start : start + 5000])
    (asked,) = one.asked()
    assert bytes(asked.request.body) == body
    one.answer(asked)
    assert client.statuses == [200]


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"no gzip", "incorrect header"), (gzip.compress(b"a" * 100)[:-9], "ends too early"), (gzip.compress(b"a") + gzip.compress(b"b"), "follows its end")],
    ids=["no gzip", "cut", "two"],  # not the bytes: they hold the time, and each process has to find the same tests
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(hold: Hold, body: bytes, words: str) -> None:
    client = hold(wire()).connect()
    client.send(post(body, "content-encoding: gzip"))
    (response,) = client.responses()
    assert response.status == 400
    assert words in json.loads(response.body)["message"]


def test_a_bomb_is_stopped_when_it_passes_the_limit(hold: Hold) -> None:
    one = hold(wire(body=1_000_000))
    client = one.connect()
    client.send(post(gzip.compress(b"0" * 50_000_000), "content-encoding: gzip"))
    (response,) = client.responses()
    assert response.status == 413
    assert "unpacks to more than 1000000 bytes" in json.loads(response.body)["message"]
    assert one.front.buffered == 0


# The log.
LINE = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "level": "info", "source": "request", "method": "POST", "path": "/score", "status": 200, "ms": float,
    "request_id": "A", "client_request_id": "C", "queue_ms": float, "run_ms": 1.5, "rows": 1, "worker": "w1", "bytes": 2, "revision": "r1",
}  # fmt: skip


def test_a_scored_request_is_one_line_of_json_with_these_fields(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    scored(one, "x-request-id: A", "x-ms-client-request-id: C")
    (line,) = one.log().splitlines()
    record = json.loads(line)
    assert list(record) == list(LINE)
    assert re.fullmatch(str(LINE["time"]), record["time"])
    for name, value in LINE.items():
        assert record[name] == value or name == "time" or (value is float and isinstance(record[name], float)), name


@pytest.mark.parametrize(("path", "level"), [("/version", "info"), ("/none", "warning"), ("/docs", "error")])
def test_the_level_says_how_it_went(hold: Hold, path: str, level: str) -> None:
    one = hold(wire())
    client = one.connect()
    client.send(get(path))
    assert json.loads(one.log())["level"] == level


def test_health_and_metrics_that_went_well_are_not_logged(hold: Hold) -> None:
    one = hold(wire())
    one.add_worker()
    client = one.connect()
    client.send(get("/") + get("/livez") + get("/metrics"))
    assert one.log() == ""


@pytest.mark.parametrize("form", ["json", "text"])
def test_nobody_can_write_lines_of_his_own_into_the_log(hold: Hold, form: str) -> None:
    one = hold(Wire(FrontSettings(log_form=form)))
    client: Client = one.connect()
    client.send(get('/x?a="}{"level":"forged', 'x-request-id: a"}\x85{\x1b[31m\xff'.encode("latin-1").decode("latin-1")))
    client.send(get("/" + "y" * 3000))
    client.send(b'GET /z HTTP/1.1\r\nhost: a\r\nx-request-id: "b\tc\xe2\x80\xa8d"\r\n\r\n')
    lines = one.log().split("\n")[:-1]
    assert len(lines) == len(client.responses())
    for line in lines:
        assert line.isprintable(), line
        if form == "json":
            assert json.loads(line)["source"] == "request"
