"""Places of every kind, each new and empty, and an S3 server that fails a share of its requests."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from fairlead_scoring.batch import workplace
from fairlead_scoring.batch.job import Order, Output
from fairlead_scoring.batch.places import Place, open_place
from fairlead_scoring.batch.scoring import Scorer

from tests.s3 import S3Server
from tests.scoring.batch.jobs import bundle_of_script
from tests.scoring.batch.scorers import Open


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, with this process's environment pointing at it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return s3_server


@pytest.fixture
def flaky_s3(s3: S3Server) -> Callable[..., AbstractContextManager[None]]:
    """`with flaky_s3(0.05):` that share of all requests is answered 503, reset before or after its effect, or cut short."""
    return lambda share=0.05, seed=1: s3.misbehaving(seed=seed, slow_down=share / 2, reset=share / 4, cut=share / 4)


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return open_place(str(tmp_path / "place"))
    if request.param == "memory":
        return open_place(f"memory://{uuid.uuid4().hex}/place")
    server: S3Server = request.getfixturevalue("s3")
    return open_place(f"s3://{server.make_bucket()}/some/place")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """A scorer of a script's text or of a bundle."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))

    made: list[Scorer] = []

    def open_scorer(what: str | Path, **said: Any) -> Scorer:
        bundle = bundle_of_script(tmp_path, what) if isinstance(what, str) else what
        place = workplace.lay_out(str(bundle), str(tmp_path / "app"), verify=False)
        if place.model_dir:
            monkeypatch.setenv("AZUREML_MODEL_DIR", place.model_dir)
        output = Output(str(tmp_path / "out"), **said.pop("output", {}))
        scorer = Scorer(Order("id", "name", str(bundle), output=output, **said), place.to_json())
        made.append(scorer)
        scorer.init()
        return scorer

    yield open_scorer
    for scorer in made:
        scorer.shutdown()
    for name in [name for name in sys.modules if name.startswith("inference_schema")]:
        del sys.modules[name]  # it remembers decorated functions by module and name, and every script's is the same
