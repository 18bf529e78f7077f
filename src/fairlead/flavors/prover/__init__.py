"""Turns a model into ONNX and proves that it answers the same. Runs as a process of its own, in the interpreter that will serve the model.

`PYTHON prover/__main__.py JOB.json`: needs numpy, onnx, onnxruntime and the model's library there; skl2onnx for what it does not know itself.
"""
