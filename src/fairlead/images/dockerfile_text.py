"""The text of a Dockerfile that makes what `fairlead package` makes without Docker: the same folders, command, user and labels.

Stages: the base, theirs or an image; two that install packages and stay behind; the image. Extra steps run as root in the image, after the environment
has come and before runtime, code and model do, so a new script or model does not run them again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead import __version__
from fairlead.errors import UsageError
from fairlead.images import dockerfile_reading
from fairlead.images.container import COMMAND, HEALTH, OURS, PORT, SECOND, USER

PLACE = "fairlead"  # our folder in the context; beside it lies what their own instructions copy
ROOT = "/opt/fairlead"
BASE, ENVIRONMENT, RUNTIME = "fairlead-base", "fairlead-environment", "fairlead-runtime"
SETTINGS = ("pip.conf", "ca.crt")  # in PLACE/build, empty: how the package index is reached
STAGE_LABEL = "ai.fairlead.stage"  # what the older builder leaves of the first two stages is found by it
FETCHING = "RUN set -eu; \\"  # begins each instruction that needs the index
STEPS = "the extra Dockerfile steps"
DOCKERFILE = "the base Dockerfile"
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PYTHON = re.compile(r"3\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the text depends on. `pip`: name of the wheel in PLACE/build. `has_packages`: the lock is not empty."""

    python: str
    pip: str
    base_image: str = ""
    base_dockerfile: str = ""
    extra_steps: str = ""
    has_packages: bool = True
    system_packages: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def dockerfile(words: Words) -> str:
    """The same text for the same words. Raises UsageError for what cannot be said in a Dockerfile."""
    if not _PYTHON.fullmatch(words.python):
        raise UsageError(f"{words.python!r} is no Python version; write such as 3.11.")
    before, base = _base(words)
    parts = [before, _HEAD, *_environment(words, base), *_runtime(words, base), *_image(words, base)]
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def quoted(text: str, what: str) -> str:
    """In double quotes, so that nothing in it is a variable, a word of its own or another line. Raises UsageError for control characters."""
    if any(unicodedata.category(each) == "Cc" and each != "\t" for each in text):
        raise UsageError(
            f"{what} has a line break or another control character, which a Dockerfile cannot hold. Take it out, or give it to the service instead."
        )
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def _base(words: Words) -> tuple[str, str]:
    if words.base_dockerfile:
        text, name = dockerfile_reading.named_base(words.base_dockerfile, DOCKERFILE, BASE)
        return text, name
    image = words.base_image or f"python:{words.python}-slim"
    if not _IMAGE.fullmatch(image):
        raise UsageError(f"{image!r} is no image. Write such as python:{words.python}-slim, or NAME@sha256:DIGEST.")
    return f"FROM {image} AS {BASE}", BASE


_HEAD = f"""
# Below: what Fairlead {__version__} adds. `docker build -t NAME .` in this folder builds it; see README.md.
"""


def _environment(words: Words, base: str) -> list[str]:
    options = " --system-site-packages" if words.system_packages else ""
    install = [f"pip install {_HASHED} -r requirements.lock"] if words.has_packages else []
    install += [f"pip install --no-cache-dir --no-compile --no-deps --no-index /build/{words.pip}"] if words.extra_steps else []
    return _stage(base, ENVIRONMENT, "requirements.lock", _venv(words, "env", options, install))


def _runtime(words: Words, base: str) -> list[str]:
    target = f"{ROOT}/runtime/lib/python{words.python}/site-packages"
    install = [f"pip install {_HASHED} -r runtime.lock", f"mv fairlead_scoring {target}/"]
    return _stage(base, RUNTIME, "runtime.lock", _venv(words, "runtime", "", install), f"COPY {PLACE}/runtime/ /build/")


_HASHED = "--no-cache-dir --no-compile --no-deps --require-hashes"


