"""A small job in a process of its own, which is killed at one point after another and resumed: python -m tests.scoring.batch.killed_job ACTION FOLDER [STEP].

Prints what differs from an undisturbed run, point by point. Points are all that reach the disk or the store: files opened for writing, flushes, renames,
removals, uploads, as Python's audit hooks and the place tell them. Each try is a fork, so that libraries are loaded once.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping

from fairlead_scoring.batch.job import Order, Output
from fairlead_scoring.batch.ledger import open_ledger
from fairlead_scoring.batch.places import Place, Vanished, open_place
from fairlead_scoring.batch.shards import Bad, Outcome
from fairlead_scoring.batch.sinks import finish, open_sink

from tests.scoring.batch.made_tables import scores

SHARDS = 3
OUTPUTS: Mapping[str, Mapping[str, object]] = {
    "parquet": {},
    "partitions": {"format": "csv", "partition_by": ("region",)},
    "append_row": {"action": "append_row"},
}


def order_for(action: str) -> Order:
    return Order("job-1", "scores", "/no/bundle", output=Output("out", **OUTPUTS[action]))  # type: ignore[arg-type]


def run(order: Order, place: Place) -> None:
    with open_ledger(place, order, lambda: {"shards": SHARDS}) as ledger:
        if ledger.finished:
            return
        for shard in range(SHARDS):
            if shard not in ledger.done():
                ledger.note(score(order, place, shard))
        ledger.commit(finish(order, place, ledger.done()))


def score(order: Order, place: Place, shard: int) -> Outcome:
    sink = open_sink(order, place, shard)
    try:
        for batch in range(2):
            sink.write(scores(100 * shard + 10 * batch, 10))
        if shard == 1:
            sink.bad([Bad("in.csv", 7, None, "no")])
        parts, quarantine = sink.publish()
    finally:
        sink.abandon()
    return Outcome(shard, parts, quarantine, items=20, rows=sink.rows, failed=len(quarantine))


def outputs(place: Place) -> dict[str, bytes]:
    """What a reader sees, without the moment at which it was finished."""
    try:
        paths = [entry.url[len(place.root) + 1 :] for entry in place.entries("", hidden=True)]
    except Vanished:
        return {}
    return {path: place.read_bytes(path) for path in paths if not path.startswith("_fairlead/") and path != "_manifest.json"}


def in_fork(act: Callable[[], None]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException as fault:  # noqa: BLE001 - the parent reads it
            print(f"raised {type(fault).__name__}: {fault}")
            sys.stdout.flush()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def killed_at(point: int, order: Order, url: str) -> None:
    reached = 0

    def reach() -> None:
        nonlocal reached
        reached += 1
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if "://" not in url and (writes or event in {"os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate", "shutil.rmtree"}):
            reach()

    place = open_place(url)
    sys.addaudithook(audit)
    place.on_write = lambda _act, _path: reach()
    run(order, place)


def main(action: str, base: str, step: int) -> None:
    for name in ("pyarrow.csv", "pyarrow.parquet", "s3fs"):
        importlib.import_module(name)
    order = order_for(action)
    in_fork(lambda: run(order, open_place(f"{base}/undisturbed")))
    point, ended = 1, False
    while not ended:
        url = f"{base}/{point}"
        ended = in_fork(lambda: killed_at(point, order, url)) == 0  # noqa: B023 - called at once
        assert in_fork(lambda: run(order, open_place(url))) == 0, f"not resumed after {point}"  # noqa: B023 - called at once
        point += step
    wanted = outputs(open_place(f"{base}/undisturbed"))
    assert wanted
    for number in range(1, point, step):
        same = outputs(open_place(f"{base}/{number}")) == wanted
        print(f"{number} {'same' if same else 'differs'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
