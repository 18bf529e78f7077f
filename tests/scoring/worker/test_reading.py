"""Bodies and queries as the script gets them, whatever was sent."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from fairlead_scoring.worker.exchange import BadInput, Request
from fairlead_scoring.worker.reading import DEPTH_LIMIT, object_of, query_of, refuse_depth, text_of, titled_headers
from hypothesis import given
from hypothesis import strategies as st

JSON = [(b"content-type", b"application/json")]


def test_depth_counts_brackets_outside_strings_only() -> None:
    refuse_depth(b'["' + b"[" * 500 + b'\\"[", "]"]')
    refuse_depth(b"[" + b"[],{}," * 500 + b"[]]")
    refuse_depth(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)
    for opening in (b"[", b'{"a":'):
        with pytest.raises(BadInput, match="deeper than 100 levels"):
            refuse_depth(opening * (DEPTH_LIMIT + 1))
    with pytest.raises(BadInput, match="deeper than 100 levels"):
        object_of(Request(b'{"a":' * 200 + b"1" + b"}" * 200, headers=JSON))


@pytest.mark.parametrize("filler", [b'\\"', b'"', b"\\", b'"a\\'])
def test_depth_is_counted_in_linear_time(filler: bytes) -> None:
    started = time.process_time()
    refuse_depth(b"[]" * 60 + b'"' + filler * 200_000)
    assert time.process_time() - started < 5


@given(st.lists(st.tuples(st.text(min_size=1), st.integers() | st.text() | st.none())))
def test_a_query_reads_each_value_as_json_or_text(pairs: list[tuple[str, int | str | None]]) -> None:
    query = "&".join(f"{quote(name, safe='')}={quote(json.dumps(value), safe='')}" for name, value in pairs).encode()
    expected: dict[str, list[int | str | None]] = {}
    for name, value in pairs:
        expected.setdefault(name, []).append(value)
    assert query_of(Request(b"", method="GET", query=query)) == {name: found[0] if len(found) == 1 else found for name, found in expected.items()}


@given(st.binary())
def test_any_query_and_any_body_are_read_or_refused(raw: bytes) -> None:
    json.loads(text_of(Request(b"", method="GET", query=raw)))
    for read in (text_of, object_of):
        try:
            read(Request(raw, headers=JSON))
        except BadInput:
            pass


@pytest.mark.parametrize("content_type", [b"application/JSON", b" application/json ;charset=utf-8", b"application/a.b+json"])
def test_decorated_scripts_read_json(content_type: bytes) -> None:
    assert object_of(Request(b"{}", headers=[(b"content-type", content_type)])) == {}


@pytest.mark.parametrize("content_type", [b"application/jsonp", b"application/json-seq", b"text/json", b""])
def test_decorated_scripts_refuse_other_types(content_type: bytes) -> None:
    with pytest.raises(BadInput, match=r"^Expects Content-Type to be application/json$") as caught:
        object_of(Request(b"{}", headers=[(b"content-type", content_type)]))
    assert caught.value.status == 415


def test_headers_are_a_plain_dict_with_title_case_and_repeats_joined() -> None:
    request = Request(b"", headers=[(b"x-ms-a2b", b"1"), (b"accept", b"a"), (b"accept", b"b"), (b"x-latin", b"\xe9")])
    assert titled_headers(request) == {"X-Ms-A2B": "1", "Accept": "a,b", "X-Latin": "é"}


def test_a_body_in_shared_memory_is_text_too() -> None:
    assert text_of(Request(memoryview("é".encode()))) == "é"
