"""`fairlead call`: sends a sample, a text or a file to a scoring service and shows the answer."""

from __future__ import annotations

import enum
import http.client
import json
import os
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from fairlead.errors import FairleadError, UsageError

# http.client, not httpx2: one request on one connection, and half a second of imports less before it is sent.

ADDRESS = "http://127.0.0.1:5001"
KEY_VARIABLE = "FAIRLEAD_KEY"
SHOWN = {
    "x-request-id": "request id",
    "x-fairlead-revision": "revision",
    "x-ms-run-fn-exec-ms": "run() ms",
    "x-ms-run-function-failed": "run() failed",
    "content-type": "type",
    "retry-after": "retry after",
}
KINDS = {".csv": "text/csv", ".json": "application/json", ".npy": "application/octet-stream", ".txt": "text/plain"}


class Route(enum.StrEnum):
    SCORE = "score"
    INVOCATIONS = "invocations"


@dataclass(frozen=True, kw_only=True)
class Service:
    """Where it is: scheme, host and port, the path before the routes, and how to enter."""

    scheme: str
    host: str
    port: int
    prefix: str
    key: str | None
    timeout: float
    ca_file: Path | None

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    milliseconds: float

    @property
    def content(self) -> Any:
        """Parsed when it is JSON, else text; None for what is neither."""
        try:
            return json.loads(self.body)
        except ValueError:
            pass
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return None


