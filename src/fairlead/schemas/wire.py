"""What all wire types share: how strictly they read, how times look, pages of lists, problems."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError, model_validator

from fairlead.errors import UsageError
from fairlead.schemas.mistakes import first_mistake
from fairlead.schemas.spelling import Spelling
from fairlead.schemas.storable import check_storable

T = TypeVar("T")
Role = Literal["reader", "contributor", "owner"]
ROLES: tuple[Role, ...] = ("reader", "contributor", "owner")  # each may do what those before it may

DEEPEST = 100  # as the runtime has it
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Flag = Annotated[bool, Strict()]
Digest = Annotated[str, Spelling(r"^[0-9a-f]{64}$", "digest", "has 64 digits and letters a to f, as sha256sum prints them")]
VersionWord = Annotated[str, Spelling(r"^([1-9][0-9]{0,8}|latest)$", "version", "is a number from 1 on, or the word latest")]


def _storable(text: str) -> str:
    check_storable(text)
    return text


def _on_the_calendar(moment: datetime) -> datetime:
    """UTC, also for one without a zone; years in which arithmetic with it cannot overflow."""
    if not 1970 < moment.year < 9000:
        raise ValueError("a time is between 1971 and 8999")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _storable_json(value: Any, depth: int = 0) -> Any:
    """As JSON of every database: no NUL in a text, no endless number, no nesting without end."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if isinstance(value, str):
        _storable(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity are no JSON")
    elif isinstance(value, dict | list):
        for each in (*value, *value.values()) if isinstance(value, dict) else value:
            _storable_json(each, depth + 1)
    return value


Moment = Annotated[datetime, AfterValidator(_on_the_calendar)]
Text = Annotated[str, AfterValidator(_storable), StringConstraints(max_length=10_000)]
Key = Annotated[str, AfterValidator(_storable), StringConstraints(min_length=1, max_length=255)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable_json)]


class Request(BaseModel):
    """A body that the server reads: a member it does not know is a mistake of the caller, not to be swallowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _check_storable(cls, said: Any) -> Any:
        check_storable(said)
        return said

    @classmethod
    def of(cls, **members: Any) -> Self:
        """From what a person typed. Raises UsageError with the first thing that is wrong, in words."""
        try:
            return cls.model_validate(members)
        except ValidationError as error:
            raise UsageError(first_mistake(error, cls.__name__)) from None


class Answer(BaseModel):
    """A body that the server writes: a newer server may say more than this client knows."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Page(Answer, Generic[T]):
    """One page of a list. `next` is the cursor for `after`; null on the last page."""

    items: list[T]
    next: str | None = None


class Problem(Answer):
    """RFC 9457. `type` is `urn:fairlead:error:<class>`, of fairlead.errors."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    request_id: str | None = None


class Stamped(Answer):
    """What every stored object has. Times are UTC."""

    id: str
    created_at: datetime
    created_by: str | None = None
