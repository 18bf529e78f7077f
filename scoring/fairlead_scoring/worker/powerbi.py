"""The dialect of the designer, AutoML and Power BI on /score: `Inputs` and `GlobalParameters` in, `Results` out. Keys are case-sensitive.

Designer: {"Inputs": {"WebServiceInput0": [{...}]}, "GlobalParameters": {}} is answered {"Results": {"WebServiceOutput0": [{...}]}};
AutoML: {"Inputs": {"data": [...]}, "GlobalParameters": {"method": "predict"}} is answered {"Results": [...]}.
"""

from __future__ import annotations

from typing import Any, Dict

from fairlead_scoring.schema.check import shorten
from fairlead_scoring.worker.arguments import Inputs
from fairlead_scoring.worker.exchange import Answer, BadInput, Request
from fairlead_scoring.worker.json_text import dump
from fairlead_scoring.worker.results import named_records, records, unwrapped

INPUTS, PARAMETERS, RESULTS = "Inputs", "GlobalParameters", "Results"
OUTPUT = "WebServiceOutput0"
STUDIO = {"ColumnNames", "Values"}  # Machine Learning Studio's table, which old clients still send


def speaks(inputs: Inputs, body: Any) -> bool:
    """True for a body of this dialect; a script that declares an input called Inputs means its own."""
    return type(body) is dict and INPUTS in body and inputs.array is not None and INPUTS not in inputs.readers


def bind(inputs: Inputs, body: Dict[str, Any], request: Request) -> Dict[str, Any]:
    """Arguments of run(); leaves the way back on the request. Raises BadInput."""
    unknown = [name for name in body if name not in (INPUTS, PARAMETERS)]
    if unknown:
        raise BadInput(f"{unknown[0][:80]!r} does not belong beside Inputs; only GlobalParameters does.")
    said = body[INPUTS]
    if type(said) is not dict or not said:
        raise BadInput(f'Inputs must be an object such as {{"WebServiceInput0": [...]}}, got {shorten(said)}.')
    arguments = _tables(inputs, said)
    arguments.update(_parameters(inputs, body.get(PARAMETERS)))
    inputs.complete(arguments, "designer")
    method = arguments.get("method")
    name = method if isinstance(method, str) else "predict"
    if all(key == "data" or key in inputs.readers for key in said):
        request.reply = lambda result: Answer(dump({RESULTS: records(unwrapped(result, method))}))
    else:
        request.reply = lambda result: Answer(dump({RESULTS: {OUTPUT: named_records(result, name)}}))
    return arguments


def _tables(inputs: Inputs, said: Dict[str, Any]) -> Dict[str, Any]:
    assert inputs.array is not None
    if set(said) <= inputs.arrays.keys():
        return {name: inputs.arrays[name].read(_plain(value)) for name, value in said.items()}
    if len(said) > 1 or len([each for each in inputs.arrays.values() if each.field.required]) > 1:
        raise BadInput("Inputs: the keys are {}, this service takes: {}.".format(shorten(list(said))[1:-1], ", ".join(inputs.arrays)))
    return {inputs.array.field.name: inputs.array.read(_plain(next(iter(said.values()))))}


def _plain(value: Any) -> Any:
    if type(value) is dict and value.keys() == STUDIO:
        return {"columns": value["ColumnNames"], "data": value["Values"]}
    return value


def _parameters(inputs: Inputs, said: Any) -> Dict[str, Any]:
    """A number is what AutoML's own samples send where there is nothing to say."""
    if said is None or type(said) in (int, float):
        return {}
    if type(said) is not dict:
        raise BadInput(f"GlobalParameters must be an object, got {shorten(said)}.")
    unknown = [name for name in said if name not in inputs.values]
    if unknown:
        raise BadInput("GlobalParameters: {!r} is unknown; the parameters are: {}.".format(unknown[0][:80], ", ".join(inputs.values) or "none"))
    return {name: inputs.values[name].read(value) for name, value in said.items()}
