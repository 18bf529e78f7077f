from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.flavors import UnknownModel, detect, get, inspect

from .conftest import Serve

pytestmark = [
    pytest.mark.needs("torch"),
    pytest.mark.filterwarnings("ignore:.?torch.jit:DeprecationWarning"),  # TorchScript files live longer than its compiler
]


@pytest.fixture(scope="module")
def torch() -> Any:
    """Imported when its first test runs: it is large, and each process collects all tests."""
    return importlib.import_module("torch")


def network(torch: Any) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)).eval()


ROWS = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)


def test_torchscript_answers_like_the_module(torch: Any, tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(network(torch)), path)
    assert inspect(path).unsafe == ()
    served = serve(path)
    assert served.said["inputs"][0]["type"] == {"kind": "tensor", "dtype": "float32", "shape": None, "nulls": False}
    with torch.inference_mode():
        wanted = network(torch)(torch.tensor(ROWS)).numpy()
    np.testing.assert_allclose(served.run(data=ROWS)["output"], wanted, rtol=1e-6)


def test_an_exported_program_knows_its_inputs(torch: Any, tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "model.pt2"
    batch = torch.export.Dim("batch", min=1, max=1024)
    torch.export.save(torch.export.export(network(torch), (torch.zeros(2, 4),), dynamic_shapes=({0: batch},)), path)
    assert inspect(path).unsafe == ()
    served = serve(path)
    assert served.said["inputs"][0]["type"]["shape"] == [-1, 4]
    for count in (1, 5):
        with torch.inference_mode():
            wanted = network(torch)(torch.tensor(ROWS[:count])).numpy()
        np.testing.assert_allclose(served.run(data=ROWS[:count])["output"], wanted, rtol=1e-5)


def test_several_arguments_and_outputs(torch: Any, tmp_path: Path, serve: Serve) -> None:
    class Pair(torch.nn.Module):  # type: ignore[misc]
        def forward(self, left, right):  # type: ignore[no-untyped-def]  # TorchScript reads annotations its own way
            return left + right, left * right

    torch.jit.save(torch.jit.trace(Pair(), (torch.ones(2, 2), torch.ones(2, 2))), tmp_path / "pair.pt")
    served = serve(tmp_path / "pair.pt")
    answer = served.run(left=ROWS, right=ROWS)
    np.testing.assert_array_equal(answer["output_1"], ROWS * ROWS)


@pytest.mark.parametrize("what", ["weights", "module"])
def test_what_torch_save_writes_is_refused_with_the_cure(torch: Any, tmp_path: Path, what: str) -> None:
    torch.save(network(torch).state_dict() if what == "weights" else network(torch), tmp_path / "model.pt")
    with pytest.raises(UnknownModel, match=r"torch\.export\.save"):
        inspect(tmp_path / "model.pt")
    assert detect(tmp_path / "model.pt") is not get("pytorch")
