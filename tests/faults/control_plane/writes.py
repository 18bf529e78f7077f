"""What a client does to a server while it is killed: add a `Write` to a scenario, or a scenario, when there is a new fault point.

A write must bear being done again after an attempt of which nobody knows how it ended.
"""

from __future__ import annotations

import functools
from contextlib import suppress

import httpx2

from fairlead.client import access, blobs, environments, images, models, services
from fairlead.errors import Conflict, NotFound
from fairlead.images.signing import sign
from fairlead.images.signing_keys import generate_key_pair, load_private_key
from fairlead.schemas.access import NewToken, NewWorkspace, WorkspaceChange
from fairlead.schemas.images import NewImage, NewSignature
from fairlead.schemas.models import ModelChange, NewModelVersion
from fairlead.schemas.services import Code, NewService, ServiceChange, ServiceState
from fairlead.schemas.services import Settings as ServiceSettings
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from tests.containers import require_base
from tests.faults.control_plane.data import DATA
from tests.faults.control_plane.jobs import JOBS
from tests.faults.control_plane.world import World, Write, folder_with

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return {answer}\n"


def _first(world: World) -> str:
    return f"{world.name('churn')}:1"


# Accounts


def _create_workspace(world: World) -> None:
    with world.owner() as owner, suppress(Conflict):
        access.create_workspace(owner, NewWorkspace(name=world.name("team")))


def _has_workspace(world: World) -> bool:
    with world.owner() as owner:
        return world.name("team") in [each.name for each in access.list_workspaces(owner)]


def _describe_workspace(world: World) -> None:
    with world.owner() as owner:
        access.change_workspace(owner, world.name("team"), WorkspaceChange(description="ours"))


def _is_described(world: World) -> bool:
    with world.owner() as owner:
        return _has_workspace(world) and access.show_workspace(owner, world.name("team")).description == "ours"


def _create_token(world: World) -> None:
    with world.owner() as owner:
        access.create_token(owner, NewToken(name=world.name("token"), principal=world.name("robot"), role="reader"))


def _has_token(world: World) -> bool:
    with world.owner() as owner:
        return any(each.name == world.name("token") for each in access.list_tokens(owner))


def _set_secret(world: World) -> None:
    with world.owner() as owner:
        access.set_secret(owner, world.name("secret"), "hidden")


def _has_secret(world: World) -> bool:
    with world.owner() as owner:
        return any(each.name == world.name("secret") for each in access.list_secrets(owner))


ACCOUNTS = (
    Write("create a workspace", _create_workspace, _has_workspace),
    Write("describe it", _describe_workspace, _is_described),
    Write("create a token", _create_token, _has_token),
    Write("set a secret", _set_secret, _has_secret),
)


# Registry


def _register(world: World, name: str) -> None:
    folder = folder_with(world, name, model=f"weights of {world.round}", labels__txt="yes\nno\n")
    with world.owner() as owner:
        tree = upload_tree(owner, tree_of(folder), folder)
        models.register(owner, NewModelVersion(name=world.name("churn"), tree=tree, tags={"write": name}, metrics={"auc": 0.9}))


def _is_registered(world: World, name: str) -> bool:
    """Perhaps twice, when nobody knew how the first attempt ended; each whole, and numbered without gaps."""
    with world.owner() as owner:
        try:
            found = list(models.each_version(owner, world.name("churn")))
        except NotFound:
            return False
        assert sorted(each.version for each in found) == list(range(1, len(found) + 1))
        for each in found:
            assert {file.path for file in models.each_file(owner, f"{each.name}:{each.version}")} == {"model", "labels.txt"}
        return any(each.tags.get("write") == name and each.metrics == {"auc": 0.9} for each in found)


def _change(world: World) -> None:
    with world.owner() as owner:
        models.change_version(owner, _first(world), ModelChange(description="changed", tags={"stage": "tried"}))


def _is_changed(world: World) -> bool:
    with world.owner() as owner:
        found = models.show_version(owner, _first(world))
        changed = (found.description == "changed", found.tags.get("stage") == "tried")
        assert changed in ((True, True), (False, False)), "half a change"
        return all(changed)


def _move_alias(world: World) -> None:
    with world.owner() as owner:
        models.move_alias(owner, _first(world), "champion")


def _has_alias(world: World) -> bool:
    with world.owner() as owner, suppress(NotFound):
        return models.show_alias(owner, world.name("churn"), "champion").version == 1
    return False


def _delete(world: World) -> None:
    with world.owner() as owner, suppress(NotFound):
        models.delete_version(owner, f"{world.name('churn')}:2")


def _is_deleted(world: World) -> bool:
    with world.owner() as owner:
        try:
            models.show_version(owner, f"{world.name('churn')}:2")
        except NotFound:
            return True
        return False


REGISTRY = (
    Write("register a version", functools.partial(_register, name="first"), functools.partial(_is_registered, name="first")),
    Write("change it", _change, _is_changed),
    Write("move an alias to it", _move_alias, _has_alias),
)
DELETION = (
    Write("register a version", functools.partial(_register, name="first"), functools.partial(_is_registered, name="first")),
    Write("register another", functools.partial(_register, name="second"), functools.partial(_is_registered, name="second")),
    Write("delete it", _delete, _is_deleted),
)


# Environments


def _create_environment(world: World) -> None:
    with world.owner() as owner:
        environments.create(owner, world.name("plain"), {"python": "3.11"})


def _has_environment(world: World) -> bool:
    with world.owner() as owner, suppress(NotFound):
        return environments.show(owner, world.name("plain")).version == 1
    return False


ENVIRONMENTS = (Write("create an environment", _create_environment, _has_environment),)


# Services


