"""Tree ensembles of compiled models, faster than ONNX Runtime evaluates them and with the same bytes (docs/decisions/0013-forests-in-batch.md).

Nothing here is imported where requests are answered. Needs numpy, and llvmlite for what is gained.
"""

from fairlead_scoring.batch.forests.evaluation import Evaluation, evaluator
from fairlead_scoring.batch.forests.unfit import NotHere, Unfit

__all__ = ["Evaluation", "NotHere", "Unfit", "evaluator"]
