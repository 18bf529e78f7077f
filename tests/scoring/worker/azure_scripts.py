"""Scripts with raw HTTP, put to the Azure scoring server once (`azure_scripts_record.json`) and to a live service of ours in every test run.

As in azure_cases.py, `ours` says where we differ on purpose, and `why`. To record again, in an environment with azureml-inference-server-http and pillow:
`PATH=ENV/bin:$PATH ENV/bin/python -m tests.scoring.worker.azure_scripts`.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import Launcher, Reply, Service, free_port
from tests.waiting import until

RECORD = Path(__file__).with_name("azure_scripts_record.json")
FORM = "multipart/form-data; boundary=x"
NOT_COMPARED = {"connection", "content-length", "date", "server", "traceid", "transfer-encoding", "x-fairlead-revision", "x-ms-client-request-id",
                "x-ms-request-id", "x-ms-run-fn-exec-ms", "x-ms-server-version", "x-request-id", "cache-control", "x-powered-by"}  # fmt: skip
FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL = "An unexpected internal error occurred. Check the logs for more info."
CALLERS_MISTAKE = "the caller's mistake, which the server counts as the script's"


@dataclass(frozen=True)
class Seen:
    """status, body, and the headers that a client could rely on; not ids, times and versions, which every answer has of its own."""

    status: int
    body: str
    headers: dict[str, str]

    @classmethod
    def of(cls, reply: Reply) -> Seen:
        headers = {name: value for name, value in sorted(reply.headers.items()) if name not in NOT_COMPARED}
        return cls(reply.status, reply.body.decode("latin-1"), headers)


@dataclass(frozen=True)
class Ask:
    body: bytes | None = b""
    method: str = "POST"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    ours: Seen | None = None
    why: str = ""

    def put(self, service: Service) -> Seen:
        path = "/score" + (f"?{self.query}" if self.query else "")
        return Seen.of(service.request(self.method, path, self.body, self.headers))


def said(status: int, message: str, *, failed: str = "False") -> Seen:
    return Seen(status, json.dumps({"message": message}), {"content-type": "application/json", "x-ms-run-function-failed": failed})


def part(name: str, content: str, *, filename: str = "", kind: str = "") -> str:
    as_file = f'; filename="{filename}"' if filename else ""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{as_file}\r\n' + (f"Content-Type: {kind}\r\n" if kind else "") + f"\r\n{content}\r\n"


REQUEST = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    asked = request.args.get("what", "basics")
    if asked == "basics":
        return [request.method, request.path, request.full_path, request.query_string.decode(), request.content_type, request.mimetype, request.is_json,
                request.args.to_dict(flat=False)]
    if asked == "data":
        return [request.data.decode(), request.get_data().decode(), request.get_data(False).decode(), request.get_data(cache=True, as_text=True)]
    if asked == "json":
        return request.json
    if asked == "forced":
        return request.get_json(force=True)
    if asked == "silent":
        return request.get_json(silent=True)
    if asked == "headers":
        return [request.headers.get("x-one"), request.headers["X-ONE"], request.headers.get("no"), "x-one" in request.headers, dict(request.headers)["X-One"],
                request.cookies.get("a")]
    if asked == "form":
        return [request.form.to_dict(flat=False), request.form["a"], request.form.get("n", type=int), sorted(request.values.to_dict().items())]
    if asked == "files":
        return [[f.filename, f.content_type, f.mimetype, f.stream.read().decode()] for f in request.files.getlist("image")]
    if asked == "file":
        return request.files["image"].read().decode()
    return isinstance(request, AMLRequest)
"""
RESPONSE = """
import json
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def chunks():
    yield "a,"
    yield b"b"

def later(response, **given):
    for name, value in given.items():
        setattr(response, name, value)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response

ANSWERS = {
    "text": lambda: AMLResponse("h\\u00e9", 200), "bytes": lambda: AMLResponse(b"\\x00\\xff", 201, {"Content-Type": "image/png"}),
    "json": lambda: AMLResponse({"a": [1]}, 202, json_str=True), "none": lambda: AMLResponse(None, 200), "dict": lambda: AMLResponse({"a": 1, "b": 2}, 200),
    "many": lambda: AMLResponse("", 200, {"X-Many": "a, b", "X-One": "1"}), "date": lambda: AMLResponse("", 200, {"Expires": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "lower": lambda: AMLResponse("a", 200, {"content-type": "text/csv"}), "json and type": lambda: AMLResponse("a", 200, {"Content-Type": "text/csv"}, True),
    "404": lambda: AMLResponse("gone", 404), "500": lambda: AMLResponse("bad", 500), "failed": lambda: AMLResponse("", 400, run_function_failed=True),
    "later": lambda: later(AMLResponse("a,b", 200), mimetype="text/csv", status_code=206), "data": lambda: later(AMLResponse("a", 200), data=b"changed"),
    "stream": lambda: AMLResponse(chunks(), 200), "cors": lambda: AMLResponse("", 204, {"Access-Control-Allow-Methods": "GET, POST"}),
    "number": lambda: AMLResponse(5, 200, json_str=True), "id": lambda: AMLResponse("", 200, {"x-request-id": "mine"}),
    "plain object": lambda: {"a": 1}, "text as ever": lambda: "x", "raises": lambda: 1 / 0,
}

def init():
    pass

@rawhttp
def run(request):
    return ANSWERS[request.args["what"]]()
"""
UNDECORATED = """
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

def run(data):
    return AMLResponse(data, 203, {"X-From": "plain"}) if data else None
"""
IMAGE = """
import io
import json
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from PIL import Image

def init():
    print("Init complete")

@rawhttp
def run(request):
    if request.method == 'GET':
        respBody = str.encode(request.full_path)
        return AMLResponse(respBody, 200)
    elif request.method == 'POST':
        file_bytes = request.files["image"]
        image = Image.open(file_bytes).convert('RGB')
        return AMLResponse(json.dumps(image.size), 200)
    else:
        return AMLResponse("bad request", 500)
"""
GIF = b"GIF89a\x02\x00\x03\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x02\x00\x03\x00\x00\x02\x03\x84o\x05\x00;"

