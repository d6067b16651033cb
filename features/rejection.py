"""Why a row cannot be used: one table of reasons per table of the contract, and what to do when none can."""

from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.columns import TIME_FORMS

LEFT_OUT = "left out by rule"  # the column that marks accounts; one of their own may be called excluded
EXCLUDED = "its account is left out by rule"
UNKNOWN_ACCOUNT = "unknown account"
IN_THE_FUTURE = "in the future"
TRUE_WORDS, FALSE_WORDS = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
Checks = dict[str, "pd.Series[bool]"]


def account_reasons(accounts: pd.DataFrame, now: pd.Timestamp) -> "pd.Series[str]":
    """The first reason that an account cannot be used; missing where none applies."""
    reasons = first_reason(
        len(accounts),
        {
            "no account_id": accounts["account_id"].isna(),
            "signup missing or unreadable": accounts["signed_up_at"].isna(),
            "signup in the future": accounts["signed_up_at"] > now,
        },
    )
    # The first *usable* row of an account is kept: one without a signup must not push out one that has it.
    again = accounts["account_id"].where(reasons.isna()).dropna().duplicated()
    reasons[again[again].index] = "account_id given before"
    return reasons


def spell_reasons(spells: pd.DataFrame) -> "pd.Series[str]":
    """The first reason that a row of the subscriptions cannot be used; `unread_x` marks what could not be read."""
    reasons: Checks = {
        UNKNOWN_ACCOUNT: spells["account"].isna(),
        "start missing or unreadable": spells["started_at"].isna(),
    }
    if "ended_at" in spells:
        reasons["ends before it starts"] = spells["ended_at"] < spells["started_at"]
        reasons["end unreadable"] = spells["unread_ended_at"]
    for column in ("seats", "mrr", "term_months"):
        if column in spells:
            value = spells[column].fillna(0)
            wrong = ~(value >= 0) | np.isinf(value) | spells[f"unread_{column}"]
            reasons[f"{column} negative or not a number"] = wrong
    if "renews_at" in spells:
        reasons["renewal unreadable"] = spells["unread_renews_at"]
    return first_reason(len(spells), reasons)


def outcome_reasons(outcomes: pd.DataFrame, now: pd.Timestamp) -> "pd.Series[str]":
    """The first reason that a row of the outcomes cannot be used; one without a date can: nothing happened."""
    reasons = {
        UNKNOWN_ACCOUNT: outcomes["account"].isna(),
        "date unreadable": outcomes["unread_occurred_at"],
        IN_THE_FUTURE: outcomes["occurred_at"] > now,
    }
    return first_reason(len(outcomes), reasons)


def sound_event(joined: Any, now: pd.Timestamp) -> dict[str, Any]:
    """What must hold of a usable row of the events, by the reason that is given when it does not; null is no.

    Filters of this plain kind reach the scan and turn the left join of the accounts into an inner one.
    """
    sound = {
        "no account_id": joined.account_id.notnull(),
        "no event name": joined.event.notnull(),
        "time missing or unreadable": joined.occurred_at.notnull(),
        IN_THE_FUTURE: joined.occurred_at <= ibis.timestamp(now.to_pydatetime()),
    }
    if "quantity" in joined.columns:
        known = (joined.quantity >= 0) & ~joined.quantity.isnan() & ~joined.quantity.isinf()
        sound["quantity negative or not a number"] = known
    return {
        **sound,
        UNKNOWN_ACCOUNT: joined.account.notnull(),
        EXCLUDED: ~joined.excluded,
        "before signup": joined.occurred_at >= joined.signed_up_at,
    }


def event_reason(joined: Any, now: pd.Timestamp) -> Any:
    """The first reason that a row of the events cannot be used; null for a usable one."""
    checks = [(~sound.fill_null(False), reason) for reason, sound in sound_event(joined, now).items()]
    return ibis.cases(*checks, else_=ibis.null("string"))


def first_reason(n: int, checks: Checks) -> "pd.Series[str]":
    """The first reason that applies to each row, missing where none does."""
    reason = np.full(n, None, dtype=object)
    for words, hit in reversed(checks.items()):
        reason[hit.fillna(True).to_numpy(bool)] = words
    return pd.Series(reason, dtype="object")


def remedy(reason: str) -> str:
    """What to do about rows that were all refused, mostly for one reason."""
    if reason == EXCLUDED:
        return "check data.exclusions"
    if "unreadable" in reason:
        return f"check data.mapping; {TIME_FORMS}"
    if reason == UNKNOWN_ACCOUNT:
        return "check that account_id means the same in data.mapping as in the accounts table"
    return "check data.mapping and data.calendar.timezone"


def holds(values: "pd.Series[Any]", wanted: bool | float | str) -> "pd.Series[bool]":
    """Where a column holds a value, however its source writes it: 1.0 is 1, and yes, t and 1 are true."""
    text = values.astype("string").str.strip().str.lower()
    if isinstance(wanted, bool):
        hit = text.isin(TRUE_WORDS if wanted else FALSE_WORDS)
    elif isinstance(wanted, str):
        hit = text.eq(wanted.strip().lower())
    else:
        hit = pd.to_numeric(text, errors="coerce").eq(wanted)
    return hit.fillna(False).astype(bool)
