"""A slow engine in plain Python that defines what every aggregation means: one account, one date, one loop."""

import math
import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from features.specs import LEVELS, SEQUENCES, Aggregation, FeatureSpec, Per
from features.windows import Window

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Event:
    """One usable row."""

    event: str
    at: datetime
    user: str | None


@dataclass(frozen=True)
class Account:
    """One account with all its events and spells (start, end or None, seats, revenue)."""

    signed_up: datetime
    events: tuple[Event, ...]
    spells: tuple[tuple[datetime, datetime | None, float, float], ...]


def value(
    spec: FeatureSpec, account: Account, t: datetime, origin: datetime, tracked_from: datetime
) -> float:
    """The feature at t; `origin` is where days are counted from (midnight, or the signup on a tenure axis)."""
    if spec.aggregation is Aggregation.TENURE:
        return (t - account.signed_up) / DAY
    if spec.aggregation in LEVELS:
        now = level(account, spec.aggregation, t, inclusive=False)
        days = spec.window.start_days
        return now if days is None else now - level(account, spec.aggregation, t + days * DAY, inclusive=True)
    if spec.aggregation is Aggregation.DAYS_TO_FIRST:
        past = [e.at for e in within(spec, account, spec.window, t)]
        seen_from_the_start = account.signed_up >= tracked_from
        return (min(past) - account.signed_up) / DAY if past and seen_from_the_start else math.nan
    if spec.aggregation is Aggregation.DAYS_SINCE:
        past = [e.at for e in within(spec, account, spec.window, t)]
        unseen = min(
            t - account.signed_up,
            t - tracked_from if account.signed_up < tracked_from else t - account.signed_up,
        )
        return (t - max(past)) / DAY if past else unseen / DAY
    if any(blind(account, window, t, tracked_from) for window in spec.windows):
        return math.nan
    found = plain(spec, account, spec.window, t, origin)
    if spec.trend:
        before = plain(spec, account, spec.window.before(), t, origin)
        return (found - before) / max(found + before, 1.0)
    return found / denominator(spec, account, t)


def plain(spec: FeatureSpec, account: Account, window: Window, t: datetime, origin: datetime) -> float:
    chosen = within(spec, account, window, t)
    if spec.aggregation is Aggregation.COUNT:
        return len(chosen)
    if spec.aggregation is Aggregation.ACTIVE_DAYS:
        return len({(e.at - origin) // DAY for e in chosen})
    if spec.aggregation in SEQUENCES:
        return in_order(
            spec.aggregation, sorted({(e.at - origin) // DAY for e in chosen}), (t - origin) // DAY
        )
    if spec.aggregation is Aggregation.DISTINCT_USERS:
        return len({e.user for e in chosen if e.user is not None})
    assert spec.aggregation is Aggregation.GROUPS
    counts = [sum(e.event in g.events for e in within(spec, account, window, t)) for g in spec.groups]
    return sum(n >= g.at_least for n, g in zip(counts, spec.groups, strict=True))


def in_order(aggregation: Aggregation, days: list[int], as_of: int) -> float:
    weeks = {(as_of - 1 - day) // 7 for day in days}
    if aggregation is Aggregation.ACTIVE_WEEKS:
        return len(weeks)
    if aggregation is Aggregation.STREAK:
        return next(k for k in range(len(weeks) + 1) if k not in weeks)
    gaps = [after - before for before, after in pairwise(days)]
    return statistics.pstdev(gaps) / statistics.fmean(gaps) if len(gaps) >= 2 else math.nan


def within(spec: FeatureSpec, account: Account, window: Window, t: datetime) -> list[Event]:
    start = datetime.min if window.start_days is None else t + window.start_days * DAY
    stop = t + window.end_days * DAY
    chosen = spec.events if spec.aggregation is not Aggregation.GROUPS else None
    return [e for e in account.events if start <= e.at < stop and (chosen is None or e.event in chosen)]


def level(account: Account, kind: Aggregation, t: datetime, *, inclusive: bool) -> float:
    def before(moment: datetime) -> bool:
        return moment <= t if inclusive else moment < t

    started = [
        (end, seats if kind is Aggregation.SEATS else revenue)
        for start, end, seats, revenue in account.spells
        if before(start)
    ]
    return sum(n for end, n in started if end is None or not before(end)) if started else math.nan


def denominator(spec: FeatureSpec, account: Account, t: datetime) -> float:
    if spec.per is Per.SEAT:
        assert spec.window.start_days is not None
        then = level(account, Aggregation.SEATS, t + spec.window.start_days * DAY, inclusive=True)
        return then if then > 0 else math.nan
    if spec.per is Per.USER:
        return max(len({e.user for e in within(spec, account, spec.window, t) if e.user is not None}), 1)
    if spec.per is Per.EVENTS:
        window = spec.window
        start = datetime.min if window.start_days is None else t + window.start_days * DAY
        return max(sum(start <= e.at < t + window.end_days * DAY for e in account.events), 1)
    if spec.per is Per.TENURE:
        lived = (t - account.signed_up) / DAY
        length = spec.window.length_days
        return max(lived if length is None else min(lived, length), 1.0) / 30
    return 1.0


def blind(account: Account, window: Window, t: datetime, tracked_from: datetime) -> bool:
    if account.signed_up >= tracked_from or window.end_days > 0:
        return False
    start = (
        account.signed_up
        if window.start_days is None
        else max(t + window.start_days * DAY, account.signed_up)
    )
    return start < tracked_from


def adoption(rows: list[tuple[str, float]]) -> tuple[int, int, int, int, float]:
    """Observations, accounts, adopters, missing and the share of one cell, from its (account, value) pairs."""
    known = [(account, number) for account, number in rows if not math.isnan(number)]
    used = [account for account, number in known if number > 0]
    share = len(used) / len(known) if known else math.nan
    accounts = {account for account, _ in known}
    return len(known), len(accounts), len(set(used)), len(rows) - len(known), share
