"""A job of a compiled forest: its trees are tables, and its answers those of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from fairlead.bundles import ModelSource, Recipe, make
from fairlead.flavors import inspect
from fairlead.flavors.prover.graph import convert, note
from tests.scoring.batch.jobs import order_job


def test_a_job_scores_with_tables_and_answers_as_scikit_learn(tmp_path: Path) -> None:
    rows, kinds = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(50, max_depth=6, random_state=0).fit(rows, kinds)
    made, methods = convert(model, rows.shape[1])
    names = [f"c{place}" for place in range(rows.shape[1])]
    answer = {"type": "object", "properties": {method: {"type": "array", "items": {}} for method in methods}}
    note(made, {"methods": methods, "nulls": False, "columns": names, "output": answer})
    (tmp_path / "forest.onnx").write_bytes(made.SerializeToString())
    bundle = make(Recipe(models=[ModelSource(name="forest", path=tmp_path / "forest.onnx")]), tmp_path / "bundle", inspect).path
    many = np.tile(rows, (10, 1)) * np.linspace(0.5, 1.5, 10 * len(rows))[:, None]
    pq.write_table(pa.table(dict(zip(names, many.T, strict=True))), tmp_path / "rows.parquet")
    job = order_job(tmp_path, bundle, str(tmp_path / "rows.parquet"), method="predict_proba", output={"format": "parquet"})
    done = job.drive()
    assert done.returncode == 0, done.stderr
    found = np.column_stack([column.to_numpy() for column in job.answers.columns])
    assert found.tobytes() == model.predict_proba(many).tobytes()
    said = "".join(path.read_text() for path in job.place.rglob("*stderr*.txt"))
    assert "the trees of forest.onnx are evaluated as tables" in said
