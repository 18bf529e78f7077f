"""A page that describes the service and sends a request, without anything from the internet."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fairlead_scoring.contract import sample_of

INNERMOST = re.compile(r"\[\n[^\[\]{}]*\]")
LINE_BREAK = re.compile(r"\n *")
PAGE = Path(__file__).with_name("docs_page.html")


def docs_page(document: dict[str, Any], contract: dict[str, Any], *, revision: str, has_keys: bool) -> str:
    """`document`: the OpenAPI 3.1 document; `contract`: what the worker said of its script."""
    sample = sample_of(contract)
    body = sample if isinstance(sample, str) else _pretty(sample if sample is not None else {})
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(document["info"]["title"]),
        version=escape(str(document["info"]["version"])),
        revision=escape(revision),
        model=escape(f"{contract['model'].get('name', '')}:{contract['model'].get('version', '')} ({contract['model'].get('platform', '')})"),
        inputs=_inputs(contract["inputs"]) or '<tr><td colspan="4">This script declares no inputs: it takes any body.</td></tr>',
        answers=_answers(document),
        routes=_routes(document),
        sample=escape(body),
        key_row="" if has_keys else "hidden",
    )


def _inputs(fields: list[dict[str, Any]]) -> str:
    rows = []
    for field in fields:
        kind, columns = _kind(field.get("type", field))
        need = "yes" if field.get("required", True) else f"no (default {escape(json.dumps(field.get('default')))})"
        rows.append(f"<tr><td><code>{escape(field['name'])}</code></td><td>{kind}</td><td>{need}</td><td>{columns}</td></tr>")
    return "".join(rows)


def _kind(said: Any) -> tuple[str, str]:
    if not isinstance(said, dict):
        return escape(str(said)), ""
    if "columns" in said:
        names = [f"<code>{escape(column['name'])}</code> {escape(column['dtype'])}" for column in said["columns"]]
        return f"table of {len(names)} columns", ", ".join(names)
    if "shape" in said:
        shape = " by ".join("n" if size == -1 else str(size) for size in said["shape"])
        return f"array {escape(said.get('dtype', ''))}", shape
    schema = said.get("schema", said)
    if "enum" in schema:
        return "one of", ", ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    return escape(_words(schema)), escape(str(schema.get("description", "")))


def _words(schema: dict[str, Any]) -> str:
    kind = str(schema.get("type", "value"))
    items = schema.get("items")
    return f"{kind} of {_words(items)}" if kind == "array" and isinstance(items, dict) and items.get("type") else kind


def _pretty(sample: Any) -> str:
    """Indented, but each innermost list, a row of numbers as a rule, on one line."""
    return INNERMOST.sub(lambda found: LINE_BREAK.sub(" ", found[0]).replace("[ ", "[").replace(" ]", "]"), json.dumps(sample, indent=2))


def _answers(document: dict[str, Any]) -> str:
    score: dict[str, Any] = next((paths["post"] for path, paths in document["paths"].items() if path.endswith("/score") and "post" in paths), {})
    rows = [
        f"<tr><td><code>{escape(code)}</code></td><td>{escape(answer.get('description', ''))}</td></tr>" for code, answer in score.get("responses", {}).items()
    ]
    return "".join(rows)


def _routes(document: dict[str, Any]) -> str:
    rows = [
        f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td><td>{escape(operation.get('summary') or operation.get('description', ''))}</td></tr>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict)
    ]
    return "".join(rows)
