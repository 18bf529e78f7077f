"""Mini-batches through scripts and models, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fairlead_scoring.batch.job import Limits
from fairlead_scoring.batch.scoring.arguments import NoFit
from fairlead_scoring.batch.scoring.scorer import Clash
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.scoring.batch.jobs import bundle_of_model
from tests.scoring.batch.scorers import Open, column, score, table

RNG = np.random.default_rng(7)
NAMES = ["a", "b", "c"]
FRAME = pd.DataFrame(RNG.normal(size=(200, 3)), columns=NAMES)
LABELS = (FRAME["a"] + FRAME["b"] > 0).astype(int).to_numpy()


# No-code models


def test_a_model_answers_as_its_own_predict(opened: Open, tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, LABELS)
    scorer = opened(bundle_of_model(tmp_path, model), output={"keep": ("id",)})
    rows = pa.table({"id": range(200), "c": FRAME["c"], "b": FRAME["b"], "unused": ["x"] * 200, "a": FRAME["a"]})  # another order, and more
    scored = score(scorer, rows)
    assert scored.failed == 0
    assert scored.table is not None
    assert scored.table.column_names == ["id", "prediction"]
    assert column(scored) == model.predict(FRAME).tolist()
    assert column(scored, "id") == list(range(200))


def test_a_method_gives_a_column_for_each_class(opened: Open, tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    scored = score(opened(bundle_of_model(tmp_path, model), method="predict_proba"), pa.Table.from_pandas(FRAME))
    found = np.column_stack([column(scored, "prediction_0"), column(scored, "prediction_1")])
    assert np.array_equal(found, model.predict_proba(FRAME))


def test_an_unknown_method_is_refused_with_those_there_are(opened: Open, tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    with pytest.raises(NoFit, match=r"no method 'transform'.*predict_proba"):
        opened(bundle_of_model(tmp_path, model), method="transform")


def test_a_model_without_names_takes_the_numbers_in_order(opened: Open, tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME.to_numpy(), LABELS)
    scorer = opened(bundle_of_model(tmp_path, model), output={"keep": ("id",)})
    scored = score(scorer, pa.table({"id": range(200), "x": FRAME["a"], "word": ["w"] * 200, "y": FRAME["b"].astype("float32"), "z": FRAME["c"]}))
    wanted = model.predict(np.column_stack([FRAME["a"], FRAME["b"].astype("float32"), FRAME["c"]]))
    assert column(scored) == wanted.tolist()
    with pytest.raises(NoFit, match=r"takes 3 values per row.*2 columns of numbers: 'x', 'y'"):
        score(scorer, pa.table({"x": [1.0], "y": [2.0]}))


def test_a_missing_column_is_named(opened: Open, tmp_path: Path) -> None:
    scorer = opened(bundle_of_model(tmp_path, LogisticRegression().fit(FRAME, LABELS)))
    with pytest.raises(NoFit, match=r"no column 'b', 'c'.*its columns are 'a', 'B'"):
        score(scorer, pa.table({"a": [1.0], "B": [1.0]}))


def test_rows_that_do_not_fit_go_into_quarantine_and_the_others_are_scored(opened: Open, tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    rows = pa.table({"a": [0.5, None, 2.0, float("nan"), -3.0], "b": pa.array([1, 2, 3, 4, 5], pa.int8()), "c": ["1.5", "2", "many", "4", "5"]})
    scored = score(opened(bundle_of_model(tmp_path, model)), rows)
    assert [(bad.url, bad.row, bad.column, bad.reason) for bad in scored.bad] == [
        ("file.parquet", 1001, "a", "expected a number, got null"),
        ("file.parquet", 1002, "c", "expected a number, got 'many'"),
        ("file.parquet", 1003, "a", "expected a number, got nan"),
    ]
    assert '"c": "many"' in str(scored.bad[1].value)
    assert (scored.items, scored.failed) == (5, 3)
    assert column(scored) == model.predict(pd.DataFrame({"a": [0.5, -3.0], "b": [1.0, 5.0], "c": [1.5, 5.0]})).tolist()


def test_categories_bind_the_rows(opened: Open, tmp_path: Path) -> None:
    frame = pd.DataFrame({"colour": ["red", "green"] * 100, "size": FRAME["a"]})
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough"), LogisticRegression()).fit(frame, LABELS)
    rows = pa.table({"size": [1.0, 2.0, -3.0], "colour": pa.array(["red", "blue", "green"]).dictionary_encode()})
    scored = score(opened(bundle_of_model(tmp_path, model)), rows)
    assert [(bad.row, bad.column, bad.reason) for bad in scored.bad] == [(1001, "colour", 'expected one of "green", "red", got \'blue\'')]
    assert column(scored) == model.predict(pd.DataFrame({"colour": ["red", "green"], "size": [1.0, -3.0]})).tolist()


# Scripts for requests


def test_a_typed_script_gets_the_array_that_it_declares(opened: Open) -> None:
    scorer = opened("""
