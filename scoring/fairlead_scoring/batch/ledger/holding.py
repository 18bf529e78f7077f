"""That two drivers never write one output: a lock that dies with its holder on disk, a lease that is renewed in an object store."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from typing import Any, Dict, Optional, Protocol

from fairlead_scoring.batch.ledger.layout import LEASES, LOCK
from fairlead_scoring.batch.places import Entry, Place, PlaceFault, Refused, Vanished
from fairlead_scoring.batch.places.retrying import Persistence

RENEW = 10.0  # seconds
EXPIRE = 60.0


class Hold(Protocol):
    def check(self) -> None:
        """Raises Refused when somebody else holds it by now."""
        ...

    def release(self) -> None: ...


class DiskLock:
    def __init__(self, place: Place) -> None:
        path = place.url_of(LOCK)
        self._handle = Persistence(path).act_once(lambda: _opened(path))
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise _held(place, "another process of this machine or its file server") from None

    def check(self) -> None:
        """The kernel holds it for us."""

    def release(self) -> None:
        os.close(self._handle)


def _opened(path: str) -> int:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


class Lease:
    """The object with the highest number is the lease: it is created once, renewed by its holder, and let go by removing it.

    An expired one is taken over by creating the next number, which one of several callers does. holder: whose own it is; it takes over its own at once.
    """

    def __init__(self, place: Place, holder: str) -> None:
        self._place, self._holder, self._mark = place, holder, secrets.token_hex(8)
        self._lost = ""
        self._over = threading.Event()
        self._number = self._take()
        self._renewer = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewer.start()

    def check(self) -> None:
        if self._lost:
            raise Refused(self._lost)

    def release(self) -> None:
        self._over.set()
        self._renewer.join()
        if not self._lost:
            self._place.delete(_name(self._number))

    def _take(self) -> int:
        newest = self._newest()
        if newest is not None:
            said = self._read(newest)
            age = time.time() - float(said.get("renewed", 0))
            if said.get("holder") != self._holder and age < EXPIRE:
                raise _held(self._place, f"{said.get('holder')}, last seen {age:.0f} s ago")
        number = 1 if newest is None else newest + 1
        if not self._place.create(_name(number), self._content()):
            raise _held(self._place, "another driver, which began just now")
        for older in range(max(number - 3, 1), number):
            self._place.delete(_name(older))
        return number

    def _renew(self) -> None:
        while not self._over.wait(RENEW):
            try:
                if self._newest() != self._number:
                    self._lost = f"{self._place.url} was taken over by another driver, because this one was not heard of for {EXPIRE:g} s. That one goes on."
                    return
                self._place.put(_name(self._number), self._content())
            except PlaceFault:
                continue  # the store does not answer: what is written meets that, too, and says so

    def _newest(self) -> Optional[int]:
        try:
            return max(_number(entry) for entry in self._place.entries(LEASES))
        except Vanished:
            return None

    def _read(self, number: int) -> Dict[str, Any]:
        try:
            said: Dict[str, Any] = json.loads(self._place.read_bytes(_name(number)))
        except (Vanished, ValueError):
            return {}
        return said

    def _content(self) -> bytes:
        return json.dumps({"holder": self._holder, "mark": self._mark, "renewed": time.time()}).encode()


def _name(number: int) -> str:
    return f"{LEASES}/{number:06d}.json"


def _number(entry: Entry) -> int:
    return int(entry.url.rpartition("/")[2].partition(".")[0])


def _held(place: Place, who: str) -> Refused:
    return Refused(f"{place.url} is being written by {who}. Wait for that job, or cancel it, or give another --out.", cause="output-taken")
