"""Rows that stand for a week or a month, and whether the day they bear opens that period or closes it.

Worked example: a weekly count is dated Monday 2024-03-25 and sums the week to 2024-03-31. A window that ends on
Wednesday 2024-03-27 counts the row, and with it what happened on the four days after.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.columns import to_frame
from features.elementary import Integers
from features.log import Log

FEWEST_ROWS = 50
DAY_SECONDS = 86_400
APART = 10_000 * 366 * DAY_SECONDS
WEEK_DAYS, MONTH_DAYS = 7, 30
SAME_TIME_SECONDS = 3600  # midnight in a zone with summer time is two times of day


@dataclass(frozen=True)
class Stamp:
    """A kind of event whose rows stand for `period_days`.

    Of the rows with other events of the account on one side alone, `opening` have them in the period after the stamp
    and `closing` in the one before it.
    """

    event: str
    period_days: int
    day: str  # on which all rows lie, in words
    n: int
    opening: int
    closing: int


def stamps(log: Log) -> list[Stamp]:
    """The kinds of event whose rows all lie on one weekday, or one day of the month, at one time of day."""
    kinds = _periods(log)
    if kinds.empty:
        return []
    other = to_frame(
        log.events.filter(~log.events.event.isin(list(kinds.index))).select("account", "occurred_at")
    )
    timeline = _keys(other)
    found = []
    for event, row in kinds.iterrows():
        own = _keys(to_frame(log.events.filter(log.events.event == event).select("account", "occurred_at")))
        period = int(row["period_days"]) * DAY_SECONDS
        before = _any_between(timeline, own - period, own)
        after = _any_between(timeline, own, own + period)
        found.append(
            Stamp(str(event), int(row["period_days"]), str(row["day"]), int(row["n"]),
                  int((after & ~before).sum()), int((before & ~after).sum()))
        )  # fmt: skip
    return found


def _periods(log: Log) -> pd.DataFrame:
    """By event: n, period_days, day."""
    at = log.events.occurred_at
    rows = log.events.mutate(
        second=at.hour() * 3600 + at.minute() * 60 + at.second(),
        weekday=at.day_of_week.index(),
        date=at.day(),
    )
    seen = to_frame(
        rows.group_by("event").aggregate(
            n=rows.count(), first=rows.second.min(), final=rows.second.max(), weekdays=rows.weekday.nunique(),
            weekday=rows.weekday.min(), dates=rows.date.nunique(), date=rows.date.min(),
        )
    ).set_index("event")  # fmt: skip
    seen = seen[(seen["n"] >= FEWEST_ROWS) & (seen["final"] - seen["first"] <= SAME_TIME_SECONDS)]
    names = np.array(["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"])
    weekly = seen[seen["weekdays"] == 1]
    monthly = seen[(seen["dates"] == 1) & (seen["weekdays"] > 1)]
    return pd.concat(
        [
            weekly.assign(period_days=WEEK_DAYS, day=names[weekly["weekday"].to_numpy(int)]),
            monthly.assign(period_days=MONTH_DAYS, day=[f"day {d} of the month" for d in monthly["date"]]),
        ]
    ).sort_index()


def _keys(rows: pd.DataFrame) -> Integers:
    """Account and time in seconds as one ascending number: accounts lie further apart than any two times."""
    seconds = rows["occurred_at"].astype("datetime64[s]").astype("int64").to_numpy()
    return np.sort(rows["account"].to_numpy(np.int64) * APART + seconds)


def _any_between(timeline: Integers, start: Integers, stop: Integers) -> NDArray[np.bool_]:
    return np.searchsorted(timeline, start) < np.searchsorted(timeline, stop)
