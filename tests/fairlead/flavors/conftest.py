"""Small models of every library, and a stand-in for the worker: the script is executed as a module with AZUREML_MODEL_DIR set."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.schema import Signature, check

from fairlead.flavors import detect

Serve = Callable[[Path], "Served"]


class Served:
    """A flavor's script after init(): what it says, and run() behind the schema check."""

    def __init__(self, source: str) -> None:
        self.module = types.ModuleType("score")
        exec(compile(source, "score.py", "exec"), self.module.__dict__)
        self.module.init()
        self.said: dict[str, Any] = self.module.describe()
        self.signature = Signature.from_json({key: self.said[key] for key in ("inputs", "output")})

    def check(self, **body: Any) -> None:
        for field in self.signature.inputs:
            if field.required or field.name in body:
                check(field, body[field.name])

    def run(self, *args: Any, **keywords: Any) -> dict[str, Any]:
        result = self.module.run(*args, **keywords)
        assert isinstance(result, dict)
        return result

    @property
    def methods(self) -> list[str]:
        method = next(field for field in self.signature.inputs if field.name == "method")
        return list(method.type.to_json()["schema"]["enum"])


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    def start(artifact: Path) -> Served:
        flavor = detect(artifact)
        assert flavor is not None, f"no flavor for {artifact}"
        top = tmp_path / "azureml-models" / "m" / "1"
        top.mkdir(parents=True)
        (top / artifact.name).symlink_to(artifact)
        monkeypatch.setenv("AZUREML_MODEL_DIR", str(top))
        served = Served(flavor.score_py)
        sample = served.said["sample"]
        if sample is not None:
            served.check(**sample)
        return served

    return start
