"""An empty stretch is an outage where chance cannot make it: what that takes depends on how often days are empty."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from features.outages import outages

START = pd.Timestamp("2024-01-01")


def found(days: "list[int] | np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[tuple[int, int]]:
    """Outages of days counted from the start, as first and one past the last of them."""
    at = pd.Series(START + pd.to_timedelta(np.asarray(days), unit="D"))
    return [((o.start - START).days, (o.end - START).days) for o in outages(at)]


YEAR = range(365)


def without(days: Iterable[int], *gaps: tuple[int, int]) -> list[int]:
    return [d for d in days if not any(a <= d < b for a, b in gaps)]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (without(YEAR, (100, 121)), [(100, 121)]),
        (without(YEAR, (100, 120)), []),  # holidays
        (range(0, 900, 30), []),  # monthly sums
        (range(0, 900, 7), []),  # weekly sums
        ([d for d in range(700) if d % 7 < 5], []),  # working days
        (without((d for d in range(700) if d % 7 < 5), (350, 378)), [(348, 378)]),
        (
            without((d for d in range(700) if d % 7 < 5), (350, 362)),
            [],
        ),  # two weeks closed at the end of a year
        (without(range(400), (50, 80), (200, 292)), [(50, 80), (200, 292)]),
        (without(range(800), (100, 500)), [(100, 500)]),  # longer than the rest of the log
        ([*range(0, 300, 30), *range(300, 600)], []),  # sums by month, then every day
        (without(range(200), (100, 190)), []),  # over for ten days: it shows when more have come
        (without(range(220), (100, 190)), [(100, 190)]),
        ([5], []),
        ([5, 5, 400], []),  # nothing to compare with
        ([], []),
    ],
)
def test_what_counts_as_one(days: Iterable[int], expected: list[tuple[int, int]]) -> None:
    assert found(list(days)) == expected


@pytest.mark.parametrize("shape", ["steady", "growth", "decline", "season"])
def test_logs_whose_days_are_empty_by_chance_have_none(shape: str) -> None:
    along = np.linspace(0, 1, 1000)
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        busy = {
            "steady": np.full(1000, rng.uniform(0.02, 0.98)),
            "growth": along,
            "decline": 1 - along,
            "season": (1.2 + np.sin(2 * np.pi * along * 1000 / 365)) / 2.2,
        }[shape]
        alarms += len(found(np.flatnonzero(rng.random(1000) < busy)))
    assert alarms <= 4, alarms  # of 200 logs


def test_it_says_which_days_and_what_to_do() -> None:
    (outage,) = outages(
        pd.Series([*pd.date_range("2024-01-01", "2024-03-31"), *pd.date_range("2024-07-01", "2024-09-01")])
    )
    assert outage.sentence.startswith(
        "events: there is none of any account from 2024-04-01 to 2024-06-30 (91 days): "
    )
