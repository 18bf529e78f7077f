"""Raw HTTP (placeholder until the compat branch lands)."""

from __future__ import annotations

from typing import Any


class AMLRequest:
    @staticmethod
    def of(request: Any) -> Any:
        return request


def is_raw(run: Any) -> bool:
    return False


def is_response(result: Any) -> bool:
    return False


def to_answer(result: Any) -> Any:
    return result
