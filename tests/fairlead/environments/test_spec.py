"""What files say about packages, read as people write them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.environments import python_versions
from fairlead.environments.conda_file import pip_specifier
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentNotFound, UsageError

# As the seeds' repositories have it: pip in the middle, `=` pins, a patch version of Python.
SCORING_ENV = """\
# Conda environment specification.
name: scoring_environment
channels:
- conda-forge
dependencies:
  # The python interpreter version.
- python=3.8.12

- pip:
  # Required packages
  - azureml-defaults==1.6.*
  - inference-schema[numpy-support]
- scikit-learn=0.24.1
- joblib=1.0.1
- numpy>=1.19,<1.24
- pandas
"""


def test_requirements_keep_their_lines_and_drop_comments() -> None:
    spec = EnvironmentSpec.from_requirements("# ours\nscikit-learn==1.7.0  # pinned\n\nnumpy>=2,\\\n  <3\njoblib; python_version < '3.12'\n")
    assert spec.requirements == ("scikit-learn==1.7.0", "numpy>=2,   <3", "joblib; python_version < '3.12'")
    assert not spec.notices


def test_includes_are_read_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "requirements.txt").write_text("-r deep/more.txt\n-c limits.txt\nalpha\n")
    (tmp_path / "deep" / "more.txt").write_text("--requirement=other.txt\nbeta>1\n")
    (tmp_path / "deep" / "other.txt").write_text("gamma\n")
    (tmp_path / "limits.txt").write_text("beta<3\n")
    spec = EnvironmentSpec.from_requirements(tmp_path / "requirements.txt")
    assert (spec.requirements, spec.constraints) == (("gamma", "beta>1", "alpha"), ("beta<3",))


def test_an_include_that_includes_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\n")
    with pytest.raises(UsageError, match=r"b\.txt, line 1: 'a\.txt' includes itself"):
        EnvironmentSpec.from_requirements(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-r more.txt", "another file, which did not come along"),
        ("-e .", "editable package exists on one machine only"),
        ("--editable=git+https://example.org/x", "editable package exists on one machine only"),
        ("./wheels/x-1.0-py3-none-any.whl", "comes from an address or a folder"),
        ("/srv/x", "comes from an address or a folder"),
        ("x-1.0-py3-none-any.whl", "comes from an address or a folder"),
        ("git+https://me:secret@example.org/x", "comes from an address or a folder"),
        ("x @ https://example.org/x.whl", "comes from an address"),
        ("x@https://example.org/x.whl", "comes from an address"),
        ("sci kit", "is no requirement"),
        ("numpy=1.19", "is no requirement"),
        ("--pre", "is not understood"),
        ("x==1 --global-option=y", "'--global-option' is for builds from source"),
        ("x --hash=sha256:00", "has a hash but no exact version"),
    ],
)
def test_a_line_that_another_machine_could_not_use_is_refused(line: str, reason: str) -> None:
    with pytest.raises(UsageError, match=r"requirements, line 2: ") as caught:
        EnvironmentSpec.from_requirements(f"numpy\n{line}\n")
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_index_options_are_left_to_the_machine_and_their_passwords_are_not_repeated() -> None:
    spec = EnvironmentSpec.from_requirements("--extra-index-url https://me:secret@example.org/simple\n--prefer-binary\ntorch\n")
    assert spec.requirements == ("torch",)
    assert len(spec.notices) == 1
    assert "--extra-index-url" in spec.notices[0]
    assert "secret" not in spec.notices[0]


def test_the_seeds_scoring_server_is_left_out_with_a_notice() -> None:
    spec = EnvironmentSpec.from_requirements("azureml-defaults\nazureml.core\nAzureML_Inference_Server_HTTP==1.0\n")
    assert spec.requirements == ("azureml.core",)
    assert [notice.split()[3] for notice in spec.notices] == ["azureml-defaults", "AzureML_Inference_Server_HTTP"]


def test_lines_that_all_carry_hashes_are_a_lock() -> None:
    spec = EnvironmentSpec.from_requirements("six==1.16.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:aa\nidna==3.4 --hash=sha256:cc\n")
    assert spec.requirements == ("six==1.16.0", "idna==3.4")
    assert spec.lock == "idna==3.4 \\\n    --hash=sha256:cc\nsix==1.16.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
    with pytest.raises(UsageError, match=r"'numpy==1\.2' has no --hash while others have one"):
        EnvironmentSpec.from_requirements("six==1.16.0 --hash=sha256:bb\nnumpy==1.2\n")


def test_a_conda_file_as_the_seeds_write_it(tmp_path: Path) -> None:
    path = tmp_path / "scoring-env.yml"
    path.write_text(SCORING_ENV)
    spec = EnvironmentSpec.from_conda(path)
    assert spec.python == "3.8"
    assert spec.requirements == ("inference-schema[numpy-support]", "scikit-learn==0.24.1.*", "joblib==1.0.1.*", "numpy>=1.19,<1.24", "pandas")
    assert not spec.conda_packages
    said = "\n".join(spec.notices)
    assert "3.8.12 means the newest 3.8" in said
    assert "azureml-defaults is left out" in said
    assert "scikit-learn=0.24.1 as scikit-learn==0.24.1.*" in said


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("", ""),
        ("=0.24.1", "==0.24.1.*"),
        ("==0.24.1", "==0.24.1"),
        (" 0.24.1", "==0.24.1"),
        ("=0.24.1=py38h1", "==0.24.1"),
        (" 0.24.1 py38h1", "==0.24.1"),
        ("=1.19.*", "==1.19.*"),
        (" 1.19*", "==1.19.*"),
        ("=*", ""),
        (">=1.19, <1.24", ">=1.19,<1.24"),
        (">=1.8.*", ">=1.8"),
        ("!=1.2.*", "!=1.2.*"),
        ("=2.0rc1", "==2.0rc1"),
        ("=1!2.0", "==1!2.0.*"),
    ],
)
def test_conda_versions_mean_the_same_on_an_index(conda: str, pip: str) -> None:
    assert pip_specifier(conda, "numpy") == pip


@pytest.mark.parametrize("said", ["=1.2|1.3", "[version='>=1']", "==", "=>1", "=2021a.b.c-x_y"])
def test_conda_versions_that_an_index_cannot_say_are_refused(said: str) -> None:
    with pytest.raises(UsageError, match="numpy"):
        pip_specifier(said, "numpy")


def test_conda_names_are_translated_where_the_index_has_another_name() -> None:
    spec = EnvironmentSpec.from_conda({"dependencies": ["conda-forge::pytorch=1.13", "cudatoolkit=11.3", "mkl"], "channels": ["pytorch"]})
    assert spec.requirements == ("torch==1.13.*",)
    assert spec.conda_packages == ("cudatoolkit=11.3", "mkl")
    assert spec.channels == ("pytorch",)
    assert "conda-forge::pytorch=1.13 as torch==1.13.*" in spec.notices[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dependencies: [python=3.6.2]", r"Python 3\.6\.2.* cannot run a service"),
        ("dependencies: [python=2.7]", "cannot run a service"),
        ("dependencies: [python=cpython]", "no version that a package index knows|no Python version"),
        ("dependencies: [opencv]", "opencv-python-headless or opencv-python"),
        ("dependencies: [{npm: [left]}]", "is no dependency"),
        ("dependencies: [3]", "is no dependency"),
        ("dependencies: numpy", "no list 'dependencies'"),
        ("- numpy", "no list 'dependencies'"),
        ("dependencies: [numpy", "line 1: this is no YAML"),
        ("dependencies: [{pip: ['-e .']}]", "editable"),
        ("dependencies: []\nvariables: [a]", "'variables' must be names with values"),
    ],
)
def test_a_conda_file_that_cannot_be_followed_is_refused_in_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        EnvironmentSpec.from_conda(text)


def test_python_ranges_take_our_own_if_it_fits() -> None:
    own = python_versions.own()
    assert python_versions.minor_of(">=3.8", "here") == own
    assert python_versions.minor_of(">=3.8,<3.10", "here") == "3.9"
    assert python_versions.minor_of("", "here") is None


def test_a_projects_dependencies_without_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9,<3.11"\ndependencies = ["six>=1", "idna"]\n')
    spec = EnvironmentSpec.from_pyproject(tmp_path)
    assert (spec.python, spec.requirements, spec.lock) == ("3.10", ("six>=1", "idna"), None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tool.x]\n", "has no table"),
        ("[project\n", "is no TOML"),
        ('[project]\ndynamic = ["dependencies"]\n', "dependencies are dynamic"),
        ("[project]\ndependencies = 3\n", "must be a list"),
    ],
)
def test_a_project_file_that_says_nothing_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=reason):
        EnvironmentSpec.from_pyproject(tmp_path / "pyproject.toml")


def test_an_interpreter_gives_exact_pins_less_what_came_from_a_folder(tmp_path: Path) -> None:
    python = bare_environment(tmp_path)
    installed(tmp_path, "alpha", "1.2")
    installed(tmp_path, "torch", "2.1.0+cpu")
    installed(tmp_path, "ours", "0.1", url="file:///home/me/ours")
    installed(tmp_path, "fairlead", "9")
    spec = EnvironmentSpec.from_interpreter(python)
    assert spec.python == python_versions.own()
    assert spec.requirements == ("alpha==1.2", "torch==2.1.0")
    assert "ours is left out: it was installed from file:///home/me/ours" in spec.notices[0]
    assert "asked for as 2.1.0" in spec.notices[1]


def test_an_interpreter_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    (tmp_path / "python").chmod(0o755)
    for path in (tmp_path / "python", tmp_path / "none"):
        with pytest.raises(EnvironmentNotFound, match=str(path)):
            EnvironmentSpec.from_interpreter(path)


def test_a_spec_survives_json_and_its_digest_ignores_variables() -> None:
    spec = EnvironmentSpec(python="3.9", requirements=("six",), variables={"B": "1", "A": "2"}, allow_source_builds=True)
    again = EnvironmentSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert (again, again.digest) == (spec, spec.digest)
    assert EnvironmentSpec(python="3.9", requirements=("six",), allow_source_builds=True).digest == spec.digest
    assert EnvironmentSpec(python="3.9", requirements=("six",)).digest != spec.digest


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"pyhton": "3.9"},
        {"requirements": "six"},
        {"requirements": ["-r /etc/passwd"]},
        {"requirements": ["x @ file:///etc"]},
        {"python": "3.7"},
        {"python": 3.11},
        {"python": "3.11; rm"},
        {"variables": {"A": 1}},
        {"lock": 1},
        {"allow_source_builds": "yes"},
        {"lock": "six==1.0"},
        {"lock": "-r /etc/passwd"},
        {"lock": "six==1.0 --hash=sha256:00\n-r /etc/passwd"},
        {"requirements": ["six\n-r /etc/passwd"]},
        {"constraints": ["six\r--index-url=https://example.org"]},
    ],
)
def test_json_that_is_no_spec_is_refused(content: object) -> None:
    with pytest.raises(UsageError):
        EnvironmentSpec.from_json(content)


def bare_environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "v")], check=True)
    return folder / "v" / "bin" / "python"


def installed(folder: Path, name: str, version: str, *, url: str | None = None) -> None:
    about = folder / "v" / "lib" / f"python{python_versions.own()}" / "site-packages" / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if url is not None:
        (about / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}))
