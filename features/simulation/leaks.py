"""Faults of data that let the future into the past, planted so that an audit can be seen to find them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.simulation.history import History
from features.simulation.tables import Ids
from features.windows import DAY_US, microseconds

WEEKLY = "weekly_usage"
REASON = "churn_reason"
WEEK_US = 7 * DAY_US
MONDAY = 4 * DAY_US  # 1970-01-05 was the first one
BACKFILLED, BACKFILLED_DAYS, LATE_DAYS = 4, 120, 30
REASONS = ("price", "competitor", "no need")
REASON_SHARE = 0.9


def with_event_leaks(events: pa.Table, history: History, ids: Ids, rng: np.random.Generator) -> pa.Table:
    """The events of a block with the rows that the scenario's leaks add, in the order of time."""
    scenario = history.scenario
    added = []
    if "weekly_sums" in scenario.leaks:
        added.append(_weekly_sums(events, history))
    if "backfilled_rows" in scenario.leaks:
        added.append(_backfilled(history, scenario.conversations.started, rng))
    if not added:
        return events
    schema = pa.schema(
        [(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in events.schema]
    )
    account = np.concatenate([a for a, *_ in added])
    rows = {
        "account_id": pa.array(ids[account]),
        "event": pa.array(np.concatenate([np.full(len(a), name) for a, name, *_ in added])),
        "occurred_at": pa.array(np.concatenate([at for *_, at, _ in added]).view("M8[us]")),
        "user_id": pa.nulls(len(account), pa.string()),
    }
    if scenario.recorded:
        rows["recorded_at"] = pa.array(np.concatenate([late for *_, late in added]).view("M8[us]"))
    both = pa.concat_tables([events.cast(schema), pa.table(rows, schema=schema)])
    return both.take(pc.sort_indices(both["occurred_at"]))


def _weekly_sums(events: pa.Table, history: History) -> tuple[np.ndarray, str, np.ndarray, np.ndarray]:
    """A row a week of use, dated at the week's *start*: a window that ends within the week takes in its rest."""
    account = events["account_id"].combine_chunks().indices.to_numpy()
    at = events["occurred_at"].to_numpy().astype("M8[us]").view(np.int64)
    week = (at - MONDAY) // WEEK_US
    weeks = microseconds(history.scenario.end) // WEEK_US + 1
    used = np.unique(account.astype(np.int64) * weeks + week)  # one number a pair: rows are slow to sort
    account, opens = used // weeks, used % weeks * WEEK_US + MONDAY
    inside = opens >= history.population.signed_up[account]
    return account[inside], WEEKLY, opens[inside], opens[inside] + WEEK_US


def _backfilled(
    history: History, event: str, rng: np.random.Generator
) -> tuple[np.ndarray, str, np.ndarray, np.ndarray]:
    """Conversations of those who left, written a month after with times before."""
    left = np.flatnonzero(history.first_end < history.log_days - LATE_DAYS)
    account = np.repeat(left, BACKFILLED)
    end = history.first_end[account]
    at = end - rng.uniform(1, BACKFILLED_DAYS, len(account))
    inside = at > 0
    since = history.population.signed_up[account[inside]]
    written = since + ((end[inside] + LATE_DAYS) * DAY_US).astype(np.int64)
    return account[inside], event, since + (at[inside] * DAY_US).astype(np.int64), written


def with_account_leaks(accounts: pa.Table, history: History, rng: np.random.Generator) -> pa.Table:
    """The accounts with a column that is filled in when one leaves, mostly."""
    if "set_after_churn" not in history.scenario.leaks:
        return accounts
    left = (history.first_end < history.log_days) & (rng.random(len(accounts)) < REASON_SHARE)
    reasons = np.array(REASONS)[rng.integers(len(REASONS), size=len(accounts))]
    return accounts.append_column(REASON, pa.array(reasons, mask=~left))
