"""Rows that stand for a week or a month, and whether the day they bear opens that period or closes it.

Worked example: a weekly count is dated Monday 2024-03-25 and sums the week to 2024-03-31. A window that ends on
Wednesday 2024-03-27 counts the row, and with it what happened on the four days after.
"""

import math
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from features.arrays import Flags, Integers
from features.columns import to_frame
from features.log import Log

FEWEST_ROWS = 50
DAY_SECONDS = 86_400
APART = 10_000 * 366 * DAY_SECONDS
WEEK_DAYS, MONTH_DAYS = 7, 30
NEARLY_ALL = 0.99  # of the rows: corrections and late starts lie elsewhere
WHEN = ("account", "occurred_at")
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
SAME_TIME_SECONDS = 3600  # midnight in a zone with summer time is two times of day


@dataclass(frozen=True)
class Stamp:
    """A kind of event whose rows stand for `period_days`.

    Of the rows with other events of the account on one side alone, `opening` have them in the period after the stamp
    and `closing` in the one before it.
    """

    event: str
    period_days: int
    day: str  # on which NEARLY_ALL rows lie, in words
    n: int
    opening: int
    closing: int


def stamps(log: Log) -> list[Stamp]:
    """The kinds of event of which nearly all rows lie on one weekday, or one day of the month, at one time of day."""
    days = _days(log)
    rows = {event: to_frame(log.events.filter(log.events.event == event).select(*WHEN)) for event in days}
    rows = {event: own for event, own in rows.items() if _at_one_time(own)}
    if not rows:
        return []
    timeline = _keys(to_frame(log.events.filter(~log.events.event.isin(list(rows))).select(*WHEN)))
    found = []
    for event, own in rows.items():
        period_days, day = days[event]
        at, period = _keys(own), period_days * DAY_SECONDS
        before = _any_between(timeline, at - period, at)
        after = _any_between(timeline, at, at + period)
        opening, closing = int((after & ~before).sum()), int((before & ~after).sum())
        found.append(Stamp(event, period_days, day, len(own), opening, closing))
    return found


def _days(log: Log) -> dict[str, tuple[int, str]]:
    """By event: the period_days, and the day that nearly all its rows lie on, in words; none where they do not."""
    at = log.events.occurred_at
    dated = log.events.mutate(
        weekday=at.day_of_week.index(), date=at.day(), final=(at + ibis.interval(days=1)).day() == 1
    )
    counts = to_frame(dated.group_by(["event", "weekday", "date", "final"]).aggregate(n=dated.count()))
    found = {}
    for event, own in counts.groupby("event"):
        n = int(own["n"].sum())
        day = _modal_day(own, NEARLY_ALL * n) if n >= FEWEST_ROWS else None
        if day:
            found[str(event)] = day
    return found


def _modal_day(counts: pd.DataFrame, enough: float) -> tuple[int, str] | None:
    """Weekday, date or end of the month, whichever holds so many of the rows; the shortest period first."""
    by_weekday, by_date = (counts.groupby(c)["n"].sum() for c in ("weekday", "date"))
    if by_weekday.max() >= enough:
        return WEEK_DAYS, WEEKDAYS[by_weekday.index[int(by_weekday.argmax())]]
    if by_date.max() >= enough:
        return MONTH_DAYS, f"day {by_date.idxmax()} of the month"
    if counts.loc[counts["final"], "n"].sum() >= enough:
        return MONTH_DAYS, "the last day of the month"
    return None


def _at_one_time(rows: pd.DataFrame) -> bool:
    """Whether some hour of the day holds nearly all of the rows."""
    at = rows["occurred_at"]
    seconds = np.sort(((at - at.dt.floor("D")) // pd.Timedelta(seconds=1)).to_numpy(np.int64))
    beyond = math.ceil(NEARLY_ALL * len(seconds)) - 1  # so many rows after the first
    return bool((seconds[beyond:] - seconds[: len(seconds) - beyond]).min() <= SAME_TIME_SECONDS)


def _keys(rows: pd.DataFrame) -> Integers:
    """Account and time in seconds as one ascending number: accounts lie further apart than any two times."""
    seconds = rows["occurred_at"].astype("datetime64[s]").astype("int64").to_numpy()
    return np.sort(rows["account"].to_numpy(np.int64) * APART + seconds)


def _any_between(timeline: Integers, start: Integers, stop: Integers) -> Flags:
    return np.searchsorted(timeline, start) < np.searchsorted(timeline, stop)