def _code(world: World, answer: int) -> Code:
    folder = folder_with(world, f"script-{answer}", score__py=SCRIPT.format(answer=answer))
    with world.owner() as owner:
        return Code(tree=upload_tree(owner, tree_of(folder), folder), entry_script="score.py")


def _deploy(world: World) -> None:
    """With a model, so that its use is noted."""
    if not _is_registered(world, "first"):
        _register(world, "first")
    new = NewService(name=world.name("api"), models=[_first(world)], code=_code(world, 1), auth="key")
    with world.owner() as owner:
        with suppress(Conflict):
            services.deploy_service(owner, new)
        list(services.changes(owner, new.name, timeout=60))


def _answers(world: World, answer: int) -> bool:
    """It scores, with its key, over HTTP."""
    with world.owner() as owner:
        try:
            found = services.show_service(owner, world.name("api"))
        except NotFound:
            return False
        if not found.is_settled:
            found = list(services.changes(owner, found.name, timeout=60))[-1]
        assert found.state is ServiceState.HEALTHY, (found.state, found.message, found.update_error)
        key = services.show_keys(owner, found.name).primary
    said = httpx2.post(str(found.scoring_uri), json={"data": 1}, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=30)
    assert said.status_code == 200, said.text
    return bool(said.json() == answer)


def _update(world: World) -> None:
    with world.owner() as owner:
        with suppress(Conflict):
            services.change_service(owner, world.name("api"), ServiceChange(code=_code(world, 2), settings=ServiceSettings(workers=1)))
        list(services.changes(owner, world.name("api"), timeout=60))


def _regenerate(world: World) -> None:
    with world.owner() as owner:
        services.regenerate_key(owner, world.name("api"), "secondary", f"a-key-of-round-{world.round}")


def _has_key(world: World) -> bool:
    with world.owner() as owner:
        return services.show_keys(owner, world.name("api")).secondary == f"a-key-of-round-{world.round}"


def _deploy_with_tokens(world: World) -> None:
    new = NewService(name=world.name("api"), code=_code(world, 1), auth="token")
    with world.owner() as owner:
        with suppress(Conflict):
            services.deploy_service(owner, new)
        list(services.changes(owner, new.name, timeout=60))


def _gives_tokens(world: World) -> bool:
    with world.owner() as owner:
        try:
            return bool(services.make_access_token(owner, world.name("api")).access_token)
        except NotFound:
            return False


def _make_token(world: World) -> None:
    with world.owner() as owner:
        services.make_access_token(owner, world.name("api"))


def _leave(world: World) -> None:
    with world.owner() as owner, suppress(NotFound):
        services.wait_gone(owner, services.delete_service(owner, world.name("api")), timeout=60)


def _is_gone(world: World) -> bool:
    """And what it used can be deleted."""
    with world.owner() as owner:
        try:
            services.show_service(owner, world.name("api"))
        except NotFound:
            return not list(models.each_use(owner, _first(world), current=True))
        return False


# Images


def _package(world: World) -> None:
    """A script alone: what is asked for twice is one image."""
    require_base()
    new = NewImage(name=world.name("packed"), code=_code(world, 1))
    with world.owner() as owner:
        list(images.changes(owner, images.create(owner, new).id, timeout=60))


def _is_packaged(world: World) -> bool:
    """Once, and whole."""
    with world.owner() as owner:
        found = list(images.each(owner, name=world.name("packed")))
        while any(not each.is_settled for each in found):
            found = [list(images.changes(owner, each.id, timeout=60))[-1] for each in found]
        assert len({each.id for each in found}) <= 1
        for each in found:
            whole = images.show(owner, each.id)
            assert (whole.state, whole.version) == ("ready", 1), (whole.state, whole.message)
            assert not blobs.list_missing(owner, list(whole.blobs))
        return bool(found)


def _sign_image(world: World) -> None:
    with world.owner() as owner:
        image = images.show(owner, world.name("packed"))
        made = sign("packed", str(image.digest), load_private_key(_KEY.private))
        images.sign(owner, image.id, NewSignature(payload=made.payload.decode(), value=made.value))


def _is_signed(world: World) -> bool:
    with world.owner() as owner:
        return bool(images.show(owner, world.name("packed")).signatures)


def _delete_image(world: World) -> None:
    with world.owner() as owner, suppress(NotFound):
        images.delete(owner, world.name("packed"))


def _has_no_image(world: World) -> bool:
    with world.owner() as owner:
        return not list(images.each(owner, name=world.name("packed")))


_KEY = generate_key_pair()
IMAGES = (
    Write("package an image", _package, _is_packaged),
    Write("sign it", _sign_image, _is_signed),
    Write("delete it", _delete_image, _has_no_image, undoes=("package an image", "sign it")),
)
DEPLOY = (Write("deploy a service", _deploy, functools.partial(_answers, answer=1)),)
UPDATE = (
    *DEPLOY,
    Write("change a key", _regenerate, _has_key),
    Write("update it", _update, functools.partial(_answers, answer=2), undoes=("deploy a service",)),
)
END = (*DEPLOY, Write("delete it", _leave, _is_gone, undoes=("deploy a service",)))
TOKENS = (Write("deploy a service with tokens", _deploy_with_tokens, _gives_tokens), Write("make a token", _make_token, _gives_tokens))
SCENARIOS = {
    "accounts": ACCOUNTS,
    "registry": REGISTRY,
    "deletion": DELETION,
    "environments": ENVIRONMENTS,
    "deploy": DEPLOY,
    "update": UPDATE,
    "end": END,
    "tokens": TOKENS,
    "images": IMAGES,
    "jobs": JOBS,
    "data": DATA,
}
