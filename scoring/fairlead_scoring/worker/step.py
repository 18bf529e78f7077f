"""One step of a worker: requests in, answers out, one `run()` for all that fit together.

Whose fault a failure is decides the answer: the caller's is BadInput (4xx), the script's is 500 with run-function-failed True,
a result that cannot be encoded is 500 with run-function-failed False. Sentences are those of the Azure scoring server.
"""

from __future__ import annotations

import json
import time
import traceback
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker.exchange import Answer, BadInput, EncodeFault, Request
from fairlead_scoring.worker.output import REQUEST_ID
from fairlead_scoring.worker.script import Script, user_frames
from fairlead_scoring.worker.stack import NotStackable, split, stacked

SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_FAILED = "An unexpected internal error occurred. Check the logs for more info."


class Overdue(BaseException):
    """Raised inside `run()` by SIGTERM when the front says that the deadline has passed."""


class Bound(NamedTuple):
    place: int
    request: Request
    arguments: Dict[str, Any]
    rows: int


class Step:
    """answer(requests) gives one answer per request, in their order."""

    def __init__(self, script: Script, contract: Dict[str, Any], lines: LineWriter, timeout_ms: Optional[int] = None) -> None:
        self._script = script
        self._lines = lines
        self._timeout_ms = timeout_ms
        self.mismatch = ""  # why requests could not share a run(), when that has happened
        batching = contract.get("batching") or {}
        self._max_rows: int = batching.get("max_rows", 1)
        self._stackable: Optional[str] = batching.get("parameter")

    def answer(self, requests: Sequence[Request]) -> List[Answer]:
        answers: List[Optional[Answer]] = [None] * len(requests)
        bound: List[Bound] = []
        for place, request in enumerate(requests):
            REQUEST_ID.set(request.request_id)
            try:
                arguments = self._script.bind(request)
                bound.append(Bound(place, request, arguments, self._rows(arguments)))
            except BadInput as bad:
                answers[place] = refusal(bad, request)
            except Exception as error:  # noqa: BLE001  (the edge: whatever user code raises)
                answers[place] = self.internal(error, request)
        for group in self._groups(bound):
            for one, answer in zip(group, self._run(group)):
                answers[one.place] = answer
        return [answer for answer in answers if answer is not None]

    def _rows(self, arguments: Dict[str, Any]) -> int:
        return len(arguments[self._stackable]) if self._stackable else 1

    def _groups(self, bound: List[Bound]) -> List[List[Bound]]:
        """Those that may share a `run()`: equal in every other argument, within max_rows together."""
        if self._stackable is None:
            return [[one] for one in bound]
        groups: List[List[Bound]] = []
        open_groups: Dict[str, List[Bound]] = {}
        for one in bound:
            key = repr([(name, value) for name, value in one.arguments.items() if name != self._stackable])
            group = open_groups.get(key)
            if group is None or sum(other.rows for other in group) + one.rows > self._max_rows:
                group = open_groups[key] = []
                groups.append(group)
            group.append(one)
        return groups

    def _run(self, group: List[Bound]) -> List[Answer]:
        if len(group) == 1:
            return [self._run_one(group[0])]
        started = time.perf_counter()
        REQUEST_ID.set("")
        try:
            arguments = dict(group[0].arguments)
            name = str(self._stackable)
            arguments[name] = stacked([one.arguments[name] for one in group])
            results = split(self._script.run(arguments), [one.rows for one in group])
        except Overdue:
            return [self.late() for _ in group]
        except BaseException as error:  # noqa: BLE001  (the edge: whatever user code raises)
            if isinstance(error, NotStackable):
                self.mismatch = str(error)
            # One row may have spoilt it for all: halves find it, and the others get their answers.
            middle = len(group) // 2
            return self._run(group[:middle]) + self._run(group[middle:])
        spent = (time.perf_counter() - started) * 1000
        return [self.encode(one, result, spent) for one, result in zip(group, results)]

    def _run_one(self, one: Bound) -> Answer:
        REQUEST_ID.set(one.request.request_id)
        started = time.perf_counter()
        try:
            result = self._script.run(one.arguments)
        except Overdue:
            return self.late()
        except BadInput as bad:
            return refusal(bad, one.request)
        except BaseException as error:  # noqa: BLE001  (the edge: whatever user code raises)
            self.report(error)
            return failure(one.request, SCRIPT_FAILED, failed=True)
        return self.encode(one, result, (time.perf_counter() - started) * 1000)

    def encode(self, one: Bound, result: Any, spent_ms: float) -> Answer:
        try:
            answer = self._script.encode(result, one.request)
        except EncodeFault as fault:
            self._lines.say("error", "script", str(fault), request_id=one.request.request_id)
            answer = failure(one.request, INTERNAL_FAILED, failed=False)
        except Exception as error:  # noqa: BLE001  (the edge: whatever user code raises)
            answer = self.internal(error, one.request)
        answer.exec_ms = spent_ms
        answer.rows = one.rows
        answer.report = self.report
        return answer

    def late(self) -> Answer:
        return Answer(json.dumps({"message": f"Scoring timeout after {self._timeout_ms} ms"}).encode(), status=500, failed=True)

    def report(self, error: BaseException) -> None:
        message = f"run() raised {type(error).__name__}: {error}\n{user_frames(error)}"
        self._lines.say("error", "script", message.rstrip(), request_id=REQUEST_ID.get())

    def internal(self, error: Exception, request: Request) -> Answer:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._lines.say("error", "worker", text.rstrip(), request_id=request.request_id)
        return failure(request, INTERNAL_FAILED, failed=False)


def refusal(bad: BadInput, request: Request) -> Answer:
    body = _error_body(request.dialect, bad.message, "BAD_REQUEST", bad.detail)
    return Answer(body, status=bad.status, failed=False)


def failure(request: Request, message: str, *, failed: bool) -> Answer:
    return Answer(_error_body(request.dialect, message, "INTERNAL_ERROR", {}), status=500, failed=failed)


def _error_body(dialect: str, message: str, code: str, detail: Dict[str, Any]) -> bytes:
    if dialect == "v2":
        return json.dumps({"error": message}).encode()
    if dialect == "invocations":
        return json.dumps({"error_code": code, "message": message, **detail}).encode()
    return json.dumps({"message": message, **detail}).encode()
