"""Names of features: safe as columns, distinct, and never one for two meanings."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from features.catalogue import catalogue, described, slugs
from features.declaration import Data
from features.errors import DataError
from features.faults import explain
from features.observations import BOOKED, IDENTITY
from tests.spec.drawn import data_for, table
from tests.unit.small_log import run, small_log, sources

EVENTS = ("events", "Users", "core events", "a.b", "a b", "a_b", "a_b_2", "", "漢字", "category_x")


def test_slugs_are_distinct_and_safe() -> None:
    found = slugs(EVENTS)
    assert len(set(found.values())) == len(EVENTS)
    assert all(slug and set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for slug in found.values())


def test_an_event_never_takes_the_name_of_an_overall_feature(tmp_path: Path) -> None:
    tables = {
        "accounts": table("account_id | signed_up_at\na | 2024-01-01"),
        "events": table("account_id | event | occurred_at\na | events | 2024-01-02"),
    }
    names = [name for name in EVENTS if name]
    data = data_for(
        tmp_path,
        tables,
        events={"core": names, "categories": {"x": ["a.b", "a_b"], "y": ["a b", "events"]}},
        features={"events": names, "windows_days": [30], "event_windows_days": [30, 90]},
    )
    found = catalogue(data, has_users=True, has_seats=True, has_revenue=False)
    specs = {spec.name: spec for spec in found}
    assert len(specs) == len(found)
    assert specs["events_30d"].events is None
    assert specs["events_2_30d"].events == ("events",)
    assert specs["category_x_30d"].events == ("a.b", "a_b")
    assert specs["category_x_2_30d"].events == ("category_x",)
    per_event = [spec for spec in specs.values() if spec.events and len(spec.events) == 1 and not spec.trend]
    assert {spec.events for spec in per_event} == {(name,) for name in names}


def data_with(tmp_path: Path, *extras: dict[str, Any]) -> Data:
    tables = {
        "accounts": table("account_id | signed_up_at\na | 2024-01-01"),
        "events": table("account_id | event | occurred_at\na | login | 2024-01-02"),
    }
    events = {"core": ["login"], "categories": {"entry": ["login", "signup"]}}
    return data_for(tmp_path, tables, events=events, features={"events": ["login"], "extras": list(extras)})


def test_an_extra_is_a_column_with_its_meaning(tmp_path: Path) -> None:
    data = data_with(
        tmp_path,
        {
            "name": "entry_share",
            "aggregation": "count",
            "category": "entry",
            "window_days": 60,
            "per": "events",
        },
        {
            "name": "first_login",
            "aggregation": "days_to_first",
            "events": ["login"],
            "description": "First day",
        },
    )
    specs = catalogue(data, has_users=False, has_seats=False, has_revenue=False)
    found = {row["name"]: row for row in described(specs)}
    assert found["entry_share"] == {
        "name": "entry_share", "unit": "share", "category": "entry",
        "description": "Events of the category entry in the last 60 days, as a share of all events", "aggregation": "count", "per": "events", "trend": False, "equals": None, "when_nothing": "0",
    }  # fmt: skip
    assert found["first_login"]["description"] == "First day"
    assert found["first_login"]["unit"] == "days"
    assert found["first_login"]["when_nothing"] == "missing"
    assert found["first_login"]["per"] is None
    assert found["events_30d_trend"]["trend"] is True


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"name": "Bad Name", "aggregation": "count"}, "features.extras, entry 1, name: "),
        ({"name": "x", "aggregation": "count", "events": ["a", "a"]}, "events ['a', 'a']: each event once"),
        ({"name": "x", "aggregation": "median"}, "features.extras, entry 1, aggregation: "),
        ({"name": "x", "aggregation": "groups"}, "is for milestones"),
        ({"name": "x", "aggregation": "count", "events": ["a"], "category": "entry"}, "give one of the two"),
        (
            {"name": "x", "aggregation": "count", "category": "entri"},
            "features.extras, entry 1, category 'entri': the categories are entry",
        ),
        ({"name": "x", "aggregation": "days_since", "per": "seat"}, "only a count can be a rate per seat"),
        ({"name": "x", "aggregation": "count", "trend": True}, "needs a window with a start"),
        ({"name": "x", "aggregation": "streak", "per": "user"}, "only a count can be a rate per user"),
        (
            {"name": "x", "aggregation": "days_to_first", "window_days": 30},
            "days_to_first looks at all history",
        ),
        (
            {"name": "x", "aggregation": "days_since", "window_days": 30},
            "days_since looks at all history, leave",
        ),
        ({"name": "x", "aggregation": "tenure", "window_days": 30}, "tenure looks at all history, leave out"),
        ({"name": "x", "aggregation": "tenure", "events": ["login"]}, "tenure looks at no event, leave out"),
        ({"name": "x", "aggregation": "seats", "events": ["login"]}, "seats looks at no event, leave out"),
        (
            {"name": "x", "aggregation": "revenue", "events": ["login"]},
            "revenue looks at no event, leave out",
        ),
        (
            {"name": "x", "aggregation": "seats", "category": "entry"},
            "looks at no event: leave out the category",
        ),
        (
            {"name": "x", "aggregation": "state", "attribute": "a", "events": ["login"]},
            "state looks at no event, leave out",
        ),
        ({"name": "x", "aggregation": "count", "window_days": 0}, "features.extras, entry 1, window_days: "),
        ({"name": "x", "aggregation": "count", "windows": 3}, "is not a key here"),
    ],
)
def test_an_extra_that_means_nothing_is_refused_in_words(
    tmp_path: Path, extra: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        data_with(tmp_path, extra)
    assert words in explain(refused.value)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"name": "events_30d", "aggregation": "count"}, "'events_30d' is the name of 2 features"),
        ({"name": "x", "aggregation": "distinct_users"}, "'x' asks for users"),
        ({"name": "x", "aggregation": "count", "window_days": 9, "per": "seat"}, "'x' asks for seats"),
        ({"name": "x", "aggregation": "revenue"}, "'x' asks for revenue, and no subscriptions have an mrr"),
    ],
)
def test_an_extra_that_the_log_cannot_carry_is_refused_in_words(
    tmp_path: Path, extra: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        catalogue(data_with(tmp_path, extra), has_users=False, has_seats=False, has_revenue=False)


def test_the_list_says_what_every_feature_is_and_builds_nothing(tmp_path: Path) -> None:
    assert run("init", tmp_path / "w", *sources(tmp_path / "data", small_log(20))).code == 0
    said = run("features", "--list", "-w", tmp_path / "w")
    assert said.code == 0
    assert not (tmp_path / "w" / "output").exists()
    lines = said.out.splitlines()
    assert lines[0].split() == ["name", "description", "unit", "category", "when", "nothing"]
    assert any(
        line.startswith("days_since_last_event ") and "Days since the last event" in line for line in lines
    )
    listed = json.loads(run("features", "--list", "-w", tmp_path / "w", "--json").out)["features"]
    assert len(listed) == len(lines) - 1 >= 50
    keys = {
        "name",
        "description",
        "unit",
        "category",
        "aggregation",
        "per",
        "trend",
        "equals",
        "when_nothing",
    }
    assert keys == set(listed[0])


@pytest.mark.parametrize("name", ["account_id", "quarter", "plan", *IDENTITY, *BOOKED])
def test_an_extra_named_like_a_column_of_the_matrix_is_refused(tmp_path: Path, name: str) -> None:
    data = data_with(tmp_path, {"name": name, "aggregation": "tenure"})
    with pytest.raises(DataError, match=f"'{name}' is the name of another column of the matrix"):
        catalogue(data, has_users=False, has_seats=False, has_revenue=False)
