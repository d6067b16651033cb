"""When everything happened: the counts of months as instants, users and what tracking made of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Integers, Positions
from features.simulation.history import Columns, History
from features.simulation.plantings import MONTH_DAYS
from features.simulation.scenario import Scenario
from features.windows import DAY_US, microseconds

HOUR = 3_600_000_000  # microseconds
SECOND = 1_000_000


@dataclass(frozen=True)
class Records:
    """What was done, one entry a deed, in the order of time; no two at the same instant."""

    account: NDArray[np.int32]  # position in the history
    column: NDArray[np.int16]  # of the scenario
    at: Integers  # microseconds since 1970
    user: NDArray[np.int32]  # of the account, from 0

    def __len__(self) -> int:
        return len(self.at)

    def where(self, chosen: Flags | Positions) -> "Records":
        """Some of them, (n,) flags or positions."""
        return Records(self.account[chosen], self.column[chosen], self.at[chosen], self.user[chosen])


def _week_weights() -> Floats:
    """How likely an event is in each hour from Thursday 00:00 on (1970 began on one), (168,), at most 1."""
    day = np.full(24, 0.08)
    day[8:19] = 1.0
    day[[7, 12, 19]] = 0.5
    weekday = (np.arange(7) + 3) % 7  # 0 is Monday
    return np.asarray(np.outer(np.where(weekday >= 5, 0.2, 1.0), day).ravel())


WEEK = _week_weights()


def working_times(start: Integers, span: Integers, power: Floats, rng: np.random.Generator) -> Integers:
    """Instants in [start, start + span), microseconds, (n,), thicker in working hours; power > 1: and early.

    Rejection keeps every instant inside its span, however short, which a shift to office hours would not.
    """
    at = start + (span * rng.random(len(start)) ** power).astype(np.int64)
    todo = np.flatnonzero(rng.random(len(at)) >= WEEK[at // HOUR % len(WEEK)])
    # A span inside one night has no better hour: whoever is left after a dozen draws keeps the last.
    for _ in range(12):
        if not len(todo):
            break
        drawn = start[todo] + (span[todo] * rng.random(len(todo)) ** power[todo]).astype(np.int64)
        at[todo] = drawn
        todo = todo[rng.random(len(todo)) >= WEEK[drawn // HOUR % len(WEEK)]]
    return at


def strictly_increasing(at: Integers) -> Integers:
    """Sorted instants, moved so far that each is later than the one before: 5, 5, 6 becomes 5, 6, 7."""
    step = np.arange(len(at))
    return np.asarray(np.maximum.accumulate(at - step) + step)


def records_of(history: History, rng: np.random.Generator) -> Records:
    """One entry for everything the accounts did."""
    account, month, column = np.nonzero(history.counts)
    times = history.counts[account, month, column]
    begins = history.population.signed_up[account] + month * MONTH_DAYS * DAY_US
    # One second stays free at the end: the instants are moved apart by microseconds.
    span = np.maximum((history.spans[account, month] * DAY_US).astype(np.int64) - SECOND, 1)
    # Setup steps come early in their month.
    power = np.where(column < Columns(history.scenario).setup.stop, 2.0, 1.0)
    span[column == Columns(history.scenario).signed_up] = 1
    at = working_times(np.repeat(begins, times), np.repeat(span, times), np.repeat(power, times), rng)
    # Squared: an account's first users do more than its last.
    user = np.repeat(history.seats[account, month], times) * rng.random(len(at)) ** 2
    done = Records(
        np.repeat(account.astype(np.int32), times), np.repeat(column.astype(np.int16), times), at, user.astype(np.int32)
    )  # fmt: skip
    done = done.where(np.argsort(at, kind="stable"))
    return Records(done.account, done.column, strictly_increasing(done.at), done.user)


def tracked(scenario: Scenario, records: Records) -> Records:
    """What tracking recorded of it: everything, but for the events of an outage. Settings are looked up, not tracked."""
    outage = scenario.changes.outage
    if outage is None:
        return records
    start = microseconds(scenario.quarter_start(outage.quarter)) + outage.day * DAY_US
    lost = (records.at >= start) & (records.at < start + outage.days * DAY_US)
    untracked = outage.events or scenario.logged
    lost &= np.isin(records.column, [Columns(scenario).of[event] for event in untracked])
    return records.where(~lost)
