"""A server's life: one per state folder, an orderly end, a log that tells of every request and of no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead import places
from fairlead.errors import BootFailure, UsageError
from fairlead.server import settings as store
from fairlead.server.opening import open_files
from fairlead.server.presence import Presence
from fairlead.server.redaction import without_secrets
from fairlead.server.settings import Settings
from tests.control_plane import ControlPlane, ControlPlanes
from tests.local_home import LocalHome
from tests.waiting import until


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def requests(plane: ControlPlane) -> list[dict[str, Any]]:
    return [line for line in lines(plane.log) if line["logger"] == "fairlead.server.requests"]


def test_a_second_server_of_one_folder_is_told_who_is_there(lone_plane: ControlPlane) -> None:
    done = subprocess.run([sys.executable, "-m", "fairlead.server"], env=lone_plane.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert lone_plane.url in done.stderr
    assert f"process {lone_plane.process.pid}" in done.stderr
    assert lone_plane.request("GET", "/v1/readyz").status_code == 200


def test_it_ends_in_order(local_plane: ControlPlane) -> None:
    assert local_plane.stop() == 0
    assert not (local_plane.state / "server.json").exists()
    assert lines(local_plane.log)[-1]["message"] == "ended"
    local_plane.restart()


def test_each_request_is_one_line_without_a_secret(lone_plane: ControlPlane) -> None:
    lone_plane.request("GET", "/v1/workspaces/default?token=fl_aaaaaaaaaaaaaaaaaaaaaaaa", headers={"x-request-id": "line-r-1"})
    lone_plane.request("GET", "/v1/workspaces/default", token="fl_bbbbbbbbbbbbbbbbbbbbbbbb", headers={"x-request-id": "line-r-2"})
    lone_plane.request("GET", "/nothing", headers={"x-request-id": "line-r-3"})
    until(lambda: len([line for line in requests(lone_plane) if line["request_id"] in ("line-r-1", "line-r-2", "line-r-3")]) == 3, "three lines")
    found = {line["request_id"]: line for line in requests(lone_plane)}
    asked = found["line-r-1"]
    assert (asked["method"], asked["route"], asked["status"], asked["workspace"]) == ("GET", "/v1/workspaces/{workspace}", 200, "default")
    assert (asked["ms"] > 0, bool(asked["principal"])) == (True, True)
    assert (found["line-r-2"]["status"], found["line-r-2"]["principal"]) == (401, None)
    assert (found["line-r-3"]["status"], found["line-r-3"]["route"]) == (404, None)
    text = lone_plane.log.read_text()
    assert not [word for word in (lone_plane.token, "aaaaaaaa", "bbbbbbbb") if word in text]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("token fl_Zm9vYmFyYmF6cXV4cXV1eA here", "token fl_*** here"),
        ("postgresql://ada:s3cr-et@db/fairlead", "postgresql://ada:***@db/fairlead"),
        ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", "Authorization: Bearer ***"),
        ("s3://bucket/x?key=AKIA&region=eu", "s3://bucket/x?key=***&region=eu"),
        ("fl-1234abcd is a handle, http://127.0.0.1:80/a@b is no password", "fl-1234abcd is a handle, http://127.0.0.1:80/a@b is no password"),
    ],
)
def test_secrets_are_cut_out(said: str, shown: str) -> None:
    assert without_secrets(said) == shown


def test_the_log_is_turned_over_by_size(control_planes: ControlPlanes, tmp_path: Path) -> None:
    log = tmp_path / "log" / "server.log"
    plane = control_planes("--log-file", str(log), "--log-bytes", "2000", "--log-files", "2")
    for _ in range(30):
        plane.request("GET", "/v1/livez", token="")
    names = sorted(path.name for path in log.parent.iterdir())
    assert names == ["server.log", "server.log.1", "server.log.2"]
    assert all(path.stat().st_size <= 2000 and path.stat().st_mode & 0o077 == 0 for path in log.parent.iterdir())
    assert lines(log.with_name("server.log.1"))[-1]["route"] == "/v1/livez"


def test_a_port_that_is_taken_is_a_sentence(lone_plane: ControlPlane, local_home: LocalHome) -> None:
    done = local_home.run(sys.executable, "-m", "fairlead.server", "--port", lone_plane.url.rpartition(":")[2])
    assert done.returncode == 3
    assert "choose another with --port" in done.stderr


def test_a_folder_on_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network file system is at hand in a test; `tests/fairlead/test_places.py` reads what Linux says of one."""
    monkeypatch.setattr(places, "network_filesystem", lambda _folder: "nfs4")
    with pytest.raises(BootFailure, match="is on nfs4: its locks and its database would break there"):
        Presence(tmp_path / "state")


