"""Whether callers of one schema can call another: what they send must still be taken, what they are answered must still be what they read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from fairlead_scoring.schema import Column, DeclarationError, Field, Signature, Table, read

from fairlead.server.registry.narrowing import Type, narrowed

Verdict = Literal["same", "compatible", "breaking", "unknown"]


def judge(first: dict[str, Any] | None, second: dict[str, Any] | None) -> tuple[Verdict, list[str]]:
    """`first`: the schema that callers know. The reasons begin with what breaks, then what is new and harms nobody."""
    try:
        old, new = (None if said is None else read(said) for said in (first, second))
    except DeclarationError as fault:
        return "unknown", [f"A schema cannot be read: {fault}"]
    if old is None or new is None:
        which = "Neither version has" if old is new else "The first version has no" if old is None else "The second version has no"
        return "unknown", [f"{which} {'a schema' if old is new else 'schema'}."]
    breaking, harmless = [*_inputs(old, new), *_output(old, new)], [*_loosened(old, new)]
    if breaking:
        return "breaking", [*breaking, *harmless]
    return ("same", []) if _bare(old) == _bare(new) else ("compatible", harmless or ["Everything that the first takes, the second takes too."])


def _inputs(old: Signature, new: Signature) -> Iterator[str]:
    before, after = _by_name(old), _by_name(new)
    for name, field in before.items():
        if name not in after:
            yield f"The input {name!r} is gone."
            continue
        if after[name].required and not field.required:
            yield f"The input {name!r} is required now."
        yield from narrowed(f"Input {name!r}", field.type, after[name].type)
    for name, field in after.items():
        if name not in before and field.required:
            yield f"The input {name!r} is new and required."


def _output(old: Signature, new: Signature) -> Iterator[str]:
    if old.output is None or new.output is None:
        if old.output is not None:
            yield "The output is not declared any more."
        return
    declared, answered = old.output.type, new.output.type
    if isinstance(declared, Table) and isinstance(answered, Table):
        yield from _output_table(declared, answered)
    elif any(narrowed("Output", answered, declared)):
        yield f"The output may be what it could not be before: it was {_described(declared)}, and is {_described(answered)}."


def _output_table(declared: Table, answered: Table) -> Iterator[str]:
    """Columns that are added disturb nobody who reads by name."""
    known = {column.name: column for column in declared.columns}
    there = {column.name: column for column in answered.columns}
    for name in known.keys() - there.keys():
        yield f"Output: the column {name!r} is gone."
    for name in known.keys() & there.keys():
        yield from _answered(known[name], there[name])


def _answered(known: Column, there: Column) -> Iterator[str]:
    if any(narrowed("Output", Table((there,)), Table((known,)))):
        yield f"Output: the column {known.name!r} may hold what it could not before: it was {_described(known)}, and is {_described(there)}."


def _loosened(old: Signature, new: Signature) -> Iterator[str]:
    before, after = _by_name(old), _by_name(new)
    for name, field in after.items():
        if name not in before:
            if not field.required:
                yield f"The input {name!r} is new and optional."
            continue
        if before[name].required and not field.required:
            yield f"The input {name!r} is optional now."
        if any(narrowed("", field.type, before[name].type)) and not any(narrowed("", before[name].type, field.type)):
            yield f"The input {name!r} takes more than before."
    if old.output is None and new.output is not None:
        yield "The output is declared now."


def _by_name(signature: Signature) -> dict[str, Field]:
    return {field.name: field for field in signature.inputs}


def _bare(signature: Signature) -> Any:
    """Without examples, which promise nothing."""
    said = signature.to_json()
    fields = [*said["inputs"], *([said["output"]] if said["output"] else [])]
    for field in fields:
        field.pop("example", None)
    return said


def _described(declared: Type | Column) -> str:
    text = json.dumps(declared.to_json(), ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
