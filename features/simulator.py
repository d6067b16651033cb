"""A planted-truth company: an event log whose thresholds, confounder, drift and twins are known.

    company = simulate(SCENARIOS["support"], np.random.default_rng(0))
    write(company, Path("build/company"))  # events, accounts, subscriptions as Parquet, truth.json

The same scenario and generator state give the same bytes. What is planted is in `features.planted`.
"""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Integers
from features.company import SETUP, History, live
from features.planted import EVENTS, MONTH_DAYS, PLANS, SCENARIOS, TERM_DAYS, Effects, Scenario
from features.population import draw_population
from features.progress import ProgressCallback
from features.truth import truth_of
from features.windows import DAY_US, microseconds
from features.workspace import set_aside

__all__ = ["SCENARIOS", "Company", "Effects", "Scenario", "simulate", "write"]

Ids = NDArray[np.str_]

HOUR = 3_600_000_000  # microseconds
INDUSTRIES = ("software", "retail", "finance", "education", "health", "travel", "media")
COUNTRIES = ("US", "GB", "DE", "FR", "AU", "CA", "BR", "IN", "JP")
PRICE = np.array([29.0, 59.0, 99.0])  # a seat and month, by plan
PRICE_RISE = 1.08
ANNUAL_DISCOUNT = 0.85
BLOCK_EVENTS = 2_000_000


@dataclass(frozen=True)
class Company:
    """Arrow tables with the columns of the input contract, and the truth behind them.

    - events: account_id, event, occurred_at, user_id, in the order of time
    - accounts: account_id, signed_up_at, industry, country, is_test
    - subscriptions: account_id, started_at, ended_at, plan, seats, mrr, term_months, renews_at. Annual spells
      end at every renewal, so `renews_at` is the next renewal all through a spell; it is null for monthly
      terms, which can end on any day.
    """

    events: pa.Table
    accounts: pa.Table
    subscriptions: pa.Table
    truth: dict[str, Any]


def _week_weights() -> Floats:
    """How likely an event is in each hour from Thursday 00:00 on (1970 began on one), (168,), at most 1."""
    day = np.full(24, 0.08)
    day[8:19] = 1.0
    day[[7, 12, 19]] = 0.5
    weekday = (np.arange(7) + 3) % 7  # 0 is Monday
    return np.asarray(np.outer(np.where(weekday >= 5, 0.2, 1.0), day).ravel())


WEEK = _week_weights()


def simulate(
    scenario: Scenario, rng: np.random.Generator, progress: ProgressCallback | None = None
) -> Company:
    """The company of a scenario. `progress` is called with the stage's name and the share done, 0 to 1."""
    tell = progress or _silent
    tell("accounts", 0.0)
    n = scenario.n_accounts
    start, end = microseconds(scenario.start), microseconds(scenario.end)
    signed_up = np.sort(_working_times(np.full(n, start), np.full(n, end - start - HOUR), np.ones(n), rng))
    population = draw_population(signed_up, rng)
    tell("months", 0.1)
    history = live(scenario, population, rng)
    tell("events", 0.4)
    ids = np.array([f"A{number:06d}" for number in range(1, n + 1)])
    events = _events(history, ids, rng)
    tell("tables", 0.9)
    company = Company(
        events,
        _accounts(history, ids, rng),
        _subscriptions(history, ids, scenario),
        truth_of(scenario, history),
    )
    tell("done", 1.0)
    return company


def write(company: Company, folder: Path) -> None:
    """Write events.parquet, accounts.parquet, subscriptions.parquet and truth.json into a folder.

    Each file appears whole or not at all. Raises StoreError when the folder cannot be written.
    """
    tables = {"events": company.events, "accounts": company.accounts, "subscriptions": company.subscriptions}
    for name, table in tables.items():
        with set_aside(folder / f"{name}.parquet") as path:
            pq.write_table(table, path, compression="zstd", **_encoding(table))
    with set_aside(folder / "truth.json") as path:
        path.write_text(json.dumps(company.truth, indent=2) + "\n", encoding="utf-8")


