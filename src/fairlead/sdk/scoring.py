"""One request to a service, for a try; programs that score for a living speak HTTP themselves."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx2

from fairlead.errors import FairleadError, Unauthenticated, Unavailable, UsageError
from fairlead.schemas.services import Service

TIMEOUT = 120.0
TAKEN_WITHIN = 10.0  # seconds; a service that answers takes new keys in a fraction of one
_PAUSE = 0.05
_CLASSES: dict[int, type[FairleadError]] = {400: UsageError, 401: Unauthenticated, 413: UsageError, 415: UsageError, 429: Unavailable, 503: Unavailable}


def score(address: str, credential: str | None, data: str | bytes | Mapping[str, Any] | Sequence[Any] | None) -> Any:
    """The answer, parsed when it is JSON. Raises the class that fits the status, with the service's own sentence."""
    with _client(address, credential, TIMEOUT) as client:
        body = _body(data) if data is not None else json.dumps(sample_of(address, client)).encode()
        return _content(_checked(_send(client, "POST", address, body), address))


def score_service(service: Service, credential: str | None, data: str | bytes | Mapping[str, Any] | Sequence[Any] | None) -> Any:
    """The same of a service; one that does not answer is told by its state, and why it is in it. Raises UsageError while it has no address."""
    if service.scoring_uri is None:
        raise UsageError(f"{service.name} has no address yet: it is {service.state.value}. `fairlead service show {service.name} --wait` waits for it.")
    try:
        return score(service.scoring_uri, credential, data)
    except Unavailable as error:
        if error.facts.get("http_status"):
            raise
        why = service.update_error.message if service.update_error is not None and service.revision is None else str(error)
        cure = f"`fairlead service doctor {service.name}` finds what is wrong."
        raise Unavailable(f"The service {service.name} does not answer; it is {service.state.value}: {why.rstrip('.')}. {cure}") from error


def until_taken(service: Service, key: str) -> None:
    """Returns when the service lets the key in: the server hands it a new one a moment after it has made it. One that does not answer is not waited for."""
    if service.swagger_uri is None:
        return
    give_up = time.monotonic() + TAKEN_WITHIN
    with _client(service.swagger_uri, key, TAKEN_WITHIN) as client:
        while time.monotonic() < give_up:
            try:
                if client.get(service.swagger_uri).status_code != HTTPStatus.UNAUTHORIZED:
                    return
            except httpx2.TransportError:
                return
            time.sleep(_PAUSE)  # noqa: TID251 - a pause between looks is by the clock


def sample_of(address: str, client: httpx2.Client) -> Any:
    """A body that the service says it can answer. Raises UsageError when it has none."""
    base = address.removesuffix("/score")
    found = _send(client, "GET", f"{base}/sample")
    if found.status_code == 200:
        return _content(found)
    document = _content(_checked(_send(client, "GET", f"{base}/swagger.json"), address))
    example = document.get("definitions", {}).get("ServiceInput", {}).get("example") if isinstance(document, dict) else None
    if not example:
        raise UsageError(f"{address} has no sample of its own; send a body (`-d @request.json`), or deploy with one (`--sample request.json`).")
    return example


def trust(address: str) -> ssl.SSLContext | bool:
    """What the machine trusts, and SSL_CERT_FILE beside it."""
    named = os.environ.get("SSL_CERT_FILE")
    if not named or not address.startswith("https:"):
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(named)
    except OSError as error:
        raise UsageError(f"SSL_CERT_FILE is {named}, which cannot be read ({error}); name a PEM file with certificates.") from error
    return context


def _body(data: str | bytes | Mapping[str, Any] | Sequence[Any]) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    try:
        return json.dumps(data, default=_plain).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"The data cannot be sent as JSON ({error}); give text, or lists and dictionaries of plain values.") from error


def _plain(value: Any) -> Any:
    """numpy arrays and scalars; anything else is refused as json does."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _client(address: str, credential: str | None, timeout: float) -> httpx2.Client:
    headers = {"authorization": f"Bearer {credential}"} if credential else {}
    return httpx2.Client(headers=headers, timeout=timeout, trust_env=False, verify=trust(address))


def _send(client: httpx2.Client, method: str, address: str, body: bytes | None = None) -> httpx2.Response:
    headers = {"content-type": _kind(body)} if body is not None else {}
    try:
        return client.request(method, address, content=body, headers=headers)
    except httpx2.TransportError as error:
        why = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in why:
            said = f"The certificate of {address} is signed by nobody that this machine trusts"
            raise Unavailable(f"{said}; set SSL_CERT_FILE to a PEM file with its authority, or with itself.") from error
        raise Unavailable(f"{address} does not answer ({why}).") from error


def _kind(body: bytes) -> str:
    try:
        json.loads(body)
    except ValueError:
        return "application/octet-stream" if b"\0" in body else "text/plain; charset=utf-8"
    return "application/json"


def _content(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        pass
    try:
        return response.content.decode()
    except UnicodeDecodeError:
        return response.content


def _checked(response: httpx2.Response, address: str) -> httpx2.Response:
    if response.is_success:
        return response
    content = _content(response)
    said = content.get("message") or content.get("error") if isinstance(content, dict) else None
    request_id = response.headers.get("x-request-id")
    where = f" Its log says more, under the request id {request_id}." if response.status_code == 500 and request_id else ""
    kind = _CLASSES.get(response.status_code, FairleadError)
    raise kind(f"{address} answered {response.status_code}: {said or response.reason_phrase}{where}", http_status=response.status_code, request_id=request_id)
