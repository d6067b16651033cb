"""Covariates: what was so of an account before a milestone's window began, and what it did besides.

Nothing here can have been moved by reaching the milestone, nor by its outcome. A worked example: utilization looks at
the 30 days before 2024-04-01; the seats of its covariates are those in force on 2024-03-02, when that window begins.
"""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd

from features.arrays import Floats, Integers, Times
from features.attributes import Level, in_force, times_of
from features.declaration import Data
from features.log import Log
from features.specs import Aggregation, FeatureSpec
from features.validators import SPELLED, TENURE
from features.windows import EVER, ONE_DAY, Window, last
from models.carried import carried
from models.milestones import Milestone
from models.strata import FEWEST_IN_A_STRATUM, in_parts, is_amount

TENTHS = 10
# `in_force` asks for what was so before an instant; what is so at the one at which a window begins counts too.
INSTANT = np.timedelta64(1, "us")


def seats_at_begin(rows: pd.DataFrame, log: Log, window_days: int) -> Floats:
    """(n,): the seats in force when the window of each row (account, as_of) begins; NaN where none are known."""
    return _level(rows, log, window_days, "seats")


def at_begin(rows: pd.DataFrame, log: Log, window_days: int, names: Iterable[str]) -> pd.DataFrame:
    """The covariates of data.adjust_for as they were when the window of each row (account, as_of) began.

    Columns by name, index of rows: seats and mrr (numbers), plan (text), tenure (days), attributes fixed at signup as
    they stand. Missing where nothing is known from before.
    """
    return pd.DataFrame({name: _column(name, rows, log, window_days) for name in names}, index=rows.index)


def _column(name: str, rows: pd.DataFrame, log: Log, window_days: int) -> "Floats | pd.Series[Any]":
    account, spells = rows["account"].to_numpy(np.int64), log.subscriptions
    if name == TENURE:
        since = times_of(log.accounts["signed_up_at"].take(account))
        return np.maximum((_begin(rows, window_days) - since) / ONE_DAY, 0.0)
    if spells is None or name not in spells or name not in SPELLED:
        return log.accounts[name].take(account).set_axis(rows.index)
    if name == "plan":
        begins = rows.assign(as_of=_begin(rows, window_days) + INSTANT)
        return in_force(spells, begins, name)[name]
    return _level(rows, log, window_days, name)


def _begin(rows: pd.DataFrame, window_days: int) -> Times:
    return times_of(rows["as_of"]) - window_days * ONE_DAY


def _level(rows: pd.DataFrame, log: Log, window_days: int, column: str) -> Floats:
    if log.subscriptions is None or column not in log.subscriptions:
        return np.full(len(rows), np.nan)
    level = Level.of(log.subscriptions, column)
    found = level.at(rows["account"].to_numpy(np.int64), _begin(rows, window_days), inclusive=True)
    # Between subscriptions the total is 0, of seats that says nothing of size.
    return np.where(found > 0, found, np.nan) if column == "seats" else found


def known_before(log: Log, data: Data, kind: Literal["once", "state"]) -> tuple[str, ...]:
    """The covariates that can be told from before a milestone's window; tenure says nothing at signup."""
    spells = () if log.subscriptions is None else log.subscriptions.columns
    tenure = (TENURE,) if kind == "state" else ()
    return (*dict.fromkeys((*(name for name in SPELLED if name in spells), *tenure, *data.fixed_at_signup)),)


def strata_at_begin(rows: pd.DataFrame, log: Log, window_days: int, name: str) -> Integers:
    """(n,): the stratum of each row by one covariate as the window began: tenths of a number, each value of a text."""
    column = at_begin(rows, log, window_days, [name])[name]
    if is_amount(column):
        return in_parts(column.to_numpy(np.float64, na_value=np.nan), TENTHS, FEWEST_IN_A_STRATUM)
    return pd.factorize(column.astype("string"), sort=True)[0].astype(np.int64)


def prior_use_specs(name: str, milestone: Milestone) -> tuple[FeatureSpec, ...]:
    """What to look up beside a milestone's score for `prior_use`, to be carried by `build_cohorts`.

    How recently the account did anything at all, and how much it did: of a state the milestone's own events in the
    window before its own, of a milestone reached once all events and the milestone's own, for the others among them.
    """
    days, own = milestone.rule.window_days, tuple(sorted(milestone.rule.all_events))
    prefix = carried(f"prior:{name}:")
    recency = FeatureSpec(
        f"{prefix}recency", "days since the last event", Aggregation.DAYS_SINCE, EVER, unit="days"
    )
    counts: list[tuple[str, tuple[str, ...] | None, Window]]
    if milestone.kind == "state":
        counts = [("before", own or None, Window(-2 * days, -days))]
    else:
        counts = [("all", None, last(days)), *([("own", own, last(days))] if own else [])]
    return (
        recency,
        *(
            FeatureSpec(f"{prefix}{part}", f"{part} events", Aggregation.COUNT, window, events=events)
            for part, events, window in counts
        ),
    )


def prior_use(rows: pd.DataFrame, name: str) -> pd.DataFrame | None:
    """recency (days) and volume (events) of each row; None where `prior_use_specs` were not looked up.

    Of a milestone reached once the volume is that of all other events in its window.
    """
    prefix = carried(f"prior:{name}:")
    found = {str(c).removeprefix(prefix): rows[c] for c in rows if str(c).startswith(prefix)}
    if not found:
        return None
    volume = found["before"] if "before" in found else found["all"]
    if "own" in found:
        volume = volume - found["own"].fillna(0.0)
    return pd.DataFrame({"recency": found["recency"], "volume": volume})
