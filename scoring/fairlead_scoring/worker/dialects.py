"""Every body that a script with declared inputs understands: its own JSON, the designer's, Open Inference Protocol v2, /invocations.

`bind` reads a request into the keyword arguments of `run()` and leaves on it, as `reply`, how that dialect wants the result. A body is
parsed once, checked once and converted once.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional
from urllib.parse import parse_qsl

from fairlead_scoring.schema import Signature, Table, Tensor, Value
from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker import invocations, powerbi, v2
from fairlead_scoring.worker.arguments import Convert, Inputs, ValueReader
from fairlead_scoring.worker.exchange import BadInput, Request
from fairlead_scoring.worker.json_text import parse
from fairlead_scoring.worker.reading import query_of


class Dialects:
    """defaults: per dialect ("v2", "invocations", "designer"), values that count before the fields' own, such as {"method": "predict"}."""

    def __init__(
        self,
        signature: Signature,
        defaults: Optional[Mapping[str, Mapping[str, Any]]] = None,
        converters: Optional[Mapping[str, Convert]] = None,
    ) -> None:
        self.inputs = Inputs(signature, defaults, converters)

    def bind(self, request: Request) -> Dict[str, Any]:
        """Keyword arguments of `run()`. Raises BadInput."""
        if request.dialect == "v2":
            return v2.bind(self.inputs, request)
        if request.dialect == "invocations":
            return invocations.bind(self.inputs, request)
        if request.method == "GET":
            return self._from_query(request)
        body = parse(request.body)
        if powerbi.speaks(self.inputs, body):
            return powerbi.bind(self.inputs, body, request)
        return self._from_json(body)

    def _from_json(self, body: Any) -> Dict[str, Any]:
        """An object keyed by input; or the rows alone, where one input is a table or a tensor."""
        if type(body) is dict:
            return self.inputs.read(body, "score")
        array = self.inputs.array
        if type(body) is list and array is not None:
            return self.inputs.complete({array.field.name: array.read(body)}, "score")
        raise BadInput(f"The body must be an object of inputs ({self.inputs.names}), got {shorten(body)}.")

    def _from_query(self, request: Request) -> Dict[str, Any]:
        """Each value is read as JSON, and as text where it is none or does not fit as JSON."""
        said: Dict[str, Any] = query_of(request)
        texts = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
        for name, reader in self.inputs.values.items():
            if name in said and not isinstance(said[name], (str, list)) and not _fits(reader, said[name]):
                said[name] = texts[name]
        return self.inputs.read(said, "score")


def _fits(reader: ValueReader, value: Any) -> bool:
    try:
        reader.read(value)
    except BadInput:
        return False
    return True


def stackable_of(signature: Optional[Signature]) -> Optional[str]:
    """The one array, table or list whose rows may be put on top of another request's."""
    if signature is None:
        return None
    arrays = [field.name for field in signature.inputs if isinstance(field.type, (Tensor, Table))]
    lists = [field.name for field in signature.inputs if isinstance(field.type, Value) and field.type.schema.get("type") == "array"]
    names = arrays or lists
    return names[0] if len(names) == 1 else None
