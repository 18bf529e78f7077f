"""Turns what uv says when it fails into one sentence: which package, what happened, what to do. All of it stays in the failure's log."""

from __future__ import annotations

import re
from collections.abc import Callable

from fairlead.errors import EnvironmentFailure

_LONGEST = 400
_INDEX = "the index that uv is set to on this machine (UV_DEFAULT_INDEX, UV_INDEX or uv.toml)"


def failure(output: str, python: str) -> EnvironmentFailure:
    """`python`: the minor that was locked or built for."""
    said = _on_one_line(output)
    for pattern, cause, sentence in _KNOWN:
        found = pattern.search(said)
        if found:
            return EnvironmentFailure(sentence(found, python, said), cause=cause, log=_unmasked(output))
    return EnvironmentFailure(f"uv failed: {_relevant(said)}. The build's log has all that it said.", cause="uv-failed", log=_unmasked(output))


def _no_such_package(found: re.Match[str], _python: str, _said: str) -> str:
    return f"There is no package {found['name']!r} on {_INDEX}. Correct its name, or set an index that has it."


def _no_such_version(found: re.Match[str], python: str, said: str) -> str:
    return f"There is no {found['name']} that fits: {_because(said)}. Ask for a version that exists for Python {python}."


def _other_python(found: re.Match[str], python: str, _said: str) -> str:
    return (
        f"{found['name']} needs Python {found['wanted']}, and the environment has Python {python}. "
        f"Ask for another version of {found['name'].partition('==')[0]}, or for another Python."
    )


def _no_wheel(found: re.Match[str], python: str, _said: str) -> str:
    return (
        f"{found['name']} has no wheel for Python {python} on this platform, and set-up code of packages is not run while building. "
        "Ask for a version that has one, build a wheel for your index (`uv build --wheel`), or allow source builds "
        "(`fairlead environment create NAME FILE --allow-source-builds`; an image of it needs --dockerfile)."
    )


def _conflict(_found: re.Match[str], _python: str, said: str) -> str:
    return f"The requirements contradict each other: {_because(said)}. Loosen one of them."


def _unreachable(_found: re.Match[str], _python: str, said: str) -> str:
    reason = re.findall(r"cause: (?P<reason>[^:]+?)(?= cause:| hint:|$)", said)
    because = f" ({reason[-1].strip()[:160]})" if reason else ""
    asked = re.search(r"Failed to (?:fetch|download)[^a-z]*`?(?P<what>\S+?)`?(?=\s|$)", said)
    what = f" when it was asked for {asked['what'].rstrip('/').rsplit('/', 1)[-1]}" if asked else ""
    return f"The package index does not answer{what}{because}. Check the network and {_INDEX}; what was built before stays usable."


def _offline(found: re.Match[str], _python: str, _said: str) -> str:
    return f"{found['name']} is not in uv's cache and uv is set to offline. Allow the network, or give uv a folder of wheels (UV_FIND_LINKS)."


def _wrong_hash(found: re.Match[str], _python: str, _said: str) -> str:
    return f"What the index gave for {found['name']} is not what was locked: its hash differs. Find out why before you trust it; then lock again."


def _unhashed(found: re.Match[str], _python: str, _said: str) -> str:
    """Where a lock's lines all have hashes, there is no line."""
    return (
        f"The lock has no hash for {found['name'] or found['other']}, which is needed here: the lock was made by hand, or on another platform. "
        "Lock the requirements again on the platform that they are for, or give them without a lock."
    )


def _disk_full(_found: re.Match[str], _python: str, _said: str) -> str:
    return "The disk is full. Free some room (environments that nothing uses can be removed) and try again."


_Sentence = Callable[[re.Match[str], str, str], str]
_NAME = r"`?(?P<name>[A-Za-z0-9][A-Za-z0-9._=+!*\[\],<>~-]*[A-Za-z0-9\])*])`?"
_KNOWN: tuple[tuple[re.Pattern[str], str, _Sentence], ...] = (
    (re.compile(r"No space left on device"), "disk-full", _disk_full),
    (re.compile(rf"Hash mismatch for {_NAME}"), "hash-mismatch", _wrong_hash),
    (re.compile(rf"no trusted hash was provided for:? {_NAME}|none were provided for: (?P<other>\S+)"), "not-locked", _unhashed),
    (re.compile(rf"{_NAME} was not found in the cache"), "offline", _offline),
    (re.compile(rf"{_NAME} was not found in"), "no-such-package", _no_such_package),
    (re.compile(rf"{_NAME} has no (?:usable |`[^`]*`-compatible )?wheels|Wheels are required for {_NAME.replace('name', 'built')}"), "no-wheel", _no_wheel),
    (re.compile(rf"Because {_NAME} requires Python (?P<wanted>\S+) and (?:you require|only )"), "other-python", _other_python),
    (re.compile(rf"there is no version of {_NAME}"), "no-such-version", _no_such_version),
    (re.compile(rf"Because only .{{1,200}}? (?:is|are) available and you require {_NAME}"), "no-such-version", _no_such_version),
    (re.compile(r"No solution found"), "conflict", _conflict),
    (re.compile(r"error sending request|Failed to fetch|Failed to download|timed out|dns error|certificate"), "index-unreachable", _unreachable),
)


def _on_one_line(output: str) -> str:
    """uv's own lines only: warnings about other interpreters are for the log."""
    begins = output.find("error:")
    said = re.sub(r"\s+", " ", output[begins:] if begins >= 0 else output).strip()
    return re.sub(r"\{[^}]*\}", "", said)  # alpha{sys_platform == 'linux'}==1.0: the marker helps nobody


def _because(said: str) -> str:
    found = re.search(r"Because .*?(?=,? (?:we can conclude that )?your requirements are unsatisfiable| hint:|$)", said)
    reason = found[0] if found else _relevant(said)
    return _shortened(reason.removesuffix(", we can conclude that").rstrip(" .,"))


def _relevant(said: str) -> str:
    return _shortened(_unmasked(said).removeprefix("error: ").rstrip("."))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rsplit(" ", 1)[0] + " …"


def _unmasked(output: str) -> str:
    """Without user names and passwords in addresses."""
    return re.sub(r"://[^/\s@]+@", "://", output)
