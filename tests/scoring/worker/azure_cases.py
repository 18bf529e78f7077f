"""Scripts and requests put to the Azure scoring server once (`azure_record.json`) and to our worker in every test run.

Where our answer differs on purpose, `ours` says what we answer and `why`; everywhere else it must be the same, byte by byte.
To record again, with `azmlinfsrv` (PyPI: azureml-inference-server-http, inference-schema with numpy and pandas) on the PATH:
`python -m tests.scoring.worker.azure_cases`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.waiting import until

RECORD = Path(__file__).with_name("azure_record.json")
JSON = {"Content-Type": "application/json"}
INTERNAL = "An unexpected internal error occurred. Check the logs for more info."


@dataclass(frozen=True)
class Seen:
    """What a client can rely on: status, content type, x-ms-run-function-failed, body."""

    status: int
    content_type: str
    failed: str
    body: str


@dataclass(frozen=True)
class Ask:
    """One request; `ours` where we answer differently, and why."""

    name: str
    body: bytes = b""
    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    ours: Seen | None = None
    why: str = ""


def accepted(body: Any) -> Seen:
    return Seen(200, "application/json", "False", json.dumps(body))


def refused(status: int, message: str, **detail: Any) -> Seen:
    return Seen(status, "application/json", "False", json.dumps({"message": message, **detail}))


def mismatch(name: str, expected: str, got: str, row: int | None = None, column: int | str | None = None) -> Seen:
    where = name + (f", row {row}" if row is not None else "") + (f", column {column!r}" if column is not None else "")
    one = {"field": name, "row": row, "column": column, "expected": expected, "got": got}
    return refused(400, f"{where}: expected {expected}, got {got}.", errors=[one])


SCHEMA_IS_A_CONTRACT = "a body that does not fit the schema is the caller's mistake"

ECHO = "def init(): pass\ndef run(raw_data): return [type(raw_data).__name__, raw_data]\n"
HEADERS = """
def init(): pass
def run(data, request_headers):
    return [type(request_headers) is dict, sorted(name for name in request_headers if name.startswith('X-')), request_headers.get('X-Two')]
"""
RETURNS = """
import datetime, decimal, numpy
VALUES = {
    'none': None, 'text': 'x', 'accents': 'é☃', 'tuple': ({'a': 1}, 418), 'nan': [float('nan'), float('inf')], 'float64': numpy.float64(0.1), 'int': 3,
    'dumped': '{"a": 1}', 'nested': {'a': [1, 2.5, None, True, {'b': ()}], '1': {2: 3}}, 'empty': [], 'false': False, 'keys': {None: 1, True: 2, 1.5: 3},
    'ndarray': numpy.array([[1, 2], [3, 4]]), 'float32': numpy.float32(0.5), 'int64': [numpy.int64(7)], 'bool_': numpy.bool_(True), 'bytes': b'ab',
    'set': {1}, 'date': datetime.date(2024, 2, 29), 'decimal': decimal.Decimal('1.5'), 'int64 keys': {numpy.int64(1): 2}, 'object': object(),
}
def init(): pass
def run(data): return VALUES[data]
"""
RAISES = """
import sys
def init(): pass
def run(data):
    if data == 'timeout': raise TimeoutError('mine')
    if data == 'exit': sys.exit(3)
    if data == 'recursion': return run(data)
    raise ValueError(data)
