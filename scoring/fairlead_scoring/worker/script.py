"""The script contract: `init()` once, `run()` per request; the signature decides once how bodies become arguments.

Kinds: `text` (an undecorated run gets the body as text), `schema` (@input_schema), `typed` (@fairlead_scoring.typed, a schema in the
manifest, or describe()), `raw` (@rawhttp). Source: the Azure scoring server, and docs/script-contract.md.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from fairlead_scoring.declare import NOTE
from fairlead_scoring.schema import DeclarationError, Signature
from fairlead_scoring.worker import decorated, dialects
from fairlead_scoring.worker.annotations import typed_of
from fairlead_scoring.worker.chunks import begun, begun_async, is_stream
from fairlead_scoring.worker.encoding import encode
from fairlead_scoring.worker.exchange import Answer, BadInput, EncodeFault, Request
from fairlead_scoring.worker.faults import ScriptFault, user_frames
from fairlead_scoring.worker.json_text import dump
from fairlead_scoring.worker.loading import Loaded, import_script
from fairlead_scoring.worker.parameters import HEADERS, Parameters, parameters_of, refuse_extra
from fairlead_scoring.worker.rawhttp import AMLRequest, blaming_the_script, is_raw, is_response, to_answer
from fairlead_scoring.worker.reading import object_of, text_of, titled_headers
from fairlead_scoring.worker.shims import install
from fairlead_scoring.worker.unfit import Convert

__all__ = ["Script", "ScriptFault", "load", "user_frames"]

ASYNC_CONCURRENCY = 64


def load(entry_script: Optional[Path], app_root: Path, source_dir: Optional[Path], options: Optional[Dict[str, Any]] = None) -> Script:
    """Import the script and read its `run()`. Raises ScriptFault. `options`: the manifest's serving section, schema and strict_compat."""
    install()
    return Script(import_script(entry_script, app_root, source_dir), dict(options or {}))


