"""The example notebook, executed as a reader would, in a folder and a workspace of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from fairlead import Model, Workspace

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook" / "notebook.ipynb"


def test_the_notebook_trains_registers_deploys_scores_and_cleans_up(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [result(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert float(shown[0]) > 0.8
    assert "id='wine:1'" in shown[1]
    assert shown[2] == "'Healthy'"
    assert shown[3].startswith("{'predict': [")
    assert int(shown[4]) > 40
    assert [next(iter(eval(each))) for each in (shown[7], shown[8])] == ["kinds", "classes"]  # noqa: S307 - what our own notebook showed
    assert shown[-1] == "[]"
    assert (Model.list(ws), ws.webservices) == ([], {})


def test_the_notebook_is_kept_without_outputs() -> None:
    told = json.loads(NOTEBOOK.read_text())
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in told["cells"])
    nbformat.validate(nbformat.from_dict(told))  # type: ignore[no-untyped-call]


def result(cell: Any) -> str:
    """What the cell's last line is worth, as a notebook shows it; "" for a cell that shows nothing."""
    return next((str(output["data"]["text/plain"]) for output in cell["outputs"] if output["output_type"] == "execute_result"), "")
