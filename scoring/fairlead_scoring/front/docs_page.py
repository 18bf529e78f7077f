"""A page that describes the service and sends a request, without anything from the internet."""

from __future__ import annotations

from typing import Any


def docs_page(document: dict[str, Any], contract: dict[str, Any]) -> str:
    return f"<!doctype html><title>{document['info']['title']}</title>{contract['kind']}"
