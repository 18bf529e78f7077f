"""Images of a workspace, for tests that begin with some: a script and a small model upon the base of the tests."""

from __future__ import annotations

import functools
from typing import Any

from fairlead.client import images
from fairlead.client.transport import Transport
from fairlead.schemas.bases import BaseWish
from fairlead.schemas.images import Image, NewImage
from fairlead.schemas.services import Code
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from tests.containers import require_base
from tests.fairlead.server.registry.given import registered, uploaded

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return {answer}\n"


@functools.cache
def base(owner: Transport) -> BaseWish:
    """The base of the tests, uploaded; that of the server by itself is the same."""
    archive = require_base()
    return BaseWish(tree=upload_tree(owner, tree_of(archive), archive))


def script(owner: Transport, answer: object = 1) -> Code:
    return Code(tree=uploaded(owner, **{"score.py": SCRIPT.format(answer=answer)}), entry_script="score.py")


def wish(owner: Transport, **said: Any) -> NewImage:
    """Without `models`: of one that is registered first."""
    require_base()
    if "models" not in said:
        registered(owner, "churn")
        said["models"] = ["churn:1"]
    return NewImage.model_validate({"code": script(owner), **said})


def built(owner: Transport, **said: Any) -> Image:
    """Once it is ready, or has failed."""
    return settled(owner, images.create(owner, wish(owner, **said)))


def settled(owner: Transport, image: Image, timeout: float = 300.0) -> Image:
    last = list(images.changes(owner, image.id, timeout=timeout))[-1]
    assert last.is_settled, f"{image.name} is still {last.state} ({last.stage}): {last.message}"
    return last
