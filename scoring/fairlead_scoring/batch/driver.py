"""One job from its order to its end. Whoever holds the lock of its place drives it; killed at any moment, the next one goes on where the ledger ends."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

from fairlead_scoring import bundle
from fairlead_scoring.batch import progress
from fairlead_scoring.batch.devices import cores, devices, processes
from fairlead_scoring.batch.endings import JobEnded, Stopped
from fairlead_scoring.batch.engines import Crew, Engine, Event, Hopeless, Interruption, Lost
from fairlead_scoring.batch.job import CANCEL, LOGS, Order
from fairlead_scoring.batch.job_places import JobPlaces
from fairlead_scoring.batch.ledger import Ledger, discard, open_ledger
from fairlead_scoring.batch.planning import Plan, plan
from fairlead_scoring.batch.progress import Count, Failure, Record
from fairlead_scoring.batch.secrets import lay_out_for_script, read_secrets
from fairlead_scoring.batch.shards import Bad, Outcome, Shard
from fairlead_scoring.batch.side_inputs import fetch_all
from fairlead_scoring.batch.sinks import finish
from fairlead_scoring.batch.thresholds import exceeded
from fairlead_scoring.errors import BundleFault, UsageFault

WORK = "work"
BEGUN = "begun"
NODE = "node-0"
ENGINES = {
    "local": ("fairlead_scoring.batch.engine_local", "LocalEngine"),
    "ray": ("fairlead_scoring.batch.cluster.ray", "RayEngine"),
    "spark": ("fairlead_scoring.batch.cluster.spark", "SparkEngine"),
}
SHOWN = 10  # items of the quarantine, in a failure


class Driver:
    """Of a job that scores. is_told: whether this process was told to end."""

    def __init__(self, place: str, order: Order, record: Record, is_told: Callable[[], bool]) -> None:
        if order.output is None:
            raise UsageFault("The order has no output; a job that scores needs one.")
        self._place = place
        self._order = order
        self._record = record
        self._is_told = is_told
        self._work = os.path.join(place, WORK)
        self._secrets = read_secrets(place)
        self._places = JobPlaces(order, self._secrets)
        self._output = self._places.of_output()
        self._outcomes: Dict[int, Outcome] = {}

    def drive(self) -> str:
        """What was done, as a sentence. Raises JobEnded, Stopped, RuntimeFault."""
        self._record.change(state=progress.PLANNING, message="Looking at the inputs.")
        with self._open_ledger() as ledger:
            if ledger.finished is not None:
                return self._said("was done before", ledger.finished.get("totals", {}))
            self._ledger = ledger
            try:
                return self._go_on(Plan.from_json(ledger.plan))
            except JobEnded as ended:
                if ended.state == progress.CANCELED:
                    discard(self._output, ledger)
                raise

    def _go_on(self, plan: Plan) -> str:
        self._outcomes = dict(self._ledger.done())
        self._begin(plan)
        left = [shard for shard in plan.shards if shard.number not in self._outcomes]
        if left:
            self._score(left, plan.facts)
        self._check_failed(is_last=True)
        self._record.change(state=progress.PUBLISHING, message="Every shard is scored; the answers are put in place.")
        manifest = finish(self._order, self._output, self._outcomes)
        self._ledger.commit(manifest)
        self._record.change(notices=(*self._record.now.notices, *manifest.get("notices", ())))
        return self._said("is done", manifest.get("totals", {}))

    # Before.
    def _open_ledger(self) -> Ledger:
        """What another job left is removed once, at this job's first start."""
        overwrite = bool(self._order.output and self._order.output.options.get("overwrite"))
        begun = os.path.join(self._place, BEGUN)
        ledger = open_ledger(self._output, self._order, self._made_plan, overwrite=overwrite and not os.path.exists(begun))
        with open(begun, "w", encoding="utf-8"):
            return ledger

    def _made_plan(self) -> Dict[str, Any]:
        made = plan(self._order, self._places, lambda text: self._record.log("sys/master_role.txt", text)).to_json()
        self._stop_if_asked()
        return made

    def _begin(self, plan: Plan) -> None:
        shards = plan.shards
        done = [shard for shard in shards if shard.number in self._outcomes]
        outcomes = self._outcomes.values()
        files = all(each["format"] == "files" for each in plan.facts["inputs"])
        self._record.change(
            state=progress.RUNNING,
            message=f"{len(done)} of {len(shards)} shards were done before." if done else "",
            unit="files" if files else "rows",
            engine=self._order.engine.name,
            shards=Count(len(done), len(shards)),
            rows=Count(sum(each.items for each in outcomes), plan.rows, sum(each.failed for each in outcomes)),
            bytes=Count(sum(shard.bytes for shard in done), sum(shard.bytes for shard in shards)),
            files_total=plan.files,
            notices=plan.notices,
        )

    def _crew(self, schema: Any, count: int) -> Crew:
        order = self._order
        _verify(order.bundle)
        number = min(order.engine.processes or processes(), max(1, count)) if order.engine.name == "local" else order.engine.processes or processes()
        lay_out_for_script(self._place, os.path.join(self._work, "secrets"))
        task = {
            "order": order.to_json(),
            "schema": schema,
            "bundle": order.bundle,
            "secrets": self._secrets,
            "script_secrets": os.path.join(self._work, "secrets"),
            "logs": os.path.join(self._place, LOGS),
            "work": self._work,
            "side": fetch_all(order, self._secrets, self._work, {}),
            "node": NODE,
            "threads": max(1, cores() // number),
            "devices": devices(),
        }
        return Crew(task, order.engine.nodes, number, order.engine.options)

    # All the while.
    def _score(self, left: List[Shard], schema: Any) -> None:
        sizes = {shard.number: shard.bytes for shard in left}
        crew = self._crew(schema, len(left))
        self._record.log(
            "sys/master_role.txt", f"{len(left)} shards are left, for {crew.processes} processes on {crew.nodes} nodes of engine {self._order.engine.name}."
        )
        events = engine_named(self._order.engine.name).run(crew, iter(left), self._is_to_stop)
        try:
            for event in events:
                self._hear(event, sizes)
        finally:
            close = getattr(events, "close", None)  # of a generator: its workers end now, and not when somebody forgets the exception
            if close is not None:
                close()
        self._stop_if_asked()
        missing = [number for number in sizes if number not in self._outcomes]
        if missing:
            said = f"The engine {self._order.engine.name} ended, and {len(missing)} shards are not done; start the job again, and it goes on with them."
            raise JobEnded(progress.FAILED, said, Failure("shard-lost", said))

    def _hear(self, event: Event, sizes: Dict[int, int]) -> None:
        if isinstance(event, Outcome):
            self._ledger.note(event)
            self._outcomes[event.shard] = event
            self._record.done(event, sizes[event.shard])
            self._check_failed()
        elif isinstance(event, Interruption):
            self._record.event("NodePreempted", node=event.node, message=event.reason)
            self._record.change(interruptions=self._record.now.interruptions + 1)
        elif isinstance(event, Hopeless):
            raise JobEnded(progress.FAILED, event.message, Failure(event.cause, event.message, tuple(event.log_lines)))
        elif isinstance(event, Lost):
            said = f"Shard {event.shard} could not be done: {event.message} What is done stays; start the job again, and it goes on."
            raise JobEnded(progress.FAILED, said, Failure(event.cause or "shard-lost", said))

    def _is_to_stop(self) -> bool:
        return self._is_told() or os.path.exists(os.path.join(self._place, CANCEL))

    def _stop_if_asked(self) -> None:
        if os.path.exists(os.path.join(self._place, CANCEL)):
            raise JobEnded(progress.CANCELED, "Canceled; whole shards that were written stay.")
        if self._is_told():
            raise Stopped

    def _check_failed(self, *, is_last: bool = False) -> None:
        now = self._record.now
        said = exceeded(self._order.limits, now.rows.failed, now.rows.done if is_last else now.rows.total, now.unit)
        if said is not None:
            examples = tuple(self._examples())
            first = f" The first: {_in_words(examples[0])}" if examples else ""
            raise JobEnded(progress.FAILED, said + first, Failure("too-many-failed", said + first, examples))

    def _examples(self) -> Iterator[str]:
        """The first lines of the quarantine."""
        parts = [part for _, outcome in sorted(self._outcomes.items()) for part in outcome.quarantine]
        left = SHOWN
        for part in parts[:SHOWN]:
            with self._output.open(part.path) as file:
                for line in file:
                    yield line.decode("utf-8", "replace").strip()[:500]
                    left -= 1
                    if not left:
                        return

    def _said(self, how: str, totals: Mapping[str, Any]) -> str:
        items, failed = totals.get("items", 0), totals.get("failed", 0)
        more = f", {failed:,} of them in quarantine" if failed else ""
        return f"The job {how}: {items:,} {self._record.now.unit}{more}; the answers are in {self._record.now.output}."


def _in_words(example: str) -> str:
    try:
        return str(Bad(**json.loads(example)))
    except (ValueError, TypeError):  # it was cut
        return example


def engine_named(name: str) -> Engine:
    """Raises UsageFault."""
    if name not in ENGINES:
        raise UsageFault("The engine {!r} is unknown; write one of {}.".format(name, ", ".join(ENGINES)))
    module, kind = ENGINES[name]
    try:
        made: Engine = getattr(importlib.import_module(module), kind)()
    except ImportError as error:
        raise UsageFault(f"The engine {name} needs the module {error.name!r}, which this environment lacks: install the extra '{name}'.") from error
    return made


def _verify(path: str) -> None:
    """Once, and not in every process."""
    try:
        bundle.open_bundle(Path(path))
    except bundle.BundleError as error:
        raise BundleFault(str(error)) from error
