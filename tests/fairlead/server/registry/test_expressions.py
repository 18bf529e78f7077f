"""The language of `where`: what it takes, and what it says of the rest."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UsageError
from fairlead.server.registry.expressions import LONGEST, Both, Comparison, Either, Negation, parse

AUC = Comparison("metrics", "auc", ">", 0.9)
PROD = Comparison("tags", "stage", "=", "prod")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.auc > 0.9", AUC),
        ("metrics.auc>.9", AUC),
        ("  metrics.auc > +9e-1 ", AUC),
        ("metrics.auc > 0.9 and tags.stage = 'prod'", Both((AUC, PROD))),
        ('metrics.auc > 0.9 AND tags.stage == "prod"', Both((AUC, PROD))),
        ("metrics.auc > 0.9 or tags.stage = 'prod' and metrics.auc > 0.9", Either((AUC, Both((PROD, AUC))))),
        ("(metrics.auc > 0.9 or tags.stage = 'prod') and metrics.auc > 0.9", Both((Either((AUC, PROD)), AUC))),
        ("not not tags.stage = 'prod'", Negation(Negation(PROD))),
        ("tags.stage <> 'it''s'", Comparison("tags", "stage", "!=", "it's")),
        ("tags.`my key` = 'a'", Comparison("tags", "my key", "=", "a")),
        ("properties.build.number <= 7", Comparison("properties", "build.number", "<=", 7.0)),
        ("name LIKE 'churn%'", Comparison("name", "", "like", "churn%")),
        ("version >= 3", Comparison("version", "", ">=", 3.0)),
        ("created_at < '2026-01-31'", Comparison("created_at", "", "<", datetime(2026, 1, 31, tzinfo=UTC))),
        ("created_at < '2026-01-31T12:00:00Z'", Comparison("created_at", "", "<", datetime(2026, 1, 31, 12, tzinfo=UTC))),
        ("tags.and = 'or'", Comparison("tags", "and", "=", "or")),
    ],
)
def test_reads(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "character 1: the end is there, and one of version, size, name"),
        ("metrics.auc", "character 12: the end is there, and =, !=, <, <=, >, >= should be"),
        ("metrics.auc >", "character 14: the end is there, and a number should be"),
        ("metrics.auc > 'high'", "character 15: \"'high'\" is there, and a number"),
        ("metrics.auc > 0.9 tags.stage = 'prod'", "character 19: 'tags.stage' is there, and `and`, `or` or the end"),
        ("metrics.auc like '0%'", "character 13: 'like' is there"),
        ("tags.stage = prod", "character 14: 'prod' is there, and a number, or a text in quotes,"),
        ("tags.stage = 'prod", 'character 14: "\'prod" is not understood; a text stands in quotes'),
        ("tags. = 1", "character 1: 'tags.' is there"),
        ("colour = 'red'", "character 1: 'colour' is there, and one of version, size, name"),
        ("(name = 'a'", "character 12: the end is there, and `)`"),
        ("name = 'a')", "character 11: ')' is there"),
        ("name = 7", "a text in quotes"),
        ("version = '7'", "a number"),
        ("version > 1e999", "a number"),
        ("created_at > 'yesterday'", "a date or time in quotes"),
        ("name like 'a\\'", "does not end in a single backslash"),
        ("name = 'a\0'", "a text in quotes"),
        ("name = 'a'; drop table models", "character 11: '; drop table models' is not understood"),
        ("-- name", "character 1"),
        ("(" * 30 + "name = 'a'" + ")" * 30, "nests deeper than 20 at character 21"),
        (" and ".join(["name = 'a'"] * 51), "more than 50 comparisons"),
        ("x" * (LONGEST + 1), "4001 characters; 4000 are the most"),
    ],
)
def test_says_where_it_does_not_understand(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert says in str(refused.value)


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["name", "tags.a", "metrics.b", "=", "<", "like", "'x'", "1.5", "and", "or", "not", "(", ")"])).map(" ".join)
)
def test_never_fails_otherwise(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse(text)
