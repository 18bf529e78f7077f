"""What the front tells about the service: metrics, status, swagger, the docs page, and a log that people can read."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.live import RUNTIME, Launcher, Service, free_port
from tests.waiting import until

TYPED = """
from typing import List
from fairlead_scoring import typed

def init(): pass

@typed
def run(data: List[float], factor: float = 2.0) -> List[float]:
    return [factor * one for one in data]
"""
FAMILIES = {
    "fairlead_requests": "counter", "fairlead_request_seconds": "histogram", "fairlead_queue_seconds": "histogram", "fairlead_run_seconds": "histogram",
    "fairlead_batch_requests": "histogram", "fairlead_request_rows": "histogram", "fairlead_requests_skipped": "counter",
    "fairlead_requests_waiting": "gauge", "fairlead_requests_in_flight": "gauge", "fairlead_workers_ready": "gauge",
    "fairlead_model_load_seconds": "gauge", "fairlead_worker_resident_bytes": "gauge", "fairlead_worker_ends": "counter",
}  # fmt: skip


@pytest.fixture(scope="module")
def typed(launch: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("typed")
    (folder / "score.py").write_text(TYPED)
    (folder / "sample.json").write_text('{"data": [1.5, 2.5]}')
    options: list[str | Path] = ["--entry-script", folder / "score.py", "--app-root", folder, "--sample", folder / "sample.json"]
    return launch(*options, "--prefix", "/models/a", "--name", "doubler", env={"SERVICE_NAME": "A <b>doubler</b>", "SERVICE_VERSION": "2.1"})


def test_metrics_are_what_prometheus_reads(typed: Service) -> None:
    for _ in range(5):
        assert typed.post("/score", {"data": [1]}).json() == [2.0]
    typed.post("/score", {"data": "x"})
    typed.get("/none")
    families = {family.name: family for family in text_string_to_metric_families(typed.get("/metrics").text)}
    assert {name: family.type for name, family in families.items()} == FAMILIES
    requests = {(sample.labels["route"], sample.labels["code"]): sample.value for sample in families["fairlead_requests"].samples}
    assert requests["score", "200"] >= 5
    assert requests["score", "400"] == 1
    assert requests["none", "404"] >= 1
    for name in ("fairlead_request_seconds", "fairlead_run_seconds"):
        counts = [sample.value for sample in families[name].samples if sample.name.endswith("_bucket")]
        assert counts == sorted(counts)
        assert counts[-1] >= 5


def test_metrics_are_also_given_as_openmetrics(typed: Service) -> None:
    reply = typed.get("/metrics", {"accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert "fairlead_requests" in {family.name for family in openmetrics.text_string_to_metric_families(reply.text)}  # type: ignore[no-untyped-call]


def test_status_says_what_runs(typed: Service) -> None:
    status = typed.get("/status").json()
    (worker,) = status["workers"]
    assert (status["ready"], status["draining"], worker["state"], status["reason"]) == (True, False, "ready", "")
    assert worker["resident"] > 1_000_000
    assert status["queue"] == {"waiting": 0, "limit": status["queue"]["limit"], "in_flight": 0, "skipped": 0}
    assert status["revision"] == worker["revision"] == typed.get("/score?data=[1]").headers["x-fairlead-revision"]


@pytest.mark.parametrize("prefix", ["", "/models/a", "/api/v1/service/doubler"])
def test_every_route_also_answers_below_its_prefixes(typed: Service, prefix: str) -> None:
    assert typed.get(f"{prefix}/").text == "Healthy"
    assert typed.post(f"{prefix}/score", {"data": [3]}).json() == [6.0]
    for path in ("/swagger.json", "/docs", "/metrics", "/readyz", "/sample"):
        assert typed.get(prefix + path).status == 200, path


def test_readiness_counts_workers_when_it_is_asked_to(typed: Service) -> None:
    assert typed.get("/readyz").json() == {"status": "ready", "ready": True}
    assert typed.get("/readyz?verbose").json() == {"status": "ready", "ready": True, "workers": {"ready": 1, "restarts": 0}}


@pytest.mark.parametrize(
    ("query", "version"), [("", "2.0"), ("?version=2", "2.0"), ("?version=2.0", "2.0"), ("?version=3", "3.0"), ("?version=3.0", "3.0"), ("?version=3.1", "3.1")]
)
def test_swagger_in_each_version(typed: Service, query: str, version: str) -> None:
    document = typed.get(f"/swagger.json{query}").json()
    assert document.get("swagger", document.get("openapi", "")).startswith(version)
    assert document["info"] == {**document["info"], "title": "A <b>doubler</b>", "version": "2.1"}


def test_an_unknown_version_of_swagger_is_404_in_the_azure_servers_words(typed: Service) -> None:
    reply = typed.get("/swagger.json?version=9")
    assert (reply.status, reply.json()["message"]) == (404, "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1].")


def test_a_scripts_own_swagger_takes_the_place_of_ours(launch: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(TYPED)
    (tmp_path / "swagger.json").write_text('{"swagger": "2.0", "own": true}')
    (tmp_path / "swagger3.json").write_text('{"openapi": "3.0.3", "own": true}')
    service = launch("--entry-script", "score.py", "--app-root", tmp_path, cwd=tmp_path)
    assert service.get("/swagger.json").json() == {"swagger": "2.0", "own": True}
    assert service.get("/swagger.json?version=3").json() == {"openapi": "3.0.3", "own": True}
    assert "own" not in service.get("/swagger.json?version=3.1").json()


def test_the_docs_page_loads_nothing_from_elsewhere_and_shows_text_as_text(typed: Service) -> None:
    reply = typed.get("/docs")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", reply.text)
    assert "<b>doubler</b>" not in reply.text
    assert "A &lt;b&gt;doubler&lt;/b&gt;" in reply.text


@pytest.mark.needs("chromium")
def test_the_docs_page_works_in_a_browser(typed: Service, tmp_path: Path) -> None:
    """Its script runs, finds /score below the prefix, and shows a line to paste."""
    browser = [shutil.which("chromium") or "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    page = f"{typed.url}/models/a/docs"
    done = subprocess.run([*browser, "--virtual-time-budget=3000", "--dump-dom", page], capture_output=True, text=True, timeout=90, check=True)
    assert re.search(rf"curl -H .*{re.escape(typed.url)}/models/a/score", done.stdout)
    assert "1.5" in done.stdout


def test_on_a_terminal_lines_are_for_people(folder: Path) -> None:
    reader, terminal = pty.openpty()
    port = free_port()
    command = [*RUNTIME, "--entry-script", "score.py", "--app-root", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, cwd=folder, start_new_session=True)
    os.close(terminal)
    seen = ""

    def shows(words: str) -> bool:
        nonlocal seen
        seen += os.read(reader, 65536).decode()
        return words in seen

    try:
        until(lambda: shows("Ready."), "the service to be ready")
        call = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/score', b'hello')"
        subprocess.run([sys.executable, "-c", call], check=True)
        until(lambda: shows("/score"), "the request's line")
    finally:
        process.terminate()
        assert process.wait(20) == 0
        os.close(reader)
    line = next(line for line in seen.splitlines() if "/score" in line)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  200   POST /score +[\d.]+ ms  run [\d.]+ ms  \[[0-9a-f-]{8}\]", line), line
