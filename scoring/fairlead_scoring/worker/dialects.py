"""Bodies of every dialect as arguments of a declared `run()`. (The score dialect; v2 and invocations have files of their own.)"""

from __future__ import annotations

from typing import Any, Dict, Optional

from fairlead_scoring.schema import Field, Mismatch, Signature, Table, Tensor, check
from fairlead_scoring.worker.exchange import BadInput, Request
from fairlead_scoring.worker.reading import json_of, query_of


def bind(request: Request, signature: Signature) -> Dict[str, Any]:
    """Raises BadInput."""
    body = query_of(request) if request.method == "GET" else json_of(request.body)
    if not isinstance(body, dict):
        body = {signature.inputs[0].name: body}
    arguments = {}
    for field in signature.inputs:
        if field.name in body:
            arguments[field.name] = _value(field, body[field.name])
        elif field.required:
            raise BadInput("A value is not provided for the {!r} parameter.".format(field.name))
        else:
            arguments[field.name] = field.default
    return arguments


def _value(field: Field, value: Any) -> Any:
    try:
        check(field, value)
    except Mismatch as mismatch:
        raise BadInput(str(mismatch), detail={"errors": mismatch.errors()}) from None
    if isinstance(field.type, Tensor):
        import numpy

        return numpy.asarray(value, dtype=field.type.dtype)
    return value


def stackable_of(signature: Optional[Signature]) -> Optional[str]:
    """The one array or table whose rows may be put on top of another request's."""
    if signature is None:
        return None
    names = [field.name for field in signature.inputs if isinstance(field.type, (Tensor, Table))]
    return names[0] if len(names) == 1 else None
