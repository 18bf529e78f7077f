"""Requests that a caller of the service would make, and what their answers say about its address, its keys and its model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from fairlead.errors import FairleadError
from fairlead.schemas.services import Service
from fairlead.sdk.diagnosis import CANNOT_BE_REACHED, CANNOT_SERVE, NOT_ALLOWED, Finding, Step, unknown, well, wrong
from fairlead.sdk.scoring import sample_of, trust

TIMEOUT = 30.0
REVISION = "x-fairlead-revision"
_LOOPBACK = ("127.", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """`text`: None when none is needed, or none could be had; then `why` says so."""

    text: str | None = None
    why: str = ""
    is_given: bool = False  # by the caller, who wonders whether it is right

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.text}"} if self.text else {}


def look(service: Service, revision: str, credential: Credential, server: str) -> Iterator[Finding]:
    """Readiness, sample answer, address and auth, until the first that is not well. `revision`: short id of the one that should answer."""
    assert service.scoring_uri is not None
    try:
        with httpx2.Client(timeout=TIMEOUT, trust_env=False, verify=trust(service.scoring_uri)) as client:
            yield from _until_wrong(_Caller(service, revision, credential, client))
    except FairleadError as error:
        yield wrong(Step.ADDRESS, str(error), cure="Correct the variable.", exit_code=error.exit_code)
    except httpx2.TransportError as error:
        yield _unreachable(service, server, error)


def occupant(service: Service) -> Finding | None:
    """Who else listens at the service's address while it does not run; None: nobody."""
    if service.scoring_uri is None:
        return None
    with httpx2.Client(timeout=TIMEOUT, trust_env=False, verify=False) as client:
        try:
            found = _Caller(service, "", Credential(), client).readiness()
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            return None
        except httpx2.TransportError as error:
            return _stranger(service, str(error) or type(error).__name__)
    return found if found.step is Step.ADDRESS else None


class _Caller:
    def __init__(self, service: Service, revision: str, credential: Credential, client: httpx2.Client) -> None:
        self.service = service
        self.credential = credential
        self._revision = revision
        self._client = client
        self._score = str(service.scoring_uri)
        self.where = self._score.removesuffix("/score")

    def readiness(self) -> Finding:
        answered = self._client.get(f"{self.where}/readyz")
        told = _json(answered)
        if not (isinstance(told, dict) and "ready" in told):
            return self._another(answered)
        if answered.status_code == 200:
            return well(Step.READY, f"{self.service.workers_ready} of {self.service.workers_wanted} workers ready")
        said = f"It is not ready: {told.get('reason') or told.get('status') or 'it does not say why'}."
        return wrong(Step.READY, said, cure=f"Read its log: `fairlead service logs {self.service.name} -l 50`.")

    def sample(self) -> Finding:
        """One real request, as a caller would send it."""
        if self.service.auth != "none" and not self.credential.text:
            return unknown(Step.SAMPLE, self.credential.why)
        self._client.headers.update(self.credential.headers)
        try:
            body = sample_of(self._score, self._client)
        except FairleadError as error:
            refused = error.facts.get("http_status") == 401
            return self._refused() if refused else unknown(Step.SAMPLE, f"It gives no sample to try it with: {error}")
        finally:
            for name in self.credential.headers:
                self._client.headers.pop(name, None)
        answered = self._client.post(self._score, content=json.dumps(body).encode(), headers={**self.credential.headers, "content-type": "application/json"})
        return self._of_answer(answered)

    def auth(self) -> Finding:
        if self.service.auth == "none":
            return well(Step.AUTH, "it asks for no key")
        answered = self._client.post(self._score, content=b"{}", headers={"content-type": "application/json"})
        kind = "key" if self.service.auth == "key" else "token"
        if answered.status_code != 401:
            said = f"It should ask for a {kind}, and answered {answered.status_code} to a request without one."
            return wrong(Step.AUTH, said, cure=f"`fairlead service reload {self.service.name}` makes it read its keys again.", exit_code=CANNOT_SERVE)
        if not self.credential.text:
            return unknown(Step.AUTH, f"without a {kind} it answers 401, as it should; {self.credential.why}")
        return well(Step.AUTH, f"{'your' if self.credential.is_given else 'its'} {kind} is accepted, and without one it answers 401")

    def _of_answer(self, answered: httpx2.Response) -> Finding:
        if answered.status_code == 401:
            return self._refused()
        shown = answered.headers.get(REVISION)
        if shown is None:
            return self._another(answered)
        if self._revision and shown != self._revision:
            said = f"Revision {shown} answered at {self.where}, and {self._revision} should: another service has this address, or a proxy remembers answers."
            return wrong(Step.ADDRESS, said, cure="`fairlead service list` shows who has which address.")
        if answered.is_success:
            return well(Step.SAMPLE, f"{answered.status_code} in {answered.elapsed.total_seconds() * 1000:.0f} ms, by revision {shown}")
        return self._failed(answered)

    def _failed(self, answered: httpx2.Response) -> Finding:
        told = _json(answered)
        said = told.get("message") or told.get("error") if isinstance(told, dict) else None
        sentence = f"Its own sample was answered with {answered.status_code}: {said or answered.reason_phrase}"
        if answered.status_code in {429, 503}:
            cure = f"It has more requests than workers. `fairlead service scale {self.service.name} --replicas N` gives it more."
            return wrong(Step.READY, sentence, cure=cure, exit_code=CANNOT_BE_REACHED)
        cure = f"Correct run(), or the sample; `fairlead service run {self.service.name}` sends it again."
        return wrong(Step.SAMPLE, sentence, cause=answered.headers.get("x-request-id", ""), cure=cure)

    def _refused(self) -> Finding:
        name, kind = self.service.name, "key" if self.service.auth == "key" else "token"
        if self.credential.is_given:
            show = f"`fairlead service get-{'keys' if kind == 'key' else 'access-token'} {name}` shows one that is."
            return wrong(
                Step.AUTH, f"The {kind} that you gave is not accepted (401): it is another service's, mistyped, or replaced.", cure=show, exit_code=NOT_ALLOWED
            )
        said = f"Its own {kind} is not accepted (401): what it knows is not what the server knows."
        return wrong(Step.AUTH, said, cure=f"`fairlead service reload {name}` makes it read its keys again.", exit_code=NOT_ALLOWED)

    def _another(self, answered: httpx2.Response) -> Finding:
        who = answered.headers.get("server")
        return _stranger(self.service, f"{answered.status_code}{f' from {who}' if who else ''}")


