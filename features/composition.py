"""From elementary slots to features: every spec becomes one (accounts, as-of dates) array."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from features.access import Access, knowable
from features.arrays import Flags, Floats, Integers, Times
from features.attributes import Holding, Level, State
from features.elementary import NEVER, NO_FIRST, Elementary
from features.sequences import Measure, active_weeks, irregularity, streak
from features.specs import SEQUENCES, Aggregation, FeatureSpec, Per, StateTest
from features.windows import DAY_US, EVER, ONE_DAY, Window

DAYS_PER_MONTH = 30
# Only these understate what happened when tracking began later than the window.
LOOKING_BACK = (
    Aggregation.COUNT, Aggregation.ACTIVE_DAYS, Aggregation.DISTINCT_USERS, Aggregation.GROUPS, *SEQUENCES,
)  # fmt: skip


Composer = Callable[[FeatureSpec, Elementary, "Moments", "Beside"], Floats]


@dataclass(frozen=True)
class Moments:
    """The as-of dates of one block, and what tracking covered before them.

    account: (accounts,) codes. signed_up: (accounts, 1). as_of_days: (as-of dates,) on the grid's own axis, the same
    for every account. time, tenure_days, seen_days: (accounts, as-of dates); `seen_days` is how far back tracking can
    see, infinite for an account that signed up after it began.
    """

    account: Integers
    signed_up: Times
    as_of_days: Integers
    time: Times
    tenure_days: Floats
    seen_days: Floats

    def blind(self, window: Window) -> Flags:
        """Where tracking did not cover the whole window although the account was there already."""
        if window.end_days > 0:
            return np.zeros_like(self.tenure_days, dtype=bool)
        reach = (
            self.tenure_days
            if window.start_days is None
            else np.minimum(-window.start_days, self.tenure_days)
        )
        return np.asarray(reach > self.seen_days)


@dataclass(frozen=True)
class Beside:
    """What stands beside the events of one block: levels that the subscriptions hold, states by the feature that asks
    for them, when tests of states hold by their meaning, and who could use what."""

    levels: Mapping[Aggregation, Level]
    states: Mapping[str, State]
    holdings: Mapping[tuple[object, ...], Holding]
    access: Access


def compose(spec: FeatureSpec, table: Elementary, moments: Moments, beside: Beside) -> Floats:
    """The feature for every account and as-of date of the block; NaN where it is not knowable."""
    value = _VALUES[spec.aggregation](spec, table, moments, beside)
    if spec.per is not None:
        value = value / _denominator(spec, table, moments, beside)
    if spec.aggregation in LOOKING_BACK and spec.counts_events:
        for window in spec.windows:
            value = np.where(moments.blind(window), np.nan, value)
    return np.where(knowable(spec, beside.access), value, np.nan)


def _between(running: Floats, table: Elementary, moments: Moments, window: Window) -> Floats:
    start, stop = table.layout.slots.bounds(moments.as_of_days, window)
    return np.asarray((running[stop] - running[start]).T)


def _recent_or_trend(spec: FeatureSpec, running: Floats, table: Elementary, moments: Moments) -> Floats:
    recent = _between(running, table, moments, spec.window)
    if not spec.trend:
        return recent
    before = _between(running, table, moments, spec.window.before())
    return (recent - before) / np.maximum(recent + before, 1.0)


def _count(spec: FeatureSpec, table: Elementary, moments: Moments, _beside: Beside) -> Floats:
    return _recent_or_trend(spec, table.counts(spec.events), table, moments)


def _active_days(spec: FeatureSpec, table: Elementary, moments: Moments, _beside: Beside) -> Floats:
    return _recent_or_trend(spec, table.days(spec.events), table, moments)


def _in_order(measure: Measure) -> "Composer":
    """What a measure says of the active days in the window, one as-of date after the other."""

    def compose_one(spec: FeatureSpec, table: Elementary, moments: Moments, _beside: Beside) -> Floats:
        days, start = table.active_days(spec.events), spec.window.start_days
        found = np.empty_like(moments.tenure_days)
        for i, as_of in enumerate(moments.as_of_days.tolist()):
            seen = days.within(None if start is None else as_of + start, as_of)
            found[:, i] = measure(seen, as_of, len(found))
        return found

    return compose_one


def _distinct_users(spec: FeatureSpec, table: Elementary, moments: Moments, _beside: Beside) -> Floats:
    start, stop = table.layout.slots.bounds(moments.as_of_days, spec.window)
    return table.users(spec.events, start, stop)


def _groups(spec: FeatureSpec, table: Elementary, moments: Moments, beside: Beside) -> Floats:
    present = np.zeros_like(moments.tenure_days)
    held = {test.meaning: _held(test, spec.window, moments, beside) for test in spec.state_tests}
    for group in spec.groups:
        there = beside.access.all_eligible(group.parts)
        if group.events:
            there &= _between(table.counts(group.events), table, moments, spec.window) >= group.at_least
        for test in group.states:
            there &= held[test.meaning]
        present += there
    return present


def _held(test: StateTest, window: Window, moments: Moments, beside: Beside) -> Flags:
    account = np.repeat(moments.account, moments.time.shape[1])
    held = beside.holdings[test.meaning].within(account, moments.time.ravel(), window)
    return held.reshape(moments.time.shape)


def _days_since(spec: FeatureSpec, table: Elementary, moments: Moments, beside: Beside) -> Floats:
    _, stop = table.layout.slots.bounds(moments.as_of_days, spec.window)
    last = table.last_times(spec.events)[stop].T
    since = (moments.as_of_days[None, :] * DAY_US - last.astype(np.float64)) / DAY_US
    # Who never did it has not done it for as long as can be known.
    seen = np.minimum(moments.tenure_days, moments.seen_days)
    tracked = (moments.time - beside.access.unseen_until(spec.events, EVER)) / ONE_DAY
    unseen = np.minimum(seen, tracked)
    return np.where(last == NEVER, np.where(unseen > 0, unseen, np.nan), since)


def _days_to_first(spec: FeatureSpec, table: Elementary, moments: Moments, _beside: Beside) -> Floats:
    _, stop = table.layout.slots.bounds(moments.as_of_days, spec.window)
    first = table.first_times(spec.events)[stop].T
    # Whole microseconds until the end: in days that were rounded, a first event seven days after signup is not at 7.
    origin = moments.time - moments.as_of_days[None, :] * np.timedelta64(DAY_US, "us")
    since_signup = first + (origin - moments.signed_up).astype(np.int64)
    # Whoever came before tracking began may have done it unseen.
    unknown = (first == NO_FIRST) | np.isfinite(moments.seen_days)
    return np.where(unknown, np.nan, since_signup / DAY_US)


def _tenure(_spec: FeatureSpec, _table: Elementary, moments: Moments, _beside: Beside) -> Floats:
    return moments.tenure_days


def _level(spec: FeatureSpec, _table: Elementary, moments: Moments, beside: Beside) -> Floats:
    now = _level_at(beside.levels.get(spec.aggregation), moments, 0)
    if spec.window.start_days is None:
        return now
    return now - _level_at(beside.levels.get(spec.aggregation), moments, -spec.window.start_days)


def _level_at(level: Level | None, moments: Moments, days_before: int) -> Floats:
    if level is None:
        return np.full(moments.time.shape, np.nan)
    account = np.repeat(moments.account, moments.time.shape[1])
    time = (moments.time - np.timedelta64(days_before, "D")).ravel()
    return level.at(account, time, inclusive=days_before > 0).reshape(moments.time.shape)


def _state(spec: FeatureSpec, _table: Elementary, moments: Moments, beside: Beside) -> Floats:
    account = np.repeat(moments.account, moments.time.shape[1])
    return beside.states[spec.name].at(account, moments.time.ravel()).reshape(moments.time.shape)


def _denominator(spec: FeatureSpec, table: Elementary, moments: Moments, beside: Beside) -> Floats:
    if spec.per is Per.SEAT:
        seats_then = _level_at(beside.levels.get(Aggregation.SEATS), moments, -(spec.window.start_days or 0))
        return np.where(seats_then > 0, seats_then, np.nan)
    if spec.per is Per.USER:
        return np.maximum(_distinct_users(spec, table, moments, beside), 1.0)
    if spec.per is Per.EVENTS:
        return np.maximum(_between(table.counts(None), table, moments, spec.window), 1.0)
    length = spec.window.length_days
    lived = moments.tenure_days if length is None else np.minimum(moments.tenure_days, length)
    return np.maximum(lived, 1.0) / DAYS_PER_MONTH


_VALUES: Mapping[Aggregation, Composer] = {
    Aggregation.COUNT: _count,
    Aggregation.ACTIVE_DAYS: _active_days,
    Aggregation.ACTIVE_WEEKS: _in_order(active_weeks),
    Aggregation.STREAK: _in_order(streak),
    Aggregation.IRREGULARITY: _in_order(irregularity),
    Aggregation.DISTINCT_USERS: _distinct_users,
    Aggregation.GROUPS: _groups,
    Aggregation.DAYS_SINCE: _days_since,
    Aggregation.TENURE: _tenure,
    Aggregation.DAYS_TO_FIRST: _days_to_first,
    Aggregation.SEATS: _level,
    Aggregation.REVENUE: _level,
    Aggregation.STATE: _state,
}
