"""azureml.monitoring.ModelDataCollector: rows as CSV below FAIRLEAD_CAPTURE_DIR/modeldata when AML_MODEL_DC_STORAGE_ENABLED is true.

<workspace>/<service>/<model>/<version>/<designation>/<yyyy>/<mm>/<dd>/<designation or collection>.csv, in UTC; AML_MODEL_DC_BOUNDARY=hour adds the hour.
AML_MODEL_DC_DEBUG=true prints the rows instead. Off, collect() takes everything and keeps nothing.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import sys
import uuid
from typing import Any, Dict, List, Optional, Sequence

from fairlead_scoring.worker.output import INIT_ID, REQUEST_ID
from fairlead_scoring.worker.shims import capture

SWITCH = "AML_MODEL_DC_STORAGE_ENABLED"
DESIGNATIONS = ("inputs", "predictions", "labels", "signals", "general")
NAMED_BY_COLLECTION = ("signals", "general")
logger = logging.getLogger("modeldatacollector")


class ModelDataCollector:
    AML_DC_CORRELATION_HEADER = "$aml_dc_correlation_id"
    AML_DC_SCORING_TIMESTAMP_HEADER = "$aml_dc_scoring_timestamp"
    AML_DC_BOUNDARY_HEADER = "$aml_dc_boundary"
    AML_WORKSPACE_HEADER = "$aml_workspace"
    AML_SERVICE_NAME_HEADER = "$aml_service_name"
    AML_MODEL_NAME_HEADER = "$aml_model_name"
    AML_MODEL_VERSION_HEADER = "$aml_model_version"
    AML_REQUEST_ID_HEADER = "$aml_request_id"

    def __init__(  # noqa: PLR0913, PLR0917  (the SDK's signature)
        self,
        model_name: str,
        designation: str = "default",
        feature_names: Optional[Sequence[str]] = None,
        workspace: str = "default/default/default",
        webservice_name: str = "default",
        model_version: Any = "default",
        collection_name: str = "default",
        **old: Any,
    ) -> None:
        """`identifier=` is what the collector of 2018 called the collection."""
        designation = {"default": "general"}.get(designation, designation)
        if designation not in DESIGNATIONS:
            raise ValueError(f"ModelDataCollector: designation '{designation}' is none of {', '.join(DESIGNATIONS)}.")
        self.model_name = model_name
        self.model_version = str(model_version)
        self.workspace = workspace.lower()
        self.service_name = os.environ.get("SERVICE_NAME", webservice_name) if webservice_name == "default" else webservice_name
        self.designation = designation
        collection = old.get("identifier", collection_name)
        self.filename = f"{capture.part(collection if designation in NAMED_BY_COLLECTION else designation)}.csv"
        self._feature_names = list(feature_names) if feature_names is not None else []
        self._hourly = os.environ.get("AML_MODEL_DC_BOUNDARY") == "hour"
        self._prints = os.environ.get("AML_MODEL_DC_DEBUG", "").lower() == "true"
        self._is_on = capture.is_wanted(SWITCH)
        if os.environ.get(SWITCH, "").lower() == "true" and not self._is_on:
            logger.warning("%s is true, but nothing is kept: %s names no folder.", SWITCH, capture.FOLDER)
        self._correlates = False

    def collect(self, input_data: Any, user_correlation_id: str = "") -> Optional[Dict[str, Any]]:
        """Keep rows of a list, an array or a DataFrame. For inputs, returns the correlation columns; None when collection is off."""
        if not (self._is_on or self._prints):
            return None
        correlations = self._new_correlations(user_correlation_id) if self.designation == "inputs" else None
        text = _csv_of(self.add_correlations(input_data, correlations))
        names = self._names(input_data)
        header = _csv([names]) if names else ""
        if self._prints:
            sys.stdout.write(header + text)
        if self._is_on:
            self._keep(text, header)
        return correlations

    def add_correlations(self, input_data: Any, correlations: Optional[Dict[str, Any]]) -> Any:
        """The same data with the columns that join predictions to inputs; unchanged when collection is off."""
        if correlations is None:
            return input_data
        self._correlates = True
        if hasattr(input_data, "columns"):
            return input_data.assign(**correlations)
        extra = list(correlations.values())
        rows = [[*row, *extra] for row in _rows(input_data)]
        if isinstance(input_data, list):
            return rows if _is_table(input_data) else rows[0]
        return sys.modules["numpy"].array(rows, dtype=object)

    def _new_correlations(self, user_correlation_id: str) -> Dict[str, Any]:
        own = str(uuid.uuid4())
        return {
            self.AML_DC_CORRELATION_HEADER: f"{user_correlation_id}-{own}" if user_correlation_id else own,
            self.AML_DC_SCORING_TIMESTAMP_HEADER: capture.utc_now().replace(tzinfo=None).isoformat(),
            self.AML_DC_BOUNDARY_HEADER: 60 if self._hourly else 24 * 60,
            self.AML_WORKSPACE_HEADER: self.workspace,
            self.AML_SERVICE_NAME_HEADER: self.service_name,
            self.AML_MODEL_NAME_HEADER: self.model_name,
            self.AML_MODEL_VERSION_HEADER: self.model_version,
            self.AML_REQUEST_ID_HEADER: REQUEST_ID.get() or INIT_ID,
        }

    def _names(self, data: Any) -> List[str]:
        names = [str(name) for name in data.columns] if hasattr(data, "columns") else self._feature_names
        extra = [name for name in self._new_correlations("") if name not in names] if self._correlates else []
        return [*names, *extra] if names else names

    def _keep(self, text: str, header: str) -> None:
        parts = [*self.workspace.split("/"), self.service_name, self.model_name, self.model_version, self.designation]
        folder = "/".join(["modeldata", *(capture.part(one) for one in parts), capture.day(capture.utc_now(), hourly=self._hourly)])
        try:
            capture.append(f"{folder}/{self.filename}", text, header)
        except OSError as error:  # never the reason why a request fails
            logger.warning("ModelDataCollector lost rows of '%s': %s", self.model_name, error)


def _csv_of(data: Any) -> str:
    if hasattr(data, "toPandas"):  # Spark
        data = data.toPandas()
    if hasattr(data, "to_csv") and hasattr(data, "columns"):
        text: str = data.to_csv(index=False, header=False)
        return text
    return _csv(_rows(data))


def _rows(data: Any) -> List[List[Any]]:
    values = data.tolist() if hasattr(data, "tolist") else list(data)
    return [list(row) for row in values] if _is_table(values) else [values]


def _is_table(values: List[Any]) -> bool:
    return bool(values) and all(isinstance(row, (list, tuple)) or getattr(row, "ndim", 0) > 0 for row in values)


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