class Script:
    def __init__(self, loaded: Loaded, options: Dict[str, Any]) -> None:
        self._loaded = loaded
        self._run = loaded.run
        self.options = _merged(loaded.run, options)
        self.is_async = inspect.iscoroutinefunction(loaded.run) or inspect.isasyncgenfunction(loaded.run)
        self.signature: Optional[Signature] = None
        self._described: Dict[str, Any] = {}
        self._dialects: Optional[dialects.Dialects] = None
        self._parameters: Parameters = parameters_of(loaded.run, loaded.path, named_elsewhere=self._has_schema())
        self.wants_headers = self._parameters.wants_headers
        self._decorated: List[decorated.Decorated] = []
        self.kind = self._kind()
        if self.kind == "raw" and self.options.get("strict_compat"):
            self._run = blaming_the_script(loaded.run)
        self._bind: Callable[[Request], Dict[str, Any]] = {
            "text": self._bind_text,
            "raw": self._bind_raw,
            "schema": self._bind_decorated,
            "typed": self._bind_typed,
        }[self.kind]

    def _kind(self) -> str:
        path = self._loaded.path
        is_decorated = decorated.is_decorated(self._run)
        if is_raw(self._run):
            if is_decorated:
                raise ScriptFault(f"run() of {path} cannot be decorated with both @rawhttp and @input_schema.")
            refuse_extra(self._parameters, path)
            return "raw"
        if is_decorated:
            self._decorated = decorated.inputs_of(self._run)
            return "schema"
        # A batched run() is a typed one: rows can only be stacked where they are declared.
        if self.options.get("typed") or self.options.get("batched") or self._has_schema():
            return "typed"
        refuse_extra(self._parameters, path)
        return "text"

    def _has_schema(self) -> bool:
        return bool(self.options.get("schema")) or self._loaded.describe is not None

    def init(self) -> None:
        """The user's init(), then what it made known. Raises ScriptFault."""
        self._loaded.initialise()
        if self.kind == "typed":
            self._declare()

    def _declare(self) -> None:
        """From the manifest, else describe(), else the annotations."""
        said = self.options.get("schema")
        try:
            if self._loaded.describe is not None:
                self._described = dict(self._loaded.describe())
            if said is None and self._described:
                said = {name: self._described.get(name) for name in ("inputs", "output")}
            converters: Dict[str, Convert] = {}
            if said:
                self.signature = Signature.from_json(said)
            else:
                self.signature, converters = typed_of(self._run, self._parameters)
            self._dialects = dialects.Dialects(self.signature, self._described.get("defaults"), converters)
        except DeclarationError as error:
            raise ScriptFault(f"The schema of {self._loaded.path} makes no sense: {error}", error) from error
        except Exception as error:
            what = "Reading the annotations of run()" if self._loaded.describe is None else "describe()"
            raise ScriptFault(f"{what} of {self._loaded.path} raised {type(error).__name__}: {error}", error) from error
        self._refuse_strangers(self.signature)

    def _refuse_strangers(self, signature: Signature) -> None:
        taken = {parameter.name for parameter in self._parameters.data}
        for field in signature.inputs:
            if field.name not in taken and not self._parameters.takes_any:
                raise ScriptFault(
                    "The schema declares the input '{}', but run() of {} takes {}.".format(field.name, self._loaded.path, ", ".join(sorted(taken)))
                )

    def contract(self) -> Dict[str, Any]:
        """What the front, the documents and the clients need to know; JSON. After init()."""
        is_open = self.kind in ("typed", "schema")
        signature = self._signature_for_show()
        return {
            "kind": self.kind,
            "inputs": [_as_json(field) for field in signature.to_json()["inputs"]] if signature else [],
            "output": signature.to_json().get("output") if signature else None,
            "swagger": decorated.swagger_of(self._run) if self.kind == "schema" else None,
            "sample": self._described.get("sample"),
            "defaults": self._described.get("defaults") or {},
            "headers": self.wants_headers or self.kind in ("raw", "schema") or self._may_stream(),
            "methods": ["GET", "POST", "OPTIONS"] if self.kind == "raw" else ["GET", "POST"],
            "batching": self._batching(),
            "concurrency": self._concurrency(),
            "async": self.is_async,
            "dialects": ["score", "v2", "invocations"] if is_open and signature else ["score"],
            "model": {"platform": self._described["platform"]} if self._described.get("platform") else {},
        }

    def _signature_for_show(self) -> Optional[Signature]:
        if self.kind != "schema":
            return self.signature
        fields = [decorated.field_of(one) for one in reversed(self._decorated)]
        if not fields or any(field is None for field in fields):
            return None
        self.signature = Signature(tuple(field for field in fields if field is not None))
        self._dialects = dialects.Dialects(self.signature)
        return self.signature

    def _may_stream(self) -> bool:
        return inspect.isgeneratorfunction(self._run) or inspect.isasyncgenfunction(self._run)

    def _concurrency(self) -> int:
        asked = self.options.get("concurrency")
        if not self.is_async:
            return 1
        return int(asked) if asked else ASYNC_CONCURRENCY

    def _batching(self) -> Optional[Dict[str, Any]]:
        """Raises ScriptFault when the script asks for batching and cannot be batched (DECISIONS 12)."""
        asked = self.options.get("batched")
        if not asked or self._described.get("batching") is False:  # one template, many models: only describe() knows whether rows stack
            return None
        stackable = decorated.stackable_of(self._decorated) if self.kind == "schema" else dialects.stackable_of(self.signature)
        why = ""
        if self.is_async or self._may_stream():
            why = "an async or streaming run() cannot be batched"
        elif self.wants_headers or self.kind == "raw":
            why = "a run() that sees the request cannot be batched"
        elif stackable is None:
            why = "it declares no single array, DataFrame or list parameter; annotate one, as in `run(data: list)`"
        if why:
            raise ScriptFault(f"The script {self._loaded.path} asks for batching, but {why}.")
        return {"max_rows": int(asked["max_rows"]), "max_wait_ms": float(asked["max_wait_ms"]), "parameter": stackable}

    # One request.
    def bind(self, request: Request) -> Dict[str, Any]:
        """The arguments of run(). Raises BadInput."""
        arguments = self._bind(request)
        if self.wants_headers:
            arguments[HEADERS] = titled_headers(request)
        return arguments

    def _bind_text(self, request: Request) -> Dict[str, Any]:
        return {self._parameters.first: text_of(request)}

    def _bind_raw(self, request: Request) -> Dict[str, Any]:
        return {self._parameters.first: AMLRequest.of(request)}

    def _bind_decorated(self, request: Request) -> Dict[str, Any]:
        other = self._dialects if request.dialect != "score" else None
        arguments = other.bind(request) if other else _named(object_of(request), self._parameters)
        if not self.options.get("strict_compat"):
            decorated.convert(self._decorated, arguments)
        return arguments

    def _bind_typed(self, request: Request) -> Dict[str, Any]:
        assert self._dialects is not None
        return self._dialects.bind(request)

    def run(self, arguments: Dict[str, Any]) -> Any:
        """User code: whatever is raised here is the script's fault, up to the first item of a stream. An awaitable of an `async def run`."""
        result = self._run(**arguments)
        return begun_async(result) if self.is_async else begun(result)

    def encode(self, result: Any, request: Request) -> Answer:
        """Raises EncodeFault."""
        if is_response(result):
            raw: Answer = to_answer(result)
            return raw
        if request.reply is not None:
            return request.reply(result)
        if self.kind == "typed" and result is not None and not is_stream(result):
            return Answer(dump(result))
        return encode(result, request)


def _merged(run: Callable[..., Any], options: Dict[str, Any]) -> Dict[str, Any]:
    """What the decorators noted, then what the manifest says."""
    note: Dict[str, Any] = {}
    layer: Any = run
    while layer is not None:
        note = {**getattr(layer, NOTE, {}), **note}
        layer = getattr(layer, "__wrapped__", None)
    if options.get("batching"):
        note["batched"] = {"max_rows": 256, "max_wait_ms": 0.0, **options["batching"]}
    return {**note, **{name: value for name, value in options.items() if value is not None and name != "batching"}}


def _as_json(field: Dict[str, Any]) -> Dict[str, Any]:
    """A default may be any Python value, such as an Enum; what JSON cannot show is shown as null."""
    try:
        shown: Dict[str, Any] = json.loads(dump(field))
    except EncodeFault:
        shown = {**field, "default": None}
    return shown


def _named(body: Dict[str, Any], parameters: Parameters) -> Dict[str, Any]:
    """Unknown keys are ignored, as the Azure server does."""
    arguments: Dict[str, Any] = {}
    for parameter in parameters.data:
        value = body.get(parameter.name, parameter.default)
        if value is inspect.Parameter.empty:
            raise BadInput(f"A value is not provided for the {parameter.name!r} parameter.")
        arguments[parameter.name] = value
    return arguments