def _stage(base: str, name: str, lock: str, run: list[str], *copies: str) -> list[str]:
    return [
        f"FROM {base} AS {name}",
        f'LABEL {STAGE_LABEL}="{name.removeprefix("fairlead-")}"',
        "USER 0:0",
        'SHELL ["/bin/sh", "-c"]',
        "WORKDIR /build",
        "ARG PIP_INDEX_URL",
        "ARG PIP_EXTRA_INDEX_URL",
        f"COPY {PLACE}/build/ /build/",
        f"COPY {PLACE}/{lock} /build/",
        *copies,
        FETCHING,
        "; \\\n".join(f"    {line}" for line in run),
        "",
    ]


def _venv(words: Words, name: str, options: str, install: list[str]) -> list[str]:
    """Shell commands. Compiled once and for all: a read-only image could never do it later (contract: PEP 552, unchecked hashes)."""
    version = tuple(int(each) for each in words.python.split("."))
    lacking = f"The base image has Python %d.%d, and the packages are locked for {words.python}."
    python = f"{ROOT}/{name}/bin/python"
    return [
        f'python="$(command -v python{words.python} || command -v python3)" || {{ echo "The base image has no python3 on its PATH." >&2; exit 1; }}',
        f'"$python" -c \'import sys; v = sys.version_info[:2]; v == {version} or sys.exit("{lacking}" % v)\'',
        f'"$python" -m venv --without-pip{options} {ROOT}/{name}',
        f'pip() {{ {python} /build/{words.pip}/pip --disable-pip-version-check "$@"; }}',
        "export PIP_CONFIG_FILE=/build/pip.conf PIP_ROOT_USER_ACTION=ignore PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1",
        "if [ -s ca.crt ]; then export PIP_CERT=/build/ca.crt; fi",
        *install,
        f"{python} -m compileall -q -j 1 -x /tests/ --invalidation-mode unchecked-hash {ROOT}/{name}/lib || true",
    ]


def _image(words: Words, base: str) -> list[str]:
    return [
        f"FROM {base}",
        "USER 0:0",
        f"COPY --from={ENVIRONMENT} {ROOT}/env/ {ROOT}/env/",
        f"ENV PATH={ROOT}/env/bin:${{PATH:-/usr/local/bin:/usr/bin:/bin}}",
        *_steps(words),
        f"COPY --from={RUNTIME} {ROOT}/runtime/ {ROOT}/runtime/",
        f"COPY {PLACE}/code/ {ROOT}/bundle/",
        f"COPY {PLACE}/model/ {ROOT}/bundle/",
        *(f"LABEL {quoted(name, 'a label')}={quoted(words.labels[name], f'The label {name}')}" for name in sorted(words.labels)),
        *(f"ENV {_variable(name)}={quoted(value, f'The variable {name}')}" for name, value in {**OURS, **dict(sorted(words.variables.items()))}.items()),
        f"EXPOSE {PORT}",
        _health(),
        "WORKDIR /tmp",
        f"USER {USER}",
        "ENTRYPOINT []",
        f"CMD {json.dumps(COMMAND)}",
    ]


def _steps(words: Words) -> list[str]:
    if not words.extra_steps.strip():
        return []
    steps = dockerfile_reading.checked_steps(words.extra_steps, STEPS)
    begin = ["# Extra steps: as root; `python` and `pip` are those of the environment.", 'SHELL ["/bin/sh", "-c"]']
    return [*begin, steps, "# End of the extra steps.", "USER 0:0", 'SHELL ["/bin/sh", "-c"]']


def _health() -> str:
    times = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}
    options = " ".join(f"--{option}={int(HEALTH[name]) // SECOND}s" for option, name in times.items())
    return f"HEALTHCHECK {options} --retries={HEALTH['Retries']} CMD {json.dumps(HEALTH['Test'][1:])}"


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"{name[:100]!r} is no name for a variable of an image; letters, digits and _ are.")
    return name
