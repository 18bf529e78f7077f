"""What a page says it needs, `<!-- needs: docker base registry -->`, is there before its first command and gone after its last.

    docker    an engine that answers. Containers and volumes of the page's own server, and containers that the page names, are removed at the end
    base      the base image that scripts/base-image makes, as $FAIRLEAD_IMAGE_BASE: what is built without --base is built upon it
    registry  Debian's docker-registry, as $REGISTRY (host:port/team)
    s3        an S3 server, moto's, as $S3, with a new bucket, $BUCKET; who asks it says `test` as key and as secret
    NAME      a command or module of that name

What is not there skips the page by name for a developer, and fails it in CI.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.containers import require_base, require_engine, running_registry
from tests.needs import require
from tests.s3 import running_s3

ROOT = Path(__file__).resolve().parents[2]
NEEDS = re.compile(r"^<!-- needs: ([a-z0-9 _-]+) -->$", re.MULTILINE)
NAMED = re.compile(r"\bdocker run .*--name (\S+)")
INSTALLATION = "ai.fairlead.installation"


@contextmanager
def surroundings(page: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Variables for the reader, whose server's state is below `folder`."""
    found: dict[str, str] = {}
    with ExitStack() as until_the_end:
        for name in needs_of(page):
            if name == "docker":
                require_engine()
                until_the_end.enter_context(_cleared_engine(page, folder))
            elif name == "base":
                found["FAIRLEAD_IMAGE_BASE"] = str(require_base())
            elif name == "registry":
                found["REGISTRY"] = f"{until_the_end.enter_context(running_registry(folder / 'registry')).host}/team"
            elif name == "s3":
                require("moto", "s3fs")
                server = until_the_end.enter_context(running_s3(ROOT))
                found |= {"S3": server.environment["AWS_ENDPOINT_URL"], "BUCKET": server.make_bucket()}
            else:
                require(name)
        yield found


def needs_of(page: Path) -> list[str]:
    return [name for names in NEEDS.findall(page.read_text(encoding="utf-8")) for name in names.split()]


@contextmanager
def _cleared_engine(page: Path, folder: Path) -> Iterator[None]:
    """Of what a page that failed half way has left there."""
    try:
        yield
    finally:
        left = [("container", name) for name in NAMED.findall(page.read_text(encoding="utf-8"))]
        for installation in folder.glob("home/state/*/installation"):
            label = f"label={INSTALLATION}={installation.read_text().strip()}"
            left += [("container", each) for each in _listed("container", "--all", label)]
            left += [("volume", each) for each in _listed("volume", "--quiet", label)]
        for kind, each in sorted(left):  # containers before their volumes
            subprocess.run(["docker", kind, "rm", "--force", each], capture_output=True)


def _listed(kind: str, flag: str, label: str) -> list[str]:
    return subprocess.run(["docker", kind, "ls", "--quiet", flag, "--filter", label], capture_output=True, text=True, check=True).stdout.split()
