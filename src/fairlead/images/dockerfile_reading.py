"""What a person's Dockerfile, or steps for one, say: far enough to put our own instructions behind theirs, and to find the files that they copy.

Contract: the Dockerfile reference (continuation lines, here-documents, the `escape` directive, FROM … AS …, COPY and ADD in both forms).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.errors import UsageError

OUR_STAGES = "fairlead-"
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)", re.IGNORECASE)
_HERE_DOCUMENT = re.compile(r"<<-?[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?")
_STAGE = re.compile(r"(?P<image>.*?)\s+AS\s+(?P<name>\S+)", re.IGNORECASE | re.DOTALL)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9._-]*")
_WITH_HERE_DOCUMENTS = frozenset(("RUN", "COPY", "ADD"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """`rest`: with continuation lines joined by spaces. `first`, `last`: indexes of its physical lines."""

    word: str
    rest: str
    first: int
    last: int


def named_base(text: str, where: str, name: str) -> tuple[str, str]:
    """Their Dockerfile with its last stage named, and how it is named: as they do, else `name`. Raises UsageError."""
    text = plain(text, where)
    stages = [each for each in instructions(text, where) if each.word == "FROM"]
    if not stages:
        raise UsageError(f"{where} has no FROM, so it makes no image. Begin it with FROM and an image that has Python.")
    for each in stages:
        _check_stage(each, where)
    last = stages[-1]
    found = _STAGE.fullmatch(last.rest)
    if found is not None:
        return text, found["name"].lower()
    lines = text.split("\n")
    lines[last.first : last.last + 1] = [f"FROM {last.rest} AS {name}"]
    return "\n".join(lines), name


def checked_steps(text: str, where: str) -> str:
    """Steps that stand inside a stage of ours. Raises UsageError for what would end that stage."""
    text = plain(text, where)
    found = next((each for each in instructions(text, where) if each.word == "FROM"), None)
    if found is not None:
        raise UsageError(
            f"{where}, line {found.first + 1}: FROM begins another image. Steps are added to one; a whole Dockerfile goes into docker.baseDockerfile."
        )
    return text


def copied(text: str, where: str) -> Iterator[str]:
    """Paths in the build context, patterns among them, that COPY and ADD name. What holds a variable cannot be known and is refused."""
    for each in instructions(plain(text, where), where):
        if each.word in {"COPY", "ADD"}:
            yield from _sources(each, where)


def instructions(text: str, where: str) -> Iterator[Instruction]:
    """Raises UsageError when the text ends in the middle of one: what comes behind would become part of it."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if _says_nothing(lines[at]):
            at += 1
            continue
        first = at
        said, at = _joined(lines, at, where)
        word, _, rest = said.partition(" ")
        if word.upper() in _WITH_HERE_DOCUMENTS:
            at = _behind_here_documents(lines, at, rest, f"{where}, line {first + 1}")
        yield Instruction(word=word.upper(), rest=rest.strip(), first=first, last=at - 1)


def plain(text: str, where: str) -> str:
    """With line ends of one kind. Raises UsageError for an escape character other than ours."""
    text = text.replace("\r\n", "\n").rstrip("\n") + "\n"
    for line in text.split("\n"):
        if not line.startswith("#"):
            break
        found = _ESCAPE.match(line)
        if found is not None and found[1] != "\\":
            raise UsageError(f"{where}: the directive escape={found[1]} is for Windows. Delete it, and continue lines with a backslash.")
    return text


def _joined(lines: list[str], at: int, where: str) -> tuple[str, int]:
    """One instruction without its continuation marks, and where the next begins."""
    parts: list[str] = []
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if parts and _says_nothing(line):
            continue  # comments and empty lines inside an instruction are skipped
        if not line.endswith("\\"):
            return " ".join([*parts, line]).replace("\t", " "), at
        parts.append(line[:-1].rstrip())
    raise UsageError(f"{where} ends with a backslash, in the middle of an instruction. Delete it, or write the rest.")


def _behind_here_documents(lines: list[str], at: int, rest: str, where: str) -> int:
    for name in _HERE_DOCUMENT.findall(rest):
        ends = [index for index in range(at, len(lines)) if lines[index].strip("\t") == name]
        if not ends:
            raise UsageError(f"{where}: the text that begins with <<{name} has no end. Write {name} alone on a line.")
        at = ends[0] + 1
    return at


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _check_stage(stage: Instruction, where: str) -> None:
    found = _STAGE.fullmatch(stage.rest)
    if found is None:
        return
    name = found["name"].lower()
    if not _STAGE_NAME.fullmatch(name) or name.startswith(OUR_STAGES):
        raise UsageError(f"{where}, line {stage.first + 1}: a stage cannot be called {name!r} here; take letters and digits, and not {OUR_STAGES}… .")


def _sources(instruction: Instruction, where: str) -> Iterator[str]:
    where = f"{where}, line {instruction.first + 1}"
    words = _words(instruction.rest, where)
    if any(word.startswith("--from=") for word in words):
        return
    for word in [word for word in words if not word.startswith("--")][:-1]:
        if "$" in word:
            raise UsageError(f"{where}: which file {word} is cannot be known before the build. Write its name.")
        if not (word.startswith(("<<", "git@")) or "://" in word):
            yield word


def _words(rest: str, where: str) -> list[str]:
    flags = re.match(r"(?:--\S+\s+)*", rest)
    start = flags.end() if flags else 0
    if rest[start:].startswith("["):
        try:
            listed = json.loads(rest[start:])
        except ValueError:
            raise UsageError(f"{where}: {rest} is neither a JSON list nor words. Correct its quotes.") from None
        return [*rest[:start].split(), *(str(each) for each in listed)]
    try:
        return shlex.split(rest)
    except ValueError:
        raise UsageError(f"{where}: {rest} has a quote that does not end. Close it.") from None