def _until_wrong(caller: _Caller) -> Iterator[Finding]:
    for look_at in (caller.readiness, caller.sample):
        found = look_at()
        yield found
        if found.is_well is False:
            return
    yield well(Step.ADDRESS, f"{caller.where} is reached from here")
    yield caller.auth()


def _stranger(service: Service, answered: str) -> Finding:
    where = str(service.scoring_uri).removesuffix("/score")
    said = f"Something else answers at {where}, and not as a service of Fairlead does: {answered}."
    cure = "End what listens there (`ss -ltnp` shows it), or delete the service and deploy it on another --port. A proxy between? Look at its routes."
    return wrong(Step.ADDRESS, said, cause="port-taken", cure=cure)


def _unreachable(service: Service, server: str, error: httpx2.TransportError) -> Finding:
    where, why = str(service.scoring_uri).removesuffix("/score"), str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in why:
        cure = "Set SSL_CERT_FILE to a PEM file with its authority, or with itself."
        return wrong(Step.ADDRESS, f"The certificate of {where} is signed by nobody that this machine trusts.", cure=cure, exit_code=CANNOT_BE_REACHED)
    if _is_loopback(where) and not _is_loopback(server):
        said = f"{where} is an address of the server's machine alone, and this is another."
        return wrong(Step.ADDRESS, said, cure=f"Deploy {service.name} with --host 0.0.0.0, or reach it through a tunnel or proxy.", exit_code=CANNOT_BE_REACHED)
    if not isinstance(error, httpx2.ConnectError | httpx2.TimeoutException):
        return _stranger(service, why)
    said = f"Nothing answers at {where} ({why}), although the server saw it running."
    cure = f"Look for a firewall or proxy between; `fairlead service show {service.name}` says where it is."
    return wrong(Step.ADDRESS, said, cure=cure, exit_code=CANNOT_BE_REACHED)


def _is_loopback(address: str) -> bool:
    return httpx2.URL(address).host.startswith(_LOOPBACK)


def _json(answered: httpx2.Response) -> Any:
    try:
        return json.loads(answered.content)
    except ValueError:
        return None
