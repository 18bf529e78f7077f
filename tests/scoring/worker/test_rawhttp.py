"""Raw HTTP: our request and response against werkzeug's, which the Azure server hands to scripts."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from fairlead_scoring.worker.exchange import BadInput, EncodeFault, Request
from fairlead_scoring.worker.http_fields import Headers, MissingKey, parse_options
from fairlead_scoring.worker.rawhttp import AMLRequest, AMLResponse, is_raw, is_response, rawhttp, to_answer
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as RealRequest
from werkzeug.wrappers import Response as RealResponse

JSON = {"Content-Type": "application/json"}


class InMemory(RealRequest):
    """Without the temporary files that werkzeug leaves open where a form cannot be read."""

    def _get_file_stream(self, *_: Any, **__: Any) -> Any:
        return io.BytesIO()


def both(body: bytes = b"", headers: dict[str, str] | None = None, *, method: str = "POST", query: str = "") -> tuple[AMLRequest, RealRequest]:
    """The same request in ours and in werkzeug's."""
    given_headers = {"Host": "localhost", **(headers or {})}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in given_headers.items()]
    ours = AMLRequest.of(Request(body, method=method, query=query.encode(), headers=[*pairs, (b"content-length", str(len(body)).encode())]))
    environ = EnvironBuilder("/score", method=method, query_string=query, headers=list(given_headers.items()), input_stream=io.BytesIO(body)).get_environ()
    environ["CONTENT_LENGTH"] = str(len(body))
    return ours, InMemory(environ)


def form_facts(request: Any) -> list[Any]:
    files = [(name, one.filename, one.name, one.content_type, one.mimetype, one.read()) for name, one in request.files.items(multi=True)]
    return [list(request.form.items(multi=True)), files]


@pytest.mark.parametrize(
    "attribute",
    ["method", "path", "full_path", "query_string", "url", "base_url", "host", "host_url", "scheme", "content_type", "mimetype", "mimetype_params",
     "content_length", "is_json", "data", "json", "root_path", "is_secure", "referrer"],
)  # fmt: skip
def test_attributes_are_those_of_werkzeug(attribute: str) -> None:
    ours, real = both(b'{"data": [1]}', {"Content-Type": "application/json; charset=utf-8"}, query="a=1&b=%20c&b=x+y&empty=&a=2")
    assert getattr(ours, attribute) == getattr(real, attribute)


def test_query_and_values_read_as_in_werkzeug() -> None:
    ours, real = both(b"a=9&c=3", {"Content-Type": "application/x-www-form-urlencoded"}, query="a=1&b=%C3%A9&b=x+y&n=5")
    for said in ("args", "form", "values"):
        mine, theirs = getattr(ours, said), getattr(real, said)
        assert sorted(mine.items(multi=True)) == sorted(theirs.items(multi=True)), said
        assert (mine.to_dict(), mine.getlist("a"), mine.get("no", "?"), "a" in mine) == (theirs.to_dict(), theirs.getlist("a"), "?", "a" in theirs)
    assert (ours.args.get("n", type=int), ours.args.get("b", 7, type=int), json.dumps(ours.args)) == (5, 7, json.dumps(real.args))
    assert (ours.data, ours.get_data(), ours.stream.read()) == (b"", b"a=9&c=3", b"a=9&c=3")


def test_a_get_has_only_its_query() -> None:
    ours, real = both(method="GET", query="x=1")
    assert (ours.values.to_dict(), ours.full_path, ours.data) == (real.values.to_dict(), real.full_path, real.data)


def test_headers_ignore_case_and_make_a_title_cased_dict() -> None:
    ours, real = both(headers={"x-ms-client-request-id": "7", "Cookie": "a=1; b=two"})
    assert ours.headers["X-MS-Client-Request-ID"] == real.headers["X-MS-Client-Request-ID"] == "7"
    assert dict(ours.headers)["X-Ms-Client-Request-Id"] == dict(real.headers)["X-Ms-Client-Request-Id"]
    assert ours.cookies.to_dict() == real.cookies.to_dict() == {"a": "1", "b": "two"}
    assert ours.headers.get("no") is None
    assert "content-length" in ours.headers


@pytest.mark.parametrize(("body", "headers"), [(b"{", JSON), (b"", JSON), (b"{}", {"Content-Type": "text/plain"}), (b"{}", {})])
def test_json_that_is_none(body: bytes, headers: dict[str, str]) -> None:
    ours, real = both(body, headers)
    assert ours.get_json(silent=True) is real.get_json(silent=True) is None
    with pytest.raises(BadInput) as mine:
        ours.get_json()
    with pytest.raises(Exception, match=r"JSON") as theirs:
        real.get_json()
    assert mine.value.status == getattr(theirs.value, "code", None)


