"""What a builder says while it builds, in either of its two tongues: the step it is at, what that step said last, and which images it leaves between."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

LINES = 20  # of a failed step
LONGEST = 110  # of a step, as it is shown
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CLASSIC_STEP = re.compile(r"Step (\d+/\d+) : (.*)")
_CLASSIC_QUIET = re.compile(r" ---> |Removing intermediate container |Sending build context |Successfully (built|tagged) ")
_STEP = re.compile(r"#(\d+) (\[[^\]]+\] .*)")
_OUTPUT = re.compile(r"#(\d+) \d+\.\d+ (.*)")
_ERROR = re.compile(r"#(\d+) ERROR:? ?(.*)")


@dataclass
class Progress:
    """Fed with lines. `step`: the one that failed, or the last one."""

    say: Callable[[str], None]
    step: str = ""
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    _steps: dict[str, str] = field(default_factory=dict)
    _said: dict[str, deque[str]] = field(default_factory=dict)
    _has_failed: bool = False

    def take(self, line: str) -> None:
        line = _COLOUR.sub("", line).rstrip()
        if self._has_failed or not line:
            return  # BuildKit repeats the end
        if found := _CLASSIC_STEP.fullmatch(line):
            self._begin(f"[{found[1]}] {found[2]}")
        elif found := _STEP.fullmatch(line):
            self._steps[found[1]] = found[2]
            self._said.setdefault(found[1], deque(maxlen=LINES))
            self._begin(found[2])
        elif found := _OUTPUT.fullmatch(line):
            self._said.setdefault(found[1], deque(maxlen=LINES)).append(found[2])
        elif found := _ERROR.fullmatch(line):
            self._fail(found[1], found[2])
        elif not line.startswith("#") and not _CLASSIC_QUIET.match(line):
            self.last.append(line)

    def _begin(self, step: str) -> None:
        shown = _shown(step)
        if shown != self.step:
            self.say(shown)
        self.step = shown
        self.last.clear()

    def _fail(self, number: str, why: str) -> None:
        """Others may run beside it, so what this one said was kept apart."""
        self._has_failed = True
        self.step = _shown(self._steps.get(number, self.step))
        self.last = deque([*self._said.get(number, ()), why], maxlen=LINES)


def _shown(step: str) -> str:
    step = " ".join(word for word in step.split() if not word.startswith("--mount="))
    return step if len(step) <= LONGEST else f"{step[: LONGEST - 3]}..."
