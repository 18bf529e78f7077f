"""R1 and S5 at the target: updates and new keys under steady traffic, and updates that fail."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import replace

from fairlead.targets.types import Auth, Service, State
from tests.fairlead.targets.bench import PLAIN, SLOW, LocalBench
from tests.fairlead.targets.contract import next_of, settled
from tests.traffic import Ask, Plan, Reply, Traffic
from tests.waiting import until


def version_of(service: Service, version: int, load: float, bench: LocalBench) -> Service:
    """Everything says the version: script, variable, secret, revision."""
    return replace(
        service,
        generation=version,
        revision=f"r{version}",
        bundle=bench.bundle(SLOW.format(load=load, version=version)),
        environment={"VERSION": str(version)},
        secrets={"version": str(version).encode()},
    )


def test_updates_of_a_slow_model_under_steady_traffic_lose_nothing(local: LocalBench, long: bool) -> None:
    updates, load = (50, 1.0) if long else (6, 0.5)
    first = version_of(local.service(), 1, load, local)
    local.target.apply(first)
    settled(local.target, first.handle)
    served: defaultdict[str, set[int]] = defaultdict(set)
    order: list[int] = []

    def check(ask: Ask, reply: Reply) -> str:
        said = json.loads(reply.body)
        served[reply.headers["x-fairlead-revision"]].add(said["version"])
        order.append(said["version"])
        together = {str(said["version"]), said["variable"], said["secret"], reply.headers["x-fairlead-revision"].removeprefix("r")}
        return "" if said["tag"] == ask.tag and len(together) == 1 else f"asked {ask.tag}, got {said}, {reply.headers}"

    plan = Plan(port=local.port(first.handle), rate=200, connections=16, check=check, seconds=600 if long else 120, requests=200_000)
    with Traffic(plan) as traffic:
        for version in range(2, updates + 2):
            before = len(order)  # of the last but one, requests may still be running
            local.target.apply(version_of(first, version, load, local))
            assert settled(local.target, first.handle).revision == f"r{version}"
            assert set(order[before:]) <= {version - 2, version - 1, version}
        until(lambda: order[-1] == updates + 1, "the last version to answer")
    record = traffic.record()
    assert not record.failed(), record.explain()
    assert set(order) == set(range(1, updates + 2))
    assert all(len(versions) == 1 for versions in served.values()), f"a revision's header is its own: {dict(served)}"
    assert len(list((local.state / "services" / first.handle / "inputs").iterdir())) <= 2, "inputs of old generations are removed"


def test_an_update_that_fails_under_traffic_costs_nothing_and_says_why(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    settled(local.target, service.handle)
    with Traffic(Plan(port=local.port(service.handle), rate=100, connections=8, seconds=60)) as traffic:
        bad = local.bundle("def init():\n    print('here it comes')\n    raise RuntimeError('the weights are gone')\n\ndef run(data): return 1\n")
        local.target.apply(next_of(service, bundle=bad))
        seen = settled(local.target, service.handle)
        until(lambda: traffic.answered() > 50, "traffic")
    assert not traffic.record().failed(), traffic.record().explain()
    assert (seen.state, seen.revision, seen.generation) == (State.RUNNING, "r1", 2)
    assert seen.failure is not None
    assert (seen.failure.stage, seen.failure.cause) == ("starting", "init-raised")
    assert "the weights are gone" in seen.failure.message
    assert "here it comes" in seen.failure.log_lines
    assert any("Traceback" in line for line in seen.failure.log_lines)
    status = local.request(service, "/status").json()
    assert status["last"]["cause"] == "init-raised"
    assert "the weights are gone" in status["reason"]


def test_keys_are_rotated_under_load_and_the_old_one_ends(local: LocalBench) -> None:
    """S5: at any moment one of the two keys that a client may hold is valid; workers are not started anew."""
    keys = {"primary": "p0", "secondary": "s0"}
    service = local.service(auth=_auth(keys))
    local.target.apply(service)
    settled(local.target, service.handle)
    (worker,) = _workers(local, service, "p0")
    used = ["s0"]

    def ask(tag: int) -> Ask:
        return Ask(tag=tag, body=b'{"tag": %d}' % tag, headers=(("content-type", "application/json"), ("authorization", f"Bearer {used[0]}")))

    with Traffic(Plan(port=local.port(service.handle), rate=200, connections=8, seconds=120, ask=ask)) as traffic:
        for generation in range(2, 8):
            name = ("primary", "secondary")[generation % 2]
            old, keys[name] = keys[name], f"{name}-{generation}"
            local.target.apply(replace(service, generation=generation, auth=_auth(keys)))
            until(lambda: settled(local.target, service.handle).generation == generation, "the keys to be applied")  # noqa: B023 - asked at once
            until(lambda: _may(local, service, keys[name]), "the new key")  # noqa: B023
            assert not _may(local, service, old), "revoked"
            used[0] = keys[name]
            answered = traffic.answered()
            until(lambda: traffic.answered() > answered + 50, "traffic")  # noqa: B023
    assert not traffic.record().failed(), traffic.record().explain()
    assert _workers(local, service, used[0]) == [worker], "models stay loaded"


def test_from_open_to_keys_to_tokens_without_new_workers(local: LocalBench) -> None:
    service = local.service()
    local.target.apply(service)
    settled(local.target, service.handle)
    assert local.request(service, body={"tag": 1}).status == 200
    local.target.apply(replace(service, generation=2, auth=_auth({"primary": "p"})))
    until(lambda: local.request(service, body={}).status == 401, "keys to be asked for")
    assert local.request(service, body={}, headers={"authorization": "Bearer p"}).status == 200
    local.target.apply(replace(service, generation=3, auth=Auth(mode="token", token_secret=b"x" * 32, audience=service.handle)))
    until(lambda: local.request(service, body={}, headers={"authorization": "Bearer p"}).status == 401, "tokens to be asked for")
    local.target.apply(replace(service, generation=4))
    until(lambda: local.request(service, body={}).status == 200, "everyone to be let in")
    assert local.request(service, "/status").json()["generation"] == 1, "models stay loaded"


def test_a_higher_generation_of_the_same_starts_workers_anew(local: LocalBench) -> None:
    service = local.service(PLAIN.format(version=1))
    local.target.apply(service)
    settled(local.target, service.handle)
    before = _workers(local, service)
    local.target.apply(replace(service, generation=2))
    settled(local.target, service.handle)
    assert not set(before) & set(_workers(local, service))


def _auth(keys: dict[str, str]) -> Auth:
    return Auth(mode="key", key_hashes={name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()})


def _may(bench: LocalBench, service: Service, key: str) -> bool:
    return bench.request(service, body={"tag": 1}, headers={"authorization": f"Bearer {key}"}).status == 200


def _workers(bench: LocalBench, service: Service, key: str = "") -> list[int]:
    status = bench.request(service, "/status", headers={"authorization": f"Bearer {key}"}).json()
    return [worker["pid"] for worker in status["workers"] if worker["state"] == "ready"]