import fairlead_scoring, numpy as np
from typing import Annotated
from fairlead_scoring.schema import Tensor
def init(): pass
@fairlead_scoring.typed
def run(data: Annotated[np.ndarray, Tensor("float32", (-1, 2))], factor: float = 2.0):
    assert data.dtype == "float32" and data.shape[1] == 2, (data.dtype, data.shape)
    return (data.sum(axis=1) * factor)
""")
    assert column(score(scorer, table(x=[1, 2], y=[0.5, 0.25]))) == [3.0, 4.5]


def test_a_typed_script_of_one_row_is_asked_for_each(opened: Open) -> None:
    scorer = opened("""
import fairlead_scoring
def init(): pass
@fairlead_scoring.typed
def run(age: int, name: str = "nobody"):
    return {"greeting": f"{name} is {age}", "old": age > 60}
""")
    scored = score(scorer, table(name=["Ada", "Bob", "Cy"], age=[70, None, 30], other=[1, 2, 3]))
    assert column(scored, "greeting") == ["Ada is 70", "Cy is 30"]
    assert [(bad.row, bad.reason) for bad in scored.bad] == [(1001, "age: expected an integer, got null.")]


def test_a_list_of_records_is_checked_row_by_row(opened: Open) -> None:
    scorer = opened("""
import dataclasses, fairlead_scoring
@dataclasses.dataclass
class House:
    rooms: int
    town: str
def init(): pass
@fairlead_scoring.typed
def run(data: list[House]):
    return [house.rooms * len(house.town) for house in data]
""")
    scored = score(scorer, table(rooms=[1, 2, 3], town=["Bonn", None, "Ulm"]))
    assert column(scored) == [4, 9]
    assert [bad.row for bad in scored.bad] == [1001]
    assert "string" in scored.bad[0].reason


def test_a_decorated_script_gets_its_frame(opened: Open) -> None:
    scorer = opened("""
import pandas as pd
from inference_schema.schema_decorators import input_schema
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
def init(): pass
@input_schema("data", PandasParameterType(pd.DataFrame({"a": [1.0], "n": [1]})))
def run(data):
    assert list(data.columns) == ["a", "n"] and data["n"].dtype == "int64", data.dtypes
    return (data["a"] * data["n"]).tolist()
""")
    assert column(score(scorer, table(n=[2, 3], a=[1.5, 2.0], b=[0, 0]))) == [3.0, 6.0]


def test_an_undecorated_script_gets_the_text_that_clients_send(opened: Open) -> None:
    scorer = opened("""
import json
def init(): pass
def run(raw):
    rows = json.loads(raw)["data"]
    return json.dumps({"result": [sum(row) for row in rows]})
""")
    assert column(score(scorer, table(x=[1, 2], y=[3, 4])), "result") == [4, 6]


def test_an_async_script_is_awaited(opened: Open) -> None:
    scorer = opened(
        "import asyncio, json\ndef init(): pass\nasync def run(raw):\n    await asyncio.sleep(0)\n    return [1 for _ in json.loads(raw)['data']]\n"
    )
    assert column(score(scorer, table(x=[5, 6]))) == [1, 1]


def test_a_raw_script_answers_files(opened: Open, tmp_path: Path) -> None:
    scorer = opened("""
