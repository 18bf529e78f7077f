"""`python -m fairlead_scoring batch PLACE`: the driver of one job, as a process.

Ends with 0 when the job has succeeded, 1 when it has failed, 2 when the order makes no sense, 3 when nothing could be scored at all, 4 when it was
canceled or another driver is at it, 143 when this process was told to end: then the next one goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
import traceback
from typing import Any, Callable, Iterator, List, Optional

from fairlead_scoring.batch import program, progress
from fairlead_scoring.batch.driver import WORK, Driver
from fairlead_scoring.batch.endings import JobEnded, Stopped
from fairlead_scoring.batch.job import LOCK, ORDER, Order
from fairlead_scoring.batch.places import PlaceFault
from fairlead_scoring.batch.progress import Failure, Record
from fairlead_scoring.errors import BootFault, RuntimeFault, UsageFault, cause_of

TERMINATED = 128 + signal.SIGTERM
AT_BOOT = ("input-unfit", "inputs-unusable", "init-raised", "package-missing", "script-error", "bundle-damaged", "killed")


class Busy(BootFault):
    """Another driver is at this job."""

    exit_code = 4
    cause = "job-busy"


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="fairlead_scoring batch", description="Drives one batch job, from its order to its end.")
    parser.add_argument("place", metavar="PLACE", help="the job's folder, with job.json")
    place = os.path.abspath(parser.parse_args(arguments).place)
    told: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: told.append(signum))
    try:
        with _locked(place):
            return _drive(place, lambda: bool(told))
    except RuntimeFault as fault:
        sys.stderr.write(f"{fault}\n")
        return fault.exit_code


@contextlib.contextmanager
def _locked(place: str) -> Iterator[None]:
    """Raises UsageFault, Busy."""
    try:
        fd = os.open(os.path.join(place, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageFault(f"{place} is no place of a job ({error.strerror}); name the folder that holds {ORDER}.") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another driver is at the job in {place}.") from None
        yield
    finally:
        os.close(fd)


def _drive(place: str, is_told: Callable[[], bool]) -> int:
    before = progress.read(place)
    if before is not None and before.state == progress.SUCCEEDED:
        return 0
    order = _read_order(place)
    record = Record(place)
    shutil.rmtree(os.path.join(place, WORK), ignore_errors=True)
    record.change(output="" if order.output is None else order.output.url)
    try:
        said = program.drive(place, order, record, is_told) if order.kind == "program" else Driver(place, order, record, is_told).drive()
        return _end(record, progress.SUCCEEDED, said, None, 0)
    except Stopped:
        record.change(message="Stopped; the next driver goes on.")
        record.write()
        record.log("sys/master_role.txt", "This driver was told to end.")
        return TERMINATED
    except JobEnded as ended:
        return _end(record, ended.state, str(ended), ended.failure, _code_of(ended))
    except RuntimeFault as fault:
        return _end(
            record, progress.FAILED, str(fault), Failure(fault.cause, str(fault), _lines(fault)), 1 if isinstance(fault, PlaceFault) else fault.exit_code
        )
    except Exception as error:  # noqa: BLE001  (whatever it is, the job's record says it)
        lines = traceback.format_exc().splitlines()
        record.log("sys/error/driver.txt", "\n".join(lines))
        said = f"The driver failed: {type(error).__name__}: {error}"
        return _end(record, progress.FAILED, said, Failure(cause_of(error, "driver-failed"), said, tuple(lines[-20:])), 1)
    finally:
        shutil.rmtree(os.path.join(place, WORK), ignore_errors=True)


def _end(record: Record, state: str, message: str, failure: Optional[Failure], code: int) -> int:
    record.change(state=state, message=message, failure=failure, finished=time.time(), eta_seconds=None)
    record.write()
    record.log("sys/master_role.txt", f"{state}: {message}")
    stream = sys.stdout if code == 0 else sys.stderr
    stream.write(f"{message}\n")
    return code


def _code_of(ended: JobEnded) -> int:
    if ended.state == progress.CANCELED:
        return 4
    return 3 if ended.failure is not None and ended.failure.cause in AT_BOOT else 1


def _lines(fault: RuntimeFault) -> Any:
    return tuple(str(getattr(fault, "frames", "")).splitlines())


def _read_order(place: str) -> Order:
    path = os.path.join(place, ORDER)
    try:
        with open(path, encoding="utf-8") as file:
            return Order.from_json(json.load(file))
    except OSError as error:
        raise UsageFault(f"The order {path} cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageFault(f"{path} is no order of a job: {type(error).__name__}: {error}") from error