def test_json_by_force() -> None:
    ours, _ = both(b"[1]", {"Content-Type": "text/plain"})
    assert ours.get_json(force=True) == [1]
    assert ours.get_data(as_text=True) == "[1]"


def test_a_missing_file_is_the_callers_mistake_and_a_key_error() -> None:
    ours, _ = both(b"--x\r\nContent-Disposition: form-data; name=photo; filename=a.png\r\n\r\n1\r\n--x--", {"Content-Type": "multipart/form-data; boundary=x"})
    with pytest.raises(MissingKey, match="has no file 'image'; it has 'photo'") as missed:
        ours.files["image"]
    assert isinstance(missed.value, KeyError)
    assert missed.value.status == 400
    cut_off, _ = both(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', {"Content-Type": "multipart/form-data; boundary=x"})
    with pytest.raises(MissingKey, match="may be cut off"):
        cut_off.form["a"]


def test_an_uploaded_file_is_a_file(tmp_path: Path) -> None:
    picture = io.BytesIO()
    PIL.Image.new("RGB", (3, 2)).save(picture, "PNG")
    body, content_type = multipart({"note": "hi"}, {"image": ("pic.png", picture.getvalue(), "image/png")})
    request, _ = both(body, {"Content-Type": content_type})
    upload = request.files.getlist("image")[0]
    assert (upload.filename, upload.mimetype, PIL.Image.open(upload).size) == ("pic.png", "image/png", (3, 2))
    upload.seek(0)
    upload.save(tmp_path / "copy.png")
    assert (tmp_path / "copy.png").read_bytes() == picture.getvalue()
    assert bool(upload)
    assert list(request.form.lists()) == [("note", ["hi"])]


def multipart(fields: dict[str, str], files: dict[str, tuple[str, bytes, str]]) -> tuple[bytes, str]:
    data: dict[str, Any] = dict(fields) | {name: (io.BytesIO(content), filename, kind) for name, (filename, content, kind) in files.items()}
    environ = EnvironBuilder(method="POST", data=data).get_environ()
    return environ["wsgi.input"].read(), environ["CONTENT_TYPE"]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8)
CONTENT = st.binary(max_size=40) | st.sampled_from([b"\r\n--x", b"--x--", b"\r", b"\n", b"\r\n", b"\r\n--xy\r\n", b"--"])


@given(st.lists(st.tuples(NAMES, st.none() | NAMES, CONTENT, st.sampled_from(["", "text/plain; charset=iso-8859-1", "image/png"])), max_size=4))
def test_forms_that_clients_write_are_read_as_by_werkzeug(parts: list[tuple[str, str | None, bytes, str]]) -> None:
    body = bytearray()
    for name, filename, content, kind in parts:
        as_file = f'; filename="{filename}"' if filename is not None else ""
        said = f"Content-Type: {kind}\r\n" if kind else ""
        body += f'--x\r\nContent-Disposition: form-data; name="{name}"{as_file}\r\n{said}\r\n'.encode() + content + b"\r\n"
    ours, real = both(bytes(body) + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"})
    assert form_facts(ours) == form_facts(real)


PIECES = [b"--x", b"--x--", b"\r\n", b"\n", b"\r", b" ", b"\t", b'Content-Disposition: form-data; name="a"', b"; filename=f", b"Content-Type: a/b", b":",
          b"\xff", b"data", b"--", b"Content-Disposition: form-data; filename*=UTF-8''%e2%82%ac; name=b", b"\r\n\r\n"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join))
