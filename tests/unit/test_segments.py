"""Plans and bands of size: what a segment is called, and who is in it."""

import numpy as np
import pandas as pd
import pytest

from features.segments import MOST_PLANS, Segmentation, by_plan, by_size, size_columns


def who(found: Segmentation | None) -> list[str]:
    """The label of each observation's segment."""
    assert found is not None
    return [found.labels[code] for code in found.code]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], ["up to 2", "up to 2", "over 2 to 4", "over 2 to 4", "over 4", "over 4"]),
        ([1, 1, 1, 1, 2, 3], ["up to 1", "up to 1", "up to 1", "up to 1", "over 1", "over 1"]),  # ties together
        ([1, 2, 2, 2, 2, 3], ["up to 2", "up to 2", "up to 2", "up to 2", "up to 2", "over 2"]),
        ([1, 9, 9, 9, 9, 9], None),  # the largest is the limit of both
        ([0, 0, 1500, 1500, 2e6, 2e6], ["up to 0", "up to 0", "over 0 to 1,500", "over 0 to 1,500", "over 1,500", "over 1,500"]),
        ([1, 1, 2.5, 2.5, np.nan, 7], ["up to 1", "up to 1", "over 1 to 2.5", "over 1 to 2.5", None, "over 2.5"]),
        ([4, 4, 4], None),
        ([7], None),
        ([np.nan, np.nan], None),
    ],
)  # fmt: skip
def test_bands_are_thirds_with_equal_sizes_together(
    sizes: list[float], expected: list[str | None] | None
) -> None:
    found = by_size(np.array(sizes, dtype=float), np.ones(len(sizes), dtype=bool), "seats")
    if expected is None:
        assert found is None
    else:
        unit = {"up to 1": "seat", "over 1": "seat"}
        assert who(found) == [f"{band} {unit.get(band, 'seats')}" if band else "unknown" for band in expected]


def test_the_newest_year_sets_the_limits_that_hold_for_all() -> None:
    sizes = np.array([50.0, 0.0, 1, 2, 3])
    found = by_size(sizes, np.array([False, False, True, True, True]), "seats")
    assert who(found) == ["over 2 seats", "up to 1 seat", "up to 1 seat", "over 1 to 2 seats", "over 2 seats"]  # fmt: skip


def test_plans_stand_by_frequency_and_a_missing_one_is_unknown() -> None:
    found = by_plan(pd.Series(["pro", None, "basic", "basic"]))
    assert found.labels == ("basic", "pro", "unknown")
    assert who(found) == ["pro", "unknown", "basic", "basic"]
    assert by_plan(pd.Series([2, 1, 1])).labels == ("1", "2")


def test_rare_plans_go_together() -> None:
    plans = [f"p{i:02d}" for i in range(MOST_PLANS + 3) for _ in range(2 if i < MOST_PLANS else 1)]
    found = by_plan(pd.Series(plans))
    assert found.labels == (*(f"p{i:02d}" for i in range(MOST_PLANS)), "other plans")
    assert who(found).count("other plans") == 3


def test_size_is_told_by_seats_and_else_by_the_events_of_the_longest_window() -> None:
    columns = ["events_30d", "events_365d", "events_90d", "core_events_900d", "events_999d_trend"]
    assert size_columns(columns) == ["events_365d"]
    assert size_columns([*columns, "seats"]) == ["seats", "events_365d"]
    assert size_columns(["plan"]) == []
