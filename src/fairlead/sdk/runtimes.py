"""The runtimes that the seeds name: which packages an image of that name brought along."""

from __future__ import annotations

from fairlead.errors import UsageError

PACKAGES = {
    "python": (),
    "python-slim": (),
    "scikit-py": ("scikit-learn", "numpy", "scipy", "pandas", "joblib"),
    "tensorflow-py": ("tensorflow", "numpy"),
    "spark-py": ("pyspark", "numpy", "pandas", "pyarrow"),
}


def check_runtime(runtime: str | None) -> str | None:
    """In lower case. Raises UsageError."""
    if runtime is None or runtime.lower() in PACKAGES:
        return runtime.lower() if runtime else None
    if runtime.lower() == "cntk-py":
        raise UsageError("Runtime cntk-py is gone: CNTK ended in 2019. Export the model to ONNX and deploy that.")
    raise UsageError(f"Runtime {runtime!r} is not known; say one of {', '.join(PACKAGES)}.")


def packages_of(runtime: str | None) -> tuple[str, ...]:
    """Requirement lines; none where no runtime is named, or one without packages of its own. Raises UsageError."""
    return PACKAGES[check_runtime(runtime) or "python"]
