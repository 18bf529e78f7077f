"""One container at its own address: an update proves itself on another port first, has a short gap, and goes back when the new one does not start."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from fairlead.errors import BootFailure
from fairlead.targets.docker.blueprint import Blueprint
from fairlead.targets.docker.engine import Engine
from fairlead.targets.types import Auth, State, Tls
from tests.fairlead.targets.bench import PLAIN
from tests.fairlead.targets.contract import next_of, settled
from tests.fairlead.targets.docker_bench import DockerBench
from tests.traffic import Kind, Plan, Traffic
from tests.waiting import until

pytestmark = pytest.mark.engine


def test_an_update_has_a_short_gap_and_wrong_answers_never(single: DockerBench) -> None:
    service = single.service()
    single.target.apply(service)
    settled(single.target, service.handle)
    with Traffic(Plan(port=single.port(service.handle), rate=50, connections=4, seconds=600, patience=10)) as traffic:
        until(lambda: traffic.answered() > 20, "traffic")
        single.target.apply(next_of(service, image=single.gallery.image(PLAIN.format(version=2))))
        assert settled(single.target, service.handle).revision == "r2"
        before = traffic.answered()
        until(lambda: traffic.answered() > before + 30, "traffic")
    record = traffic.record()
    assert {one.kind for one in record.failed()} <= {Kind.REFUSED, Kind.RESET}, record.explain()
    failed = [one.due for one in record.failed()]
    assert max(failed) - min(failed) < 40
    assert record.revisions() == {"r1", "r2"}
    until(lambda: _is_alone(single, service.handle), "the others to be gone")


def test_a_candidate_that_fails_its_proof_costs_nothing(single: DockerBench) -> None:
    service = single.service(sample=b'{"tag": 7}', expected=b'{"tag": 7, "version": 1}')
    single.target.apply(service)
    settled(single.target, service.handle)
    with Traffic(Plan(port=single.port(service.handle), rate=50, connections=4, seconds=300)) as traffic:
        single.target.apply(next_of(service, image=single.gallery.image(PLAIN.format(version=2))))
        seen = settled(single.target, service.handle)
        until(lambda: _is_alone(single, service.handle), "the candidate to be gone")
    assert (seen.revision, seen.failure and seen.failure.cause) == ("r1", "answer-differs")
    assert not traffic.record().failed(), traffic.record().explain()


class Reluctant(Engine):
    """Cannot make a second container for the service's own port."""

    refuses = False

    def create(self, blueprint: Blueprint) -> str:
        if self.refuses and blueprint.labels["ai.fairlead.role"] == "serves":
            raise BootFailure("The container engine could not create it: its disk is full.", cause="disk-full")
        return super().create(blueprint)


def test_when_the_new_one_cannot_start_at_the_address_the_old_one_does_again(single: DockerBench) -> None:
    engine = Reluctant(single.engine.address)
    single.engine = engine
    single.target = single.another_target()
    service = single.service()
    single.target.apply(service)
    before = settled(single.target, service.handle)
    (container,) = single.containers()
    engine.refuses = True
    single.target.apply(next_of(service, image=single.gallery.image(PLAIN.format(version=2))))
    seen = settled(single.target, service.handle)
    assert (seen.revision, seen.failure and seen.failure.cause) == ("r1", "disk-full")
    until(lambda: single.target.observe(service.handle).state is State.RUNNING, "the old one to answer again")
    assert single.request(service, body={"tag": 3}).json() == {"tag": 3, "version": 1}
    until(lambda: _is_alone(single, service.handle), "the candidate to be gone")
    assert single.containers() == [container]
    assert single.target.observe(service.handle).endpoint == before.endpoint


def test_the_container_ends_tls_and_reads_a_new_certificate(single: DockerBench, tmp_path: Path) -> None:
    tls = _certificate(tmp_path, "one")
    keys = Auth(mode="key", key_hashes={"primary": hashlib.sha256(b"k").hexdigest()})
    service = single.service(tls=tls, auth=keys)
    single.target.apply(service)
    seen = settled(single.target, service.handle)
    assert (seen.state, str(seen.endpoint).startswith("https://127.0.0.1:")) == (State.RUNNING, True)
    bearer = {"authorization": "Bearer k"}

    def score() -> int:
        with httpx2.Client(verify=False, trust_env=False) as client:
            return client.post(f"{seen.endpoint}/score", json={"tag": 1}, headers=bearer).status_code

    assert score() == 200
    before, first = single.containers(), _subject(str(seen.endpoint))
    _certificate(tmp_path, "two")
    single.target.apply(replace(service, generation=2, auth=replace(keys, key_hashes={**keys.key_hashes, "secondary": hashlib.sha256(b"s").hexdigest()})))
    settled(single.target, service.handle)
    until(lambda: _subject(str(seen.endpoint)) != first, "the new certificate")
    assert single.containers() == before
    assert score() == 200


def _is_alone(bench: DockerBench, handle: str) -> bool:
    bench.target.observe(handle)
    return len(bench.containers()) == 1 == len(bench.engine.volumes(bench.labels))


def _certificate(folder: Path, name: str) -> Tls:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return Tls(cert=cert, key=key)


def _subject(endpoint: str) -> str:
    address = endpoint.removeprefix("https://")
    shown = subprocess.run(["openssl", "s_client", "-connect", address], input="", capture_output=True, text=True).stdout
    return next(line for line in shown.splitlines() if line.startswith("subject="))