from azureml.contrib.services.aml_request import rawhttp, AMLRequest
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    return AMLResponse(f"{len(request.get_data())} bytes of {request.headers['Content-Type']}", 200)
""")
    (tmp_path / "one.png").write_bytes(b"12345")
    scored = score(scorer, [str(tmp_path / "one.png")])
    assert column(scored) == ["5 bytes of image/png"]
    assert column(scored, "file") == [str(tmp_path / "one.png")]
    with pytest.raises(NoFit, match="answers requests, not rows"):
        score(scorer, table(x=[1]))


def test_a_status_of_an_error_is_no_answer(opened: Open, tmp_path: Path) -> None:
    scorer = opened(
        """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    return AMLResponse("no picture" if request.get_data() == b"bad" else "a cat", 400 if request.get_data() == b"bad" else 200)
""",
        limits=Limits(run_max_try=1),
    )
    (tmp_path / "bad.png").write_bytes(b"bad")
    (tmp_path / "good.png").write_bytes(b"good")
    scored = score(scorer, [str(tmp_path / "bad.png"), str(tmp_path / "good.png")])
    assert column(scored) == ["a cat"]
    assert scored.bad[0].reason.startswith("BadAnswer: run() answered with status 400: no picture")


def test_a_list_of_values_is_the_column_that_is_not_kept(opened: Open) -> None:
    text = "import fairlead_scoring\ndef init(): pass\n@fairlead_scoring.typed\ndef run(data: list[float]):\n    return [x * 2 for x in data]\n"
    scored = score(opened(text, output={"keep": ("id",)}), table(id=["a", "b"], x=[1.5, 2.0]))
    assert (column(scored), column(scored, "id")) == ([3.0, 4.0], ["a", "b"])


def test_as_many_answers_as_rows_are_wanted(opened: Open) -> None:
    scorer = opened("def init(): pass\ndef run(raw):\n    return [1]\n", limits=Limits(run_max_try=1))
    scored = score(scorer, table(x=[5, 6]))
    assert column(scored) == [1, 1]  # a row alone has its one answer
    assert scored.tries == 2


# Batch scripts


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [("", "pandas.DataFrame"), (": 'pd.DataFrame'", "pandas.DataFrame"), (": pa.Table", "pyarrow.Table"), (": pl.DataFrame", "polars.DataFrame")],
)
def test_a_batch_script_gets_rows_as_it_asks(opened: Open, annotation: str, kind: str) -> None:
    text = f"""
import pandas as pd, polars as pl, pyarrow as pa
def init(): pass
def run(mini_batch{annotation}):
    said = type(mini_batch).__module__.split(".")[0] + "." + type(mini_batch).__name__
    return [said] * len(mini_batch)