def test_a_cache_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BootFailure, match=r"cache folder .* cannot be used .*--cache-dir"):
        open_files(Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "file" / "cache", store_url=str(tmp_path / "blobs")))


def test_a_log_takes_what_is_no_text(tmp_path: Path) -> None:
    """Such as the name of a file whose bytes are not UTF-8."""
    path = tmp_path / "server.log"
    code = "import sys; from fairlead.server import logs, settings; logs.begin(settings.Settings(log_file=sys.argv[1])); logs.logging.warning('caf\\udce9')"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(path.read_text())["message"] == "caf\udce9"


def test_settings_come_from_flags_variables_and_what_start_was_told(tmp_path: Path) -> None:
    store.remember(tmp_path, {"port": "8700", "log_level": "debug", "host": "192.0.2.7", "local": True})
    assert store.remembered(tmp_path) == {"port": "8700", "log_level": "debug", "host": "192.0.2.7"}
    flags, variables = {"state_dir": str(tmp_path), "host": "::1"}, {"FAIRLEAD_LOG_LEVEL": "error", "FAIRLEAD_WORKERS": "9"}
    found = store.read(flags, variables)
    assert (found.port, found.log_level, found.host, found.workers) == (8700, "error", "::1", 9)
    sources = {name: said.source for name, said in store.told(flags, variables).items()}
    file = str(tmp_path / "settings.json")
    assert (sources["port"], sources["log_level"], sources["host"], sources["max_body"]) == (file, "FAIRLEAD_LOG_LEVEL", "--host", "default")
    store.remember(tmp_path, {"port": "", "host": None})
    assert store.remembered(tmp_path) == {"log_level": "debug", "host": "192.0.2.7"}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"port": "high"}, "--port is 'high', which is no number"),
        ({"keep_jobs_days": "inf"}, "--keep-jobs-days is 'inf', which is no number for it"),
        ({"sweep_hours": "nan"}, "--sweep-hours is 'nan', which is no number for it"),
        ({"lease_seconds": "-1"}, "--lease-seconds is '-1', which is no number for it"),
        ({"workers": "0"}, "at least one act has to go on at a time"),
        ({"unsafe_formats": "perhaps"}, "say allow or deny"),
        ({"tls_cert": "cert.pem"}, "both --tls-cert and --tls-key"),
    ],
)
def test_settings_that_make_no_sense_are_sentences(flags: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        store.read(flags, {})


def test_a_misspelt_variable_is_named_with_the_nearest() -> None:
    said = store.misspelt({"FAIRLEAD_DATABSE_URL": "x", "FAIRLEAD_DATABASE_URL": "y", "FAIRLEAD_SECRETS_DIR": "z", "PATH": ""})
    assert said == ["The variable FAIRLEAD_DATABSE_URL is not one of Fairlead's; did you mean FAIRLEAD_DATABASE_URL?"]


def test_a_start_imports_nothing_that_it_does_not_need() -> None:
    """A command that finds no server waits for this."""
    heavy = ("alembic", "boto3", "fsspec", "joblib", "mako", "numpy", "onnx", "pandas", "psycopg", "rich", "sklearn", "torch", "typer")
    code = f"import sys, fairlead.server.main; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout == "[]\n"
