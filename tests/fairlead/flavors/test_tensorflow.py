from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.flavors import detect, get

from .conftest import Serve

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras on numpy 2
]

ROWS = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)


@pytest.fixture(scope="module")
def tensorflow() -> Any:
    """Imported when its first test runs: it is large, and each process collects all tests."""
    return importlib.import_module("tensorflow")


def network(tensorflow: Any) -> Any:
    tensorflow.keras.utils.set_random_seed(0)
    return tensorflow.keras.Sequential([tensorflow.keras.layers.Input((4,)), tensorflow.keras.layers.Dense(3, activation="softmax")])


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_keras_files(tensorflow: Any, tmp_path: Path, serve: Serve, name: str) -> None:
    model = network(tensorflow)
    model.save(tmp_path / name)
    served = serve(tmp_path / name)
    assert served.said["inputs"][0]["type"]["shape"] == [-1, 4]
    np.testing.assert_allclose(served.run(data=ROWS)["output"], model(ROWS).numpy(), rtol=1e-6)


def test_a_saved_model_folder(tensorflow: Any, tmp_path: Path, serve: Serve) -> None:
    model = network(tensorflow)
    model.export(tmp_path / "flowers")
    assert detect(tmp_path / "flowers") is get("tensorflow")
    served = serve(tmp_path / "flowers")
    [result] = served.run(data=ROWS).values()
    np.testing.assert_allclose(result, model(ROWS).numpy(), rtol=1e-6)
