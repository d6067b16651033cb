"""Volumes of a log per quarter: events, accounts that did anything, and when accounts reached something."""

from collections.abc import Collection, Iterable
from typing import Any

import ibis
import pandas as pd

from features.attributes import Holding
from features.columns import to_frame
from features.declaration import Data
from features.log import Log
from features.windows import DAY_US


def quarterly_volumes(log: Log, data: Data) -> pd.DataFrame:
    """One row per quarter with events, in order: quarter, events, active_accounts, signups."""
    quarters = data.calendar.quarters
    days = pd.date_range(log.data_from, log.data_through, freq="D").to_series()
    calendar = pd.DataFrame({"day": days.dt.date.to_numpy(), "quarter": quarters.of(days).to_numpy()})
    table = log.lay_down("calendar_quarters", calendar)
    events = log.events.mutate(day=log.events.occurred_at.date()).join(table, "day")
    found = to_frame(
        events.group_by("quarter").aggregate(events=events.count(), active_accounts=events.account.nunique())
    )
    signups = quarters.of(log.accounts["signed_up_at"]).value_counts()
    found["signups"] = found["quarter"].map(signups).fillna(0).astype(int)
    return found.sort_values("quarter", ignore_index=True)


def days_to_count(log: Log, events: tuple[str, ...], at_least: float, within_days: int) -> "pd.Series[float]":
    """Days from signup to the event with which each account reached a count, by account code.

    Only accounts that got there within `within_days`; with quantities, the event at which their sum did.
    """
    reached = _reaching(_early(log, within_days, events), "account", at_least)
    return _first(reached.group_by("account").aggregate(elapsed=reached.elapsed.min()))


def days_to_steps(
    log: Log, events: Collection[str], held: Iterable[Holding], at_least: int, within_days: int
) -> "pd.Series[float]":
    """Days from signup to the first time that `at_least` different steps were done, by account code.

    A step is one of the events, or a state that is held: done at signup where it was in force already.
    """
    signed_up = log.accounts["signed_up_at"]
    parts = [_first_done(log, events, within_days)] if events else []
    for holding in held:
        since = holding.first_from(signed_up)
        elapsed = (since - signed_up.reindex(since.index)).dt.as_unit("us").astype("int64")
        early = elapsed[elapsed < within_days * DAY_US]
        parts.append(pd.DataFrame({"account": early.index, "elapsed": early.to_numpy()}))
    first = pd.concat(parts, ignore_index=True)
    nth = first.sort_values("elapsed").groupby("account").nth(at_least - 1)
    return nth.set_index("account")["elapsed"] / DAY_US


def _first_done(log: Log, events: Collection[str], within_days: int) -> pd.DataFrame:
    """When each account first did each event: account, elapsed."""
    table = _reaching(_early(log, within_days, events), ["account", "event"], 1)
    found = to_frame(table.group_by(["account", "event"]).aggregate(elapsed=table.elapsed.min()))
    return found[["account", "elapsed"]]


def _early(log: Log, within_days: int, names: Collection[str]) -> Any:
    events = log.events
    elapsed = events.occurred_at.delta(events.signed_up_at, unit="microsecond")
    weight = events.quantity if "quantity" in events.columns else ibis.literal(1)
    early = events.mutate(elapsed=elapsed, weight=weight)
    return early.filter(early.event.isin(sorted(names)), early.elapsed < within_days * DAY_US)


def _reaching(table: Any, group: str | list[str], at_least: float) -> Any:
    """The rows from which on the running sum of each group is at least so much: a step of quantity 0 is none."""
    window = ibis.cumulative_window(group_by=group, order_by="elapsed")
    return table.mutate(total=table.weight.sum().over(window)).filter(lambda t: t.total >= at_least)


def _first(table: Any) -> "pd.Series[float]":
    frame = to_frame(table)
    return frame.set_index("account")["elapsed"] / DAY_US
