"""Fields written after churn: an attribute said to be fixed at signup that knows who was lost.

Each account counts once, with its newest known outcome, beside accounts that signed up in the same quarter: older
ones had longer to be lost, and other fields were asked for when they came.

Plans are dated, so that a plan may go with the loss by right: whoever pays nothing leaves sooner. It was overwritten
where it contradicts itself: the lost have what nobody who is still a customer ever had.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats, Integers
from features.log import Log
from features.matrix import attributes_at
from models.contrast import Shares, Strata, shares
from models.leaks import Checked, Finding, Material, strictness, too_few
from models.strata import is_amount

TIMES = 5.0  # as frequent among the lost as among the kept, beyond chance; or the other way round
HIGHEST_AUC = 0.85  # a whole model of a year's usage reaches that on real logs; nothing known at signup does
FEWEST_WITH_VALUE = 20  # accounts
MOST_VALUES = 50
FILLED = "has any value"
ACCOUNTS = "accounts."
PLAN = "subscriptions.plan"


@dataclass(frozen=True, eq=False)
class Accounts:
    """Accounts with their newest known outcome: code, lost, quarter of signup (n,), and columns by name.

    `plans_of_customers` are those of all spells, (m,), of whoever has one that goes on at the end of the data.
    """

    account: Integers
    lost: Flags
    cohort: Integers
    columns: dict[str, "pd.Series[Any]"]
    plans_of_customers: "pd.Series[Any]"


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
        if not words:
            continue
        finding = (
            _of_plan(name, words, evidence, accounts.plans_of_customers)
            if name == PLAN
            else _of_column(name, words, evidence, used=name in used)
        )
        if name not in found or (finding.severity, found[name].severity) == ("alarm", "note"):
            found[name] = finding
    return Checked("attributes", looked, tuple(found.values()))


def _accounts(material: Material) -> Accounts:
    newest = material.frame.sort_values(["account", "as_of"]).groupby("account").tail(1)
    codes = newest["account"].to_numpy(np.int64)
    table = material.log.accounts.iloc[codes].reset_index(drop=True)
    dated = attributes_at(material.log, material.framework.data, newest)
    columns = {f"{ACCOUNTS}{c}": table[c] for c in table if c not in ("account_id", "signed_up_at")}
    if "plan" in dated and "plan" not in material.framework.data.fixed_at_signup:
        columns[PLAN] = pd.Series(dated["plan"])
    signed_up = material.framework.data.calendar.quarters.of(table["signed_up_at"])
    cohort = np.unique(signed_up.to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)
    return Accounts(
        np.arange(len(newest), dtype=np.int64), ~newest["retained"].to_numpy(bool), cohort, columns,
        _plans_of_customers(material.log),
    )  # fmt: skip


def _plans_of_customers(log: Log) -> "pd.Series[Any]":
    """The plan of every spell of the accounts that have one which goes on."""
    spells = log.subscriptions
    if spells is None or "plan" not in spells:
        return pd.Series(dtype="string")
    over = spells["ended_at"] < log.data_through if "ended_at" in spells else pd.Series(False, spells.index)
    customers = spells.loc[~over.to_numpy(bool), "account"]
    return spells.loc[spells["account"].isin(customers), "plan"]


@dataclass(frozen=True, eq=False)
class Trait:
    """Whether accounts have a value, (n,)."""

    value: str
    flag: Flags


@dataclass(frozen=True, eq=False)
class Order:
    """Accounts in the order of a number or a time, (n,), missing as NaN."""

    score: Floats


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
    if is_amount(column):
        yield Order(column.to_numpy(np.float64, na_value=np.nan))
    text = column.astype("string").str.strip()
    counts = text.value_counts()
    for value in counts[counts >= FEWEST_WITH_VALUE].index[:MOST_VALUES]:
        yield Trait(_is(value), text.eq(value).fillna(False).to_numpy(bool))


def _is(value: str) -> str:
    return f"is {value!r}"


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


def _of_column(name: str, words: str, evidence: dict[str, Any], *, used: bool) -> Finding:
    if used:
        text = f"{name} {words}: that is known of nobody at signup: take it out of data.fixed_at_signup, or give it with dates"
        return Finding("set after churn", name, text, "alarm", evidence)
    text = f"{name} {words}. It is not used; listed under data.fixed_at_signup it would be a leak"
    return Finding("would leak", name, text, "note", evidence)


def _of_plan(name: str, words: str, evidence: dict[str, Any], of_customers: "pd.Series[Any]") -> Finding:
    if _strange(evidence, of_customers):
        text = (
            f"{name} {words}, and nobody who is still a customer ever had that: it was overwritten when the account left."
            " Give every change a row of its own"
        )
        return Finding("set after churn", name, text, "alarm", evidence)
    text = (
        f"{name} {words}. A plan that many leave looks so, and one that is changed when an account leaves: make sure that"
        " every change has a row of its own"
    )
    return Finding("goes with the loss", name, text, "note", evidence)


def _strange(evidence: dict[str, Any], of_customers: "pd.Series[Any]") -> bool:
    """Whether what is more frequent among the lost was never seen of the accounts that are still there."""
    if "value" not in evidence or of_customers.empty:
        return False
    seen = {_is(value) for value in of_customers.dropna().astype("string").str.strip()}
    if of_customers.notna().any():
        seen.add(FILLED)
    if evidence["share_lost"] > evidence["share_kept"]:
        return evidence["value"] not in seen
    # The lost have no plan, and whoever stayed always had one.
    return bool(evidence["value"] == FILLED and of_customers.notna().all())
