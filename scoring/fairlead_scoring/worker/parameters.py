"""The parameters of `run()`, read once at start-up; a signature that cannot be served is refused with its reason."""

from __future__ import annotations

import inspect
from typing import Any, Callable, List, NamedTuple

from fairlead_scoring.worker.faults import ScriptFault

HEADERS = "request_headers"


class Parameters(NamedTuple):
    """`data`: those that take data, in order; `wants_headers`: whether `request_headers` is among the rest."""

    data: List[inspect.Parameter]
    wants_headers: bool

    @property
    def first(self) -> str:
        return self.data[0].name


def parameters_of(run: Callable[..., Any], path: str) -> Parameters:
    """Raises ScriptFault."""
    try:
        declared = list(inspect.signature(run).parameters.values())
    except (TypeError, ValueError) as error:
        raise ScriptFault("run() of {} has no readable signature ({}); define it with def.".format(path, error)) from error
    for parameter in declared:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            shown = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "positional-only ")
            raise ScriptFault("run() of {} takes {}{}; it can only take named arguments.".format(path, shown, parameter.name))
    data = [parameter for parameter in declared if parameter.name != HEADERS]
    if not data:
        raise ScriptFault("run() of {} takes no data; it needs an argument for the request's body.".format(path))
    return Parameters(data, len(data) < len(declared))


def refuse_extra(parameters: Parameters, path: str) -> None:
    """A `run()` that gets the whole body can have only one argument without a default."""
    for extra in parameters.data[1:]:
        if extra.default is inspect.Parameter.empty:
            raise ScriptFault(
                "run() of {} takes '{}' besides '{}', and nothing says where it comes from. Give it a default, or declare the "
                "inputs with @input_schema or @fairlead_scoring.typed.".format(path, extra.name, parameters.first)
            )
