"""Effects over time: who left when, beside who had reached a milestone by then, and the same effect from a later landmark.

A landmark costs whoever left before it, and may be laid elsewhere. The Cox model with a covariate that changes needs none:
every account counts as not reached until the day it reaches, and as reached from the next one on, so that nobody is credited
with days that were needed to get there. Suissa 2008; Therneau & Grambsch 2000.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from features.arrays import Floats, Integers
from features.attributes import FAR
from features.declaration import Data
from features.log import Log
from features.outcomes import customer_spells, lives
from features.states import States, holdings
from features.volumes import days_to_count, days_to_steps
from features.windows import DAY_US
from models.effects import FEWEST_OF_A_CLASS
from models.estimates import Estimate
from models.milestones import CountRule, Milestone, StepsRule

_FURTHEST = 20.0  # a logarithm of a ratio that no data reach


@dataclass(frozen=True, eq=False)
class Lifetimes:
    """Accounts by the day, counted from signup; all arrays (n,).

    begins: when the account became a customer. reached: when it reached the milestone, infinite where it did not.
    ends: when it left, infinite where that is not within the follow-up. until: from when on it could not leave from month
    to month, infinite where it always could; it is followed up to there. stratum: who is compared with whom, from 0.
    """

    begins: Floats
    reached: Floats
    ends: Floats
    until: Floats
    stratum: Integers
    follow_up_days: int


def days_to_reach(data: Data, log: Log, milestone: Milestone, at_least: float) -> "pd.Series[float]":
    """Days from signup to a once milestone at this cut, by account code; only of those who reached it within its window."""
    rule = milestone.rule
    if isinstance(rule, StepsRule):
        held = holdings(States.of(log, data), rule.state_tests, "a step") if rule.state_tests else {}
        return days_to_steps(log, rule.all_events, held.values(), math.ceil(at_least), rule.window_days)
    if isinstance(rule, CountRule):
        return days_to_count(log, rule.events, at_least, rule.window_days)
    return pd.Series(dtype=float)  # levels are looked at on a date


def lifetimes_of(
    rows: pd.DataFrame, reached: "pd.Series[float]", log: Log, data: Data, days: int
) -> Lifetimes:
    """Follow accounts from signup through so many days, in their first life as customers that is not over at signup.

    rows: account, quarter, one row each, all of them known that far; who never became a customer is left out. A contract
    over more than a month holds an account, whatever it does: it is followed until such a contract begins.
    """
    found = lives(log, data)
    first = pd.DataFrame({"account": found.account, "start": found.start, "end": found.end})
    first = first[first["end"] >= log.accounts["signed_up_at"].loc[first["account"]].to_numpy()]
    first = first.sort_values("start", kind="stable").drop_duplicates("account").set_index("account")
    first["until"] = _held_from(log, data).reindex(first.index)
    rows = rows[rows["account"].isin(first.index)]
    first = first.loc[rows["account"]]
    signed_up = log.accounts["signed_up_at"].loc[rows["account"]].to_numpy()
    begins, ends, until = (
        (first[at].to_numpy("datetime64[us]") - signed_up) / np.timedelta64(DAY_US, "us")
        for at in ("start", "end", "until")
    )
    return Lifetimes(
        begins=np.maximum(begins, 0.0).astype(np.float64),
        reached=np.asarray(reached.reindex(rows["account"]).fillna(np.inf), dtype=np.float64),
        ends=np.where(first["end"].to_numpy() == FAR, np.inf, ends).astype(np.float64),
        until=np.nan_to_num(until, nan=np.inf),
        stratum=np.unique(rows["quarter"].to_numpy(str), return_inverse=True)[1].astype(np.int64),
        follow_up_days=days,
    )


def _held_from(log: Log, data: Data) -> "pd.Series[pd.Timestamp]":
    """When the first contract over more than a month begins, of the accounts that have one; empty where no terms are known."""
    if log.subscriptions is None or "term_months" not in log.subscriptions:
        return pd.Series(dtype="datetime64[us]")
    spells = customer_spells(log.subscriptions, data)
    return spells[spells["term_months"] > 1].groupby("account")["started_at"].min()


def hazard_ratio(seen: Lifetimes) -> Estimate | None:
    """How many times as often accounts leave on a day once they have reached, within strata, with a Wald interval.

    Cox's partial likelihood (ties after Breslow) of one covariate needs of each day only who is there and who leaves, of
    those who have reached before and of the others: a million accounts are as quick as a thousand. None where fewer than
    thirty leave, or none of one kind does while both are there.
    """
    final = seen.follow_up_days - 1
    first = np.floor(seen.begins)
    last = np.minimum(np.minimum(np.floor(seen.ends), final), np.ceil(seen.until) - 1)
    turn = np.maximum(
        np.minimum(np.floor(seen.reached), last), first - 1
    )  # the last day of not having reached
    left = (np.floor(seen.ends) <= last) & (first <= last)
    if left.sum() < FEWEST_OF_A_CLASS:
        return None
    cells = (int(seen.stratum.max()) + 1, seen.follow_up_days)
    before = _there(seen.stratum, first, turn, cells)
    after = _there(seen.stratum, turn + 1, last, cells)
    deaths = [
        np.bincount(_cell(seen.stratum[of], last[of], cells), minlength=before.size)
        for of in (left, left & (last > turn))
    ]
    both = (before > 0) & (after > 0) & (deaths[0] > 0)
    total, reached, n0, n1 = (of[both].astype(np.float64) for of in (*deaths, before, after))
    if not 0 < reached.sum() < total.sum():
        return None

    def surplus(b: float) -> float:
        return float(reached.sum() - total @ _share(n0, n1, b))

    if surplus(-_FURTHEST) * surplus(_FURTHEST) >= 0:
        return None
    b = float(brentq(surplus, -_FURTHEST, _FURTHEST))
    share = _share(n0, n1, b)
    half = float(norm.ppf(0.975)) / math.sqrt(float(total @ (share * (1 - share))))
    n = int((first <= last).sum())
    return Estimate("hazard_ratio", math.exp(b), math.exp(b - half), math.exp(b + half), n, n)


def _share(n0: Floats, n1: Floats, b: float) -> Floats:
    """The chance that who leaves on a day is one of those who have reached."""
    weighted = n1 * math.exp(b)
    return weighted / (n0 + weighted)


def _cell(stratum: Integers, day: Floats, cells: tuple[int, int]) -> Integers:
    return np.ravel_multi_index((stratum, day.astype(np.int64)), cells).astype(np.int64)


def _there(stratum: Integers, first: Floats, last: Floats, cells: tuple[int, int]) -> Integers:
    """How many are there in each stratum on each day, from the first to the last day of each, flat."""
    some = first <= last
    steps = np.zeros((cells[0], cells[1] + 1), dtype=np.int64)
    for day, step in ((first[some], 1), (last[some] + 1, -1)):
        np.add.at(steps, (stratum[some], day.astype(np.int64)), step)
    return steps.cumsum(axis=1)[:, :-1].ravel()
