"""The tables of a simulated company, as the input contract has them, from the lives of a block of accounts."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Integers
from features.simulation.history import Columns, History
from features.simulation.plantings import MONTH_DAYS, PLANS, TERM_DAYS
from features.simulation.records import Records
from features.simulation.scenario import Scenario
from features.windows import DAY_US, microseconds

Ids = NDArray[np.str_]

INDUSTRIES = ("software", "retail", "finance", "education", "health", "travel", "media")
INDUSTRY_SHARES = (0.34, 0.2, 0.14, 0.1, 0.08, 0.08, 0.06)
COUNTRIES = ("US", "GB", "DE", "FR", "AU", "CA", "BR", "IN", "JP")
PRICE = np.array([29.0, 59.0, 99.0])  # a seat and month, by plan
ANNUAL_DISCOUNT = 0.85
RECORDING_DELAY_US = 600 * 1_000_000  # on average
PUSH, PUSH_DAY = "activation_push", 60
NEVER_DAY = 1e5


def events_table(history: History, ids: Ids, done: Records, rng: np.random.Generator) -> pa.Table:
    """account_id, event, occurred_at, user_id and, where the scenario has it, recorded_at: a row an event."""
    scenario = history.scenario
    settings = [Columns(scenario).of[step] for step in scenario.settings]
    done = done.where(~np.isin(done.column, settings))
    most = history.seats.max(axis=1)  # every account has as many users as it ever had seats
    first_user = np.concatenate([[0], np.cumsum(most)[:-1]]).astype(np.int32)
    users = [f"{name}-U{user:03d}" for name, n in zip(ids, most, strict=True) for user in range(1, n + 1)]
    columns = {
        "account_id": pa.DictionaryArray.from_arrays(done.account, pa.array(ids)),
        "event": pa.DictionaryArray.from_arrays(done.column.astype(np.int32), pa.array(scenario.columns)),
        "occurred_at": _times(done.at),
        "user_id": pa.DictionaryArray.from_arrays(first_user[done.account] + done.user, pa.array(users)),
    }
    if scenario.recorded:
        delay = rng.exponential(RECORDING_DELAY_US, len(done)).astype(np.int64)
        columns["recorded_at"] = _times(done.at + delay)
    return pa.table(columns)


def accounts_table(history: History, ids: Ids, rng: np.random.Generator) -> pa.Table:
    """account_id, signed_up_at, industry, country, is_test: one row an account, in the order of signup."""
    n = len(ids)
    industry = rng.choice(len(INDUSTRIES), n, p=INDUSTRY_SHARES)
    return pa.table(
        {
            "account_id": pa.array(ids),
            "signed_up_at": _times(history.population.signed_up),
            "industry": pa.array(np.array(INDUSTRIES)[industry]),
            "country": pa.array(np.array(COUNTRIES)[(len(COUNTRIES) * rng.random(n) ** 2).astype(np.int64)]),
            "is_test": pa.array(history.population.is_test),
        }
    )


@dataclass(frozen=True)
class Spells:
    """Subscription spells in the order of account and time, one entry each; instants in microseconds since 1970.

    `renews` is the next renewal all through an annual spell, which ends at it; 0 where the term is a month.
    """

    account: Integers
    starts: Integers
    ends: Integers  # at or after the log's end where it goes on
    plan: Integers
    seats: Integers
    mrr: Floats
    annual: Flags
    renews: Integers
    trial: Flags


def spells_of(history: History) -> Spells:
    """Seats, plan, a renewal or the end of a trial close a spell and open a touching one; returning opens one after a gap."""
    scenario, people = history.scenario, history.population
    account, day = _openings(history)
    signed_up = people.signed_up[account]
    starts = signed_up + day * DAY_US
    returned: Flags = day >= history.return_day[account]
    last = np.ones(len(day), dtype=np.bool_)
    last[:-1] = (account[1:] != account[:-1]) | (returned[1:] != returned[:-1])
    leaves = np.where(returned, history.second_end[account], history.first_end[account])
    left = np.where(np.isfinite(leaves), leaves, NEVER_DAY)
    following = np.append(starts[1:], microseconds(scenario.end))
    ends = np.where(last, signed_up + (left * DAY_US).astype(np.int64), following)
    annual = people.annual[account] & ~returned
    trial = people.trial[account] & (day < scenario.population.trial_days)
    month = day // MONTH_DAYS
    seats, plan = history.seats[account, month], history.plan[account, month]
    price = PRICE[plan] * np.where(annual, ANNUAL_DISCOUNT, 1.0) * ~trial
    pricing = scenario.changes.pricing
    if pricing:
        dearer = starts >= microseconds(scenario.quarter_start(pricing.quarter))
        price = price * np.where(dearer, pricing.ratio, 1.0)
    renews = np.where(annual, signed_up + (day // TERM_DAYS + 1) * TERM_DAYS * DAY_US, np.int64(0))
    mrr = np.asarray(price * seats, dtype=np.float64).round(2)
    return Spells(account, starts, ends, plan, seats, mrr, annual, renews, trial)


def _openings(history: History) -> tuple[Integers, Integers]:
    """Where spells open, in the order of account and time: (account, day of tenure)."""
    people, trial_days = history.population, history.scenario.population.trial_days
    before = np.zeros_like(history.present)
    before[:, 1:] = history.present[:, :-1]
    moved = np.zeros_like(before)
    moved[:, 1:] = (np.diff(history.seats, axis=1) != 0) | (np.diff(history.plan, axis=1) != 0)
    account, month = np.nonzero(history.present & (~before | moved))
    day = month * MONTH_DAYS
    buys = np.flatnonzero(people.trial & (history.first_end > trial_days) & (history.log_days > trial_days))
    account = np.append(account, buys)
    day = np.append(day, np.full(len(buys), trial_days))
    for renewal in range(TERM_DAYS, history.spans.shape[1] * MONTH_DAYS, TERM_DAYS):
        renews = people.annual & (history.first_end > renewal) & (history.log_days > renewal)
        # Who came back pays by the month and renews nothing.
        renews &= history.return_day > renewal
        account = np.append(account, np.flatnonzero(renews))
        day = np.append(day, np.full(renews.sum(), renewal))
    # A seat change on the very day of a renewal is one opening, not two.
    both = np.unique(np.column_stack([account, day]), axis=0)
    return both[:, 0], both[:, 1]


def subscriptions_table(history: History, ids: Ids, spells: Spells) -> pa.Table:
    """account_id, started_at, ended_at, plan, seats, mrr, term_months, renews_at, trial: a row a spell.

    `renews_at` is null for monthly terms, which can end on any day.
    """
    return pa.table(
        {
            "account_id": pa.array(ids[spells.account]),
            "started_at": _times(spells.starts),
            "ended_at": _times(spells.ends, spells.ends >= microseconds(history.scenario.end)),
            "plan": pa.array(np.array(PLANS)[spells.plan]),
            "seats": pa.array(spells.seats),
            "mrr": pa.array(spells.mrr),
            "term_months": pa.array(np.where(spells.annual, 12, 1)),
            "renews_at": _times(spells.renews, ~spells.annual),
            "trial": pa.array(spells.trial),
        }
    )


def states_table(history: History, ids: Ids, done: Records) -> pa.Table:
    """account_id, attribute, value, valid_from: settings from the first time they were made, and whom teams contacted."""
    parts = []
    for name, step in history.scenario.settings.items():
        made = done.where(done.column == Columns(history.scenario).of[name])
        who, first = np.unique(made.account, return_index=True)  # the records are in the order of time
        parts.append(_held(ids[who], str(step.state), step.value, made.at[first]))
    for word, flags in (("contacted", history.contacted), ("held_out", history.held_out)):
        since = history.population.signed_up[flags] + PUSH_DAY * DAY_US
        parts.append(_held(ids[flags], PUSH, word, since))
    return pa.concat_tables(parts)


def _held(ids: Ids, attribute: str, value: str, since: Integers) -> pa.Table:
    """Rows of states that hold one value from different times on."""
    words = {"attribute": attribute, "value": value}
    return pa.table(
        {
            "account_id": pa.array(ids, pa.string()),
            **{name: pa.array(np.full(len(ids), word), pa.string()) for name, word in words.items()},
            "valid_from": _times(since),
        }
    )


def eligibility_table(scenario: Scenario) -> pa.Table | None:
    """feature, plan, launched_at: which events not every account can use at any time; None where all can."""
    limited = {n: u for n, u in scenario.events.items() if u.plan or u.launched_quarter is not None}
    if not limited:
        return None
    launches = [
        None if usage.launched_quarter is None else scenario.quarter_start(usage.launched_quarter)
        for usage in limited.values()
    ]
    return pa.table(
        {
            "feature": pa.array(list(limited)),
            "plan": pa.array([usage.plan for usage in limited.values()], pa.string()),
            "launched_at": pa.array(launches, pa.timestamp("us")),
        }
    )


def _times(at: Integers, missing: Flags | None = None) -> pa.Array:
    return pa.array(at.view("M8[us]"), mask=missing)