"""
    assert column(score(opened(text, script="score.py"), table(x=[1, 2]))) == [kind] * 2


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("[1, 2, 3]", {"prediction": [1, 2, 3]}),
        ("mini_batch[['x']].assign(y=mini_batch['x'] * 2)", {"x": [5, 6, 7], "y": [10, 12, 14]}),
        ("mini_batch['x'].rename('z')", {"z": [5, 6, 7]}),
        ("np.arange(6).reshape(3, 2)", {"prediction_0": [0, 2, 4], "prediction_1": [1, 3, 5]}),
        ("[{'a': 1}, {'a': 2, 'b': 'x'}, {'b': 'y'}]", {"a": [1, 2, None], "b": [None, "x", "y"]}),
        ("[1, 'two', 3.5]", {"prediction": ["1", "two", "3.5"]}),
        ("pa.table({'q': [True, False, None]})", {"q": [True, False, None]}),
        ("pl.DataFrame({'p': ['a', 'b', 'c']})", {"p": ["a", "b", "c"]}),
        ("[np.float32(0.5), np.float32(1), np.float32(2)]", {"prediction": [0.5, 1.0, 2.0]}),
    ],
)
def test_what_a_batch_script_may_answer(opened: Open, expression: str, wanted: dict[str, Any]) -> None:
    text = f"import numpy as np, pyarrow as pa, polars as pl\ndef init(): pass\ndef run(mini_batch):\n    return {expression}\n"
    scored = score(opened(text, script="score.py"), table(x=[5, 6, 7]))
    assert scored.table is not None
    assert scored.table.to_pydict() == wanted


def test_paths_go_in_and_missing_results_count_as_failed(opened: Open) -> None:
    text = "import os\ndef init(): pass\ndef run(mini_batch):\n    return [f'{os.path.basename(path)}: ok' for path in mini_batch if 'bad' not in path]\n"
    scored = score(opened(text, script="score.py"), ["/x/one.png", "/x/bad.png", "/x/two.png"])
    assert column(scored) == ["one.png: ok", "two.png: ok"]
    assert (scored.items, scored.failed) == (3, 1)
    assert "no result for 1 of the 3 items" in scored.bad[0].reason


def test_more_results_than_items_are_an_error(opened: Open) -> None:
    scored = score(opened("def init(): pass\ndef run(mini_batch):\n    return [1] * 9\n", script="score.py", limits=Limits(run_max_try=1)), table(x=[1, 2]))
    assert scored.table is None
    assert scored.bad[1].reason == "BadAnswer: run() answered 9 results for 1 items; it must answer one for each that it could score, and no more."
    assert [bad.row for bad in scored.bad] == [1000, 1001]


def test_init_sees_its_arguments_and_more(opened: Open) -> None:
    text = """
import argparse, sys
def init():
    global said
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    said, rest = parser.parse_known_args()
    assert "--error_threshold" in rest, rest
def run(mini_batch):
    return [said.model] * len(mini_batch)
"""
    assert column(score(opened(text, script="score.py", arguments=("--model", "churn")), table(x=[1]))) == ["churn"]


def test_nothing_is_kept_for_a_summary(opened: Open) -> None:
    scorer = opened("def init(): pass\ndef run(mini_batch):\n    return list(mini_batch['x'])[1:]\n", script="score.py", output={"action": "summary_only"})
    scored = score(scorer, table(x=[1, 2, 3]))
    assert (scored.table, scored.items, scored.failed) == (None, 3, 1)


@pytest.mark.parametrize("answers", ["[{'prediction': 1.0}] * 2", "[{'prediction': 1.0}, {'prediction': 9.0}]"])
def test_a_kept_column_that_the_answers_have_too_is_not_lost_without_a_word(opened: Open, answers: str) -> None:
    scorer = opened(f"def init(): pass\ndef run(mini_batch): return {answers}", script="score.py", output={"keep": ("prediction",)})
    with pytest.raises(
        Clash, match=r"column 'prediction' is to be kept \(--keep\), and the answers have a column 'prediction' of their own.*Leave .* out of what is kept"
    ):
        score(scorer, table(prediction=[0.5, 9.0], x=[1, 2]))


def test_a_kept_column_that_a_script_hands_through_is_no_clash(opened: Open) -> None:
    """pandas makes floats of integers with nulls."""
    scorer = opened("def init(): pass\ndef run(mini_batch): return mini_batch.assign(y=1)", script="score.py", output={"keep": ("id",)})
    assert column(score(scorer, table(id=[7, None], x=[1, 2])), "y") == [1, 1]


def test_text_that_a_database_cannot_hold_puts_its_row_into_quarantine(opened: Open) -> None:
    """Item 1 is refused by the script's own answer, item 2 by what stands in a list."""
    text = "def init(): pass\ndef run(mini_batch): return [{'a': t, 'b': [t[:1]]} for t in mini_batch['t']]"
    scorer = opened(text, script="score.py", output={"table": "scores"})
    scored = score(scorer, table(t=["x", "a\x00b", "\x00", "y"]))
    assert column(scored, "a") == ["x", "y"]
    assert [(bad.row, bad.column, "NUL" in bad.reason) for bad in scored.bad] == [(1001, "a", True), (1002, "a", True)]
    assert (scored.items, scored.failed) == (4, 2)
