"""The registration file of a data set, as Azure ML's command takes it: datasetType, parameters, registration, schemaVersion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.cli.model_options import json_of
from fairlead.errors import UsageError

_PARAMETERS = {
    "path",
    "sourceType",
    "query",
    "separator",
    "header",
    "partitionFormat",
    "columnTypes",
    "fineGrainTimestamp",
    "coarseGrainTimestamp",
    "includePath",
}
_SOURCES = {"delimited_files": "csv", "json_lines_files": "jsonl", "parquet_files": "parquet", "sql_query": None}


def read_registration(file: Path) -> dict[str, Any]:
    """Members of NewDatasetVersion; `definition` as a plain dict. Raises UsageError that names the file and the member."""
    said = json_of(file)
    if not isinstance(said, dict) or not isinstance(said.get("parameters"), dict) or not isinstance(said.get("registration", {}), dict):
        raise UsageError(f"{file} is no registration file: it has to be a JSON object with datasetType, parameters and registration.")
    kind, parameters, registration = str(said.get("datasetType", "File")), said["parameters"], said.get("registration", {})
    if kind.lower() not in ("file", "tabular") or said.get("schemaVersion", 1) != 1:
        raise UsageError(f"{file}: datasetType is File or Tabular, and schemaVersion 1.")
    strange = sorted(parameters.keys() - _PARAMETERS)
    if strange:
        raise UsageError(f"{file}: parameters.{strange[0]} is not known; those that are: {', '.join(sorted(_PARAMETERS))}.")
    definition = {"kind": kind.capitalize(), **_definition(file, parameters)}
    return {
        "definition": definition,
        "create_new_version": bool(registration.get("createNewVersion", False)),
        **{word: registration[word] for word in ("name", "description", "tags") if registration.get(word)},
    }


def _definition(file: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    source = said.get("sourceType")
    if source is not None and source not in _SOURCES:
        raise UsageError(f"{file}: parameters.sourceType is one of {', '.join(_SOURCES)}.")
    query = said.get("query")
    path = query if source == "sql_query" else said.get("path")
    options = {
        name: said[word] for word, name in (("separator", "delimiter"), ("partitionFormat", "partition_format"), ("columnTypes", "types")) if said.get(word)
    }
    if said.get("header") is False:
        options["header"] = False
    found: dict[str, Any] = {"paths": _paths(file, path), "options": options}
    if isinstance(query, dict):
        found["query"] = query.get("query")
    elif query is not None:
        raise UsageError(f"{file}: parameters.query is an object with datastoreName and query.")
    timestamp = said.get("fineGrainTimestamp") or said.get("coarseGrainTimestamp")
    more = {"format": _SOURCES.get(source or ""), "timestamp": timestamp, "partition_timestamp": said.get("coarseGrainTimestamp")}
    return found | {name: value for name, value in more.items() if value is not None}


def _paths(file: Path, said: Any) -> list[dict[str, Any]]:
    each = said if isinstance(said, list) else [said]
    return [_path(file, one) for one in each]


def _path(file: Path, said: Any) -> dict[str, Any]:
    if isinstance(said, dict) and said.get("datastoreName"):
        return {"datastore": said["datastoreName"], "path": str(said.get("relativePath") or "").strip("/")}
    if not isinstance(said, str) or not said:
        raise UsageError(f"{file}: parameters.path is a URL, a list of them, or an object with datastoreName and relativePath.")
    return {"url": said if "://" in said else str((file.parent / said).absolute())}
