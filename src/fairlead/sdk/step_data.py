"""What a step reads and writes: paths, data sets and named inputs on one side, PipelineData and OutputFileDatasetConfig on the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.errors import UsageError
from fairlead.sdk.batch_data import Data

_WORDS = ("format", "options", "columns", "timestamp", "before", "after")


@dataclass(frozen=True, kw_only=True)
class Named:
    """An input; `name`: as `as_named_input` said it."""

    name: str | None
    data: Data


class PipelineData:
    """A folder that a step writes, under a name by which its run gives it back.

    `datastore`: where it lies, a datastore or its name; without one the server keeps it. The other words of Azure ML's are taken and have no effect.

        >>> output = PipelineData(name="inferences", datastore=ws.get_default_datastore())
    """

    def __init__(
        self,
        name: str,
        datastore: object = None,
        output_name: str | None = None,
        output_mode: str = "mount",
        output_path_on_compute: str | None = None,
        output_overwrite: bool | None = None,
        data_type: str | None = None,
        is_directory: bool | None = None,
        pipeline_output_name: str | None = None,
        training_output: object = None,
    ) -> None:
        self.name = output_name or name
        self.datastore = named(datastore, "datastore") if datastore is not None else None
        self.path: str | None = None

    def place(self, run_id: str) -> str | None:
        """Where a run writes it; None: where the server keeps it."""
        if self.datastore is None:
            return None
        path = (self.path or "azureml/{run-id}/{output-name}").replace("{run-id}", run_id).replace("{output-name}", self.name)
        return f"datastore:{self.datastore}/{path.strip('/')}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class OutputFileDatasetConfig(PipelineData):
    """The same in newer words; `destination`: (datastore, path), where {run-id} and {output-name} in the path become those of the run.

    >>> OutputFileDatasetConfig("inferences", destination=(ws.get_default_datastore(), "scores/{run-id}"))
    """

    def __init__(
        self, name: str | None = None, destination: tuple[object, str] | None = None, source: str | None = None, partition_format: str | None = None
    ) -> None:
        store, path = destination if destination is not None else (None, None)
        super().__init__(name or "output", store)
        self.path = path


def named_input(said: object) -> Named:
    """A path or URL, a data set, or what `as_named_input(...)`, `as_mount()` and `as_download()` made of one. Raises UsageError."""
    if isinstance(said, str | os.PathLike):
        return Named(name=None, data=Data(places=[os.fspath(said)]))
    dataset = getattr(said, "dataset", None) or said
    name = getattr(said, "name", None) if dataset is not said else None
    return Named(name=name, data=_of_dataset(dataset))


def named(said: object, word: str) -> str:
    """Its own name, or that of the object. Raises UsageError."""
    name = said if isinstance(said, str) else getattr(said, "name", None)
    if not isinstance(name, str):
        raise UsageError(f"{word} {said!r}: give it, or its name.")
    return name


def _of_dataset(dataset: object) -> Data:
    """Registered: by name and version. Else by what it is defined as."""
    definition = _plain(getattr(dataset, "definition", None))
    name, version = getattr(dataset, "name", None), getattr(dataset, "version", None)
    files = None if definition is None else definition.get("kind") == "File"
    if name is not None and version is not None:
        return Data(places=[f"dataset:{name}:{version}"], files=files)
    if definition is None:
        raise UsageError(f"{dataset!r} is no data: give a path, a URL or a data set.")
    words = {word: definition[word] for word in _WORDS if definition.get(word)}
    if definition.get("query"):
        words |= {"database": _place(definition["paths"][0]), "query": definition["query"]}
        return Data(words=words, files=False)
    return Data(places=[_place(each) for each in definition["paths"]], words={**words, **({"format": "files"} if files else {})}, files=files)


def _plain(definition: Any) -> Mapping[str, Any] | None:
    if definition is None or isinstance(definition, Mapping):
        return definition
    dumped: Mapping[str, Any] = definition.model_dump(exclude_unset=True)
    return dumped


def _place(path: Mapping[str, Any]) -> str:
    return f"datastore:{path['datastore']}/{path.get('path', '')}" if path.get("datastore") else str(path["url"])


def words_of(arguments: Sequence[object], side_inputs: Mapping[str, Data]) -> list[str]:
    """As text; a side input among them stands for the path that it has where the script runs."""
    return [_word(each, side_inputs) for each in arguments]


def _word(said: object, side_inputs: Mapping[str, Data]) -> str:
    if isinstance(said, str | int | float):
        return str(said)
    name = getattr(said, "name", None)
    if name not in side_inputs:
        raise UsageError(f"The argument {said!r} is none of the step's side_inputs; put it there too, under a name (as_named_input).")
    return f"$AZUREML_DATAREFERENCE_{name}"
