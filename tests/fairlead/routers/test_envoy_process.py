"""One Envoy per folder: found again, kept alive, private, bounded, and gone when nobody needs it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fairlead.errors import BootFailure
from fairlead.routers.envoy import EnvoyRouter, keeper
from fairlead.routers.envoy.place import Place
from fairlead.routers.types import Route
from tests.fairlead.routers.services import HANDLE, live, published
from tests.live import free_port
from tests.waiting import until

pytestmark = pytest.mark.needs("envoy")


@pytest.fixture
def route() -> Route:
    return Route(handle=HANDLE, host="127.0.0.1", port=free_port(), upstreams=())


def process_of(router: EnvoyRouter, name: str) -> int:
    return int((router.folder / f"{name}.lock").read_text() or "0")


def processes_of(folder: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if any(str(folder) in word for word in one.info["cmdline"] or [])]


def test_a_router_that_comes_next_takes_over(envoy: EnvoyRouter, route: Route) -> None:
    """What a server does that is started again: it publishes, and there is no second Envoy."""
    published(envoy, route)
    pids = process_of(envoy, "keeper"), process_of(envoy, "envoy")
    code = f"""
from pathlib import Path
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Route
router = EnvoyRouter(Path({str(envoy.folder)!r}))
assert router.handles() == [{HANDLE!r}] and router.observe({HANDLE!r}).is_live
router.publish(Route(handle="fl-2", host="127.0.0.1", port={free_port()}, upstreams=()))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    live(envoy, "fl-2")
    assert (process_of(envoy, "keeper"), process_of(envoy, "envoy")) == pids
    assert len(processes_of(envoy.folder)) == 2


