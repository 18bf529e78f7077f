"""The ledger: a job goes on where it was, never in somebody else's folder, and two drivers never write one output."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead_scoring.batch.job import Engine, Input, Limits, Order, Output
from fairlead_scoring.batch.ledger import discard, open_ledger, order_digest
from fairlead_scoring.batch.ledger.holding import Lease
from fairlead_scoring.batch.ledger.lines import line_of
from fairlead_scoring.batch.places import Place, PlaceFault, Refused, Vanished, open_place
from fairlead_scoring.batch.shards import Outcome, Part

from tests.s3 import S3Server
from tests.waiting import until

PLAN = {"shards": [{"number": 0}, {"number": 1}]}
ORDER = Order("job-1", "scores", "/no/bundle", inputs=(Input(("in/*.csv",)),), output=Output("out", keep=("id",)))


def never() -> dict[str, object]:
    raise AssertionError("planned twice")


def publish(place: Place, shard: int, content: bytes = b"rows") -> Outcome:
    path = f"part-{shard:05d}.csv"
    place.put(path, content)
    return Outcome(shard, (Part(path, 4, len(content), "00"),), items=4, rows=4, seconds={"read": 0.5}, node="here")


def names(place: Place) -> list[str]:
    return [entry.url[len(place.root) + 1 :] for entry in place.entries("", hidden=True)]


def test_a_job_goes_on_where_it_was_and_is_planned_once(place: Place) -> None:
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        assert (ledger.done(), ledger.finished, ledger.plan) == ({}, None, PLAN)
        first = publish(place, 0)
        ledger.note(first)
        assert ledger.done() == {0: first}
    with open_ledger(place, ORDER, never) as again:
        assert (again.done(), again.plan) == ({0: first}, PLAN)
        second = publish(place, 1)
        again.note(second)
        again.note(replace(first, tries=2))
    with open_ledger(place, replace(ORDER, engine=Engine("ray"), limits=Limits(5), log_level="DEBUG"), never) as third:
        assert third.done() == {0: replace(first, tries=2), 1: second}
        third.commit({"job": "job-1", "digest": order_digest(ORDER), "parts": []})
    finished = open_ledger(place, ORDER, never)
    assert finished.finished == {"job": "job-1", "digest": order_digest(ORDER), "parts": []}


def test_a_finished_job_of_a_thousand_shards_reads_its_manifest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(str(tmp_path))
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        for shard in range(1000):
            ledger.note(Outcome(shard))
        ledger.commit({"digest": order_digest(ORDER)})
    read: list[str] = []
    opened = place.open
    monkeypatch.setattr(place, "open", lambda path, offset=0: (read.append(path), opened(path, offset))[1])  # type: ignore[func-returns-value]
    monkeypatch.setattr(place, "entries", never)
    assert open_ledger(place, ORDER, never).finished
    assert read == ["_manifest.json"]


def test_a_shard_whose_file_is_gone_or_short_is_done_again(place: Place) -> None:
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        for shard in range(3):
            ledger.note(publish(place, shard))
    place.delete("part-00001.csv")
    place.put("part-00002.csv", b"row")
    with open_ledger(place, ORDER, never) as again:
        assert list(again.done()) == [0]


@pytest.mark.parametrize("torn", [1, 20, -1])
def test_what_a_power_failure_left_of_a_line_is_cut_off(tmp_path: Path, torn: int) -> None:
    place = open_place(str(tmp_path))
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        ledger.note(publish(place, 0))
    lines = tmp_path / "_fairlead" / "ledger.jsonl"
    whole = lines.read_bytes()
    lines.write_bytes(whole + line_of(publish(place, 1))[:torn])
    with open_ledger(place, ORDER, never) as again:
        again.note(publish(place, 2))
        assert list(again.done()) == [0, 2]
    assert lines.read_bytes().startswith(whole)
    with open_ledger(place, ORDER, never) as third:
        assert list(third.done()) == [0, 2]


def test_a_line_that_was_changed_does_not_count(tmp_path: Path) -> None:
    place = open_place(str(tmp_path))
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        for shard in range(3):
            ledger.note(publish(place, shard))
    lines = tmp_path / "_fairlead" / "ledger.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b'"shard":1', b'"shard":7'))
    with open_ledger(place, ORDER, never) as again:
        assert list(again.done()) == [0, 2]


def test_another_jobs_output_is_refused_and_says_what_differs(place: Place) -> None:
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        ledger.note(publish(place, 0))
    other = replace(ORDER, id="job-2", inputs=(Input(("in/*.csv",), columns=("a",)),))
    with pytest.raises(Refused, match=r'of another job, job-1: inputs was .*"columns": null.*, is .*"columns": \["a"\].*Give another --out, or --overwrite'):
        open_ledger(place, other, never)
    with open_ledger(place, ORDER, never) as ledger:
        ledger.commit({"job": "job-1", "digest": order_digest(ORDER), "parts": []})
    with pytest.raises(Refused, match="output of another job, job-1: inputs was"):
        open_ledger(place, other, never)
    place.put("mine.txt", b"kept")
    with open_ledger(place, other, lambda: {"other": 1}, overwrite=True) as begun:
        assert (begun.done(), begun.plan) == ({}, {"other": 1})
        assert [name for name in names(place) if not name.startswith("_fairlead/")] == ["mine.txt"]


def test_a_folder_with_somebodys_files_is_refused(place: Place) -> None:
    place.put("sub/data.csv", b"1")
    for overwrite in (False, True):
        with pytest.raises(Refused, match=r"is not empty, and Fairlead did not write it: it holds sub/data\.csv\. Give another --out\."):
            open_ledger(place, ORDER, never, overwrite=overwrite)
    assert names(place) == ["sub/data.csv"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"1")
    with pytest.raises(Refused, match=r"out\.csv is a file\. Give a folder"):
        open_ledger(open_place(str(tmp_path / "out.csv")), ORDER, never)


def test_a_cancelled_job_leaves_whole_shards_only(place: Place) -> None:
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        ledger.note(publish(place, 0))
        publish(place, 1)
        place.put("_quarantine/part-00001.jsonl", b"{}")
        discard(place, ledger)
    assert [name for name in names(place) if not name.startswith("_fairlead/")] == ["part-00000.csv"]
    with open_ledger(place, ORDER, never) as again:
        assert list(again.done()) == [0]


def test_the_same_bundle_in_another_folder_is_the_same_job(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text("{}" if name != "c" else "[]")
    a, b, c = (order_digest(replace(ORDER, bundle=str(tmp_path / name))) for name in ("a", "b", "c"))
    assert a == b != c
    assert a == order_digest(Order.from_json(json.loads(json.dumps(replace(ORDER, bundle=str(tmp_path / "a")).to_json()))))


HOLD = """
import sys
from fairlead_scoring.batch.job import Order
from fairlead_scoring.batch.ledger import open_ledger
from fairlead_scoring.batch.places import open_place
ledger = open_ledger(open_place(sys.argv[1]), Order(sys.argv[2], "scores", "/no/bundle"), lambda: {})
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_two_drivers_never_write_one_output(kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    server: S3Server | None = request.getfixturevalue("s3") if kind == "s3" else None
    url = f"s3://{server.make_bucket()}/out" if server else str(tmp_path / "out")
    place, order = open_place(url), Order("job-1", "scores", "/no/bundle")
    other = subprocess.Popen([sys.executable, "-c", HOLD, url, "job-9"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match=r"is being written by .*Wait for that job, or cancel it, or give another --out"):
            open_ledger(place, order, dict)
        other.kill()
    if kind == "s3":
        with pytest.raises(Refused, match=r"is being written by job-9 on .*, last seen"):
            open_ledger(place, order, dict)
        monkeypatch.setattr("fairlead_scoring.batch.ledger.holding.EXPIRE", 0.0)
    open_ledger(place, order, never).close()


def test_a_driver_that_was_killed_and_started_again_takes_its_own_lease(s3: S3Server) -> None:
    place = open_place(f"s3://{s3.make_bucket()}/out")
    first = Lease(place, "job-1 on here")
    second = Lease(place, "job-1 on here")
    second.check()
    first._over.set()
    second.release()
    with pytest.raises(Vanished):
        names(place)


def test_a_driver_whose_lease_was_taken_over_writes_no_more(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    monkeypatch.setattr("fairlead_scoring.batch.ledger.holding.RENEW", 0.05)
    place = open_place(f"s3://{s3.make_bucket()}/out")
    slept = open_ledger(place, ORDER, lambda: PLAN)
    monkeypatch.setattr("fairlead_scoring.batch.ledger.holding.EXPIRE", 0.0)
    with open_ledger(place, replace(ORDER, id="job-2"), never) as other:
        until(lambda: slept._hold._lost, "the first to notice")  # type: ignore[attr-defined]
        with pytest.raises(Refused, match="was taken over by another driver"):
            slept.note(Outcome(0))
        assert other.done() == {}
        slept.close()
        other.note(Outcome(1))


def test_a_network_that_fails_loses_no_line(s3: S3Server, flaky_s3: Callable[..., AbstractContextManager[None]]) -> None:
    url = f"s3://{s3.make_bucket()}/out"
    with flaky_s3(0.2):
        with open_ledger(open_place(url), ORDER, lambda: PLAN) as ledger:
            for shard in range(10):
                ledger.note(Outcome(shard, items=shard))
        with open_ledger(open_place(url), ORDER, never) as again:
            assert again.done() == {shard: Outcome(shard, items=shard) for shard in range(10)}


def test_a_full_disk_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_place(str(tmp_path))
    with open_ledger(place, ORDER, lambda: PLAN) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(PlaceFault, match="No space is left"):
                ledger.note(publish_plain(tmp_path, 0))
        ledger.note(publish_plain(tmp_path, 0))
    with open_ledger(place, ORDER, never) as again:
        assert list(again.done()) == [0]


def publish_plain(folder: Path, shard: int) -> Outcome:
    (folder / f"part-{shard:05d}.csv").write_bytes(b"rows")
    return Outcome(shard, (Part(f"part-{shard:05d}.csv", 4, 4, "00"),))
