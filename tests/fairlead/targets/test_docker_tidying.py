"""What is cleared up in an engine that others use too: images that this installation brought, volumes and routes that were left. Nothing else."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from fairlead.targets.types import Image
from tests.fairlead.targets.bench import PLAIN
from tests.fairlead.targets.contract import settled
from tests.fairlead.targets.docker_bench import DockerBench

pytestmark = pytest.mark.engine

AGED = 7200.0


def age(bench: DockerBench, image: Image) -> Path:
    """As if nobody had needed it for hours."""
    mark = bench.state / "images" / f"{image.id}.json"
    os.utime(mark, (time.time() - AGED, time.time() - AGED))
    return mark


def engine_has(image: Image) -> bool:
    return subprocess.run(["docker", "image", "inspect", f"sha256:{image.id}"], capture_output=True).returncode == 0


def test_an_image_goes_once_no_service_needs_it_and_no_sooner(docker: DockerBench) -> None:
    service = docker.service(PLAIN.format(version="tidied"))
    assert service.image is not None
    image = service.image
    docker.target.apply(service)
    settled(docker.target, service.handle)
    mark = age(docker, image)
    assert docker.target.tidy(set(), 0, dry_run=False) == [], "the service runs here, whatever the rows say"
    assert time.time() - mark.stat().st_mtime < AGED / 2, "needed now"
    docker.target.end(service.handle)
    assert docker.target.tidy(set(), 0, dry_run=False) == [], "it was needed a moment ago"
    age(docker, image)
    assert docker.target.tidy({image.id}, 0, dry_run=False) == [], "another target's service needs it"
    age(docker, image)
    assert docker.target.tidy(set(), 2 * AGED, dry_run=False) == []
    assert docker.target.tidy(set(), 0, dry_run=True) == [image]
    assert engine_has(image)
    assert docker.target.tidy(set(), 0, dry_run=False) == [image]
    assert (engine_has(image), mark.exists()) == (False, False)


def test_what_others_brought_or_use_stays(docker: DockerBench) -> None:
    theirs, ours = (docker.gallery.image(PLAIN.format(version=version)) for version in ("theirs", "shared"))
    docker.engine.load(docker.gallery.archive(theirs, ()), theirs.name)
    for number, image in enumerate((theirs, ours)):
        docker.target.apply(docker.service(handle=f"fl-0000000{number}", name=f"churn{number}", image=image))
        settled(docker.target, f"fl-0000000{number}")
        docker.target.forget(f"fl-0000000{number}")
    assert [path.stem for path in (docker.state / "images").glob("*.json")] == [ours.id]
    subprocess.run(["docker", "tag", ours.name, "fairlead-test/kept:1"], check=True)
    try:
        age(docker, ours)
        assert docker.target.tidy(set(), 0, dry_run=False) == [], "somebody has named it"
    finally:
        subprocess.run(["docker", "rmi", "fairlead-test/kept:1"], check=True, capture_output=True)
    made = subprocess.run(["docker", "create", "--label", "fairlead-test", ours.name], check=True, capture_output=True, text=True).stdout.strip()
    try:
        assert docker.target.tidy(set(), 0, dry_run=False) == [], "somebody has a container of it"
    finally:
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    assert docker.target.tidy(set(), 0, dry_run=False) == [ours]
    assert engine_has(theirs)


def test_volumes_and_containers_that_nobody_knows_go(docker: DockerBench) -> None:
    service = docker.service()
    docker.target.apply(service)
    settled(docker.target, service.handle)
    for lost in (f"{service.handle}.0.9.lost", "fl-0000000f.1.1.lost"):
        docker.engine.create_volume(lost, {**docker.labels, "ai.fairlead.handle": lost.partition(".")[0]})
    docker.target.tidy(set(), 0, dry_run=False)
    assert len(docker.engine.volumes(docker.labels)) == 1
    assert docker.target.handles() == [service.handle]
    (docker.state / service.handle / "service.json").unlink()
    assert docker.target.handles() == [service.handle], "its container and its route are there"
    docker.target.end(service.handle)
    assert (docker.target.handles(), docker.containers(), docker.engine.volumes(docker.labels)) == ([], [], [])