def test_it_outlives_who_started_it(tmp_path: Path, route: Route) -> None:
    """Killed in its own session: nothing of it is a child of that process."""
    code = f"""
import os, signal
from pathlib import Path
from fairlead.routers.envoy import EnvoyRouter
from fairlead.routers.types import Route
EnvoyRouter(Path({str(tmp_path / "router")!r})).publish(Route(handle={HANDLE!r}, host="127.0.0.1", port={route.port}, upstreams=()))
os.killpg(0, signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], start_new_session=True, timeout=60).returncode == -signal.SIGKILL
    router = EnvoyRouter(tmp_path / "router")
    try:
        live(router)
    finally:
        router.end()
    assert not processes_of(router.folder)


def test_a_killed_keeper_leaves_envoy_alone_and_has_a_successor(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    proxy = process_of(envoy, "envoy")
    os.kill(process_of(envoy, "keeper"), signal.SIGKILL)
    until(lambda: live(envoy).is_live and len(processes_of(envoy.folder)) == 2 and is_alive(process_of(envoy, "keeper")), "the next keeper")
    assert process_of(envoy, "envoy") == proxy
    os.kill(proxy, signal.SIGKILL)
    until(lambda: process_of(envoy, "envoy") != proxy and live(envoy).is_live, "the new keeper to have started another Envoy")


def test_both_killed_are_started_by_a_look(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    for name in ("keeper", "envoy"):
        os.kill(process_of(envoy, name), signal.SIGKILL)
    live(envoy)


def test_nobody_else_can_administer_it(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    for path in (envoy.folder, *envoy.folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o077 or path.parent == envoy.folder / "log", f"{path} is {mode:o}"
    listening = {one.laddr.port for one in psutil.Process(process_of(envoy, "envoy")).net_connections("tcp")}
    assert listening == {route.port}


def test_it_is_small(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    assert resident(process_of(envoy, "keeper")) < 15 << 20
    assert resident(process_of(envoy, "envoy")) < 120 << 20


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def test_a_program_that_does_not_run_is_started_ever_more_seldom_and_says_why(tmp_path: Path, route: Route) -> None:
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\necho '[1][critical][main] [x.cc:1] no such luck' >&2\nexit 3\n")
    program.chmod(0o700)
    router = EnvoyRouter(tmp_path / "router", program=program)
    try:
        router.publish(route)
        until(lambda: "it said: no such luck" in str(router.observe(HANDLE)), "the reason")
        log = router.folder / "log" / "keeper.log"
        until(lambda: log.read_text().count("Started as process") == 4, "three more attempts")
        assert log.read_text().count("Envoy has ended") == 3
    finally:
        router.end()


def test_a_missing_program_is_named_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BootFailure, match=r"is no program that can be run.*fairlead\[router\]"):
        EnvoyRouter(tmp_path, program=tmp_path / "envoy")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BootFailure, match=r"needs the program Envoy, which is not installed.*fairlead\[router\]"):
        EnvoyRouter(tmp_path)


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path, route: Route) -> None:
    router = EnvoyRouter(tmp_path / ("long-" * 20) / ("name-" * 10))
    try:
        published(router, route)
        sockets = json.loads((router.folder / "bootstrap.json").read_text())["admin"]["address"]["pipe"]["path"]
        assert stat.S_IMODE(Path(sockets).parent.stat().st_mode) == 0o700
    finally:
        router.end()
        shutil.rmtree(Path(sockets).parent)


def test_logs_are_bounded_while_they_are_written(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    log = envoy.folder / "log" / "envoy.log"
    with log.open("ab") as file:
        file.write(b"x" * 6_000_000 + b"\nlast\n")
        file.flush()
        until(lambda: log.stat().st_size < 1000, "the log to be cut")
        file.write(b"goes on\n")
    assert log.read_bytes() == b"goes on\n"
    kept = log.with_name("envoy.log.1").read_bytes()
    assert (len(kept), kept[-6:]) == (5_000_000, b"\nlast\n")


def test_it_ends_when_nothing_has_been_published_for_long(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    envoy.retire(HANDLE)
    told = json.loads((envoy.folder / "keeper.json").read_text())
    (envoy.folder / "keeper.json").write_text(json.dumps({**told, "idle_seconds": 0.1}))
    until(lambda: not processes_of(envoy.folder), "both to end")
    published(envoy, route)


def test_it_ends_soon_when_the_last_route_is_gone_and_nobody_is_connected(envoy: EnvoyRouter, route: Route) -> None:
    """By itself: whoever retired the route may have ended. A client that is still there keeps it, and what is published next starts another."""
    published(envoy, route)
    other = published(envoy, replace(route, handle="fl-2", port=free_port()))
    with socket.create_connection(("127.0.0.1", route.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 503 ")
        envoy.retire(HANDLE)
        assert not (envoy.folder / "idle").exists()
        envoy.retire(other.handle)
        settled = (envoy.folder / "idle").stat().st_mtime + 2 * (keeper.SETTLED + keeper.TEND_SECONDS)
        until(lambda: time.time() > settled, "the keeper to have looked")
        assert len(processes_of(envoy.folder)) == 2
    until(lambda: not processes_of(envoy.folder), "both to end")
    published(envoy, route)
    assert len(processes_of(envoy.folder)) == 2


def test_what_is_published_while_it_ends_is_served_by_another(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    ended = process_of(envoy, "keeper")
    envoy.retire(HANDLE)
    told = json.loads((envoy.folder / "keeper.json").read_text())
    (envoy.folder / "keeper.json").write_text(json.dumps({**told, "idle_seconds": 0.1}))
    place = Place(envoy.folder)
    until(lambda: place.holder(envoy.folder / "changing.lock") is not None or not is_alive(ended), "the keeper to end", pause=0.001)
    published(envoy, route)
    assert process_of(envoy, "keeper") != ended
    assert len(processes_of(envoy.folder)) == 2


def test_it_ends_with_its_folder(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    pids = {process_of(envoy, "keeper"), process_of(envoy, "envoy")}
    shutil.rmtree(envoy.folder)
    until(lambda: not pids & {one.pid for one in psutil.process_iter()}, "both to end")


def test_what_the_router_answers_itself_is_logged(envoy: EnvoyRouter, route: Route) -> None:
    published(envoy, route)
    subprocess.run(["curl", "-s", f"http://127.0.0.1:{route.port}/score?secret=1", "-d", "{}"], check=True, capture_output=True)
    log = envoy.folder / "log" / "answers.log"
    until(lambda: log.exists() and log.read_text(), "a line in the log", timeout=20)
    said = json.loads(log.read_text().splitlines()[0])
    assert (said["service"], said["status"], said["flags"], said["path"]) == (HANDLE, 503, "UH", "/score")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", said["time"])
