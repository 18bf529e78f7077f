"""The bill of materials: CycloneDX 1.6, attached to its image, naming the wheels that are in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fairlead_scoring.bundle import Bundle

from fairlead.environments.requirement_lines import read_requirements
from fairlead.images.bases import open_base
from fairlead.images.building import ImageRecipe, build_image
from fairlead.images.layout import LayoutBlobs
from fairlead.images.types import PlatformImage
from tests.fairlead.images.made_bases import MadeBase

HASH = {
    "type": "object",
    "required": ["alg", "content"],
    "additionalProperties": False,
    "properties": {"alg": {"const": "SHA-256"}, "content": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
}
COMPONENT = {
    "type": "object",
    "required": ["type", "name", "bom-ref"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["container", "platform", "library", "machine-learning-model", "file"]},
        "bom-ref": {"type": "string", "minLength": 1},
        **{name: {"type": "string", "minLength": 1} for name in ("name", "version", "description")},
        "purl": {"type": "string", "pattern": "^pkg:(pypi|generic)/[a-z0-9._-]+@.+$"},
        "hashes": {"type": "array", "items": HASH, "minItems": 1},
        "licenses": {"type": "array", "maxItems": 1, "items": {"type": "object", "required": ["expression"]}},
        "properties": {"type": "array", "items": {"type": "object", "required": ["name", "value"]}},
        "components": {"type": "array", "items": {"$ref": "#/$defs/component"}},
    },
}
SHAPE = {  # of the specification's own schema, what we use of it; the whole was checked with OWASP's validator
    "$defs": {"component": COMPONENT},
    "type": "object",
    "required": ["bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"],
    "additionalProperties": False,
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {"pattern": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
        "version": {"type": "integer", "minimum": 1},
        "metadata": {"type": "object", "required": ["timestamp", "component"]},
        "components": {"type": "array", "items": {"$ref": "#/$defs/component"}},
        "dependencies": {"type": "array"},
    },
}


@pytest.fixture
def image(tmp_path: Path, bundle: Bundle, blobs: LayoutBlobs, image_cache: Path, locked: Callable[..., str]) -> PlatformImage:
    base = open_base(MadeBase().archive(tmp_path / "base.tar"), blobs, image_cache)
    return build_image(ImageRecipe(bundle=bundle.path, lock=locked("orjson", "threadpoolctl"), python="3.11", base=base), blobs, image_cache).platforms[0]


def test_is_cyclonedx(image: PlatformImage, blobs: LayoutBlobs) -> None:
    bill = bill_of(blobs, image)
    jsonschema.validate(bill, SHAPE)
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(set(references)) == len(references)
    assert bill["dependencies"] == [{"ref": "image", "dependsOn": references}]


def test_refers_to_its_image(image: PlatformImage, blobs: LayoutBlobs) -> None:
    assert image.sbom is not None
    manifest = document(blobs, image.sbom.digest)
    assert manifest["artifactType"] == image.sbom.artifact_type == "application/vnd.cyclonedx+json"
    assert manifest["subject"] == {"mediaType": image.manifest.media_type, "digest": f"sha256:{image.manifest.digest}", "size": image.manifest.size}
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    with blobs.open(manifest["config"]["digest"][7:]) as stream:
        assert stream.read() == b"{}"


def test_names_each_package_with_the_hash_of_its_wheel(image: PlatformImage, blobs: LayoutBlobs, locked: Callable[..., str]) -> None:
    packages = {each["name"]: each for each in bill_of(blobs, image)["components"] if each["type"] == "library" and each["bom-ref"].startswith("environment/")}
    lines = read_requirements(locked("orjson", "threadpoolctl")).locked
    assert packages.keys() == {"orjson", "threadpoolctl"}
    for line in lines:
        name, version = re.split(r"==|\s", line)[:2]
        package = packages[name]
        assert package["purl"] == f"pkg:pypi/{name}@{version}"
        assert package["hashes"][0]["content"] in line


def test_names_base_python_runtime_and_models(image: PlatformImage, blobs: LayoutBlobs, bundle: Bundle) -> None:
    components = {each["bom-ref"]: each for each in bill_of(blobs, image)["components"]}
    assert components["base"]["name"] == "made/base:1"
    assert components["python"]["version"] == "3.11.2"
    assert {"runtime/uvloop", "runtime/orjson", "runtime/fairlead-scoring"} <= components.keys()
    model = next(each for each in bundle.manifest.files if each.path.startswith("azureml-models/"))
    assert components["model/one/1"]["hashes"] == [{"alg": "SHA-256", "content": model.sha256}]


def bill_of(blobs: LayoutBlobs, image: PlatformImage) -> dict[str, Any]:
    assert image.sbom is not None
    return document(blobs, document(blobs, image.sbom.digest)["layers"][0]["digest"].removeprefix("sha256:"))


def document(blobs: LayoutBlobs, digest: str) -> dict[str, Any]:
    with blobs.open(digest) as stream:
        said: dict[str, Any] = json.loads(stream.read())
    return said
