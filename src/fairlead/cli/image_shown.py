"""How an image looks to a person, at 80 characters."""

from __future__ import annotations

from typing import Any

from fairlead.cli.output import size
from fairlead.schemas.images import Image

SHORT = 12  # of a digest


def named(image: Image) -> str:
    """`churn:3`; the name alone while there is no version."""
    return image.name if image.version is None else image.reference


def facts(image: Image) -> list[tuple[str, Any]]:
    """Label and value, those that are known."""
    return [
        ("name", named(image)),
        ("label", image.label),
        ("state", image.state + (f", {image.stage.value}" if image.stage and not image.is_settled else "")),
        ("because", image.failure and f"{image.failure.message}"),
        ("message", image.message if image.state in ("pending", "running") else None),
        ("note", image.message if image.state == "ready" else None),
        ("digest", image.digest and f"sha256:{image.digest}"),
        ("size", None if image.size is None else size(image.size)),
        ("models", image.models),
        ("platforms", [f"{each.platform} (Python {each.python_version}, {each.libc})" for each in image.platforms]),
        ("base", image.base),
        ("bundle", image.bundle_digest and image.bundle_digest[:SHORT]),
        ("lock", image.environment_lock and image.environment_lock[:SHORT]),
        ("sbom", [f"sha256:{each.sbom}" for each in image.platforms if each.sbom]),
        ("signed", [f"{each.signed_at:%Y-%m-%d %H:%M:%S} by {each.signed_by or '-'}" for each in image.signatures]),
        ("commit", image.git_commit and image.git_commit[:SHORT] + (" with changes" if image.git_dirty else "")),
        ("tags", image.tags),
        ("description", image.description),
        ("created", f"{image.created_at:%Y-%m-%d %H:%M:%S} by {image.created_by or '-'}"),
        ("id", image.id),
    ]


def layers(image: Image) -> list[tuple[Any, ...]]:
    """A row for each layer; with several platforms, its platform before it."""
    rows: list[tuple[Any, ...]] = []
    for each in image.platforms:
        where = f"{each.platform} " if len(image.platforms) > 1 else ""
        rows += [(where + layer.what, size(layer.size), layer.digest[:SHORT], "reused" if layer.reused else "new") for layer in each.layers]
    return rows


def run_lines(image: Image, *, written: str | None = None, pushed: str = "", loaded: bool = False) -> list[str]:
    """How to run it, from where it is."""
    tag = image.label or str(image.version)
    name = pushed or f"{image.name}:{tag}"
    first: list[str] = []
    if pushed:
        first = [f"docker pull {pushed}"]
    elif written is not None and not loaded:
        first = [f"docker load -i {written}" if written.endswith(".tar") else f"skopeo copy oci:{written}:{tag} docker-daemon:{name}"]
    elif not loaded:
        first = [f"fairlead image pull {named(image)}"]
    call = "curl 127.0.0.1:5001/score -H content-type:application/json -d @request.json"
    return ["", "Run it:", *(f"  {line}" for line in (*first, f"docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:5001:5001 {name}", call))]


def build_lines(image: Image, folder: str) -> list[str]:
    """How to build and run what a Dockerfile says."""
    name = f"{image.name}:{image.label or image.version}"
    return ["", "Build and run it:", f"  docker build -t {name} {folder}", f"  docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:5001:5001 {name}"]
