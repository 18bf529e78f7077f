"""Names that will not do are refused in words, and the OpenAPI document still says the pattern."""

from __future__ import annotations

from typing import Annotated

import jsonschema
import pytest
from pydantic import TypeAdapter, ValidationError

from fairlead.schemas.models import ModelName
from fairlead.schemas.spelling import Spelling

COLOUR = TypeAdapter(Annotated[str, Spelling(r"^#[0-9a-f]{6}$", "colour", "has a # and six digits or letters a to f")])


@pytest.mark.parametrize("text", ["#00ff7", "#00FF7F", "red", "", "#00ff7f\n", "\n#00ff7f", "x#00ff7f"])
def test_what_is_spelt_wrongly_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        COLOUR.validate_python(text)
    assert refused.value.errors()[0]["msg"] == f"Value error, {text!r} is no colour, which has a # and six digits or letters a to f"


def test_what_is_spelt_rightly_passes() -> None:
    assert COLOUR.validate_python("#00ff7f") == "#00ff7f"


def test_the_document_says_the_pattern() -> None:
    jsonschema.validate("#00ff7f", COLOUR.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate("red", COLOUR.json_schema())


def test_a_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(ModelName).validate_python("n" * 10_000)
    assert len(refused.value.errors()[0]["msg"]) < 300


@pytest.mark.parametrize("value", [1, None, ["churn"]])
def test_what_is_no_text_is_said_to_be_none(value: object) -> None:
    with pytest.raises(ValidationError, match="valid string"):
        TypeAdapter(ModelName).validate_python(value)
