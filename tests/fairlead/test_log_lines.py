"""Log lines as a person reads them."""

from __future__ import annotations

import json

from fairlead.cli.log_lines import as_text

SAID = {"time": "2026-01-31T12:00:01.250Z", "level": "error", "source": "script", "message": "run() raised KeyError: 'a'\nTraceback\n  File"}
REQUEST = {"time": "2026-01-31T12:00:02.250Z", "level": "info", "source": "request", "method": "POST", "path": "/score", "status": 200, "ms": 1.5}


def test_a_traceback_stands_below_its_sentence_with_the_requests_mark() -> None:
    lines = as_text(json.dumps({**SAID, "request_id": "0123456789-abc", "worker": "w1", "revision": "r"})).splitlines()
    assert lines == ["12:00:01  ERROR script: run() raised KeyError: 'a'  [01234567]", "Traceback", "  File"]


def test_a_request_is_one_short_line() -> None:
    assert as_text(json.dumps({**REQUEST, "queue_ms": 0.1, "bytes": 2, "broken": True})) == "12:00:02  request: POST /score 200 1.5 ms  broken=True"


def test_what_was_said_at_the_start_has_no_mark() -> None:
    said = {**SAID, "message": "loaded", "level": "info", "request_id": "00000000-0000-0000-0000-000000000000"}
    assert as_text(json.dumps(said)) == "12:00:01  script: loaded"


def test_a_line_of_another_form_stays_as_it_is() -> None:
    for line in ("Segmentation fault", "[1, 2]", '{"time": 5}', ""):
        assert as_text(line) == line
