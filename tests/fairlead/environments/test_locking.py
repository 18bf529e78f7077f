"""Exact versions with hashes, by the real uv, from a folder of wheels."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from fairlead.environments import python_versions
from fairlead.environments.locking import lock
from fairlead.environments.spec import EnvironmentSpec
from fairlead.environments.uv_command import find_uv
from fairlead.errors import EnvironmentFailure, UsageError
from tests.fairlead.conftest import Wheel

OWN = python_versions.own()
NEXT = f"3.{int(OWN.partition('.')[2]) + 1}"


def test_a_lock_pins_all_with_hashes_and_says_no_address(wheel: Wheel) -> None:
    wheel("alpha", "1.0")
    wheel("alpha", "2.0")
    wheel("beta", "1.0", requires=("alpha<2", "gamma; platform_machine == 'elsewhere'", "delta; sys_platform == 'emscripten'"))
    wheel("gamma", "3.0")
    made = lock(EnvironmentSpec(requirements=("beta",)))
    assert [line.split(" ")[0] for line in made.text.splitlines() if "==" in line and "--hash" not in line] == ["alpha==1.0", "beta==1.0", "gamma==3.0"]
    assert "gamma==3.0 ; platform_machine == 'elsewhere' \\\n" in made.text
    assert made.text.count("--hash=sha256:") == 3
    assert "://" not in made.text
    assert (made.python, re.fullmatch(r"[0-9a-f]{64}", made.digest) is not None) == (OWN, True)


def test_a_lock_for_another_system_has_what_is_needed_there(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0", requires=("beta; sys_platform == 'linux'", "gamma; sys_platform == 'darwin'"))
    wheel("beta", "1.0")
    wheel("gamma", "1.0")
    spec = EnvironmentSpec(requirements=("alpha",))
    made = {system: lock(spec, kept=tmp_path, system=system) for system in ("linux", "darwin")}
    assert [each.partition(" ")[0] for each in made["linux"].requirements] == ["alpha==1.0", "beta==1.0"]
    assert [each.partition(" ")[0] for each in made["darwin"].requirements] == ["alpha==1.0", "gamma==1.0"]
    assert lock(spec, kept=tmp_path, system="darwin") == made["darwin"]


def test_the_same_spec_gives_the_same_bytes(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0")
    spec = EnvironmentSpec(requirements=("alpha",), variables={"A": "1"})
    first = lock(spec, kept=tmp_path / "locks")
    assert lock(spec) == first
    wheel("alpha", "2.0")
    assert lock(EnvironmentSpec(requirements=("alpha",)), kept=tmp_path / "locks") == first, "a new version changes no environment that is locked"
    assert "alpha==2.0" in lock(spec, kept=tmp_path / "elsewhere").text


def test_a_lock_that_was_given_is_taken_as_it_stands() -> None:
    text = "six==1.16.0 \\\n    --hash=sha256:aa\n"
    assert lock(EnvironmentSpec.from_lock(text, python="3.9")).text == text
    with pytest.raises(UsageError, match="has no hashes"):
        EnvironmentSpec.from_lock("six==1.16.0\n", python="3.9")


def test_digests_differ_by_python_and_source_builds(wheel: Wheel) -> None:
    wheel("alpha", "1.0")
    specs = [EnvironmentSpec(requirements=("alpha",), python=python, allow_source_builds=allowed) for python in (OWN, NEXT) for allowed in (False, True)]
    assert len({lock(spec).digest for spec in specs}) == 4


def test_later_pythons_do_not_matter(wheel: Wheel) -> None:
    """A pin that no later Python can have is no conflict for the Python that was asked for."""
    wheel("alpha", "1.0", requires=(f"beta<2; python_version < '{NEXT}'", f"beta>=2; python_version >= '{NEXT}'"))
    wheel("beta", "1.0")
    assert "beta==1.0" in lock(EnvironmentSpec(requirements=("alpha", "beta<2"))).text


def test_constraints_hold_and_bring_nothing_in(wheel: Wheel) -> None:
    for name in ("alpha", "beta"):
        wheel(name, "1.0")
        wheel(name, "2.0")
    text = lock(EnvironmentSpec(requirements=("alpha",), constraints=("alpha<2", "beta<2"))).text
    assert "alpha==1.0" in text
    assert "beta" not in text


def test_nothing_wanted_is_an_empty_lock() -> None:
    assert lock(EnvironmentSpec()).text == ""


@pytest.mark.parametrize(
    ("requirements", "cause", "sentence"),
    [
        (("nowhere",), "no-such-package", r"There is no package 'nowhere' on the index .* Correct its name"),
        (("alpha==9",), "no-such-version", r"There is no alpha==9 that fits: .* Ask for a version that exists"),
        (("alpha>9",), "no-such-version", r"There is no alpha>9 that fits: Because only alpha==1\.0 is available"),
        (("newer",), "other-python", rf"newer==1\.0 needs Python >=3\.99, and the environment has Python {OWN}"),
        (("sourceful",), "no-wheel", r"sourceful==1\.0 has no wheel for Python .* allow source builds"),
        (("alpha>=1", "beta"), "conflict", r"contradict each other: Because .*beta.* depend.* on alpha<1.* Loosen one"),
    ],
)
def test_what_cannot_be_locked_is_told_in_a_sentence(wheel: Wheel, index: Path, requirements: tuple[str, ...], cause: str, sentence: str) -> None:
    wheel("alpha", "1.0")
    wheel("beta", "1.0", requires=("alpha<1",))
    wheel("newer", "1.0", python=">=3.99")
    source(index, "sourceful", "1.0", "raise SystemExit('ran')")
    with pytest.raises(EnvironmentFailure) as caught:
        lock(EnvironmentSpec(requirements=requirements))
    assert caught.value.cause == cause
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert "No solution found" in caught.value.log


def test_an_index_that_does_not_answer_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"UV_DEFAULT_INDEX": "http://me:secret@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0", "UV_CACHE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UV_INDEX", raising=False)
    with pytest.raises(EnvironmentFailure, match=r"package index does not answer when it was asked for six \(.*refused.*\)\. Check the network") as caught:
        lock(EnvironmentSpec(requirements=("six",)))
    assert caught.value.cause == "index-unreachable"
    assert "secret" not in str(caught.value) + caught.value.log


def test_offline_without_the_package_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match=r"six is not in uv's cache and uv is set to offline") as caught:
        lock(EnvironmentSpec(requirements=("six",)))
    assert caught.value.cause == "offline"


def test_what_only_conda_has_is_named_before_anything_is_asked() -> None:
    with pytest.raises(EnvironmentFailure, match=r"Only conda has cudatoolkit=11\.3, mkl\. Delete them") as caught:
        lock(EnvironmentSpec.from_conda({"dependencies": ["cudatoolkit=11.3", "mkl", "numpy"]}))
    assert caught.value.cause == "conda-only"


def test_a_uv_lock_beside_the_project_is_the_lock(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0")
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(f'[project]\nname = "x"\nversion = "1"\nrequires-python = "=={OWN}.*"\ndependencies = ["alpha"]\n')
    subprocess.run([find_uv(), "lock", "--quiet"], cwd=project, check=True)
    wheel("alpha", "2.0")
    spec = EnvironmentSpec.from_pyproject(project)
    assert spec.requirements == ("alpha",)
    assert lock(spec).requirements == ("alpha==1.0",)
    (project / "uv.lock").write_text("nonsense")
    with pytest.raises(UsageError, match=r"uv\.lock cannot be read: .* Run `uv lock`"):
        EnvironmentSpec.from_pyproject(project)


def source(index: Path, name: str, version: str, setup: str) -> None:
    files = {"setup.py": setup, "PKG-INFO": f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n"}
    with tarfile.open(index / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
