"""Runs by itself, in a new process of the interpreter that has the model's packages: loads the file with its flavor's script, and scores the sample.

    python rehearsal.py TEMPLATE MODEL < request.json

Writes {"schema": ..., "sample": ..., "answer": ...} as the last line of standard output.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

from fairlead_scoring.schema import Signature, Table, Tensor


def main(template: str, model: str) -> None:
    os.environ["AZUREML_MODEL_DIR"] = str(Path(model).parent)
    spec = importlib.util.spec_from_file_location("score", template)
    assert spec is not None, "a file of ours"
    assert spec.loader is not None, "it is Python"
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.init()
    told = script.describe()
    schema = {name: told.get(name) for name in ("inputs", "output")}
    body = json.loads(sys.stdin.read() or "null")
    answer = None if body is None else plain(script.run(**arguments(Signature.from_json(schema), body)))
    print("\n" + json.dumps({"schema": schema, "sample": told.get("sample"), "answer": answer}, default=plain))


def arguments(signature: Signature, body: dict[str, Any]) -> dict[str, Any]:
    """The body's members as the script takes them."""
    types = {each.name: each.type for each in signature.inputs}
    return {name: converted(value, types.get(name)) for name, value in body.items()}


def converted(value: Any, declared: Any) -> Any:
    if isinstance(declared, Table):
        import pandas as pd  # noqa: PLC0415 - a model with column names came from a frame

        return pd.DataFrame(value, columns=[each.name for each in declared.columns])
    if isinstance(declared, Tensor):
        import numpy as np  # noqa: PLC0415 - every flavor has it

        return np.asarray(value, dtype=declared.dtype if declared.dtype not in ("str", "object") else object)
    return value


def plain(value: Any) -> Any:
    """Arrays as lists."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value


if __name__ == "__main__":
    main(*sys.argv[1:])
