"""What a worker says of its script once it is loaded, as the front, the documents and the banner read it."""

from __future__ import annotations

from typing import Any


def sample_of(contract: dict[str, Any]) -> Any:
    """A body that the service can score: the declared sample, else one made of the fields' examples, else None."""
    if contract.get("sample") is not None:
        return contract["sample"]
    return {field["name"]: field["example"] for field in contract["inputs"] if field.get("example") is not None} or None
