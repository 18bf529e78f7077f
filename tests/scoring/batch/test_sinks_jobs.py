"""Whole jobs: killed at every point and resumed, over a network that fails, with few durable writes, and a manifest that says what is there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fairlead_scoring.batch.ledger import open_ledger, order_digest
from fairlead_scoring.batch.places import Place, PlaceFault, open_place
from fairlead_scoring.batch.shards import Outcome, Part
from fairlead_scoring.batch.sinks import finish

from tests.s3 import S3Server
from tests.scoring.batch.killed_job import OUTPUTS, SHARDS, order_for, outputs, run, score


def survivors(repository: Path, action: str, base: str, step: int) -> Counter[str]:
    command = [sys.executable, "-m", "tests.scoring.batch.killed_job", action, base, str(step)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Counter(line.partition(" ")[2] for line in done.stdout.splitlines())


@pytest.mark.parametrize("action", OUTPUTS)
def test_killed_at_any_point_and_resumed_gives_the_same_bytes(repository: Path, tmp_path: Path, action: str, long: bool) -> None:
    """At each fifth point, or at each."""
    found = survivors(repository, action, str(tmp_path), 1 if long else 5)
    assert set(found) == {"same"}
    assert found["same"] > 5
    assert not list(tmp_path.rglob("*.beside"))


def test_killed_at_any_upload_and_resumed_gives_the_same_bytes(repository: Path, s3: S3Server, long: bool) -> None:
    found = survivors(repository, "append_row", f"s3://{s3.make_bucket()}", 1 if long else 16)
    assert set(found) == {"same"}
    assert found["same"] > 1


def test_a_network_that_fails_gives_the_same_bytes(s3: S3Server, tmp_path: Path, flaky_s3: Callable[..., AbstractContextManager[None]]) -> None:
    for action in OUTPUTS:
        run(order_for(action), open_place(str(tmp_path / action)))
        place = open_place(f"s3://{s3.make_bucket()}/{action}")
        with flaky_s3(0.1):
            run(order_for(action), place)
        assert outputs(place) == outputs(open_place(str(tmp_path / action)))


def test_a_shard_costs_two_durable_writes(place: Place) -> None:
    order = order_for("parquet")
    with open_ledger(place, order, lambda: {"shards": SHARDS}) as ledger:
        ledger.done()
        written: list[str] = []
        place.on_write = lambda act, path: written.append(f"{act} {path[len(place.root) + 1 :].partition('/')[0]}")
        ledger.note(score(order, place, 0))
        act = "flush" if "://" not in place.url else "put"
        assert written == [f"{act} part-00000.parquet", f"{act} _fairlead"]


def test_the_manifest_says_what_is_there(place: Place) -> None:
    order = order_for("parquet")
    run(order, place)
    manifest = json.loads(place.read_bytes("_manifest.json"))
    assert [part["path"] for part in manifest["parts"]] == [f"part-{shard:05d}.parquet" for shard in range(SHARDS)]
    for part in (*manifest["parts"], *manifest["quarantine"]):
        content = place.read_bytes(part["path"])
        assert (part["bytes"], part["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    totals = manifest["totals"]
    assert (totals["items"], totals["rows"], totals["failed"], totals["quarantined"]) == (60, 60, 1, 1)
    assert (manifest["digest"], manifest["notices"], manifest["schema"]) == (order_digest(order), [], "id: int64, region: string, score: double, word: string")
    assert {"_fairlead/plan.json"} <= {entry.url[len(place.root) + 1 :] for entry in place.entries("", hidden=True)}


def test_nothing_is_left_of_append_row_but_its_file(place: Place) -> None:
    run(order_for("append_row"), place)
    left = {entry.url[len(place.root) + 1 :] for entry in place.entries("", hidden=True)}
    assert [path for path in sorted(left) if "rows" in path or "beside" in path] == []
    assert [entry.url[len(place.root) + 1 :] for entry in place.entries()] == ["parallel_run_step.txt"]


def test_parts_that_differ_in_their_types_are_said_so(tmp_path: Path) -> None:
    outcomes = {
        number: Outcome(number, (Part(f"part-0000{number}.csv", 1, 1, "", schema),)) for number, schema in enumerate(["a: int64", "a: int64", "a: double"])
    }
    (notice,) = finish(order_for("parquet"), open_place(str(tmp_path)), outcomes)["notices"]
    assert notice.startswith("Parts differ in their columns: part-00000.csv has a: int64; part-00002.csv has a: double. ")


def test_rows_that_were_changed_behind_our_back_are_found(tmp_path: Path) -> None:
    place, order = open_place(str(tmp_path)), order_for("append_row")
    outcomes = {0: score(order, place, 0)}
    place.put("_fairlead/rows/00000.txt", b"short\n")
    with pytest.raises(PlaceFault, match=r"00000\.txt has 6 bytes, .*\d+ .*written\. Resume the job"):
        finish(order, place, outcomes)
    assert not place.exists("parallel_run_step.txt")
