"""Scripts loaded into the test's own process, each with what it leaves behind taken away again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.worker.loading import MODULE_NAME

from tests.scoring.worker.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """`bench.load(source)` is a script after init(); `bench.answer(script, body)` is what the worker's step answers."""
    path, modules, log = list(sys.path), set(sys.modules), tmp_path / "worker.log"
    with log.open("wb") as sink:
        yield Bench(tmp_path / "app", LineWriter(sink.fileno(), form="json"), log)
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__path__", [])
        places = [getattr(module, "__file__", ""), *(path if isinstance(path, Iterable) else [])]  # torch.classes answers any name with an object
        of_the_script = any(str(place).startswith(str(tmp_path)) for place in places)
        if name == MODULE_NAME or (name not in modules and of_the_script):
            del sys.modules[name]
    schemas = sys.modules.get("inference_schema.schema_util")
    if schemas is not None:  # the library keeps what was decorated by module and name
        schemas.__functions_schema__.clear()
        schemas.__versions__.clear()
