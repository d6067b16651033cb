"""An extra that its owner did not describe is described by what it is."""

from typing import Any

import pytest

from features.extra_feature import ExtraFeature


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"aggregation": "count"}, "Events since signup"),
        ({"aggregation": "count", "events": ["a"], "window_days": 30}, "a in the last 30 days"),
        ({"aggregation": "count", "events": [*"abcde"], "window_days": 7}, "a, b, c and 2 more in the last 7 days"),
        (
            {"aggregation": "count", "category": "ops", "window_days": 60, "per": "events"},
            "Events of the category ops in the last 60 days, as a share of all events",
        ),
        (
            {"aggregation": "count", "window_days": 30, "per": "seat"},
            "Events in the last 30 days, per seat in force at their start",
        ),
        (
            {"aggregation": "active_days", "window_days": 30, "trend": True},
            "Days with events in the last 30 days against the 30 days before",
        ),
        ({"aggregation": "irregularity", "window_days": 90}, "How much the gaps between days with events vary in the last 90 days"),
        ({"aggregation": "distinct_users", "window_days": 90, "events": ["x"]}, "Distinct users of x in the last 90 days"),
        ({"aggregation": "days_to_first", "events": ["x"]}, "Days from signup to the first of x"),
        (
            {"aggregation": "count", "window_days": 30, "per": "user", "events": ["x"]},
            "x in the last 30 days, per user of them",
        ),
        ({"aggregation": "streak", "window_days": 90}, "Weeks in a row, up to the date, with events in the last 90 days"),
        ({"aggregation": "count", "window_days": 1, "trend": True}, "Events in the last day against the day before"),
        ({"aggregation": "seats"}, "Seats in force"),
        ({"aggregation": "revenue", "window_days": 90}, "Change of recurring revenue in the last 90 days"),
        ({"aggregation": "state", "attribute": "sso", "equals": "on"}, "sso is on"),
        ({"aggregation": "state", "attribute": "macros"}, "macros in force"),
        ({"aggregation": "count", "description": "Mine"}, "Mine"),
    ],
)  # fmt: skip
def test_words_that_go_without_saying(extra: dict[str, Any], words: str) -> None:
    declared = ExtraFeature.model_validate({"name": "x", **extra})
    assert declared.spec(declared.events or None).description == words