@example(b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n--x--")
@example(b"--x\rContent-Disposition: form-data; name=a\r\r1\r--x--")
@example(b"preamble\n--x \nContent-Disposition: form-data; name=a\n\n1\n--x-- \nepilogue")
@example(b"--x\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n1\r\n--x--")
def test_forms_that_nobody_should_write_are_read_as_by_werkzeug(body: bytes) -> None:
    ours, real = both(body, {"Content-Type": 'multipart/form-data; boundary="x"'})
    assert form_facts(ours) == form_facts(real)


@given(
    st.lists(
        st.sampled_from(["a", "b*", "b*0", "b*1*", "=", '"', ";", " ", "x", "UTF-8''", "%e2%82%ac", "\\", '\\"', "%22", "é", "form-data"]), max_size=14
    ).map("".join)
)
@example("form-data; filename*=UTF-8''%e2%82%ac.png; name=\"a\"")
@example("a;b*=UTF-8''")
def test_header_options_are_read_as_by_werkzeug(value: str) -> None:
    assert parse_options(value) == parse_options_header(value)


def test_a_form_of_too_many_parts_is_refused() -> None:
    body = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n" * 1001 + b"--x--"
    ours, _ = both(body, {"Content-Type": "multipart/form-data; boundary=x"})
    with pytest.raises(BadInput, match="more than 1000 parts") as refused:
        ours.form  # noqa: B018
    assert refused.value.status == 413


# Answers.


def test_text_is_html_unless_the_script_says_otherwise() -> None:
    answer = to_answer(AMLResponse("héllo", 201))
    assert (answer.status, answer.content_type, answer.body, answer.failed) == (201, "text/html; charset=utf-8", "héllo".encode(), False)
    for name in ("Content-Type", "content-type"):  # the Azure server sends two such headers for the second
        assert to_answer(AMLResponse(b"\x89PNG", 200, {name: "image/png"})).content_type == "image/png"


def test_json_and_none() -> None:
    assert to_answer(AMLResponse({"a": [1]}, 200, json_str=True)).body == b'{"a": [1]}'
    empty = to_answer(AMLResponse(None, 200))
    assert (empty.body, empty.content_type) == (b"{}", "application/json")
    assert to_answer(AMLResponse({"a": 1, "b": 2}, 200)).body == b"ab"


def test_header_values_are_split_at_commas_where_commas_separate() -> None:
    answer = to_answer(AMLResponse("", 200, {"X-Many": "a, b", "Expires": "Wed, 21 Oct 2015 07:28:00 GMT", "X-Count": 3}))
    assert answer.headers == [("X-Many", "a"), ("X-Many", "b"), ("Expires", "Wed, 21 Oct 2015 07:28:00 GMT"), ("X-Count", "3")]


def test_headers_and_kind_can_be_set_later() -> None:
    response = AMLResponse("a,b", 200)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.mimetype = "text/csv"
    response.status_code = 202
    answer = to_answer(response)
    assert (answer.status, answer.content_type, answer.headers) == (202, "text/csv; charset=utf-8", [("Access-Control-Allow-Origin", "*")])
    response.set_cookie("seen", "1", max_age=60, httponly=True)
    assert "seen=1; " in response.headers["set-cookie"]


@pytest.mark.parametrize(
    ("response", "failed"),
    [
        (AMLResponse("", 200), False),
        (AMLResponse("", 400, run_function_failed=True), True),
        (AMLResponse("", 200, {"x-ms-run-function-failed": "true"}), True),
        (AMLResponse("", 503), True),
        (RealResponse("", 200), None),
        (RealResponse("", 500), True),
        (RealResponse("", 404, {"x-ms-run-function-failed": "False"}), False),
    ],
)
def test_who_failed(response: Any, failed: bool | None) -> None:
    answer = to_answer(response)
    assert answer.failed is failed
    assert not [name for name, _ in answer.headers if name.lower() == "x-ms-run-function-failed"]


def test_a_real_response_is_taken_by_its_shape() -> None:
    answer = to_answer(RealResponse(["a", "b"], 418, {"X-A": "1"}, mimetype="text/plain"))
    assert (answer.status, answer.body, answer.content_type, ("X-A", "1") in answer.headers) == (418, b"ab", "text/plain; charset=utf-8", True)
    assert not is_response({"status_code": 200})
    assert not is_response(type("Requests", (), {"status_code": 200, "headers": {}})())


@pytest.mark.parametrize("kind", [AMLResponse, RealResponse])
def test_generators_are_streamed_and_closed(kind: Any) -> None:
    closed: list[bool] = []

    def chunks() -> Iterator[Any]:
        try:
            yield "a"
            yield b"b"
        finally:
            closed.append(True)

    body: Any = to_answer(kind(chunks(), 200)).body
    assert next(body) == b"a"
    body.close()
    assert closed == [True]


def test_an_async_generator_is_streamed() -> None:
    async def chunks() -> AsyncIterator[str]:
        yield "é"

    async def collect(body: Any) -> list[bytes]:
        return [chunk async for chunk in body]

    assert asyncio.run(collect(to_answer(AMLResponse(chunks(), 200)).body)) == ["é".encode()]


@pytest.mark.parametrize(
    ("message", "status", "words"), [(5, 200, "body of type int"), ([1, 2], 200, "body of type list"), ("", 700, "the status 700"), ("", 100, "100")]
)
def test_what_cannot_be_sent_says_why(message: Any, status: int, words: str) -> None:
    with pytest.raises(EncodeFault, match=words):
        to_answer(AMLResponse(message, status))


def test_a_header_cannot_break_out_of_its_line() -> None:
    with pytest.raises(ValueError, match="line breaks"):
        AMLResponse("", 200, {"X-A": "1\r\nSet-Cookie: a=1"})


def test_the_decorator_marks_the_function_and_no_other() -> None:
    @rawhttp
    def run(request: AMLRequest) -> str:
        return request.method

    assert is_raw(run)
    assert not is_raw(lambda data: data)


def test_headers_behave_as_a_list_of_pairs() -> None:
    headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])
    headers.set("a", 9)
    headers.add("B", "4")
    assert (list(headers), headers.getlist("B"), headers.pop("b"), len(headers)) == ([("a", "9"), ("b", "2"), ("B", "4")], ["2", "4"], "2", 1)
