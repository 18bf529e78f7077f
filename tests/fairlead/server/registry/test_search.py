"""What filters find, on both databases."""

from __future__ import annotations

import pytest

from fairlead.client import models
from fairlead.client.transport import Transport
from fairlead.errors import UsageError
from fairlead.schemas.models import ModelChange
from fairlead.schemas.search import Search
from tests.fairlead.server.registry.given import registered

LONG = "x" * 4000


@pytest.fixture
def shop(owner: Transport) -> Transport:
    """churn:1 and :2, fraud:1, Fraud-eu:1, in this order."""
    registered(owner, tags={"stage": "trial", "rmse": "4.2", "note": LONG}, metrics={"auc": 0.8}, framework="ScikitLearn", lineage={"run_id": "r-1"})
    registered(owner, tags={"stage": "prod", "rmse": "10"}, metrics={"auc": 0.95, "f1": 0.5}, framework="ScikitLearn", properties={"build": "7"})
    registered(owner, "fraud", tags={"stage": "PROD", "rmse": "high"}, metrics={"auc": -1.0}, framework="Onnx", lineage={"run_id": "r-1"})
    datasets = [{"purpose": "training", "name": "clients", "digest": "d1"}]
    registered(owner, "Fraud-eu", tags={"note": LONG + "y", "100%": "a_b", "deux mots": "é"}, lineage={"datasets": datasets})
    return owner


def found(owner: Transport, asked: Search) -> list[str]:
    return [each.reference for each in models.search(owner, asked)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Search(), ["Fraud-eu:1", "fraud:1", "churn:2", "churn:1"]),
        (Search(name="CHURN"), ["churn:2", "churn:1"]),
        (Search(name="fraud*"), ["Fraud-eu:1", "fraud:1"]),
        (Search(name="nothing"), []),
        (Search(latest=True), ["Fraud-eu:1", "fraud:1", "churn:2"]),
        (Search(latest=True, tags=["stage=trial"]), []),
        (Search(tags=["stage"]), ["fraud:1", "churn:2", "churn:1"]),
        (Search(tags=["stage=prod"]), ["churn:2"]),
        (Search(tags=["stage", "rmse=10"]), ["churn:2"]),
        (Search(tags=[f"note={LONG}"]), ["churn:1"]),
        (Search(tags=["deux mots=é"]), ["Fraud-eu:1"]),
        (Search(properties=["build=7"]), ["churn:2"]),
        (Search(properties=["stage"]), []),
        (Search(framework="Onnx"), ["fraud:1"]),
        (Search(run_id="r-1"), ["fraud:1", "churn:1"]),
        (Search(dataset="clients"), ["Fraud-eu:1"]),
        (Search(dataset="d1", tags=["deux mots"]), ["Fraud-eu:1"]),
    ],
)
def test_filters(shop: Transport, asked: Search, expected: list[str]) -> None:
    assert found(shop, asked) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("metrics.auc > 0.9", ["churn:2"]),
        ("metrics.auc >= 0.8 and tags.stage = 'trial'", ["churn:1"]),
        ("metrics.auc != 0.8", ["fraud:1", "churn:2"]),
        ("not metrics.auc = 0.8", ["Fraud-eu:1", "fraud:1", "churn:2"]),
        ("metrics.auc < 0", ["fraud:1"]),
        ("metrics.nothing < 1e300", []),
        ("tags.stage = 'prod'", ["churn:2"]),
        ("tags.stage != 'prod'", ["fraud:1", "churn:1"]),
        ("not tags.stage = 'prod'", ["Fraud-eu:1", "fraud:1", "churn:1"]),
        ("tags.stage like 'PR%'", ["fraud:1", "churn:2"]),
        ("tags.rmse < 5", ["churn:1"]),
        ("tags.rmse = 10.0", ["churn:2"]),
        ("tags.rmse != 10", ["churn:1"]),
        ("tags.rmse < '5'", ["churn:2", "churn:1"]),
        (f"tags.note = '{LONG}'"[:3900] + "'", []),
        ("tags.`100%` like 'a\\_b'", ["Fraud-eu:1"]),
        ("tags.`100%` like 'a\\%b'", []),
        ("properties.build = '7' or framework = 'Onnx'", ["fraud:1", "churn:2"]),
        ("(run_id = 'r-1' or name = 'Fraud-EU') and not framework = 'Onnx'", ["Fraud-eu:1", "churn:1"]),
        ("name like 'fraud%'", ["Fraud-eu:1", "fraud:1"]),
        ("name like '%u%' and version = 1", ["Fraud-eu:1", "fraud:1", "churn:1"]),
        ("name != 'churn'", ["Fraud-eu:1", "fraud:1"]),
        ("name > 'churn'", ["Fraud-eu:1", "fraud:1"]),
        ("version > 1.5", ["churn:2"]),
        ("framework != 'Onnx'", ["churn:2", "churn:1"]),
        ("size > 6 and size < 8 and stage = 'registered'", ["Fraud-eu:1", "fraud:1", "churn:2", "churn:1"]),
        ("created_at < '2020-01-01'", []),
        ("created_at > '2020-01-01' and name = 'fraud'", ["fraud:1"]),
        ("created_by = 'nobody'", []),
        ("tags.stage = 'it''s; DROP TABLE models'", []),
    ],
)
def test_expressions(shop: Transport, where: str, expected: list[str]) -> None:
    assert found(shop, Search(where=where)) == expected


