"""Texts that have to be spelt in a certain way, and are refused in words: nobody should have to read a pattern to mend a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Spelling:
    """Stands in `Annotated[str, Spelling(…)]`.

    pattern: of the whole text, as the OpenAPI document says it. what: such as `name for a model`. rule: what such a text is or has.
    """

    pattern: str
    what: str
    rule: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    @classmethod
    def of_letters(cls, what: str, most: int) -> Self:
        """Most names are alike but for how long they may be: of `most` characters."""
        return cls(rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{most - 1}}}$", what, f"has up to {most} letters, digits and . _ -, a letter or digit first")

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"{text[:_SHOWN]!r} is no {self.what}, which {self.rule}")
        return text