def _encoding(table: pa.Table) -> dict[str, Any]:
    """Texts by dictionary, times by their differences: in the order of time these are small."""
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    return {
        "use_dictionary": [name for name in table.column_names if name not in times],
        "column_encoding": dict.fromkeys(times, "DELTA_BINARY_PACKED"),
    }


def _silent(stage: str, share: float) -> None:
    """Tell nobody."""


def _working_times(start: Integers, span: Integers, power: Floats, rng: np.random.Generator) -> Integers:
    """Instants in [start, start + span), microseconds, (n,), thicker in working hours; power > 1: and early.

    Rejection keeps every instant inside its span, however short, which a shift to office hours would not.
    """
    at = start + (span * rng.random(len(start)) ** power).astype(np.int64)
    todo = np.flatnonzero(rng.random(len(at)) >= WEEK[at // HOUR % len(WEEK)])
    for _ in range(
        12
    ):  # a span inside one night has no better hour: whoever is left then keeps the last draw
        if not len(todo):
            break
        drawn = start[todo] + (span[todo] * rng.random(len(todo)) ** power[todo]).astype(np.int64)
        at[todo] = drawn
        todo = todo[rng.random(len(todo)) >= WEEK[drawn // HOUR % len(WEEK)]]
    return at


def _events(history: History, ids: Ids, rng: np.random.Generator) -> pa.Table:
    """One row an event, in the order of time."""
    blocks = [_event_block(history, block, rng) for block in _account_blocks(history)]
    account, event, at, user = (np.concatenate(column) for column in zip(*blocks, strict=True))
    del blocks
    order = np.argsort(at, kind="stable")
    at, account = at[order], account[order]
    at = strictly_increasing(at)  # no row can be there twice
    most = history.seats.max(axis=1)  # every account has as many users as it ever had seats
    first_user = np.concatenate([[0], np.cumsum(most)[:-1]]).astype(np.int32)
    users = pa.array(
        [f"{name}-U{user:03d}" for name, n in zip(ids, most, strict=True) for user in range(1, n + 1)]
    )
    return pa.table(
        {
            "account_id": pa.DictionaryArray.from_arrays(account, pa.array(ids)),
            "event": pa.DictionaryArray.from_arrays(event[order], pa.array(EVENTS)),
            "occurred_at": pa.array(at.view("M8[us]")),
            "user_id": pa.DictionaryArray.from_arrays(first_user[account] + user[order], users),
        }
    )


def strictly_increasing(at: Integers) -> Integers:
    """Sorted instants, moved so far that each is later than the one before: 5, 5, 6 becomes 5, 6, 7."""
    step = np.arange(len(at))
    return np.asarray(np.maximum.accumulate(at - step) + step)


def _account_blocks(history: History) -> list[slice]:
    """Runs of accounts with some millions of events each: what is needed on the way stays small."""
    total = history.counts.sum(axis=(1, 2), dtype=np.int64).cumsum()
    edges = np.flatnonzero(np.diff(total // BLOCK_EVENTS)) + 1
    return [slice(low, high) for low, high in itertools.pairwise([0, *edges.tolist(), len(total)])]


def _event_block(
    history: History, block: slice, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int8], Integers, NDArray[np.int32]]:
    """Account number, event number, instant and user (from 0) of some accounts' events."""
    account, month, event = np.nonzero(history.counts[block])
    times = history.counts[block][account, month, event]
    account += block.start
    begins = history.population.signed_up[account] + month * MONTH_DAYS * DAY_US
    # One second stays free at the end: the instants are moved apart by microseconds.
    span = np.maximum((history.spans[account, month] * DAY_US).astype(np.int64) - 1_000_000, 1)
    # Setup steps come early in their month.
    power = np.where(event < SETUP.stop, 2.0, 1.0)
    at = _working_times(np.repeat(begins, times), np.repeat(span, times), np.repeat(power, times), rng)
    # Squared: an account's first users do more than its last.
    user = np.repeat(history.seats[account, month], times) * rng.random(len(at)) ** 2
    return (
        np.repeat(account.astype(np.int32), times),
        np.repeat(event.astype(np.int8), times),
        at,
        user.astype(np.int32),
    )


def _accounts(history: History, ids: Ids, rng: np.random.Generator) -> pa.Table:
    """One row an account, in the order of signup."""
    n = len(ids)
    return pa.table(
        {
            "account_id": pa.array(ids),
            "signed_up_at": pa.array(history.population.signed_up.view("M8[us]")),
            "industry": pa.array(
                np.array(INDUSTRIES)[rng.choice(7, n, p=[0.34, 0.2, 0.14, 0.1, 0.08, 0.08, 0.06])]
            ),
            "country": pa.array(np.array(COUNTRIES)[(len(COUNTRIES) * rng.random(n) ** 2).astype(np.int64)]),
            "is_test": pa.array(history.population.is_test),
        }
    )


def _openings(history: History) -> tuple[Integers, Integers]:
    """Where spells open, in the order of account and time: (account, day of tenure)."""
    before = np.zeros_like(history.present)
    before[:, 1:] = history.present[:, :-1]
    moved = np.zeros_like(before)
    moved[:, 1:] = (np.diff(history.seats, axis=1) != 0) | (np.diff(history.plan, axis=1) != 0)
    account, month = np.nonzero(history.present & (~before | moved))
    day = month * MONTH_DAYS
    lived = history.spans.sum(axis=1)
    for renewal in range(TERM_DAYS, history.spans.shape[1] * MONTH_DAYS, TERM_DAYS):
        renews = history.population.annual & (history.first_end > renewal) & (lived > renewal)
        # Who came back pays by the month and renews nothing.
        renews &= history.return_day > renewal
        account = np.append(account, np.flatnonzero(renews))
        day = np.append(day, np.full(renews.sum(), renewal))
    # A seat change on the very day of a renewal is one opening, not two.
    both = np.unique(np.column_stack([account, day]), axis=0)
    return both[:, 0], both[:, 1]


def _subscriptions(history: History, ids: Ids, scenario: Scenario) -> pa.Table:
    """Spells: seats, plan or a renewal close one and open a touching one; returning opens one after a gap."""
    account, day = _openings(history)
    signed_up = history.population.signed_up[account]
    starts = signed_up + day * DAY_US
    returned: Flags = day >= history.return_day[account]
    last = np.ones(len(day), dtype=np.bool_)
    last[:-1] = (account[1:] != account[:-1]) | (returned[1:] != returned[:-1])
    leaves = np.where(returned, history.second_end[account], history.first_end[account])
    log_end = microseconds(scenario.end)
    left = np.where(np.isfinite(leaves), leaves, 1e5)
    ends = np.where(last, signed_up + (left * DAY_US).astype(np.int64), np.append(starts[1:], log_end))
    annual = history.population.annual[account] & ~returned
    month = day // MONTH_DAYS
    seats, plan = history.seats[account, month], history.plan[account, month]
    price = PRICE[plan] * np.where(annual, ANNUAL_DISCOUNT, 1.0)
    price = price * np.where(starts >= microseconds(scenario.pricing_at), PRICE_RISE, 1.0)
    renews = signed_up + (day // TERM_DAYS + 1) * TERM_DAYS * DAY_US
    return pa.table(
        {
            "account_id": pa.array(ids[account]),
            "started_at": pa.array(starts.view("M8[us]")),
            "ended_at": pa.array(ends.view("M8[us]"), mask=ends >= log_end),
            "plan": pa.array(np.array(PLANS)[plan]),
            "seats": pa.array(seats),
            "mrr": pa.array(np.round(price * seats, 2)),
            "term_months": pa.array(np.where(annual, 12, 1)),
            "renews_at": pa.array(renews.view("M8[us]"), mask=~annual),
        }
    )
