"""The plan of a job: from inputs and order alone, so that every engine, and every try, cuts alike. It is kept beside the output, for resuming."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from fairlead_scoring.batch.job import Input, Order
from fairlead_scoring.batch.shards import Shard, Slice
from fairlead_scoring.batch.sources.listing import listed
from fairlead_scoring.batch.sources.outputs import refuse_own
from fairlead_scoring.batch.sources.surveying import Survey, survey, survey_of_query

VERSION = 1
LARGEST_SHARD = 64 << 20  # bytes
SMALLEST_SHARD = 4 << 20
MANY = 32  # shards that a small input is cut into all the same, for several workers
MOST_ROWS = 1 << 20
MOST_FILES = 1000  # of a shard
MOST_BUCKETS = 256

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """facts: what reading has to know, JSON: `inputs`, one of each. rows: None where only reading tells; unreadable ones are among them."""

    shards: Tuple[Shard, ...]
    facts: Mapping[str, Any]
    rows: Optional[int]
    bytes: int
    files: int
    notices: Tuple[str, ...] = field(default_factory=tuple)

    def to_json(self) -> Dict[str, Any]:
        """Compact: a plan of 100,000 files is some MB."""
        prefix = _prefix([part.url for shard in self.shards for part in shard.slices])
        shards = [[shard.number, shard.group, shard.rows, shard.bytes, [_packed(part, len(prefix)) for part in shard.slices]] for shard in self.shards]
        plain = {"rows": self.rows, "bytes": self.bytes, "files": self.files, "notices": list(self.notices)}
        return {"version": VERSION, "facts": dict(self.facts), **plain, "prefix": prefix, "shards": shards}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Plan:
        """What to_json() gave. Raises KeyError, TypeError, ValueError for what is none."""
        prefix = said["prefix"]
        shards = tuple(
            Shard(number, tuple(_unpacked(part, prefix) for part in parts), tuple(group), rows, size) for number, group, rows, size, parts in said["shards"]
        )
        return cls(shards, said["facts"], said["rows"], said["bytes"], said["files"], tuple(said["notices"]))


def plan(order: Order, places: Callable[[Input], Any], say: Say = lambda _line: None) -> Plan:
    """Lists the inputs, looks at the first file of each and at those that are larger than a shard. Raises Unusable, and what storage raises."""
    shards: List[Shard] = []
    found = [_found(order, number, places(said)) for number, said in enumerate(order.inputs)]
    target = _target(sum(each.bytes for each in found))
    for number, each in enumerate(found):
        noted = each.facts
        noted["first_shard"] = len(shards)
        say(f"Input {number + 1} of {len(found)}: {_counted(each.files, 'file')} of {noted['format']}, {each.bytes:,} bytes.")
        if noted.get("grouping") == "rows":
            noted["buckets"] = max(1, min(MOST_BUCKETS, -(-each.bytes // target)))
        shards += _shards(each, order, target, len(shards))
    rows = [shard.rows for shard in shards if shard.rows is not None]
    facts = {"inputs": [each.facts for each in found]}
    total = sum(rows) if len(rows) == len(shards) and not any(each.filtered for each in found) else None
    return Plan(tuple(shards), facts, total, sum(each.bytes for each in found), sum(each.files for each in found), tuple(_notices(order, found)))


def _found(order: Order, number: int, place: Any) -> Survey:
    said = order.inputs[number]
    if said.query is not None:
        return survey_of_query(place.url, order, number)
    refuse_own(order, said)
    return survey(listed(place, said, number), order, place)


def _target(size: int) -> int:
    return max(SMALLEST_SHARD, min(LARGEST_SHARD, size // MANY))


class _Weighed(NamedTuple):
    part: Slice
    rows: Optional[int]
    bytes: int


def _shards(found: Survey, order: Order, target: int, first: int) -> Iterator[Shard]:
    parts = [_Weighed(*each) for each in found.parts(target, MOST_ROWS, bool(order.mini_batch.files))]
    noted = found.facts
    if noted.get("grouping") == "rows":
        everything = tuple(each.part for each in parts)
        for bucket in range(noted["buckets"] if parts else 0):
            yield Shard(first + bucket, everything, (), None, found.bytes // noted["buckets"])
        return
    keys = order.partition_keys if noted.get("grouping") == "path" else ()
    for number, some in enumerate(_packs(parts, target, order.mini_batch.files or 1)):
        groups = {tuple(each.part.values.get(key, "") for key in keys) for each in some}
        rows = [each.rows for each in some if each.rows is not None]
        group = next(iter(groups)) if len(groups) == 1 else ()
        yield Shard(first + number, tuple(each.part for each in some), group, sum(rows) if len(rows) == len(some) else None, sum(each.bytes for each in some))


def _packs(parts: Sequence[_Weighed], target: int, multiple: int) -> Iterator[List[_Weighed]]:
    """Neighbours together until they are a shard; of files that go `multiple` to a mini-batch, a multiple of those."""
    taken: List[_Weighed] = []
    size = rows = 0
    most = max(multiple, MOST_FILES // multiple * multiple)
    for each in parts:
        full = size + each.bytes > target or rows + (each.rows or 0) > MOST_ROWS or len(taken) >= most
        if taken and full and len(taken) % multiple == 0:
            yield taken
            taken, size, rows = [], 0, 0
        taken.append(each)
        size, rows = size + each.bytes, rows + (each.rows or 0)
    if taken:
        yield taken


def _notices(order: Order, found: Sequence[Survey]) -> Iterator[str]:
    for number, each in enumerate(found):
        yield from each.notices
        if not each.files and order.inputs[number].query is None:
            yield f"Input {number + 1} has no file that is taken."
        if each.facts.get("buckets", 1) > 1:
            yield f"Input {number + 1} is read {each.facts['buckets']} times, because its partition keys are columns of the files and not of their paths."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _packed(part: Slice, prefix: int) -> List[Any]:
    packed: List[Any] = [part.url[prefix:], part.start, part.stop, part.first_row, part.stamp, part.input, part.member, dict(part.values)]
    while packed and packed[-1] == _ABSENT[len(packed) - 1]:
        packed.pop()
    return packed


def _unpacked(packed: Sequence[Any], prefix: str) -> Slice:
    url, start, stop, first_row, stamp, number, member, values = [*packed, *_ABSENT[len(packed) :]]
    return Slice(prefix + url, start, stop, first_row, stamp, member, number, values)


_ABSENT: Sequence[Any] = ("", 0, -1, None, "", 0, "", {})


def _prefix(urls: Sequence[str]) -> str:
    if not urls:
        return ""
    low, high = min(urls), max(urls)
    length = next((place for place, (one, other) in enumerate(zip(low, high)) if one != other), min(len(low), len(high)))
    return low[:length]
