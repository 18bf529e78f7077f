"""Registering, showing, changing, deleting versions, over HTTP, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import Changed, Conflict, InUse, InvalidTree, NotFound, TooLarge, UsageError
from fairlead.schemas.models import ModelChange, ModelVersion
from fairlead.schemas.search import Search
from fairlead.stores import Tree, TreeFile
from tests.fairlead.server.registry.given import new, registered, small_tree, tree_with, uploaded

EVERYTHING: dict[str, Any] = {
    "description": "Who leaves. ✓",
    "tags": {"stage": "trial", "empty": ""},
    "properties": {"build": "1042"},
    "metrics": {"auc": 0.91, "loss": -1e-9},
    "framework": "ScikitLearn",
    "framework_version": "1.7.0",
    "flavor": "scikit-learn",
    "requirements": ["scikit-learn==1.7.0"],
    "python": "3.11",
    "model_schema": {"inputs": [{"name": "data", "type": {"kind": "tensor", "dtype": "float64", "shape": [-1, 2]}}], "output": None},
    "sample_input": '{"data": [[1, 2]]}',
    "sample_output": "[1]",
    "lineage": {"run_id": "run-7", "git_commit": "0a1b2c", "git_dirty": True, "datasets": [{"purpose": "training", "name": "customers", "digest": "ab"}]},
    "resources": {"cpu": 0.5, "memory_gb": 2.0, "gpu": 0},
}


def test_a_version_is_shown_as_it_was_registered(owner: Transport) -> None:
    made = registered(owner, **EVERYTHING)
    assert (made.reference, made.stage, made.files, made.size, made.aliases) == ("churn:1", "registered", 1, len("weights"), [])
    shown = models.show_version(owner, "churn:1")
    assert shown == made
    said = shown.model_dump()
    for name, value in EVERYTHING.items():
        if name not in ("lineage", "model_schema"):
            assert said[name] == value
    assert shown.lineage.datasets[0].name == "customers"
    assert models.show_version(owner, "CHURN").id == made.id


def test_versions_count_from_one_and_a_deleted_number_does_not_come_back(owner: Transport) -> None:
    assert [registered(owner).version for _ in range(3)] == [1, 2, 3]
    models.delete_version(owner, "churn:3")
    assert models.show_version(owner, "churn").version == 2
    assert registered(owner).version == 4
    assert [each.version for each in models.each_version(owner, "churn")] == [4, 2, 1]
    with pytest.raises(NotFound, match=r"no churn:3; 'churn' has 3 versions, the last registered is 4"):
        models.show_version(owner, "churn:3")


def test_a_create_that_is_sent_twice_registers_once(owner: Transport) -> None:
    key = {"idempotency-key": "k-registered"}
    first = owner.send(ModelVersion, "POST", owner.path("models"), body=new(owner), headers=key)
    again = owner.send(ModelVersion, "POST", owner.path("models"), body=new(owner), headers=key)
    assert (first.value, again.headers.get("idempotency-replayed")) == (again.value, "true")
    with pytest.raises(Conflict, match="Idempotency-Key"):
        owner.send(ModelVersion, "POST", owner.path("models"), body=new(owner, description="other"), headers=key)
    assert len(list(models.each_version(owner, "churn"))) == 1


def test_names_that_differ_in_case_are_one(owner: Transport) -> None:
    registered(owner, "Churn")
    with pytest.raises(Conflict, match="There is a model 'Churn'"):
        registered(owner, "churn")
    assert registered(owner, "Churn").version == 2


def test_only_what_the_workspace_uploaded_itself_can_be_registered(owner: Transport) -> None:
    with pytest.raises(UsageError, match="is not in this workspace; upload the model's files"):
        registered(owner, tree="0" * 64)
    file = tree_with(model="weights of somebody else").files[0]
    with pytest.raises(UsageError, match=r"The content of model \([0-9a-f]{64}\) is not in this workspace"):
        registered(owner, tree=_uploaded_bytes(owner, Tree((file,))))
    known = tree_with(model="weights").files[0]
    uploaded(owner)
    with pytest.raises(InvalidTree, match="says model has 1 bytes, and its content has 7"):
        registered(owner, tree=_uploaded_bytes(owner, Tree((TreeFile("model", 1, known.sha256),))))
    with pytest.raises(InvalidTree, match="is no tree"):
        registered(owner, tree=known.sha256)
    with pytest.raises(NotFound):
        models.show_model(owner, "churn")


def _uploaded_bytes(owner: Transport, tree: Tree) -> str:
    return uploaded(owner, tree=tree.to_bytes().decode()) and tree.digest


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"name": "-x"}, "body.name"),
        ({"name": "a/b"}, "body.name"),
        ({"tree": "short"}, "body.tree"),
        ({"tags": {"": "x"}}, "body.tags"),
        ({"tags": {"a": 1}}, "body.tags.a"),
        ({"tags": {"a": "\0"}}, "'tags.a' holds a NUL character"),
        ({"metrics": {"auc": "high"}}, "body.metrics.auc"),
        ({"metrics": {"auc": 1e999}}, "'metrics.auc' is no number"),
        ({"version": 7}, "body.version"),
        ({"resources": {"cpu": 0}}, "body.resources.cpu"),
        ({"lineage": {"parent": "a b"}}, "names no model"),
        ({"framework": "x" * 256}, "body.framework"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(owner: Transport, said: dict[str, Any], where: str) -> None:
    body = {"name": "churn", "tree": small_tree(owner), **said}
    answer = owner.http.post(owner.path("models"), content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert where in answer.json()["detail"]


def test_tags_change_and_properties_do_not(owner: Transport) -> None:
    registered(owner, tags={"stage": "trial", "old": "1"}, properties={"build": "1"}, metrics={"auc": 0.5})
    changed = models.change_version(
        owner,
        "churn:1",
        ModelChange(tags={"stage": "prod", "old": None, "new": "2"}, properties={"build": "1", "host": "a"}, metrics={"auc": 0.6, "f1": 0.7}, description="d"),
    )
    assert changed.tags == {"stage": "prod", "new": "2"}
    assert changed.properties == {"build": "1", "host": "a"}
    assert (changed.metrics, changed.description) == ({"auc": 0.6, "f1": 0.7}, "d")
    with pytest.raises(Conflict, match=r"'build' of churn:1 is '1' for good"):
        models.change_version(owner, "churn:1", ModelChange(properties={"build": "2"}, tags={"never": "written"}))
    shown = models.show_version(owner, "churn:1")
    assert shown == changed
    cleared = models.change_version(owner, "churn:1", ModelChange(description=None, resources=None))
    assert (cleared.description, cleared.resources, cleared.tags) == ("", None, changed.tags)


def test_data_sets_are_added_once(owner: Transport) -> None:
    registered(owner, lineage={"datasets": [{"purpose": "training", "name": "a"}]})
    change = ModelChange.model_validate({"datasets": [{"purpose": "training", "name": "a"}, {"purpose": "test", "name": "b", "digest": "x"}]})
    for _ in range(2):
        changed = models.change_version(owner, "churn:1", change)
    assert [(each.purpose, each.name, each.digest) for each in changed.lineage.datasets] == [("training", "a", None), ("test", "b", "x")]
    assert [each.version for each in models.search(owner, Search(dataset="x"))] == [1]


def test_a_version_holds_so_much_and_no_more(owner: Transport) -> None:
    registered(owner, tags={f"t{number}": "" for number in range(150)})
    with pytest.raises(TooLarge, match="would have 250 tags; 200 are the most"):
        models.change_version(owner, "churn:1", ModelChange(tags={f"u{number}": "" for number in range(100)}))


def test_nobody_changes_what_has_changed_since_they_looked(owner: Transport) -> None:
    registered(owner)
    seen = models.show_tagged(owner, "churn:1")
    models.change_version(owner, "churn:1", ModelChange(tags={"a": "1"}), etag=seen.etag)
    with pytest.raises(Changed, match="churn:1 has changed since you read it"):
        models.change_version(owner, "churn:1", ModelChange(tags={"a": "2"}), etag=seen.etag)
    with pytest.raises(Changed):
        models.delete_version(owner, "churn:1", etag=seen.etag)
    assert models.show_version(owner, "churn:1").tags == {"a": "1"}


def test_archived_versions_are_not_the_latest(owner: Transport) -> None:
    registered(owner), registered(owner)
    archived = models.change_version(owner, "churn:2", ModelChange(archived=True))
    assert (archived.archived, archived.stage) == (True, "archived")
    assert models.show_version(owner, "churn").version == 1
    assert [each.version for each in models.search(owner, Search(latest=True))] == [1]
    models.change_version(owner, "churn:1", ModelChange(archived=True))
    with pytest.raises(NotFound, match=r"'churn' has no latest version: all its versions are archived or deleted"):
        models.show_version(owner, "churn")
    assert models.change_version(owner, "churn:1", ModelChange(archived=False)).stage == "registered"
    assert models.show_version(owner, "churn").version == 1
    assert [each.version for each in models.search(owner, Search(archived=True))] == [2]
    assert [each.version for each in models.search(owner, Search(archived=None))] == [2, 1]


def test_a_name_goes_with_all_its_versions_and_begins_anew(owner: Transport) -> None:
    before = registered(owner, tags={"a": "1"})
    registered(owner)
    models.move_alias(owner, "churn:1", "champion")
    models.delete_model(owner, "churn")
    for asked in ("churn", "churn:1", "churn@champion"):
        with pytest.raises(NotFound, match="There is no model 'churn'"):
            models.show_version(owner, asked)
    assert list(models.search(owner, Search(tags=["a"]))) == []
    again = registered(owner)
    assert (again.version, again.id != before.id) == (1, True)
    assert [each.event for each in models.each_model_event(owner, "churn")] == ["registered"]


def test_a_version_that_an_alias_names_is_not_deleted(owner: Transport) -> None:
    registered(owner)
    models.move_alias(owner, "churn:1", "champion")
    with pytest.raises(InUse, match=r"churn:1 is churn@champion; move the alias"):
        models.delete_version(owner, "churn:1")
    models.delete_alias(owner, "churn", "champion")
    models.delete_version(owner, "churn:1")


def test_files_come_in_pages(owner: Transport) -> None:
    tree = uploaded(owner, **{f"part-{number}": str(number) for number in range(5)})
    registered(owner, tree=tree)
    page = owner.http.get(owner.path("models", "churn", "versions", "1", "files"), params={"limit": 2}).json()
    assert [each["path"] for each in page["items"]] == ["part-0", "part-1"]
    assert [each.path for each in models.each_file(owner, "churn:1")] == [f"part-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("models/absent", 404, "There is no model 'absent'"),
        ("models/a%00b", 400, "holds a NUL character"),
        ("models/churn/versions/0", 400, "'0' is no version"),
        ("models/churn/versions/9999999999", 400, "is no version"),
        ("models/churn/versions/@absent", 404, "has no alias 'absent'"),
        ("models/churn/versions/2", 404, "'churn' has 1 version, the last registered is 1"),
        ("models/churn/versions/1/diff?with=absent:1", 404, "There is no model 'absent'"),
        ("models/churn/versions/1/diff", 400, "query.with"),
        ("models/churn/aliases/@x", 400, "path.alias"),
        ("models/churn/aliases/absent", 404, "has no alias 'absent'"),
        ("models?after=WyJhIl0", 200, ""),
        ("models?after=WzFd", 400, "no cursor"),
        ("models/churn/versions?after=WyJhIl0", 400, "no cursor"),
        ("models/churn/versions?after=WzQwMDAwMDAwMDBd", 400, "no cursor"),
        ("models?name=%00", 400, "holds a NUL character"),
        ("model-versions?tag=%3Dx", 400, "names no tag"),
        ("model-versions?run_id=%00", 400, "holds a NUL character"),
        ("model-versions?where=metrics.auc", 400, "the end is there"),
    ],
)
def test_strange_addresses_are_answered_in_a_sentence(owner: Transport, path: str, status: int, says: str) -> None:
    registered(owner)
    answer = owner.http.get(f"{owner.path()}/{path}")
    assert answer.status_code == status, answer.text
    assert says in answer.json().get("detail", "")
