"""The parameters of `run()`, read once at start-up; a signature that cannot be served is refused with its reason."""

from __future__ import annotations

import inspect
from typing import Any, Callable, List, NamedTuple

from fairlead_scoring.worker.faults import ScriptFault

HEADERS = "request_headers"


class Parameters(NamedTuple):
    """`data`: those that take data, in order; `wants_headers`: whether `request_headers` is among the rest; `takes_any`: it has a **kwargs."""

    data: List[inspect.Parameter]
    wants_headers: bool
    takes_any: bool = False

    @property
    def first(self) -> str:
        return self.data[0].name


def parameters_of(run: Callable[..., Any], path: str, *, named_elsewhere: bool = False) -> Parameters:
    """`named_elsewhere`: a schema or describe() says what the inputs are called, so a **kwargs can take them. Raises ScriptFault."""
    try:
        declared = list(inspect.signature(run).parameters.values())
    except (TypeError, ValueError) as error:
        raise ScriptFault(f"run() of {path} has no readable signature ({error}); define it with def.") from error
    named = [parameter for parameter in declared if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)]
    takes_any = named_elsewhere and any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared)
    for parameter in declared:
        if parameter not in named and not (takes_any and parameter.kind is parameter.VAR_KEYWORD):
            shown = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "positional-only ")
            raise ScriptFault(f"run() of {path} takes {shown}{parameter.name}; it can only take named arguments.")
    data = [parameter for parameter in named if parameter.name != HEADERS]
    if not data and not takes_any:
        raise ScriptFault(f"run() of {path} takes no data; it needs an argument for the request's body.")
    return Parameters(data, len(data) < len(named), takes_any)


def refuse_extra(parameters: Parameters, path: str) -> None:
    """A `run()` that gets the whole body can have only one argument without a default."""
    for extra in parameters.data[1:]:
        if extra.default is inspect.Parameter.empty:
            raise ScriptFault(
                f"run() of {path} takes '{extra.name}' besides '{parameters.first}', and nothing says where it comes from. Give it a default, or declare the "
                "inputs with @input_schema or @fairlead_scoring.typed."
            )
