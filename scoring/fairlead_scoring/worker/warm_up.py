"""The sample, answered before any traffic: a service that cannot answer a sample that somebody declared is not ready (DECISIONS 8)."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from fairlead_scoring.errors import BootFault
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker.comparison import difference
from fairlead_scoring.worker.exchange import Answer, Request
from fairlead_scoring.worker.output import INIT_ID
from fairlead_scoring.worker.script import Script, ScriptFault
from fairlead_scoring.worker.step import Step

AnswerOne = Callable[[Step, Request], Answer]


class NotAnswered(BootFault):
    """The sample was answered with an error."""

    stage = "proving"
    cause = "sample-failed"


class AnsweredOtherwise(BootFault):
    """The sample's answer is not the recorded one."""

    stage = "proving"
    cause = "answer-differs"


class Recorded(NamedTuple):
    """What the sample was answered with when the answer was recorded, as JSON text."""

    answer: str
    tolerance: float


def warm_up(
    script: Script, contract: Dict[str, Any], lines: LineWriter, answer: AnswerOne, *, declared: bool, recorded: Optional[Recorded] = None
) -> Optional[float]:
    """Milliseconds that it took. Raises NotAnswered, AnsweredOtherwise, or ScriptFault when batching turns out not to work.

    A sample that a flavor's describe() made up of zeros proves nothing when it fails: it is dropped, with a warning.
    """
    if recorded is not None and not _can_be_proved(script, contract, lines):
        recorded = None
    if declared or recorded is not None:
        return _answer(script, contract, Step(script, contract, lines), answer, recorded)
    heard = FirstWords()
    try:
        return _answer(script, contract, Step(script, contract, heard), answer)
    except NotAnswered as refused:
        contract["sample"] = None
        for field in contract["inputs"]:
            field.pop("example", None)
        reason = heard.words or str(refused)
        lines.say("warning", "worker", f"No sample is known for this model; made-up values failed ({reason}). Give a real one with --sample FILE.")
        return None


class FirstWords(LineWriter):
    """Keeps the first line that is said, and writes none."""

    def __init__(self) -> None:
        self.words = ""

    def say(self, level: str, source: str, message: str, **fields: Any) -> None:  # noqa: ARG002 - the signature is the writer's
        self.words = self.words or message.split("\n", 1)[0]


def _can_be_proved(script: Script, contract: Dict[str, Any], lines: LineWriter) -> bool:
    """Raises AnsweredOtherwise when an answer was recorded and the sample is gone."""
    if script.kind == "raw":
        lines.say("warning", "worker", "The recorded answer was not compared: a script that takes the raw request is not asked before the service is ready.")
        return False
    if contract.get("sample") is None:
        raise AnsweredOtherwise("An answer was recorded, but this revision has no sample to compare it by. Declare the sample, or record no answer.")
    return True


def _answer(script: Script, contract: Dict[str, Any], step: Step, answer: AnswerOne, recorded: Optional[Recorded] = None) -> Optional[float]:
    sample = contract.get("sample")
    if sample is None or script.kind == "raw":
        return None
    body = sample.encode() if isinstance(sample, str) else json.dumps(sample).encode()
    request = Request(body, request_id=INIT_ID, headers=[(b"content-type", b"application/json")])
    started = time.perf_counter()
    answered = _accept(answer(step, request))
    spent = (time.perf_counter() - started) * 1000
    if recorded is not None:
        _compare(answered, recorded)
    if contract.get("batching"):
        for one in step.answer([request, request]):
            _accept(one)
        if step.mismatch:
            raise ScriptFault(f"The script asks for batching, but {step.mismatch}.")
    return round(spent, 3)


def _compare(answered: bytes, recorded: Recorded) -> None:
    try:
        now = json.loads(answered)
    except ValueError:
        now = answered.decode("utf-8", "replace")
    found = difference(json.loads(recorded.answer), now, recorded.tolerance)
    if found is not None:
        raise AnsweredOtherwise(f"The sample's answer is not the recorded one: {found}. Find out what changed, or record the new answer.")


def _accept(answer: Answer) -> bytes:
    """The whole body."""
    body = answer.body
    if answer.status != 200:
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
        raise NotAnswered(f"The sample was answered with {answer.status}: {text} Correct the sample, or the script, or set warmup to false.")
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    return b"".join(body)  # type: ignore[arg-type]
