"""Stretches in which no account did anything: where tracking was away, silence says nothing.

Worked example: of 1,000 days 990 have events, and seven in a row have none. Were each day empty by itself as often as
the other days are (3 of 993), seven in a row would come once in many millions of such logs: tracking was away. A log
with events on one day in thirty has empty stretches of 29 days by right.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SHORTEST_DAYS = 7  # shorter ones are holidays
UNLIKELY = 1e-3  # so many such stretches or fewer were to be expected by chance


@dataclass(frozen=True)
class Outage:
    """Whole days [start, end) without an event of anybody."""

    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def sentence(self) -> str:
        """What it means and what to do."""
        return (
            f"events: there is none of any account from {self.start.date()} to {(self.end - pd.Timedelta(1, 'D')).date()}"
            f" ({(self.end - self.start).days} days): where tracking was away, features count less than there was and silence"
            " is no leaving; give the missing rows, or say in the table eligibility from when on events are tracked"
        )


def outages(days: "pd.Series[pd.Timestamp]") -> tuple[Outage, ...]:
    """The empty stretches between days with events that are too long to be chance; days: each with events, at least once."""
    active = np.unique(days.to_numpy("datetime64[D]"))
    gap = np.diff(active).astype(np.int64) - 1  # days without events before the next one with some
    n_days = len(active) + gap.sum()
    others = n_days - gap  # days outside of each stretch
    empty = np.maximum(1 - len(active) / others, 1 / others)
    expected = others * empty**gap
    # What is longer than all the rest has nothing to be compared with.
    found = np.flatnonzero((gap >= SHORTEST_DAYS) & (gap <= others) & (expected <= UNLIKELY))
    return tuple(Outage(pd.Timestamp(active[i] + 1), pd.Timestamp(active[i + 1])) for i in found)
