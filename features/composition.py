"""From elementary slots to features: every spec becomes one (accounts, as-of dates) array."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.attributes import Level
from features.elementary import NEVER, Batch, Floats
from features.specs import Aggregation, FeatureSpec, Per
from features.windows import DAY_US, Window

DAYS_PER_MONTH = 30
# Only these understate what happened when tracking began later than the window.
LOOKING_BACK = (Aggregation.COUNT, Aggregation.ACTIVE_DAYS, Aggregation.DISTINCT_USERS, Aggregation.GROUPS)


@dataclass(frozen=True)
class Moments:
    """The as-of dates of one batch, and what tracking covered before them.

    account: (accounts,) codes. as_of_days: (as-of dates,) on the grid's own axis, the same for every account. time,
    tenure_days, seen_days: (accounts, as-of dates); `seen_days` is how far back tracking can see, infinite for an
    account that signed up after it began.
    """

    account: NDArray[np.int64]
    as_of_days: NDArray[np.int64]
    time: NDArray[np.datetime64]
    tenure_days: Floats
    seen_days: Floats

    def blind(self, window: Window) -> NDArray[np.bool_]:
        """Where tracking did not cover the whole window although the account was there already."""
        if window.end_days > 0:
            return np.zeros(self.tenure_days.shape, dtype=bool)
        reach = (
            self.tenure_days
            if window.start_days is None
            else np.minimum(-window.start_days, self.tenure_days)
        )
        return np.asarray(reach > self.seen_days)


def compose(spec: FeatureSpec, batch: Batch, moments: Moments, seats: Level | None) -> Floats:
    """The feature for every account and as-of date of the batch; NaN where it is not knowable."""
    value = _VALUES[spec.aggregation](spec, batch, moments, seats)
    if spec.per is not None:
        value = value / _denominator(spec, batch, moments, seats)
    if spec.aggregation in LOOKING_BACK:
        for window in spec.windows:
            value = np.where(moments.blind(window), np.nan, value)
    return value


def _between(running: Floats, batch: Batch, moments: Moments, window: Window) -> Floats:
    start, stop = batch.table.slots.bounds(moments.as_of_days, window)
    return running[:, stop] - running[:, start]


def _recent_or_trend(spec: FeatureSpec, running: Floats, batch: Batch, moments: Moments) -> Floats:
    recent = _between(running, batch, moments, spec.window)
    if not spec.trend:
        return recent
    before = _between(running, batch, moments, spec.window.before())
    return (recent - before) / np.maximum(recent + before, 1.0)


def _count(spec: FeatureSpec, batch: Batch, moments: Moments, _seats: Level | None) -> Floats:
    return _recent_or_trend(spec, batch.counts(spec.events), batch, moments)


def _active_days(spec: FeatureSpec, batch: Batch, moments: Moments, _seats: Level | None) -> Floats:
    return _recent_or_trend(spec, batch.days(spec.events), batch, moments)


def _distinct_users(spec: FeatureSpec, batch: Batch, moments: Moments, _seats: Level | None) -> Floats:
    start, stop = batch.table.slots.bounds(moments.as_of_days, spec.window)
    return batch.users(spec.events, start, stop)


def _groups(spec: FeatureSpec, batch: Batch, moments: Moments, _seats: Level | None) -> Floats:
    present = np.zeros(moments.tenure_days.shape)
    for group in spec.groups:
        present += _between(batch.counts(group.events), batch, moments, spec.window) >= group.at_least
    return present


def _days_since(spec: FeatureSpec, batch: Batch, moments: Moments, _seats: Level | None) -> Floats:
    _, stop = batch.table.slots.bounds(moments.as_of_days, spec.window)
    last = batch.last_times(spec.events)[:, stop]
    since = (moments.as_of_days[None, :] * DAY_US - last.astype(np.float64)) / DAY_US
    # Who never did it has not done it for as long as can be known.
    return np.where(last == NEVER, np.minimum(moments.tenure_days, moments.seen_days), since)


def _tenure(_spec: FeatureSpec, _batch: Batch, moments: Moments, _seats: Level | None) -> Floats:
    return moments.tenure_days


def _seats_now(_spec: FeatureSpec, _batch: Batch, moments: Moments, seats: Level | None) -> Floats:
    return _seats_at(seats, moments, 0)


def _seats_at(seats: Level | None, moments: Moments, days_before: int) -> Floats:
    if seats is None:
        return np.full(moments.time.shape, np.nan)
    account = np.repeat(moments.account, moments.time.shape[1])
    time = (moments.time - np.timedelta64(days_before, "D")).ravel()
    return seats.at(account, time, inclusive=days_before > 0).reshape(moments.time.shape)


def _denominator(spec: FeatureSpec, batch: Batch, moments: Moments, seats: Level | None) -> Floats:
    if spec.per is Per.SEAT:
        seats_then = _seats_at(seats, moments, -(spec.window.start_days or 0))
        return np.where(seats_then > 0, seats_then, np.nan)
    if spec.per is Per.USER:
        return np.maximum(_distinct_users(spec, batch, moments, seats), 1.0)
    length = spec.window.length_days
    lived = moments.tenure_days if length is None else np.minimum(moments.tenure_days, length)
    return np.maximum(lived, 1.0) / DAYS_PER_MONTH


_VALUES = {
    Aggregation.COUNT: _count,
    Aggregation.ACTIVE_DAYS: _active_days,
    Aggregation.DISTINCT_USERS: _distinct_users,
    Aggregation.GROUPS: _groups,
    Aggregation.DAYS_SINCE: _days_since,
    Aggregation.TENURE: _tenure,
    Aggregation.SEATS: _seats_now,
}
