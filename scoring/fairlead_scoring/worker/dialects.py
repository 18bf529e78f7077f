"""Every body that a script with declared inputs understands: its own JSON, the designer's, Open Inference Protocol v2, /invocations.

`bind` reads a request into the keyword arguments of `run()`; `encode` answers in the dialect that was asked in. One step for both sides:
a body is parsed once, checked once and converted once.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional
from urllib.parse import parse_qsl

from fairlead_scoring.schema import Signature
from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker import invocations, powerbi, v2
from fairlead_scoring.worker.arguments import Inputs, ValueReader
from fairlead_scoring.worker.exchange import Answer, BadInput, Request
from fairlead_scoring.worker.json_text import dump, parse

SPOKEN = ("score", "v2", "invocations")


class Dialects:
    """defaults: per dialect ("v2", "invocations", "designer"), values that count before the fields' own, such as {"method": "predict"}."""

    def __init__(self, signature: Signature, defaults: Optional[Mapping[str, Mapping[str, Any]]] = None) -> None:
        self.inputs = Inputs(signature, defaults)

    def bind(self, request: Request) -> Dict[str, Any]:
        """Keyword arguments of `run()`. Raises BadInput."""
        if request.dialect == "v2":
            return v2.bind(self.inputs, request)
        if request.dialect == "invocations":
            return invocations.bind(self.inputs, request)
        if request.method == "GET":
            return self._from_query(request.query)
        body = parse(request.body)
        if powerbi.speaks(self.inputs, body):
            return powerbi.bind(self.inputs, body, request)
        return self._from_json(body)

    def encode(self, result: Any, request: Request) -> Answer:
        """In the dialect of the request. Raises EncodeFault."""
        return Answer(dump(result)) if request.reply is None else request.reply(result)

    def _from_json(self, body: Any) -> Dict[str, Any]:
        """An object keyed by input; or the rows alone, where one input is a table or a tensor."""
        if type(body) is dict:
            return self.inputs.read(body, "score")
        array = self.inputs.array
        if type(body) is list and array is not None:
            return self.inputs.complete({array.field.name: array.read(body)}, "score")
        raise BadInput(f"The body must be an object of inputs ({self.inputs.names}), got {shorten(body)}.")

    def _from_query(self, query: bytes) -> Dict[str, Any]:
        """Each value is read as JSON, and as text where it is none or does not fit as JSON."""
        said = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        arguments: Dict[str, Any] = {}
        for name, text in said.items():
            reader = self.inputs.readers.get(name)
            if reader is None:
                return self.inputs.read({name: text}, "score")  # which refuses it
            try:
                arguments[name] = reader.read(parse(text.encode()))
            except BadInput:
                if not isinstance(reader, ValueReader):
                    raise
                arguments[name] = reader.read(text)
        return self.inputs.complete(arguments, "score")
