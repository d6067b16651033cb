"""Fields written after churn: an attribute said to be fixed at signup that knows who was lost.

Each account counts once, with its newest known outcome, beside accounts that signed up in the same quarter: older
ones had longer to be lost, and other fields were asked for when they came.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.matrix import attributes_at
from models.contrast import Shares, Strata, shares
from models.estimates import BoolArray, FloatArray, IntArray
from models.leaks import Checked, Finding, Material, strictness, too_few

TIMES = 5.0  # as frequent among the lost as among the kept, beyond chance; or the other way round
HIGHEST_AUC = 0.85  # a whole model of a year's usage reaches that on real logs; nothing known at signup does
FEWEST_WITH_VALUE = 20  # accounts
MOST_VALUES = 50
FILLED = "has any value"
ACCOUNTS = "accounts."


@dataclass(frozen=True, eq=False)
class Accounts:
    """Accounts with their newest known outcome: code, lost, quarter of signup (n,), and columns by name."""

    account: IntArray
    lost: BoolArray
    cohort: IntArray
    columns: dict[str, "pd.Series[Any]"]


def attributes(material: Material) -> Checked:
    """Columns of the accounts, and the plan in force, against who was lost in the end."""
    accounts = _accounts(material)
    listed = material.framework.data.fixed_at_signup
    undated = [c for c in accounts.columns if c.startswith(ACCOUNTS)]
    used = [c for c in accounts.columns if c not in undated or c.removeprefix(ACCOUNTS) in listed]
    looked = (
        f"{len(undated)} columns of accounts, of which fixed_at_signup lists {len(listed)}; the other"
        f" {len(undated) - len(listed)} have no dates and are never features"
    )
    scarce = too_few(accounts.lost, accounts.account)
    if scarce:
        return Checked("attributes", f"{looked}; {scarce}")
    tests = [(name, test) for name, column in accounts.columns.items() for test in _tests(column)]
    z = strictness(len(tests))
    found: dict[str, Finding] = {}
    for name, test in tests:
        words, evidence = _judge(test, accounts, z)
        if words and name not in found:
            found[name] = _finding(name, words, evidence, used=name in used)
    return Checked("attributes", looked, tuple(found.values()))


def _accounts(material: Material) -> Accounts:
    newest = material.frame.sort_values(["account", "as_of"]).groupby("account").tail(1)
    codes = newest["account"].to_numpy(np.int64)
    table = material.log.accounts.iloc[codes].reset_index(drop=True)
    dated = attributes_at(material.log, material.framework.data, newest)
    columns = {f"{ACCOUNTS}{c}": table[c] for c in table if c not in ("account_id", "signed_up_at")}
    if "plan" in dated and "plan" not in material.framework.data.fixed_at_signup:
        columns["subscriptions.plan"] = pd.Series(dated["plan"])
    signed_up = material.framework.data.calendar.quarters.of(table["signed_up_at"])
    cohort = np.unique(signed_up.to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)
    return Accounts(
        np.arange(len(newest), dtype=np.int64), ~newest["retained"].to_numpy(bool), cohort, columns
    )


@dataclass(frozen=True, eq=False)
class Trait:
    """Whether accounts have a value, (n,)."""

    value: str
    flag: BoolArray


@dataclass(frozen=True, eq=False)
class Order:
    """Accounts in the order of a number or a time, (n,), missing as NaN."""

    score: FloatArray


def _tests(column: "pd.Series[Any]") -> Iterator[Trait | Order]:
    """What can be asked of a column: is it filled, does it hold one of its frequent values, how it ranks accounts."""
    given = column.notna().to_numpy(bool)
    if not given.any():
        return
    if not given.all():
        yield Trait(FILLED, given)
    if pd.api.types.is_datetime64_any_dtype(column):
        yield Order(np.where(given, column.astype("int64").to_numpy(np.float64), np.nan))
        return
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        yield Order(column.to_numpy(np.float64, na_value=np.nan))
    text = column.astype("string").str.strip()
    counts = text.value_counts()
    for value in counts[counts >= FEWEST_WITH_VALUE].index[:MOST_VALUES]:
        yield Trait(f"is {value!r}", text.eq(value).fillna(False).to_numpy(bool))


def _judge(test: Trait | Order, accounts: Accounts, z: float) -> tuple[str, dict[str, Any]]:
    """What is suspicious, in words, and its evidence; empty where nothing is."""
    if isinstance(test, Trait):
        seen = shares(test.flag, accounts.lost, accounts.cohort, accounts.account, z)
        if seen is None or max(seen.times_more_lost, seen.times_more_kept) < TIMES:
            return "", {}
        return _share_words(test.value, seen), _share_evidence(test.value, seen)
    strata = Strata(~accounts.lost, accounts.cohort, accounts.account)
    if not strata.comparable:
        return "", {}
    ranked = strata.auc(test.score)
    ranked = ranked if ranked.value >= 0.5 else ranked.turned()
    lower = ranked.value - z * ranked.error
    if lower < HIGHEST_AUC:
        return "", {}
    words = f"ranks lost and kept accounts of one quarter of signup with AUC {ranked.value:.2f} (at least {lower:.2f})"
    return words, {"auc": ranked.value, "lower": lower}


def _share_words(value: str, seen: Shares) -> str:
    (lost, n_lost), (kept, n_kept) = seen.of_lost, seen.of_kept
    return f"{value} for {lost:,} of {n_lost:,} lost accounts and for {kept:,} of {n_kept:,} kept ones"


def _share_evidence(value: str, seen: Shares) -> dict[str, Any]:
    times = max(seen.times_more_lost, seen.times_more_kept)
    return {"value": value, "share_lost": seen.lost, "share_kept": seen.kept, "at_least_times": times,
            "lost": list(seen.of_lost), "kept": list(seen.of_kept)}  # fmt: skip


def _finding(name: str, words: str, evidence: dict[str, Any], *, used: bool) -> Finding:
    if used:
        remedy = (
            "that is known of nobody at signup: take it out of data.fixed_at_signup, or give it with dates"
            if name.startswith(ACCOUNTS)
            else "was it overwritten when the account left? Give every change a row of its own"
        )
        return Finding("set after churn", name, f"{name} {words}: {remedy}", "alarm", evidence)
    text = f"{name} {words}. It is not used; listed under data.fixed_at_signup it would be a leak"
    return Finding("would leak", name, text, "note", evidence)
