"""Model metadata of the Open Inference Protocol v2, from the service's contract."""

from __future__ import annotations

from typing import Any

from fairlead_scoring.schema import Signature
from fairlead_scoring.schema.open_inference import input_tensors, output_tensors


def model_metadata(contract: dict[str, Any]) -> dict[str, Any]:
    """The tensors that infer takes and answers; an output whose datatype the script does not declare is left out."""
    model = contract["model"]
    signature = Signature.from_json({"inputs": contract["inputs"], "output": contract.get("output")})
    defaults = (contract.get("defaults") or {}).get("v2") or {}
    return {
        "name": str(model.get("name", "model")),
        "versions": [str(model.get("version", "1"))],
        "platform": str(model.get("platform", "python")),
        "inputs": [each.to_json() for each in input_tensors(signature)],
        "outputs": [each.to_json() for each in output_tensors(signature, defaults)],
    }