JSON = {"Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain"}
WRONG_TYPE = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."

SCRIPTS: dict[str, tuple[str, dict[str, Ask]]] = {
    "request": (
        REQUEST,
        {
            "post": Ask(b"x", query="a=1&a=2&b=%C3%A9", headers={"Content-Type": "Text/Plain; charset=utf-8"}),
            "get": Ask(None, "GET", query="x=1"),
            "options": Ask(None, "OPTIONS"),
            "data": Ask(b'{"a": 1}', query="what=data", headers=JSON),
            "data of a form": Ask(
                b"a=1", query="what=data", headers={"Content-Type": "application/x-www-form-urlencoded"},
                ours=Seen(200, '["", "a=1", "a=1", "a=1"]', {"content-type": "application/json", "x-ms-run-function-failed": "False"}),
                why="get_data() has the body whatever was read before; the server's is empty once the form is parsed",
            ),
            "json": Ask(b'{"a": [1, null]}', query="what=json", headers=JSON),
            "json suffix": Ask(b"[1]", query="what=json", headers={"Content-Type": "application/vnd.x+json"}),
            "json as text": Ask(b"{}", query="what=json", headers=PLAIN, ours=said(415, WRONG_TYPE), why=CALLERS_MISTAKE),
            "bad json": Ask(
                b"{", query="what=json", headers=JSON, why=CALLERS_MISTAKE,
                ours=said(400, "Failed to decode JSON object: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ),
            "forced": Ask(b"[2]", query="what=forced", headers=PLAIN),
            "silent": Ask(b"{", query="what=silent", headers=JSON),
            "headers": Ask(b"", query="what=headers", headers={"x-one": "1", "Cookie": "a=b; c=d"}),
            "form": Ask(b"a=1&a=2&n=7", query="what=form", headers={"Content-Type": "application/x-www-form-urlencoded"}),
            "fields": Ask((part("a", "h\u00e9") + part("n", "x") + "--x--\r\n").encode(), query="what=form", headers={"Content-Type": FORM}),
            "files": Ask(
                (part("image", "1", filename="a b.png", kind="image/png") + part("image", "", filename="c") + "--x--").encode(),
                query="what=files", headers={"Content-Type": FORM},
            ),
            "no file": Ask(
                (part("a", "1") + "--x--").encode(), query="what=file", headers={"Content-Type": FORM},
                ours=said(400, "The request has no file 'image'; it has none at all."), why=CALLERS_MISTAKE,
            ),
            "isinstance": Ask(
                b"", query="what=type", why="the server hands over its own class, of which AMLRequest is a subclass",
                ours=Seen(200, "true", {"content-type": "application/json", "x-ms-run-function-failed": "False"}),
            ),
        },
    ),
    "response": (
        RESPONSE,
        {
            **{
                name: Ask(query="what=" + name.replace(" ", "%20"))
                for name in ("text", "bytes", "date", "json", "none", "dict", "many", "404", "500", "failed", "later", "data", "stream", "cors", "number", "id",
                             "plain object", "text as ever", "raises")
            },
            "lower": Ask(
                query="what=lower", why="a response has one content type; the server sends both",
                ours=Seen(200, "a", {"content-type": "text/csv", "x-ms-run-function-failed": "False"}),
            ),
            "json and type": Ask(
                query="what=json%20and%20type", why="a response has one content type; the server sends both",
                ours=Seen(200, '"a"', {"content-type": "text/csv", "x-ms-run-function-failed": "False"}),
            ),
        },
    ),
    "undecorated": (UNDECORATED, {"response": Ask(b"text", headers=PLAIN), "none": Ask(b"")}),
    "image": (
        IMAGE,
        {
            "get": Ask(None, "GET", query="a=b"),
            "upload": Ask(
                b'--x\r\nContent-Disposition: form-data; name="image"; filename="i.gif"\r\nContent-Type: image/gif\r\n\r\n' + GIF + b"\r\n--x--\r\n",
                headers={"Content-Type": FORM},
            ),
            "options": Ask(None, "OPTIONS"),
            "not an image": Ask((part("image", "oops", filename="i.gif") + "--x--").encode(), headers={"Content-Type": FORM}),
        },
    ),
}  # fmt: skip


def recorded(script: str, ask: str) -> Seen:
    return Seen(**json.loads(RECORD.read_text())["answers"][script][ask])


def _record(source: str, asks: dict[str, Ask]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "score.py")
        script.write_text(source)
        launcher = Launcher(Path(folder))
        try:
            service = launcher("--entry_script", script, "--health_port", str(free_port()), command=("azmlinfsrv",), cwd=Path(folder), ready=False)
            until(lambda: _is_up(service), "the server to answer", timeout=60)
            return {name: vars(ask.put(service)) for name, ask in asks.items()}
        finally:
            launcher.end()


def _is_up(service: Service) -> bool:
    try:
        return service.get("/").status == 200
    except OSError:
        return False


def main() -> None:
    answers = {name: _record(source, asks) for name, (source, asks) in SCRIPTS.items()}
    RECORD.write_text(json.dumps({"server": "azureml-inference-server-http 1.5.1", "answers": answers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