def test_lists_leave_out_what_is_large(owner: Transport) -> None:
    registered(owner, sample_input="[1]", requirements=["a==1"], model_schema={"inputs": [], "output": None})
    (listed,) = models.search(owner, Search())
    assert (listed.sample_input, listed.requirements, listed.model_schema) == (None, [], None)
    shown = models.show_version(owner, "churn")
    assert (shown.sample_input, shown.requirements, shown.model_schema) == ("[1]", ["a==1"], {"inputs": [], "output": None})


def test_what_a_version_loses_is_not_found_by_it(owner: Transport) -> None:
    registered(owner, tags={"stage": "trial"})
    models.change_version(owner, "churn:1", ModelChange(tags={"stage": None, "other": "1"}))
    assert found(owner, Search(tags=["stage"])) == []
    assert found(owner, Search(tags=["other=1"])) == ["churn:1"]
    models.delete_version(owner, "churn:1")
    assert found(owner, Search(tags=["other=1"])) == []


def test_pages_of_a_search_hold_each_version_once(owner: Transport) -> None:
    for _ in range(5):
        registered(owner, tags={"a": "1"})
    pages, after = [], None
    while True:
        page = owner.http.get(owner.path("model-versions"), params={"tag": "a=1", "limit": 2, **({"after": after} if after else {})}).json()
        pages.append([each["version"] for each in page["items"]])
        after = page["next"]
        if after is None:
            break
    assert pages == [[5, 4], [3, 2], [1]]


def test_names_come_in_order_with_what_their_versions_come_to(shop: Transport) -> None:
    models.move_alias(shop, "churn:1", "champion")
    models.move_alias(shop, "churn:2", "challenger")
    names = list(models.each_model(shop))
    assert [(each.name, each.latest_version, each.versions) for each in names] == [("churn", 2, 2), ("fraud", 1, 1), ("Fraud-eu", 1, 1)]
    assert names[0].aliases == {"challenger": 2, "champion": 1}
    assert [each.name for each in models.each_model(shop, "FRAUD*")] == ["fraud", "Fraud-eu"]
    assert models.show_model(shop, "CHURN") == names[0]


def test_workspaces_do_not_see_each_other(shop: Transport) -> None:
    other = Transport(shop.url, shop.http.headers["authorization"].removeprefix("Bearer "), "default")
    with other:
        assert not [each for each in models.search(other, Search(run_id="r-1")) if each.name == "fraud"]


def test_an_expression_that_is_none_is_refused_with_its_place(owner: Transport) -> None:
    with pytest.raises(UsageError, match=r"character 13: '0.9' is there, and =, !=, <"):
        found(owner, Search(where="metrics.auc 0.9"))