"""
NUMPY = """
import numpy
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
def init(): pass
@input_schema('data', NumpyParameterType(numpy.array([[1.0, 2.0]])))
@output_schema(NumpyParameterType(numpy.array([1.0])))
def run(data, scale=2): return [type(data).__name__, str(data.dtype), list(data.shape), (data * scale).tolist()]
"""
PANDAS = """
import pandas
from inference_schema.schema_decorators import input_schema
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
def init(): pass
@input_schema('frame', PandasParameterType(pandas.DataFrame({'a': [1], 'b': ['x']})))
def run(frame): return [type(frame).__name__, [str(t) for t in frame.dtypes][:1], list(frame.columns), frame.values.tolist()]
"""
STANDARD = """
from inference_schema.schema_decorators import input_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType as S
def init(): pass
@input_schema('num', S(1))
@input_schema('text', S('a'), optional=True)
@input_schema('many', S([1.0]), optional=True)
@input_schema('deep', S({'n': S(1), 'l': S([S(2)])}), optional=True)
def run(num, text='none', many=None, deep=None): return [num, text, many, deep]
"""

CASES: dict[str, tuple[str, list[Ask]]] = {
    "plain": (
        ECHO,
        [
            Ask("json", b'{"data": [[1, 2]]}'),
            Ask("not json", b"hello, \xc3\xa9", headers={"Content-Type": "text/plain"}),
            Ask("empty", b""),
            Ask("without content type", b'"x"', headers={}),
            Ask("byte order mark", b"\xef\xbb\xbf{}"),
            Ask("not UTF-8", b"\xff\xfe"),
            Ask("query on a POST", b"x", query="a=1"),
            Ask("get", method="GET", query="a=1&b=[1,2]&c=a&d=null", headers={}),
            Ask("get without query", method="GET", headers={}),
            Ask("get repeated", method="GET", query="foo=bar1&foo=2&x=y", headers={}),
            Ask("get blank and odd", method="GET", query="a=&b&=c&d=1+2&e=%C3%A9&f=%zz&g=NaN&h=%ff&i=a;b=2", headers={}),
            Ask(
                "form",
                b'{"a": 1}',
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                ours=accepted(["str", '{"a": 1}']),
                why="curl -d sends this type by default; the server's '' helps nobody",
            ),
            Ask(
                "multipart",
                b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
                headers={"Content-Type": "multipart/form-data; boundary=x"},
                ours=accepted(["str", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n']),
                why="the body as it came, as for every other content type",
            ),
        ],
    ),
    "headers": (HEADERS, [Ask("title case", b"x", headers={"x-one": "1", "X-TWO-": "no", "x-two": "2", "x-3rd-part": "3", "x-a2b": "4"})]),
    "returns": (
        RETURNS,
        [
            *(Ask(name, name.encode()) for name in ("none", "text", "accents", "tuple", "nan", "float64", "int", "dumped", "nested", "empty", "false", "keys")),
            *(
                Ask(name, name.encode(), ours=accepted(ours), why="encoded natively instead of failing")
                for name, ours in {
                    "ndarray": [[1, 2], [3, 4]],
                    "float32": 0.5,
                    "int64": [7],
                    "bool_": True,
                    "bytes": "YWI=",
                    "set": [1],
                    "date": "2024-02-29",
                    "decimal": 1.5,
                    "int64 keys": {"1": 2},
                }.items()
            ),
            Ask("object", b"object"),
        ],
    ),
    "raises": (
        RAISES,
        [
            Ask("ValueError", b"a secret"),
            Ask("RecursionError", b"recursion"),
            Ask(
                "TimeoutError",
                b"timeout",
                ours=Seen(500, "application/json", "True", '{"message": "An unexpected error occurred in scoring script. Check the logs for more info."}'),
                why="the script raised it; no deadline has passed",
            ),
            Ask(
                "sys.exit",
                b"exit",
                ours=Seen(500, "application/json", "True", '{"message": "An unexpected error occurred in scoring script. Check the logs for more info."}'),
                why="the server answers gunicorn's HTML page without headers",
            ),
        ],
    ),
    "numpy": (
        NUMPY,
        [
            Ask("fits", b'{"data": [[1, 2], [3, 4.5]]}'),
            Ask("unknown keys", b'{"data": [[1, 2]], "other": 1}'),
            Ask("undecorated parameter", b'{"data": [[1, 2]], "scale": 3}'),
            Ask("json type with charset", b'{"data": [[1, 2]]}', headers={"Content-Type": "application/json; charset=utf-8"}),
            Ask("json suffix", b'{"data": [[1, 2]]}', headers={"Content-Type": "application/vnd.x+json"}),
            Ask("get", method="GET", query="data=[[1,2]]", headers={}),
            Ask("get without it", method="GET", headers={}),
            Ask("json-seq", b'{"data": [[1, 2]]}', headers={"Content-Type": "application/json-seq"}),
            Ask("text/json", b'{"data": [[1, 2]]}', headers={"Content-Type": "text/json"}),
            Ask("no content type", b'{"data": [[1, 2]]}', headers={}),
            Ask("empty", b""),
            Ask("bad json", b'{"data": [[1, 2]}'),
            Ask("blank", b"  "),
            Ask("list", b"[1]"),
            Ask("missing", b'{"dat": 1}'),
            Ask(
                "not UTF-8",
                b'{"data": "\xff"}',
                ours=refused(400, "POST body could not be decoded as JSON: 'utf-8' codec can't decode byte 0xff in position 10: invalid start byte"),
                why="the server calls it an internal error",
            ),
            Ask("ragged", b'{"data": [[1, 2], [3]]}', ours=mismatch("data", "2 values", "1 value", 1), why=SCHEMA_IS_A_CONTRACT),
            Ask("width", b'{"data": [[1, 2, 3]]}', ours=mismatch("data", "2 values", "3 values", 0), why=SCHEMA_IS_A_CONTRACT),
            Ask("text", b'{"data": [[1, "x"]]}', ours=mismatch("data", "a number or null", '"x"', 0, 1), why=SCHEMA_IS_A_CONTRACT),
            Ask("number", b'{"data": 5}', ours=mismatch("data", "an array of shape (*, 2)", "5"), why=SCHEMA_IS_A_CONTRACT),
            Ask("numbers as text", b'{"data": [["1", "2"]]}'),
            Ask("null", b'{"data": [[1, null]]}'),
            Ask("null and text", b'{"data": [[null, "x"]]}', ours=mismatch("data", "a number or null", '"x"', 0, 1), why=SCHEMA_IS_A_CONTRACT),
            Ask("empty rows", b'{"data": []}', ours=mismatch("data", "at least one row", "none"), why=SCHEMA_IS_A_CONTRACT),
        ],
    ),
    "pandas": (
        PANDAS,
        [
            Ask("records", b'{"frame": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}'),
            Ask("other order", b'{"frame": [{"b": "x", "a": 1}]}'),
            Ask("other names", b'{"frame": [{"c": 1, "d": "x"}]}'),
            Ask("a float", b'{"frame": [{"a": 1.5, "b": "x"}]}'),
            Ask("columns", b'{"frame": [{"a": 1}]}', ours=mismatch("frame", "a value or null", "nothing", 0, "b"), why=SCHEMA_IS_A_CONTRACT),
            Ask("type", b'{"frame": [{"a": "q", "b": "x"}]}', ours=mismatch("frame", "an integer", '"q"', 0, "a"), why=SCHEMA_IS_A_CONTRACT),
            Ask("null", b'{"frame": [{"a": 1, "b": null}]}'),
            Ask("number", b'{"frame": 5}', ours=mismatch("frame", "a list of rows", "5"), why=SCHEMA_IS_A_CONTRACT),
        ],
    ),
    "standard": (
        STANDARD,
        [
            Ask("fits", b'{"num": 1, "text": "b", "many": [1.5, 2.5], "deep": {"n": 3, "l": [4, 5]}}'),
            Ask("optional", b'{"num": 1}'),
            Ask("integers for floats", b'{"num": 1, "many": [1, 2]}'),
            Ask("true for an integer", b'{"num": true}'),
            Ask("deep unknown", b'{"num": 1, "deep": {"n": 1, "z": "kept"}}'),
            Ask("float for int", b'{"num": 1.5}', ours=mismatch("num", "an integer", "1.5"), why=SCHEMA_IS_A_CONTRACT),
            Ask("text for int", b'{"num": "abc"}', ours=mismatch("num", "an integer", '"abc"'), why=SCHEMA_IS_A_CONTRACT),
            Ask("number for text", b'{"num": 1, "text": 5}', ours=mismatch("text", "a string", "5"), why=SCHEMA_IS_A_CONTRACT),
            Ask("null for int", b'{"num": null}', ours=mismatch("num", "an integer", "null"), why=SCHEMA_IS_A_CONTRACT),
            Ask("deep", b'{"num": 1, "deep": {"n": "x"}}', ours=mismatch("deep", "an integer", '"x"', column="n"), why=SCHEMA_IS_A_CONTRACT),
            Ask(
                "deep list", b'{"num": 1, "deep": {"n": 1, "l": [1, "x"]}}', ours=mismatch("deep", "an integer", '"x"', column="l[1]"), why=SCHEMA_IS_A_CONTRACT
            ),
            Ask("true for deep", b'{"num": 1, "deep": {"n": true}}'),
            Ask("missing", b"{}"),
        ],
    ),
}


def recorded(script: str, ask: Ask) -> Seen:
    return Seen(**json.loads(RECORD.read_text())["answers"][script][ask.name])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _put(port: int, ask: Ask) -> Seen:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(ask.method, "/score" + (f"?{ask.query}" if ask.query else ""), ask.body if ask.method == "POST" else None, ask.headers)
    reply = connection.getresponse()
    seen = Seen(reply.status, reply.getheader("Content-Type", ""), reply.getheader("x-ms-run-function-failed", ""), reply.read().decode())
    connection.close()
    return seen


def _is_up(port: int) -> bool:
    try:
        return _put(port, Ask("", method="GET")).status > 0
    except OSError:
        return False


def _record(source: str, asks: list[Ask]) -> dict[str, Any]:
    port, health = _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "score.py")
        script.write_text(source)
        command = ["azmlinfsrv", "--entry_script", str(script), "--port", str(port), "--health_port", str(health)]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: _is_up(port), "the server to answer", timeout=60)
            return {ask.name: vars(_put(port, ask)) for ask in asks}
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def main() -> None:
    answers = {name: _record(source, asks) for name, (source, asks) in CASES.items()}
    RECORD.write_text(json.dumps({"server": "azureml-inference-server-http 1.5.1, inference-schema 1.8", "answers": answers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
