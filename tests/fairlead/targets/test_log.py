"""The log of a local service: its end is read without the rest, over files that were turned over, and followed while it grows."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fairlead.targets.docker import merging
from fairlead.targets.lines import Filter
from fairlead.targets.local import log
from fairlead.targets.local.log import follow, last_lines
from tests.fairlead.targets.bench import LocalBench
from tests.fairlead.targets.contract import next_of, settled
from tests.waiting import until

ALL = Filter()


def line(number: int, **more: object) -> str:
    return json.dumps({"message": f"line {number}", "request_id": f"id-{number}", **more})


def test_what_was_kept_of_a_container_comes_back_whatever_its_lines_hold() -> None:
    """Progress bars, and what a power failure left of the last line."""
    lines = [(b"2026-01-02T03:04:05.000000001Z", b" 50 %\r100 %"), (b"2026-01-02T03:04:05.000000002Z", b""), (b"2026-01-02T03:04:06.000000000Z", b"done")]
    assert list(merging.of_file(merging.as_file(lines) + b"2026-01-0")) == lines


def test_a_million_lines_are_tailed_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "service.jsonl"
    with path.open("w") as file:
        file.writelines(f"{line(number)}\n" for number in range(1_000_000))
    read: list[int] = []
    backwards = log._backwards

    def counting(file: object, end: int) -> object:
        for one in backwards(file, end):  # type: ignore[arg-type]
            read.append(len(one))
            yield one

    monkeypatch.setattr(log, "_backwards", counting)
    assert last_lines(path, 200, ALL) == [line(number).encode() for number in range(999_800, 1_000_000)]
    assert len(read) <= 201
    assert last_lines(path, 5, Filter(request_id="id-999990")) == [line(999_990).encode()]


CONTENT = some.lists(some.text(some.characters(codec="utf-8", exclude_characters="\n"), max_size=30), max_size=20)


@settings(max_examples=200)
@given(CONTENT, some.lists(some.integers(0, 20), max_size=3), some.integers(0, 30), some.integers(1, 40))
def test_the_last_lines_are_those_of_all_files_together(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: list[int], count: int, block: int
) -> None:
    """Whatever is in the lines, wherever the file was turned over, and however large a block is."""
    path = tmp_path_factory.mktemp("log") / "service.jsonl"
    edges = sorted({0, len(lines), *(min(cut, len(lines)) for cut in cuts)})
    parts = [lines[start:end] for start, end in itertools.pairwise(edges)]
    for number, part in enumerate(reversed(parts)):
        name = path if number == 0 else path.with_name(f"{path.name}.{number}")
        name.write_bytes("".join(f"{one}\n" for one in part).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "BLOCK", block)
        assert last_lines(path, count, ALL) == [one.encode() for one in lines[max(0, len(lines) - count) :]]


def test_a_line_that_is_still_being_written_is_not_one_yet(tmp_path: Path) -> None:
    path = tmp_path / "service.jsonl"
    path.write_text("one\ntwo\nthr")
    assert last_lines(path, 9, ALL) == [b"one", b"two"]
    path.write_text("thr")
    assert last_lines(path, 9, ALL) == []


def test_filters_look_at_fields_and_not_at_words(tmp_path: Path) -> None:
    path = tmp_path / "service.jsonl"
    lines = [line(1, revision="r1"), line(2, revision="r2"), line(3, message="r1 id-2"), "r1 id-2", line(4, revision="r1", client_request_id="id-2")]
    path.write_text("".join(f"{one}\n" for one in lines))
    assert last_lines(path, 9, Filter(revision="r1")) == [lines[0].encode(), lines[4].encode()]
    assert last_lines(path, 9, Filter(request_id="id-2")) == [lines[1].encode(), lines[4].encode()]
    assert last_lines(path, 9, Filter(revision="r1", request_id="id-2")) == [lines[4].encode()]
    assert last_lines(path, 1, Filter(revision="r1")) == [lines[4].encode()]


def test_following_misses_nothing_while_the_file_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / "service.jsonl"
    path.write_text("".join(f"{number}\n" for number in range(10)))
    seen: list[bytes] = []
    over = threading.Event()
    reader = threading.Thread(target=lambda: seen.extend(follow(path, 3, ALL, over.is_set)))
    reader.start()
    until(lambda: len(seen) == 3, "the tail")
    number = 10
    for _ in range(4):
        with path.open("a") as file:
            for _ in range(50):
                file.write(f"{number}\n")
                file.flush()
                number += 1
            _turn_over(path)
            file.write(f"{number}\n")  # one that had not heard of it yet
            number += 1
        until(lambda: seen and seen[-1] == str(number - 1).encode(), "the reader to keep up")  # noqa: B023 - asked at once
    over.set()
    reader.join(10)
    assert [int(one) for one in seen] == list(range(7, number))


def test_following_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "service.jsonl"
    over = threading.Event()
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.extend(follow(path, 3, ALL, over.is_set)))
    reader.start()
    path.write_text("one\ntw")
    until(lambda: seen == [b"one"], "the first line")
    with path.open("a") as file:
        file.write("o\n")
    over.set()
    reader.join(10)
    assert seen == [b"one", b"two"]


def test_a_live_service_is_followed_to_its_end_and_a_request_found_by_its_id(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    settled(local.target, service.handle)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.extend(local.target.logs(service.handle, tail=0, follow=True, request_id="order-1")))
    reader.start()
    local.request(service, body={"tag": 1}, headers={"x-request-id": "order-1"})
    local.request(service, body={"tag": 2}, headers={"x-request-id": "order-2"})
    local.target.apply(next_of(service))
    settled(local.target, service.handle)
    local.request(service, body={"tag": 3}, headers={"x-request-id": "order-1"})
    until(lambda: len(seen) >= 4, "the lines of two requests, printed and logged")
    local.target.stop(service.handle)
    reader.join(20)
    assert not reader.is_alive()
    found = [json.loads(one) for one in seen]
    assert {one["source"] for one in found} == {"print", "request"}
    assert [one["revision"] for one in found if one["source"] == "print"] == ["r1", "r2"]
    assert len(list(local.target.logs(service.handle, request_id="order-2"))) == 2


def _turn_over(path: Path) -> None:
    for number in range(4, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))
    path.touch()
