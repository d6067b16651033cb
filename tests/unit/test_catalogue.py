"""Names of features: safe as columns, distinct, and never one for two meanings."""

from pathlib import Path

from features.catalogue import catalogue, slugs
from tests.spec.drawn import data_for, table

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
    found = catalogue(data, has_users=True, has_seats=True)
    specs = {spec.name: spec for spec in found}
    assert len(specs) == len(found)
    assert specs["events_30d"].events is None
    assert specs["events_2_30d"].events == ("events",)
    assert specs["category_x_30d"].events == ("a.b", "a_b")
    assert specs["category_x_2_30d"].events == ("category_x",)
    per_event = [spec for spec in specs.values() if spec.events and len(spec.events) == 1 and not spec.trend]
    assert {spec.events for spec in per_event} == {(name,) for name in names}
