"""The environment's layer: wheels for a platform that is not this machine's, what has none, and where their files go."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fairlead_scoring
import pytest

from fairlead.environments.locking import lock
from fairlead.environments.requirement_lines import read_requirements
from fairlead.environments.spec import EnvironmentSpec
from fairlead.environments.uv_command import run_uv
from fairlead.errors import EnvironmentFailure
from fairlead.images.bytecode import find_compiler
from fairlead.images.distributions import Site, distributions_in
from fairlead.images.kept import Kept
from fairlead.images.layout import LayoutBlobs
from fairlead.images.site_layers import SiteLayer, SiteRecipe, make_site_layer
from fairlead.images.wheels import Libc, WheelTarget, lay_down_wheels
from tests.fairlead.conftest import Wheel

BOOKWORM = WheelTarget(platform="linux/amd64", python="3.11.2", libc=Libc(kind="glibc", version="2.36"))
PLACE = "opt/fairlead/env"
PACKAGES = f"{PLACE}/lib/python3.11/site-packages"


def locked(folder: Path, *names: str) -> str:
    """With the hashes of what the index has, whatever platform that is for."""
    (folder / "requirements.in").write_text("\n".join(names) + "\n")
    done = run_uv(["pip", "compile", "--universal", "--generate-hashes", "--no-header", "--python-version", "3.11", "requirements.in"], folder=folder)
    assert done.code == 0, done.output
    return "".join(f"{line}\n" for line in read_requirements(done.text).locked)


@pytest.fixture
def made(tmp_path: Path, blobs: LayoutBlobs) -> Callable[..., SiteLayer]:
    def making(lock: str, target: WheelTarget = BOOKWORM) -> SiteLayer:
        recipe = SiteRecipe(
            what="environment",
            site=Site(path=PLACE, minor=target.minor),
            lock=lock,
            target=target,
            interpreter="/usr/bin/python3.11",
            compiler=find_compiler(target.minor),
            created=0,
        )
        return make_site_layer(recipe, blobs, Kept(tmp_path / "image-cache"), lambda _line: None)

    return making


def test_all_packages_without_a_wheel_are_named_with_two_ways_out(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0")
    wheel("beta", "2.0", tag="cp311-cp311-win_amd64")
    wheel("gamma", "3.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    with pytest.raises(EnvironmentFailure, match=r"beta==2.0, gamma==3.0: no wheel for Python 3.11 on linux/amd64.*uv build --wheel.*--dockerfile") as told:
        lay_down_wheels(locked(tmp_path, "alpha", "beta", "gamma"), BOOKWORM, tmp_path / "wheels")
    assert told.value.cause == "no-wheel"
    assert told.value.facts["packages"] == ["beta==2.0", "gamma==3.0"]


def test_a_lock_of_another_system_is_told_to_be_one(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0", requires=("beta; sys_platform == 'linux'",))
    wheel("beta", "1.0")
    made = lock(EnvironmentSpec(requirements=("alpha",), python="3.11"), system="darwin")
    with pytest.raises(EnvironmentFailure, match=r"The lock has no hash for beta, .* on another platform\. Lock the requirements again") as told:
        lay_down_wheels(made.text, BOOKWORM, tmp_path / "wheels")
    assert told.value.cause == "not-locked"


def test_a_base_with_too_old_a_libc_is_named_as_the_reason(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0", tag="cp311-cp311-manylinux_2_38_x86_64")
    lines = locked(tmp_path, "alpha")
    with pytest.raises(EnvironmentFailure, match=r"alpha==1.0: there are wheels, but not for glibc 2.36, which the base has") as told:
        lay_down_wheels(lines, BOOKWORM, tmp_path / "wheels")
    assert told.value.cause == "libc-does-not-fit"
    newer = WheelTarget(platform="linux/amd64", python="3.11.2", libc=Libc(kind="glibc", version="2.39"))
    lay_down_wheels(lines, newer, tmp_path / "newer")
    assert (tmp_path / "newer" / "alpha.py").is_file()


def test_the_wheel_of_the_platform_is_taken(wheel: Wheel, index: Path, tmp_path: Path) -> None:
    for machine in ("x86_64", "aarch64"):
        wheel("alpha", "1.0", tag=f"cp311-cp311-manylinux_2_28_{machine}", body=f"machine = {machine!r}\n")
        wheel("alpha", "1.0", tag=f"cp311-cp311-musllinux_1_2_{machine}", body=f"machine = 'musl {machine}'\n")
    hashes = [hashlib.sha256(each.read_bytes()).hexdigest() for each in index.iterdir()]
    lock = " ".join(["alpha==1.0", *(f"--hash=sha256:{each}" for each in hashes)])
    for platform, libc, body in (
        ("linux/amd64", Libc(kind="glibc", version="2.36"), "'x86_64'"),
        ("linux/arm64", Libc(kind="glibc", version="2.41"), "'aarch64'"),
        ("linux/arm64", Libc(kind="musl", version="1.2.5"), "'musl aarch64'"),
    ):
        folder = tmp_path / f"{platform} {libc}"
        lay_down_wheels(lock, WheelTarget(platform=platform, python="3.11.2", libc=libc), folder)
        assert body in (folder / "alpha.py").read_text()


@pytest.mark.parametrize(
    ("platform", "libc", "words"), [("linux/s390x", "2.36", "No images are made for linux/s390x"), ("linux/amd64", "2.12", "need glibc 2.17")]
)
def test_platforms_without_wheels_are_refused(platform: str, libc: str, words: str) -> None:
    with pytest.raises(EnvironmentFailure, match=words):
        _ = WheelTarget(platform=platform, python="3.11.2", libc=Libc(kind="glibc", version=libc)).tag


def test_markers_see_the_patch_of_the_base(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0")
    lock = locked(tmp_path, "alpha ; python_full_version >= '3.11.3'")
    lay_down_wheels(lock, BOOKWORM, tmp_path / "old")
    lay_down_wheels(lock, WheelTarget(platform="linux/amd64", python="3.11.9", libc=BOOKWORM.libc), tmp_path / "new")
    assert [(tmp_path / name / "alpha.py").exists() for name in ("old", "new")] == [False, True]


def test_a_failing_index_is_told_as_that(wheel: Wheel, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel("alpha", "1.0")
    lock = locked(tmp_path, "alpha")
    (index / "alpha-1.0-py3-none-any.whl").write_bytes(b"changed")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    with pytest.raises(EnvironmentFailure) as told:
        lay_down_wheels(lock, BOOKWORM, tmp_path / "wheels")
    assert told.value.cause != "no-wheel"


def test_scripts_and_data_lie_where_a_virtual_environment_has_them(index: Path, tmp_path: Path, made: Callable[..., SiteLayer], blobs: LayoutBlobs) -> None:
    full_wheel(index, "tool", {"tool/__init__.py": "def main():\n    print('hello')\n", "tool-1.0.data/data/share/tool/x.txt": "x", "tool/data.bin": "b"})
    layer = made(locked(tmp_path, "tool"))
    files = content_of(blobs, layer)
    assert files[f"{PLACE}/bin/tool"].startswith(b"#!/opt/fairlead/env/bin/python\n")
    assert files[f"{PLACE}/share/tool/x.txt"] == b"x"
    record = files[f"{PACKAGES}/tool-1.0.dist-info/RECORD"].decode()
    assert "../../../bin/tool,sha256=" in record
    assert "../../../share/tool/x.txt," in record
    everything = b"\n".join(files.values())
    assert str(tmp_path).encode() not in everything
    assert sys.prefix.encode() not in everything
    assert [(each.name, each.version) for each in layer.packages] == [("tool", "1.0")]


def test_a_file_of_two_packages_is_there_once_and_what_nobody_lists_is_not_lost(
    index: Path, tmp_path: Path, blobs: LayoutBlobs, made: Callable[..., SiteLayer]
) -> None:
    full_wheel(index, "alpha", {"shared/__init__.py": "", "shared/a.py": "a = 1\n"})
    full_wheel(index, "beta", {"shared/__init__.py": "", "shared/b.py": "b = 1\n"}, listed=False)
    layer = made(locked(tmp_path, "alpha", "beta"))
    with tarfile.open(fileobj=io.BytesIO(raw_of(blobs, layer))) as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    for name in ("shared/__init__.py", "shared/a.py", "shared/b.py", "shared/__pycache__/b.cpython-311.pyc"):
        assert names.count(f"{PACKAGES}/{name}") == 1
    assert [each.name for each in layer.packages] == ["alpha", "beta"]


def test_a_module_that_does_not_compile_is_shipped_as_it_is(wheel: Wheel, tmp_path: Path, blobs: LayoutBlobs, made: Callable[..., SiteLayer]) -> None:
    wheel("old", "1.0", body="print 'hello'\n")
    names = content_of(blobs, made(locked(tmp_path, "old"))).keys()
    assert f"{PACKAGES}/old.py" in names
    assert not [name for name in names if name.endswith(".pyc")]


def test_tests_of_packages_stay_sources(index: Path, tmp_path: Path, blobs: LayoutBlobs, made: Callable[..., SiteLayer]) -> None:
    full_wheel(index, "alpha", {"alpha/__init__.py": "", "alpha/tests/test_a.py": "assert True\n"})
    names = content_of(blobs, made(locked(tmp_path, "alpha"))).keys()
    assert f"{PACKAGES}/alpha/__pycache__/__init__.cpython-311.pyc" in names
    assert [name for name in names if "/tests/" in name] == [f"{PACKAGES}/alpha/tests/test_a.py"]


def test_what_is_cached_needs_no_index(wheel: Wheel, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel("alpha", "1.0")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=index)) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("UV_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
        lock = locked(tmp_path, "alpha")
        lay_down_wheels(lock, BOOKWORM, tmp_path / "first")
        server.shutdown()
    lay_down_wheels(lock, BOOKWORM, tmp_path / "second")
    assert (tmp_path / "second" / "alpha.py").is_file()


def test_one_changed_package_leaves_the_parts_of_others(wheel: Wheel, tmp_path: Path, blobs: LayoutBlobs, made: Callable[..., SiteLayer]) -> None:
    wheel("alpha", "1.0")
    wheel("beta", "1.0")
    first = made(locked(tmp_path, "alpha", "beta"))
    parts = set((tmp_path / "image-cache" / "parts").glob("*[0-9a-f]"))
    wheel("beta", "2.0")
    second = made(locked(tmp_path, "alpha", "beta"))
    added = set((tmp_path / "image-cache" / "parts").glob("*[0-9a-f]")) - parts
    assert first.layer != second.layer
    assert len(added) == 2  # beta, and the folders around it all
    assert content_of(blobs, first)[f"{PACKAGES}/alpha.py"] == content_of(blobs, second)[f"{PACKAGES}/alpha.py"]


def test_a_part_that_was_cut_short_is_packed_again(wheel: Wheel, tmp_path: Path, blobs: LayoutBlobs, made: Callable[..., SiteLayer]) -> None:
    wheel("alpha", "1.0")
    lock = locked(tmp_path, "alpha")
    first = made(lock)
    (blobs.folder / "blobs" / "sha256" / first.layer.descriptor.digest).unlink()
    for part in (tmp_path / "image-cache" / "parts").glob("*[0-9a-f]"):
        part.write_bytes(part.read_bytes()[:-5])
    assert made(lock) == first
    assert content_of(blobs, first)


def test_what_lies_there_works_as_an_environment(wheel: Wheel, tmp_path: Path, blobs: LayoutBlobs, made: Callable[..., SiteLayer]) -> None:
    """The layer, unpacked somewhere else, with this machine's Python behind its link."""
    wheel("alpha", "1.0")
    with tarfile.open(fileobj=io.BytesIO(raw_of(blobs, made(locked(tmp_path, "alpha"))))) as archive:
        archive.extractall(tmp_path / "root", filter="fully_trusted")  # noqa: S202 - made by us, with a link to /usr
    env = tmp_path / "root" / PLACE
    (env / "bin" / "python").unlink()
    (env / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3.11")
    (env / "pyvenv.cfg").write_text((env / "pyvenv.cfg").read_text().replace("/usr/bin", f"{sys.base_prefix}/bin"))
    said = subprocess.run(
        [env / "bin" / "python", "-I", "-c", "import alpha; print(alpha.version, alpha.__cached__)"], capture_output=True, text=True, check=True
    )
    assert said.stdout.split()[0] == "1.0"
    assert said.stdout.strip().endswith("__pycache__/alpha.cpython-311.pyc")
    code = "import sys; sys.path.append(sys.argv[1]); from fairlead_scoring.worker.faults import missing_package; print(missing_package('score.py', 'beta'))"
    scoring = Path(fairlead_scoring.__file__).parents[1]
    said = subprocess.run([env / "bin" / "python", "-I", "-c", code, scoring], capture_output=True, text=True, check=True)
    assert "Add 'beta' to its requirements, and deploy again" in said.stdout, "nobody installs into an image by hand"


def test_distributions_are_read_without_running_anything(wheel: Wheel, tmp_path: Path) -> None:
    wheel("alpha", "1.0", body="raise SystemExit('executed')\n")
    lay_down_wheels(locked(tmp_path, "alpha"), BOOKWORM, tmp_path / "wheels")
    (tmp_path / "wheels" / "alpha-1.0.dist-info" / "RECORD").write_text("../../../etc/passwd,,\n/etc/shadow,,\nalpha.py,,\n")
    (tmp_path / "wheels" / "link.py").symlink_to("/etc/passwd")
    found = distributions_in(tmp_path / "wheels", Site(path=PLACE, minor="3.11"))
    paths = [entry.path for each in found for entry in each.entries]
    assert f"{PACKAGES}/alpha.py" in paths
    assert not [path for path in paths if "passwd" in path or "shadow" in path or "link" in path]


def full_wheel(index: Path, name: str, files: dict[str, str], *, listed: bool = True) -> None:
    about = f"{name}-1.0.dist-info"
    content = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{path},,\n" for path in [*content, f"{about}/RECORD"] if listed or about in path)
    with zipfile.ZipFile(index / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**content, f"{about}/RECORD": record}.items():
            archive.writestr(path, text)


def raw_of(blobs: LayoutBlobs, layer: SiteLayer) -> bytes:
    with blobs.open(layer.layer.descriptor.digest) as stream:
        return gzip.decompress(stream.read())


def content_of(blobs: LayoutBlobs, layer: SiteLayer) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw_of(blobs, layer))) as archive:
        return {each.name: stream.read() for each in archive.getmembers() if each.isfile() and (stream := archive.extractfile(each)) is not None}
