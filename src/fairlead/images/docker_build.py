"""Builds a context with the docker command: through BuildKit where there is one, else the older builder. Settings of the machine stay out of the image."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fairlead.errors import EnvironmentFailure, Unavailable, UsageError
from fairlead.images import build_settings
from fairlead.images.build_progress import Progress
from fairlead.images.build_settings import BuildSettings
from fairlead.images.dockerfile_text import FETCHING, PLACE
from fairlead.images.types import Say

_MOUNTS = {"pip": "pip.conf", "ca": "ca.crt"}  # id of the secret, name in /build
_TAG = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]{0,254}")
_BASE_IS_AWAY = re.compile(r"failed to (resolve source metadata|do request)|pull access denied|manifest unknown|dial tcp|Error response from daemon: Get ")
_NAME_A_BASE = "The base is in no registry that the engine reaches: name another one (--base NAME, or the Dockerfile's FROM), or load it there first."
_BUILT_IN = (18, 9)  # docker clients from here to 23 have BuildKit inside; later ones have the plugin buildx
_ITS_OWN_PLUGIN = (23, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A command that builds. `kind`: buildkit, or classic, which has no secrets. `host`: of the engine; empty: the command's own choice."""

    command: str
    kind: str
    host: str = ""

    @property
    def words(self) -> list[str]:
        return _words(self.command, self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImage:
    """`id`: of its configuration, plain hex, as the engine that built it knows it."""

    id: str
    tag: str
    builder: Builder


def build_context(folder: Path, tag: str, say: Say, *, settings: BuildSettings | None = None, builder: Builder | None = None) -> EngineImage:
    """What `write_context` wrote, built and tagged in the engine that `docker` talks to.

    Raises UsageError for a tag that is none, Unavailable without an engine, EnvironmentFailure (cause image-build; facts step, log_lines) for a failed step.
    """
    if not _TAG.fullmatch(tag):
        raise UsageError(f"{tag!r} is no name for an image; write such as churn:3, in lower case.")
    chosen = builder or find_builder()
    said = settings if settings is not None else build_settings.of_this_machine()
    with tempfile.TemporaryDirectory(prefix="fairlead-build-") as name:
        place = Path(name)  # 0700
        proxies = [word for variable in said.proxies for word in ("--build-arg", variable)]
        arguments = ["--tag", tag, "--iidfile", str(place / "id"), *proxies]
        if chosen.kind == "buildkit":
            _with_buildkit(chosen, folder, arguments, said, place, say)
        else:
            _with_classic(chosen, folder, arguments, said, place, say)
        identity = (place / "id").read_text(encoding="ascii").strip().removeprefix("sha256:")
    return EngineImage(id=identity, tag=tag, builder=chosen)


def find_builder(host: str = "") -> Builder:
    """The first docker on the PATH with BuildKit, else one without. `host`: of the engine, as DOCKER_HOST. Raises Unavailable with what is missing."""
    commands = list(dict.fromkeys(_on_path("docker")))
    if not commands:
        raise Unavailable("There is no docker command on the PATH, and building needs one. `fairlead env setup` says what to install.")
    why = ""
    for command in commands:
        client, why = _client(_words(command, host))
        if client and (_BUILT_IN <= client < _ITS_OWN_PLUGIN or _run([command, "buildx", "version"])[0] == 0):
            return Builder(command=command, kind="buildkit", host=host)
    if why:
        raise Unavailable(f"Docker's engine cannot be used: {why} `fairlead env show` says what is missing.")
    return Builder(command=commands[0], kind="classic", host=host)


def saved(image: EngineImage) -> Iterator[bytes]:
    """As a Docker archive, in pieces. Raises Unavailable."""
    process = subprocess.Popen([*image.builder.words, "save", image.tag], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            while piece := process.stdout.read(1 << 20):
                yield piece
            said = process.stderr.read().decode(errors="replace")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise Unavailable(f"Docker does not give the image {image.tag}: {_sentence(said)}")


def remove(image: EngineImage) -> None:
    """From the engine, unless something runs it; silent when it is gone."""
    _run([*image.builder.words, "rmi", image.tag])


def _with_buildkit(builder: Builder, folder: Path, arguments: list[str], settings: BuildSettings, place: Path, say: Say) -> None:
    """Settings come as secrets, which only the running instruction sees; the context is the folder as it is."""
    mounts = "RUN"
    for secret, text in (("pip", settings.pip), ("ca", settings.authorities)):
        if text:
            (place / secret).write_text(text, encoding="utf-8")
            arguments += ["--secret", f"id={secret},src={place / secret}"]
            mounts += f" --mount=type=secret,id={secret},target=/build/{_MOUNTS[secret]}"
    text = (folder / "Dockerfile").read_text(encoding="utf-8").replace(f"\n{FETCHING}\n", f"\n{FETCHING.replace('RUN', mounts, 1)}\n")
    with tempfile.TemporaryFile() as dockerfile:
        dockerfile.write(text.encode())
        dockerfile.seek(0)
        command = [*builder.words, "build", "--progress=plain", *arguments, "-f", "-", str(folder)]
        _build(command, {"DOCKER_BUILDKIT": "1"}, dockerfile, say)


def _with_classic(builder: Builder, folder: Path, arguments: Sequence[str], settings: BuildSettings, place: Path, say: Say) -> None:
    """It has no secrets: the two files are put into the context on its way, and end with the stages that see them."""
    given = {f"{PLACE}/build/pip.conf": settings.pip, f"{PLACE}/build/ca.crt": settings.authorities}
    with (place / "context.tar").open("w+b") as context:
        with tarfile.open(fileobj=context, mode="w", format=tarfile.GNU_FORMAT) as packed:
            for path in sorted(folder.rglob("*")):
                _pack(packed, path, path.relative_to(folder).as_posix(), given)
        context.seek(0)
        _build([*builder.words, "build", "--force-rm", *arguments, "-"], {"DOCKER_BUILDKIT": "0"}, context, say)


def _pack(packed: tarfile.TarFile, path: Path, name: str, given: dict[str, str]) -> None:
    entry = packed.gettarinfo(path, name)
    entry.mtime = int(entry.mtime)  # the command knows an archive by its first 512 bytes, which extended headers would fill
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    if not path.is_file():
        packed.addfile(entry)
    elif given.get(name):
        content = given[name].encode()
        entry.size = len(content)
        packed.addfile(entry, io.BytesIO(content))
    else:
        with path.open("rb") as file:
            packed.addfile(entry, file)


def _build(command: list[str], variables: dict[str, str], given: IO[bytes], say: Say) -> None:
    progress = Progress(say)
    with _running(command, variables, given) as process:
        for line in process.stdout or ():
            progress.take(line)
    if process.returncode:
        step = f"step {progress.step}" if progress.step else "its start"
        why = _sentence(progress.last[-1] if progress.last else f"docker ended with {process.returncode} and said nothing")
        cure = _NAME_A_BASE if _BASE_IS_AWAY.search("\n".join(progress.last)) else "Correct the Dockerfile or what it copies, and build again."
        raise EnvironmentFailure(
            f"The image could not be built; it failed at {step}: {why} {cure}",
            log="\n".join(progress.last),
            cause="image-build",
            step=progress.step,
            log_lines=list(progress.last),
        )


@contextmanager
def _running(command: list[str], variables: dict[str, str], given: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def _client(words: list[str]) -> tuple[tuple[int, int] | None, str]:
    """Its version, when its engine answers; else why not."""
    code, said, complaint = _run([*words, "version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
    found = re.match(r"(\d+)\.(\d+)", said)
    return ((int(found[1]), int(found[2])), "") if found and code == 0 else (None, _sentence(complaint or said))


def _words(command: str, host: str) -> list[str]:
    return [command, "--host", host] if host else [command]


def _on_path(name: str) -> Iterator[str]:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(name, path=folder) if folder else None
        if found:
            yield os.path.realpath(found)


def _run(command: list[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def _sentence(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    return last if last.endswith((".", "?", "!")) else f"{last}."
