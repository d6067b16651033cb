"""Stretches in which no account did anything: where tracking was away, silence says nothing.

Worked example: events on every day of a year but 1 to 30 June. In the 90 days before and after no day was empty; were
a day empty one time in 91, thirty in a row would come less than once in any number of years. Where events come on one
day in thirty, as monthly sums do, or one day in ten, as in a product's first months, empty weeks come by right.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SHORTEST_DAYS = 21  # shorter ones are holidays
NEARBY_DAYS = (
    30,
    90,
)  # on each side of a stretch: how often days are empty; outside of the log they count as empty
UNLIKELY = 1e-3  # so many such stretches or fewer are to be expected by chance


@dataclass(frozen=True)
class Outage:
    """Whole days [start, end) without an event of anybody."""

    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def sentence(self) -> str:
        """What it means and what to do."""
        final, n_days = (self.end - pd.Timedelta(1, "D")).date(), (self.end - self.start).days
        return (
            f"events: there is none of any account from {self.start.date()} to {final} ({n_days} days): if tracking was"
            " away, features count less than there was, and silence is no leaving; give the missing rows, or say in the table"
            " eligibility from when on events are tracked"
        )


def outages(days: "pd.Series[pd.Timestamp]") -> tuple[Outage, ...]:
    """The empty stretches between days with events that are too long to be chance; days: each with events, at least once.

    How often a day is empty is learnt nearby, where it is empty most often: a log grows, and has its seasons.
    """
    active = np.unique(days.to_numpy("datetime64[D]"))
    if not len(active):
        return ()
    number = (active - active[0]).astype(np.int64)
    left, right = number[:-1], number[1:]
    place, gap = np.arange(len(left)) + 1, right - left - 1
    busy = np.ones(len(left))
    for n_days in NEARBY_DAYS:
        before = place - np.searchsorted(number, left - n_days, side="right")
        after = np.searchsorted(number, right + n_days) - place
        busy = np.minimum(busy, np.minimum(before, after) / n_days)
    expected = len(active) * np.maximum(1 - busy, 1 / (max(NEARBY_DAYS) + 1)) ** gap
    found = np.flatnonzero((gap >= SHORTEST_DAYS) & (expected <= UNLIKELY))
    return tuple(Outage(pd.Timestamp(active[i] + 1), pd.Timestamp(active[i + 1])) for i in found)
