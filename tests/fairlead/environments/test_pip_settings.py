"""What pip is told on a machine, uv hears too, unless it is told something itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.environments import pip_settings
from fairlead.environments.locking import lock
from fairlead.environments.spec import EnvironmentSpec
from tests.fairlead.conftest import Wheel


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Variables of somebody whose pip has a configuration."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    place = tmp_path / "home" / ".config" / "pip"
    place.mkdir(parents=True)
    (place / "pip.conf").write_text(
        f"[global]\nindex-url = https://one.example/simple\nextra-index-url = file:///x\n    https://two.example/simple\ncert = {tmp_path / 'ca.pem'}\n"
        f"[install]\nfind-links = {tmp_path / 'wheels'}\n    {tmp_path / 'nowhere'} https://three.example/\n"
    )
    return {"HOME": str(tmp_path / "home")}


def test_every_setting_has_its_variable(home: dict[str, str], tmp_path: Path) -> None:
    assert pip_settings.for_uv(home) == {
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "UV_INDEX": "https://two.example/simple",
        "UV_FIND_LINKS": f"{tmp_path / 'wheels'},https://three.example/",
    }


def test_variables_of_pip_come_before_its_files(home: dict[str, str], tmp_path: Path) -> None:
    said = pip_settings.for_uv(home | {"PIP_INDEX_URL": "https://four.example/simple", "SSL_CERT_FILE": "/mine"})
    assert said["UV_DEFAULT_INDEX"] == "https://four.example/simple"
    assert "SSL_CERT_FILE" not in said


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_NO_INDEX"])
def test_what_uv_is_told_itself_stands_alone(home: dict[str, str], name: str) -> None:
    assert set(pip_settings.for_uv(home | {name: "1"})) == {"SSL_CERT_FILE"}


def test_a_configuration_of_uv_stands_alone(home: dict[str, str]) -> None:
    place = Path(home["HOME"]) / ".config" / "uv"
    place.mkdir()
    (place / "uv.toml").write_text("")
    assert set(pip_settings.for_uv(home)) == {"SSL_CERT_FILE"}


def test_a_wheel_in_the_folder_that_pip_knows_is_locked(wheel: Wheel, index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel("alpha", "1.0+mine")
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "no-index").as_uri())
    assert lock(EnvironmentSpec(requirements=("alpha",), python="3.11")).requirements == ("alpha==1.0+mine",)
