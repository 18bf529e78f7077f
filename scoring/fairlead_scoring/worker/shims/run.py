"""azureml.core.run: the run of a script that no job started. It takes every metric and prints none."""

from __future__ import annotations

import uuid
from typing import Any, Dict, List, Optional

from fairlead_scoring.worker.shims.absent import needs_azure
from fairlead_scoring.worker.shims.exceptions import RunEnvironmentException

CURE = "Log with the logging module; the service's metrics are at /metrics."


class _OfflineRun:
    """As azureml-core's own: an id that starts with OfflineRun, and no experiment."""

    def __init__(self, run_id: Optional[str] = None) -> None:
        self.id = run_id or f"OfflineRun_{uuid.uuid4()}"
        self.parent: Optional[_OfflineRun] = None
        self.input_datasets: Dict[str, Any] = {}
        self.output_datasets: Dict[str, Any] = {}

    def _take(self, *_: Any, **__: Any) -> None:
        """Nobody keeps metrics of a service."""

    log = log_list = log_row = log_table = log_image = log_residuals = log_predictions = log_accuracy_table = log_confusion_matrix = _take
    add_properties = set_tags = tag = complete = fail = cancel = flush = upload_file = upload_files = upload_folder = _take
    info = warning = error = debug = _take

    def get_metrics(self, **_: Any) -> Dict[str, Any]:
        return {}

    def get_tags(self) -> Dict[str, str]:
        return {}

    def get_children(self, **_: Any) -> List[Any]:
        return []

    def child_run(self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Any = None) -> _OfflineRun:  # noqa: ARG002
        child = _OfflineRun(run_id)
        child.parent = self
        return child

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise needs_azure(f"The attribute '{name}' of a run", CURE)


class Run:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise needs_azure("Run()", CURE)

    @classmethod
    def get_context(cls, allow_offline: bool = True, **_: Any) -> _OfflineRun:
        if not allow_offline:
            raise RunEnvironmentException("Run.get_context(): no Azure ML job started this script. " + CURE)
        return _OfflineRun()

    @staticmethod
    def get(*_: Any, **__: Any) -> Any:
        raise needs_azure("Run.get()", CURE)


def get_run(*_: Any, **__: Any) -> Any:
    raise needs_azure("get_run()", CURE)


def get_azureml_logger() -> _OfflineRun:
    """Workbench's name for it."""
    return _OfflineRun()
