"""What the order of active days says: weeks with activity, weeks in a row, how regular the gaps are.

Worked example: an account active on days 80, 85, 86 and 99, looked at on day 100. Weeks count back from there:
[93, 100) holds 99, [86, 93) holds 86, [79, 86) holds 80 and 85. Three active weeks, all in a row; the gaps are
5, 1 and 13 days.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from features.arrays import Floats, Integers

WEEK_DAYS = 7


@dataclass(frozen=True)
class ActiveDays:
    """Days on which accounts did something: account, day (n,), ascending by account and day, each pair once."""

    account: Integers
    day: Integers

    @classmethod
    def of(cls, bits: Integers, first_days: Integers) -> "ActiveDays":
        """From (accounts, slots) bits, of which bit k is the day first_days[slot] + k."""
        account, slot = np.nonzero(bits)
        days_of = np.unpackbits(
            bits[account, slot].astype("<i8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little"
        )
        cell, offset = np.nonzero(days_of)
        return cls(account[cell].astype(np.int64), first_days[slot[cell]] + offset)

    def within(self, start: int | None, stop: int) -> "ActiveDays":
        """Those in [start, stop); from the first on without a start."""
        inside = self.day < stop
        if start is not None:
            inside &= self.day >= start
        return ActiveDays(self.account[inside], self.day[inside])

    def weeks(self, as_of_day: int) -> "tuple[Integers, Integers]":
        """account, week (m,): each active week once, 0 being the seven days before the as-of date."""
        week = (as_of_day - 1 - self.day) // WEEK_DAYS
        fresh = np.ones(len(week), dtype=bool)
        fresh[1:] = (self.account[1:] != self.account[:-1]) | (week[1:] != week[:-1])
        return self.account[fresh], week[fresh]


# (days before the as-of date, as-of date, number of accounts) -> (accounts,)
Measure: TypeAlias = Callable[[ActiveDays, int, int], Floats]


def active_weeks(days: ActiveDays, as_of_day: int, n_accounts: int) -> Floats:
    """Weeks with any activity."""
    account, _ = days.weeks(as_of_day)
    return np.bincount(account, minlength=n_accounts).astype(np.float64)


def streak(days: ActiveDays, as_of_day: int, n_accounts: int) -> Floats:
    """Active weeks in a row, counted back from the as-of date; 0 where the last week saw nothing."""
    account, week = days.weeks(as_of_day)
    account, week = account[::-1], week[::-1]  # within an account from the newest week on
    starts = (
        np.flatnonzero(np.r_[True, account[1:] != account[:-1]]) if len(account) else np.empty(0, np.intp)
    )
    rank = np.arange(len(account)) - np.repeat(starts, np.diff(np.r_[starts, len(account)]))
    # Weeks ascend, so the k-th is k only while none before it is missing.
    return np.bincount(account[week == rank], minlength=n_accounts).astype(np.float64)


def irregularity(days: ActiveDays, _as_of_day: int, n_accounts: int) -> Floats:
    """Standard deviation of the gaps between active days over their mean; missing below two gaps."""
    same = days.account[1:] == days.account[:-1]
    account, gap = days.account[1:][same], np.diff(days.day)[same]
    n = np.bincount(account, minlength=n_accounts).astype(np.float64)
    total = np.bincount(account, weights=gap, minlength=n_accounts)
    squares = np.bincount(account, weights=gap.astype(np.float64) ** 2, minlength=n_accounts)
    # n sum(x^2) - sum(x)^2 is a whole number: gaps that are all equal give exactly zero.
    spread = np.sqrt(n * squares - total**2)
    found: Floats = np.divide(spread, total, out=np.full(n_accounts, np.nan), where=n >= 2)
    return found
