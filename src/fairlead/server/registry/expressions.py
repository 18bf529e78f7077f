"""The language of `--where`: `metrics.auc > 0.9 and tags.stage = 'prod'`.

    expression = term { "or" term }            term = factor { "and" factor }
    factor     = "not" factor | "(" expression ")" | subject operator literal
    subject    = name | version | framework | framework_version | flavor | run_id | stage | size | created_at | created_by
               | metrics.KEY | tags.KEY | properties.KEY         KEY with other signs than letters, digits, _ . - stands in backticks
    operator   = = | != | < | <= | > | >= | like                 (== and <> are read, too)
    literal    = 0.9 | 'text' | "text"                           (a quote inside is doubled)

`like` takes % for any text and _ for any sign, with a backslash before one that means itself; case does not count.
A comparison with something that a version does not have is false, also with !=; `not tags.stage = 'prod'` finds those without the tag, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fairlead.errors import UsageError

NUMBERS = ("version", "size")
TEXTS = ("name", "framework", "framework_version", "flavor", "run_id", "stage", "created_by")
KEYED = ("metrics", "tags", "properties")
SUBJECTS = (*NUMBERS, *TEXTS, "created_at")
MOST_COMPARISONS = 50
LONGEST = 4000
_DEEPEST = 20
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    |(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<operator><=|>=|<>|!=|==|=|<|>)
    |(?P<bracket>[()])
    |(?P<word>[A-Za-z_][\w.-]*(?:`[^`]+`)?))""",
    re.VERBOSE | re.ASCII,
)
_PATTERN = re.compile(r"(?:[^\\]|\\.)*", re.DOTALL)
_OPERATORS = {"==": "=", "<>": "!="}


@dataclass(frozen=True)
class Comparison:
    """`key`: of a metric, tag or property; "" for the others."""

    subject: str
    key: str
    operator: str
    value: str | float | datetime


@dataclass(frozen=True)
class Both:
    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Negation:
    part: Expression


Expression = Comparison | Both | Either | Negation


def parse(text: str) -> Expression:
    """Raises UsageError that says at which character the text is not understood, and what could stand there."""
    if len(text) > LONGEST:
        raise UsageError(f"This `where` has {len(text)} characters; {LONGEST} are the most.")
    return _Parser(text).parse()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens_of(text)
        self._next = 0
        self._comparisons = 0
        self._depth = 0

    def parse(self) -> Expression:
        found = self._either()
        if self._peek().kind != "end":
            raise self._refused("`and`, `or` or the end")
        return found

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._take_word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Expression:
        parts = [self._factor()]
        while self._take_word("and"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _factor(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"This `where` nests deeper than {_DEEPEST} at character {self._peek().at + 1}; write it flatter.")
        try:
            if self._take_word("not"):
                return Negation(self._factor())
            if self._peek().text == "(" and self._peek().kind == "bracket":
                return self._bracket()
            return self._comparison()
        finally:
            self._depth -= 1

    def _bracket(self) -> Expression:
        self._next += 1
        inside = self._either()
        if self._peek().text != ")":
            raise self._refused("`)`")
        self._next += 1
        return inside

    def _comparison(self) -> Comparison:
        self._comparisons += 1
        if self._comparisons > MOST_COMPARISONS:
            raise UsageError(f"This `where` has more than {MOST_COMPARISONS} comparisons; ask for less at once.")
        subject, key = self._subject()
        operator = self._operator(subject)
        token = self._peek()
        value = _value_of(token, subject, operator)
        if value is None:
            raise self._refused(_wanted(subject, operator))
        self._next += 1
        return Comparison(subject, key, operator, value)

    def _subject(self) -> tuple[str, str]:
        token = self._peek()
        head, _, key = token.text.partition(".")
        if token.kind == "word" and head in KEYED and key:
            self._next += 1
            return head, key.strip("`")
        if token.kind == "word" and token.text in SUBJECTS:
            self._next += 1
            return token.text, ""
        raise self._refused(f"one of {', '.join(SUBJECTS)}, or metrics.NAME, tags.NAME, properties.NAME")

    def _operator(self, subject: str) -> str:
        token = self._peek()
        self._next += 1
        if token.kind == "operator":
            return _OPERATORS.get(token.text, token.text)
        if token.kind == "word" and token.text.lower() == "like" and subject in (*TEXTS, "tags", "properties"):
            return "like"
        self._next -= 1
        raise self._refused("=, !=, <, <=, >, >=" + (" or like" if subject in (*TEXTS, "tags", "properties") else ""))

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        if token.kind != "word" or token.text.lower() != word:
            return False
        self._next += 1
        return True

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _refused(self, wanted: str) -> UsageError:
        token = self._peek()
        there = "the end is there" if token.kind == "end" else f"{token.text[:40]!r} is there"
        return UsageError(f"`where`, character {token.at + 1}: {there}, and {wanted} should be. An example: metrics.auc > 0.9 and tags.stage = 'prod'.")


def _tokens_of(text: str) -> Sequence[_Token]:
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise UsageError(f"`where`, character {at + 1}: {text[at : at + 20]!r} is not understood; a text stands in quotes, such as tags.stage = 'prod'.")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
        at = found.end()
    return [*tokens, _Token("end", "", len(text))]


def _value_of(token: _Token, subject: str, operator: str) -> str | float | datetime | None:
    """None when no such value can stand there."""
    if token.kind == "number" and operator != "like":
        return float(token.text) if subject in (*NUMBERS, *KEYED) and abs(float(token.text)) < float("inf") else None
    if token.kind != "text" or subject in (*NUMBERS, "metrics"):
        return None
    quote = token.text[0]
    text = token.text[1:-1].replace(quote * 2, quote)
    if operator == "like" and not _PATTERN.fullmatch(text):
        return None
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        return None
    return _moment(text) if subject == "created_at" else text


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _wanted(subject: str, operator: str) -> str:
    if subject == "created_at":
        return "a date or time in quotes, such as '2026-01-31' or '2026-01-31T12:00:00Z',"
    if subject in (*NUMBERS, "metrics"):
        return "a number"
    if operator == "like":
        return "a text in quotes that does not end in a single backslash"
    return "a text in quotes" if subject in TEXTS else "a number, or a text in quotes,"
