"""azureml.ai.monitoring.Collector (also azure.ai.mlmonitoring): data frames as JSON lines, joined by a correlation id.

Off unless AZUREML_MDC_ENABLED or AML_MODEL_DC_STORAGE_ENABLED is true and a capture folder is given; then it takes everything and keeps nothing.
The original raises in init() when it is off, so that scripts die outside Azure.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from typing import Any, Callable, Dict, Optional

from fairlead_scoring.worker.output import REQUEST_ID
from fairlead_scoring.worker.shims import capture

SWITCHES = ("AZUREML_MDC_ENABLED", "AML_MODEL_DC_STORAGE_ENABLED")
logger = logging.getLogger("mdc.collector")


class CorrelationContext:
    def get_id(self) -> str:
        return ""

    def __str__(self) -> str:
        return self.get_id()


class BasicCorrelationContext(CorrelationContext):
    def __init__(self, id: Optional[str] = None, timestamp: Optional[int] = None, headers: Optional[Dict[str, Any]] = None) -> None:  # noqa: A002  (the SDK's name)
        self.id = id or str(uuid.uuid4())
        self.timestamp = timestamp or int(time.time())
        self.headers = headers or {}

    def get_id(self) -> str:
        return self.id

    def get_timestamp(self) -> int:
        return self.timestamp

    def get_headers(self) -> Dict[str, Any]:
        return self.headers


def get_context() -> CorrelationContext:
    return BasicCorrelationContext()


class Collector:
    def __init__(self, *, name: str, on_error: Optional[Callable[[Exception], Any]] = None) -> None:
        self.name = name
        self.on_error = on_error
        if not name:
            self._complain(ValueError("Collector: name is empty; say which collection the rows belong to."))

    def collect(self, data: Any, correlation_context: Optional[CorrelationContext] = None) -> CorrelationContext:
        """Keep the rows of a pandas.DataFrame. A failure never fails the scoring, unless the script has no on_error and hands in something else."""
        context = correlation_context or get_context()
        if capture.is_wanted(*SWITCHES):
            if not (hasattr(data, "to_json") and hasattr(data, "columns")):
                self._complain(TypeError(f"Collector '{self.name}': data type ({type(data).__name__}) not supported, supported types: pandas.DataFrame"))
            else:
                self._keep(data, context)
        return context

    def _keep(self, data: Any, context: CorrelationContext) -> None:
        now = capture.utc_now()
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": os.environ.get("SERVICE_NAME", "fairlead"),
            "type": f"azureml.inference.{self.name}",
            "datacontenttype": "application/json",
            "time": now.isoformat(),
            "correlationid": str(context),
            "xrequestid": REQUEST_ID.get(),
            "data": json.loads(data.to_json(orient="records", date_format="iso")),
        }
        path = f"{capture.part(self.name)}/{capture.day(now, hourly=True)}/{capture.part(self.name)}.jsonl"
        try:
            capture.append(path, json.dumps(event) + "\n")
        except OSError as error:
            if self.on_error is None:
                logger.warning("Collector '%s' lost %d rows: %s", self.name, len(data), error)
            else:
                self.on_error(error)

    def _complain(self, error: Exception) -> None:
        if self.on_error is None:
            raise error
        self.on_error(error)
