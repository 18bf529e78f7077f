"""The scoring scripts that the fault tests serve. Each answers {"tag": n} with its tag, so that a swapped answer is seen."""

from __future__ import annotations

import json
from pathlib import Path

from tests.traffic import Ask, Reply

# A model that takes `load` seconds to load and `work` seconds to answer, and says which version it is.
VERSIONED = """
import json, time

def init():
    time.sleep({load})

def run(data):
    time.sleep({work})
    return {{"tag": json.loads(data)["tag"], "version": {version}}}
"""

# Answers nobody before the file is there.
GATED = """
import json, os, time

def init():
    pass

def run(data):
    while not os.path.exists({gate!r}):
        time.sleep(0.01)
    return {{"tag": json.loads(data)["tag"]}}
"""

# Does to itself what it is asked to: {"tag": 1, "do": "spin"}.
WEDGING = """
import ctypes, json, os, signal, threading, time

lock = threading.Lock()

def init():
    lock.acquire()

def run(data):
    asked = json.loads(data)
    what = asked.get("do")
    if what == "deadlock":
        lock.acquire()
    while what == "spin":
        pass
    while what == "stubborn":
        try:
            time.sleep(60)
        except BaseException:
            pass
    if what == "hold the lock in C":
        ctypes.PyDLL(None).sleep(600)
    if what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if what == "die":
        os._exit(9)
    time.sleep(asked.get("seconds", 0.002))
    return {"tag": asked["tag"], "version": os.getpid()}
"""

# Counts the calls of run(); {"tag": -1} asks for the count and is not counted.
COUNTING = """
import json, time

calls = 0

def init():
    pass

def run(data):
    global calls
    tag = json.loads(data)["tag"]
    if tag < 0:
        return {"tag": tag, "calls": calls}
    calls += 1
    time.sleep(0.3)
    return {"tag": tag, "calls": calls}
"""

# Every row comes back with the number of rows that were scored together; a negative number is a bad row.
BATCHED = """
import time
from typing import Annotated
from fairlead_scoring import batched, typed
from fairlead_scoring.schema import Tensor

def init():
    pass

@batched(max_rows=64)
@typed
def run(data: Annotated[list, Tensor("int64", (-1, 1))]):
    time.sleep(0.002)
    if any(row[0] < 0 for row in data):
        raise ValueError("a negative number")
    return [[int(row[0]), len(data)] for row in data]
"""

TYPED = """
from typing import List
from fairlead_scoring import typed

def init():
    pass

@typed
def run(tag: int, values: List[float] = []):
    return {"tag": tag, "sum": sum(values)}
"""


def versioned(version: int, *, load: float = 0.0, work: float = 0.0) -> str:
    return VERSIONED.format(version=version, load=load, work=work)


def gated(gate: Path) -> str:
    return GATED.format(gate=str(gate))


def same_tag(ask: Ask, reply: Reply) -> str:
    """For Plan.check."""
    answer = json.loads(reply.body)
    return "" if answer["tag"] == ask.tag else f"asked {ask.tag}, got {answer}"


def version_of(reply: Reply) -> int:
    return int(json.loads(reply.body)["version"])