def call(
    url: Annotated[str, typer.Argument(help="The service's address, with its prefix if it has one; also the whole URL of /score.")] = ADDRESS,
    data: Annotated[str | None, typer.Option(help="The body: a text, or @FILE. Default: the service's own sample.")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Only show the service's sample; nothing is scored.")] = False,
    key_file: Annotated[Path | None, typer.Option(help=f"A file with the key; default: the variable {KEY_VARIABLE}.")] = None,
    route: Annotated[Route | None, typer.Option(help="Where to send it.", show_default="score")] = None,
    content_type: Annotated[str | None, typer.Option(help="Of the body; default: by the file's name, else JSON if it is JSON.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.")] = 70.0,
    ca_file: Annotated[Path | None, typer.Option(help="PEM file that the service's certificate is checked with.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the answer's body to this file, as it came.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print status, headers and body as one JSON object.")] = False,
) -> None:
    """Send a sample or a file to a service and show the answer. Exit code 1 when the service refuses."""
    service, path = parse(url, key=_key(key_file), timeout=timeout, ca_file=ca_file)
    if sample:
        print(json.dumps(sample_of(service), indent=2))
        return
    body, kind = _body(data) if data is not None else (json.dumps(sample_of(service)).encode(), "application/json")
    reply = send(service, "POST", f"/{route or path or Route.SCORE}", body, content_type or kind)
    if output is not None:
        output.write_bytes(reply.body)
    print(_as_json(reply)) if as_json else _show(reply, service, written=output)
    if not 200 <= reply.status < 300:
        raise FairleadError(_cure(reply, has_key=service.key is not None))


def parse(url: str, *, key: str | None, timeout: float, ca_file: Path | None) -> tuple[Service, str]:
    """The service, and the route that the URL ends with ("" when it ends with none). Raises UsageError."""
    if url.isdigit():
        url = f"127.0.0.1:{url}"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise UsageError(f"'{url}' is no address ({error}); give one such as {ADDRESS}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"'{url}' is no address of a service; give one such as {ADDRESS}.")
    if parts.username or parts.password:
        raise UsageError(f"Keys do not belong in a URL; set {KEY_VARIABLE} or give --key-file FILE.")
    prefix, _, last = parts.path.rstrip("/").rpartition("/")
    route = last if last in {*Route} else ""
    if not route:
        prefix = parts.path.rstrip("/")
    default = 443 if parts.scheme == "https" else 80
    service = Service(
        scheme=parts.scheme, host=parts.hostname, port=default if port is None else port, prefix=prefix, key=key, timeout=timeout, ca_file=ca_file
    )
    return service, route


def send(service: Service, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Reply:
    """Raises FairleadError when there is no answer."""
    headers = {"accept": "application/json, */*", "user-agent": "fairlead-call"}
    if content_type:
        headers["content-type"] = content_type
    if service.key:
        headers["authorization"] = f"Bearer {service.key}"
    connection = _connection(service)
    began = time.perf_counter()
    try:
        connection.request(method, service.prefix + path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise FairleadError(_no_answer(service, error)) from error
    finally:
        connection.close()
    milliseconds = (time.perf_counter() - began) * 1000
    fields = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(status=answer.status, reason=answer.reason, headers=fields, body=content, milliseconds=milliseconds)


def sample_of(service: Service) -> Any:
    """What the service gives as its sample, or the example of its swagger document. Raises FairleadError."""
    reply = send(service, "GET", "/sample")
    if reply.status == 200:
        return reply.content
    swagger = send(service, "GET", "/swagger.json") if reply.status == 404 else reply
    if swagger.status != 200:
        raise FairleadError(_cure(swagger, has_key=service.key is not None))
    document = swagger.content if isinstance(swagger.content, dict) else {}
    example = document.get("definitions", {}).get("ServiceInput", {}).get("example")
    if not example:
        raise FairleadError(f"{service.address} gives no sample; send a body of yours with --data TEXT or --data @FILE.")
    return example


def _connection(service: Service) -> http.client.HTTPConnection:
    if service.scheme == "http":
        return http.client.HTTPConnection(service.host, service.port, timeout=service.timeout)
    try:
        context = ssl.create_default_context(cafile=service.ca_file)
    except OSError as error:
        raise UsageError(f"{service.ca_file} cannot be used to check certificates ({error}); give a PEM file.") from error
    return http.client.HTTPSConnection(service.host, service.port, timeout=service.timeout, context=context)


def _key(key_file: Path | None) -> str | None:
    """Never an option: command lines are seen by every user of the machine."""
    if key_file is None:
        key = os.environ.get(KEY_VARIABLE, "").strip()
    else:
        try:
            key = key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The key file {key_file} cannot be read ({error}).") from error
        if key.startswith("{"):
            raise UsageError(f"{key_file} is the service's keys file, which holds no keys; --key-file wants a file with the key itself.")
    if not key.isascii() or not key.isprintable():
        raise UsageError("The key has characters that no key has; is the file the right one?")
    return key or None


def _body(data: str) -> tuple[bytes, str]:
    if data.startswith("@"):
        path = Path(data[1:])
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror}).") from error
        if path.suffix.lower() in KINDS:
            return content, KINDS[path.suffix.lower()]
    else:
        content = data.encode()
    try:
        json.loads(content)
    except ValueError:
        return content, "text/plain" if not data.startswith("@") else "application/octet-stream"
    return content, "application/json"


def _no_answer(service: Service, error: Exception) -> str:
    where = service.address
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {where}; start the service with `fairlead serve`, or give its address."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {where} is not trusted ({error.verify_message}); give its authority with --ca-file FILE."
    if isinstance(error, ssl.SSLError):
        return f"{where} does not speak TLS as expected ({error.reason or error}); is it http:// rather than https://?"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {service.timeout:g} s; wait longer with --timeout, or look at its log."
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return f"{where} closed the connection without an answer; look at its log, or is it https:// rather than http://?"
    return f"{where} cannot be reached ({str(error) or type(error).__name__})."


def _cure(reply: Reply, *, has_key: bool) -> str:
    """The service's own sentence, and what to do."""
    content = reply.content
    said = content.get("message") or content.get("error") if isinstance(content, dict) else None
    what = f"The service answered {reply.status} {reply.reason}" + (f": {said}" if said else ".")
    request_id = reply.headers.get("x-request-id", "")
    cures = {
        401: "The key is not one of the service's." if has_key else f"Set {KEY_VARIABLE} to a key, or give --key-file FILE.",
        404: "Is the address, with its prefix, right?",
        429: f"Try again in {reply.headers.get('retry-after', '1')} s.",
        500: f"Its log says more, under the request id {request_id}.",
        503: f"Try again in {reply.headers.get('retry-after', '2')} s.",
    }
    return f"{what} {cures.get(reply.status, '')}".rstrip()


def _as_json(reply: Reply) -> str:
    body = reply.content if reply.content is not None else f"<{len(reply.body)} bytes>"
    return json.dumps({"status": reply.status, "ms": round(reply.milliseconds, 3), "headers": reply.headers, "body": body})


def _show(reply: Reply, service: Service, *, written: Path | None) -> None:
    from rich.console import Console  # noqa: PLC0415  (--json does without)
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    colour = "green" if reply.status < 300 else "red"
    console.print(Text(f"{reply.status} {reply.reason}", style=f"bold {colour}") + Text(f"   {reply.milliseconds:.1f} ms   {service.address}", style="dim"))
    for name, label in SHOWN.items():
        if reply.headers.get(name):
            console.print(Text(f"{label:<13}", style="dim") + Text(reply.headers[name]))
    console.print()
    content = reply.content
    if written is not None:
        console.print(f"{len(reply.body)} bytes in {written}", markup=False)
    elif content is None:
        console.print(f"{len(reply.body)} bytes of {reply.headers.get('content-type', 'something')}; keep them with --output FILE.", markup=False)
    elif isinstance(content, str):
        console.print(content, markup=False)
    else:
        console.print_json(json.dumps(content))
