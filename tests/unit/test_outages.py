"""An empty stretch is an outage where chance cannot make it: what that takes depends on how often days are empty."""

import numpy as np
import pandas as pd
import pytest

from features.outages import outages

START = pd.Timestamp("2024-01-01")


def found(days: "list[int] | np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[tuple[int, int]]:
    """Outages of days counted from the start, as first and one past the last of them."""
    at = pd.Series(START + pd.to_timedelta(np.asarray(days), unit="D"))
    return [((o.start - START).days, (o.end - START).days) for o in outages(at)]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([*range(100), *range(107, 300)], [(100, 107)]),
        ([*range(100), *range(106, 300)], []),  # six days are holidays
        ([*range(0, 900, 30)], []),  # monthly sums
        ([d for d in range(700) if d % 7 < 5], []),  # working days
        ([d for d in range(700) if d % 7 < 5 and not 350 <= d < 378], [(348, 378)]),
        ([*range(50), *range(80, 200), *range(292, 400)], [(50, 80), (200, 292)]),
        ([5], []),
        ([5, 5, 400], []),  # nothing to compare with
        ([], []),
    ],
)
def test_what_counts_as_one(days: list[int], expected: list[tuple[int, int]]) -> None:
    assert found(days) == expected


def test_logs_whose_days_are_empty_by_chance_have_none() -> None:
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        alarms += len(found(np.flatnonzero(rng.random(1000) < rng.uniform(0.02, 0.98))))
    assert alarms <= 2  # 0.3 are expected, of stretches that come once in a thousand logs


def test_it_says_which_days_and_what_to_do() -> None:
    (outage,) = outages(
        pd.Series(pd.to_datetime(["2024-03-31", "2024-07-01", *pd.date_range("2024-01-01", periods=90)]))
    )
    assert outage.sentence.startswith(
        "events: there is none of any account from 2024-04-01 to 2024-06-30 (91 days): "
    )
