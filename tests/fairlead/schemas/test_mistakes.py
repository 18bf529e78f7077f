"""What pydantic finds wrong, said as this product says things: where, what must be there, and not a word of what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from fairlead.schemas.mistakes import mistakes

SECRET = "hunter2-hunter2"


def _no_such(said: str) -> str:
    raise ValueError(f"there is no {len(said)}-letter thing; take another")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1


class Body(BaseModel):
    settings: Inner = Inner()
    replicas: Annotated[int, Field(ge=1, le=9)] = 1
    key: Annotated[str, Field(min_length=16, max_length=20)] = "k" * 16
    rows: Annotated[list[int], Field(max_length=2)] = []
    words: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = ["x"]
    color: Literal["blue", "green"] = "blue"
    is_on: bool = True
    facts: dict[str, str] = {}
    since: datetime | None = None
    until: AwareDatetime | None = None
    thing: Annotated[str, AfterValidator(_no_such)] = "x"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"settings": {"cpu": -1}}, "settings.cpu must be greater than 0."),
        ({"settings": {"cpu": float("nan")}}, "settings.cpu must be a finite number."),
        ({"settings": {"cpus": SECRET}}, "settings.cpus is not known here; check its spelling, or leave it out."),
        ({"settings": SECRET}, "settings must be an object."),
        ({"replicas": 0}, "replicas must be 1 or more."),
        ({"replicas": 10}, "replicas must be 9 or less."),
        ({"replicas": SECRET}, "replicas must be a whole number."),
        ({"replicas": 1.5}, "replicas must be a whole number."),
        ({"replicas": None}, "replicas must be a whole number."),
        ({"key": SECRET}, "key must have 16 characters or more."),
        ({"key": SECRET * 2}, "key must have 20 characters or fewer."),
        ({"key": 3}, "key must be a text."),
        ({"rows": [1, 2, 3]}, "rows must have 2 entries or fewer."),
        ({"rows": SECRET}, "rows must be a list."),
        ({"words": []}, "words must not be empty."),
        ({"words": [""]}, "words.0 must not be empty."),
        ({"rows": [1, SECRET]}, "rows.1 must be a whole number."),
        ({"color": SECRET}, "color must be 'blue' or 'green'."),
        ({"is_on": SECRET}, "is_on must be true or false."),
        ({"facts": SECRET}, "facts must be an object."),
        ({"facts": {"a": 1}}, "facts.a must be a text."),
        ({"since": SECRET}, "since must be a time such as 2026-03-03T12:00:00Z."),
        ({"until": "2026-03-03T12:00:00"}, "until must say its time zone, as 2026-03-03T12:00:00Z does."),
        ({"thing": "abc"}, "thing: there is no 3-letter thing; take another."),
    ],
)
def test_a_mistake_is_said_in_words(said: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Body.model_validate(said)
    found = mistakes(refused.value.errors())
    assert found[0].sentence == sentence
    assert SECRET not in str(found)


def test_what_is_missing_is_named() -> None:
    class Needing(BaseModel):
        name: str
        values: list[Inner]

    with pytest.raises(ValidationError) as refused:
        Needing.model_validate({"values": [{"cpu": 0}]})
    assert [each.sentence for each in mistakes(refused.value.errors())] == ["name is missing.", "values.0.cpu must be greater than 0."]


def test_a_mistake_in_no_one_place_is_one_of_the_whole() -> None:
    with pytest.raises(ValidationError) as refused:
        Body.model_validate(SECRET)
    assert mistakes(refused.value.errors(), "Body")[0].sentence == "Body must be an object."


def test_what_has_no_words_of_ours_is_still_a_sentence() -> None:
    class Odd(BaseModel):
        where: complex

    with pytest.raises(ValidationError) as refused:
        Odd.model_validate({"where": SECRET})
    assert mistakes(refused.value.errors())[0].sentence.startswith("where does not fit: input should be")
