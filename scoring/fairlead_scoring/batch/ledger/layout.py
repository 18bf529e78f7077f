"""Where things lie in an output.

What is whole is named by the plan; what is ours alone lies in one folder.

    part-00017.parquet            a shard's rows, or name=value/part-00017.parquet
    _quarantine/part-00017.jsonl  what of it could not be scored
    _manifest.json                the job is finished, and this is all of it
    _fairlead/plan.json           what was planned, for which order
    _fairlead/ledger.jsonl        the shards that are done; on object stores _fairlead/ledger/000017.json
    _fairlead/lock                who writes now; on object stores _fairlead/lease/000001.json
    _fairlead/rows/00017.txt      of append_row, until it is one file
    _fairlead/beside/             files on their way
"""

from __future__ import annotations

import re

COMMIT = "_manifest.json"
OWN_FOLDER = "_fairlead"
PLAN = f"{OWN_FOLDER}/plan.json"
LINES = f"{OWN_FOLDER}/ledger.jsonl"
OBJECTS = f"{OWN_FOLDER}/ledger"
LOCK = f"{OWN_FOLDER}/lock"
LEASES = f"{OWN_FOLDER}/lease"
ROWS = f"{OWN_FOLDER}/rows"
TEMPORARY = f"{OWN_FOLDER}/beside"
QUARANTINE = "_quarantine"
_PART = re.compile(r"(?:.*/)?part-\d{5,}\.[a-z]+")


def part_name(shard: int, ending: str) -> str:
    return f"part-{shard:05d}.{ending}"


def rows_name(shard: int) -> str:
    return f"{ROWS}/{shard:05d}.txt"


def quarantine_name(shard: int) -> str:
    return f"{QUARANTINE}/{part_name(shard, 'jsonl')}"


def is_part(path: str) -> bool:
    """A name that only a shard gives: below an output that has our plan, such a file is ours."""
    return _PART.fullmatch(path) is not None or path.startswith(f"{ROWS}/")
