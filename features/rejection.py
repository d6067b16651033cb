"""Why a row cannot be used: one table of reasons per table of the contract, and what to do when none can."""

from collections.abc import Collection
from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.columns import TIME_FORMS
from features.equality import flags
from features.tables import RECORDED

LEFT_OUT = "left out by rule"  # the column that marks accounts; one of their own may be called excluded
EXCLUDED = "its account is left out by rule"
UNKNOWN_ACCOUNT = "unknown account"
NO_ACCOUNT = "no account_id"
NO_EVENT = "no event name"
OF_ACCOUNTS = (NO_ACCOUNT, UNKNOWN_ACCOUNT)  # reasons that no event of a known account can have
IN_THE_FUTURE = "in the future"
SIGNUP_IN_THE_FUTURE = "signup in the future"
CHANGE_WITH_TIME = frozenset({IN_THE_FUTURE, SIGNUP_IN_THE_FUTURE})  # what lies ahead now may be usable later
UNKNOWN_FEATURE = "names no event, category or attribute of the states"
NOT_YET_RECORDED = "not yet recorded"
UNREAD_RECORDING = "recorded_at unreadable"
UNREAD = "unread_"  # prefix of the flag that a value was there and could not be read
CONTRADICTED = "another value from the same time on"
Checks = dict[str, "pd.Series[bool]"]


def account_reasons(accounts: pd.DataFrame, now: pd.Timestamp) -> "pd.Series[str]":
    """The first reason that an account cannot be used; missing where none applies."""
    reasons = first_reason(
        len(accounts),
        {
            NO_ACCOUNT: accounts["account_id"].isna(),
            "signup missing or unreadable": accounts["signed_up_at"].isna(),
            SIGNUP_IN_THE_FUTURE: accounts["signed_up_at"] > now,
        },
    )
    # The first *usable* row of an account is kept: one without a signup must not push out one that has it.
    again = accounts["account_id"].where(reasons.isna()).dropna().duplicated()
    reasons[again[again].index] = "account_id given before"
    return reasons


def spell_reasons(spells: pd.DataFrame) -> "pd.Series[str]":
    """The first reason that a row of the subscriptions cannot be used; flags with the prefix UNREAD mark what could not be read."""
    reasons: Checks = {
        UNKNOWN_ACCOUNT: spells["account"].isna(),
        "start missing or unreadable": spells["started_at"].isna(),
    }
    if "ended_at" in spells:
        reasons["ends before it starts"] = spells["ended_at"] < spells["started_at"]
        reasons["end unreadable"] = spells[UNREAD + "ended_at"]
    for column in ("seats", "mrr", "term_months"):
        if column in spells:
            value = spells[column].fillna(0)
            wrong = ~(value >= 0) | np.isinf(value) | spells[UNREAD + column]
            reasons[f"{column} negative or not a number"] = wrong
    if "renews_at" in spells:
        reasons["renewal unreadable"] = spells[UNREAD + "renews_at"]
    if "trial" in spells:
        reasons["trial neither true nor false"] = spells["trial"].notna() & flags(spells["trial"]).isna()
    return first_reason(len(spells), reasons | _recording(spells))


def state_reasons(states: pd.DataFrame) -> "pd.Series[str]":
    """The first reason that a row of the states cannot be used; one without a value can: from then on there is none."""
    reasons: Checks = {
        UNKNOWN_ACCOUNT: states["account"].isna(),
        "no attribute": states["attribute"].isna(),
        "start missing or unreadable": states["valid_from"].isna(),
    }
    if "valid_to" in states:
        reasons["ends before it starts"] = states["valid_to"] < states["valid_from"]
        reasons["end unreadable"] = states[UNREAD + "valid_to"]
    found = first_reason(len(states), reasons | _recording(states))
    # Nothing says which of two values came first, so neither is believed; of two spans the longer one stands.
    sound = states[found.isna().to_numpy()]
    span = ["account", "attribute", *(c for c in ("valid_from", "valid_to", RECORDED) if c in sound)]
    values = sound.drop_duplicates([*span, "value"])
    group = sound.groupby(span, dropna=False).ngroup()
    contradicted = group.isin(group[values.index[values.duplicated(span, keep=False)]])
    found[contradicted.index[contradicted]] = CONTRADICTED
    return found


def eligibility_reasons(rows: pd.DataFrame, known: Collection[str]) -> "pd.Series[str]":
    """The first reason that a row of the eligibility cannot be used; `known` are the names that it may name."""
    reasons: Checks = {
        "no feature": rows["feature"].isna(),
        UNKNOWN_FEATURE: ~rows["feature"].isin(known),
    }
    for column, words in (("launched_at", "launch"), ("tracked_from", "start of tracking")):
        if column in rows:
            reasons[f"{words} unreadable"] = rows[UNREAD + column]
    return first_reason(len(rows), reasons)


def _recording(rows: pd.DataFrame) -> Checks:
    return {UNREAD_RECORDING: rows[UNREAD + RECORDED]} if RECORDED in rows else {}


def outcome_reasons(outcomes: pd.DataFrame, now: pd.Timestamp) -> "pd.Series[str]":
    """The first reason that a row of the outcomes cannot be used; one without a date can: nothing happened."""
    reasons = {
        UNKNOWN_ACCOUNT: outcomes["account"].isna(),
        "date unreadable": outcomes[UNREAD + "occurred_at"],
        IN_THE_FUTURE: outcomes["occurred_at"] > now,
    }
    return first_reason(len(outcomes), reasons | _recording(outcomes))


def sound_event(joined: Any, now: pd.Timestamp, known_at: pd.Timestamp | None = None) -> dict[str, Any]:
    """What must hold of a usable row of the events, by the reason that is given when it does not; null is no.

    Filters of this plain kind reach the scan and turn the left join of the accounts into an inner one.
    """
    sound = (
        {}
        if known_at is None
        else {NOT_YET_RECORDED: _recorded(joined, ibis.timestamp(known_at.to_pydatetime()))}
    )
    sound |= {
        NO_ACCOUNT: joined.account_id.notnull(),
        NO_EVENT: joined.event.notnull(),
        "time missing or unreadable": joined.occurred_at.notnull(),
        IN_THE_FUTURE: joined.occurred_at <= ibis.timestamp(now.to_pydatetime()),
    }
    if "quantity" in joined.columns:
        known = (joined.quantity >= 0) & ~joined.quantity.isnan() & ~joined.quantity.isinf()
        sound["quantity negative or not a number"] = known
    if RECORDED in joined.columns:
        sound[UNREAD_RECORDING] = ~joined[UNREAD + RECORDED]
    return {
        **sound,
        UNKNOWN_ACCOUNT: joined.account.notnull(),
        EXCLUDED: ~joined.excluded,
        "before signup": joined.occurred_at >= joined.signed_up_at,
    }


def _recorded(joined: Any, instant: Any) -> Any:
    """What `features.recording` says of small tables, of the events; one without a time is no matter of when."""
    there = joined.occurred_at.isnull() | (joined.occurred_at < instant)
    if RECORDED in joined.columns:
        there &= joined.recorded_at.isnull() | (joined.recorded_at <= instant)
    return there


def event_reason(joined: Any, now: pd.Timestamp, known_at: pd.Timestamp | None = None) -> Any:
    """The first reason that a row of the events cannot be used; null for a usable one."""
    checks = [
        (~sound.fill_null(False), reason) for reason, sound in sound_event(joined, now, known_at).items()
    ]
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
    if reason == UNKNOWN_FEATURE:
        return (
            "write `feature` as the events are named in the log, as a key of data.events.categories or as an attribute of"
            " the states"
        )
    if reason == UNKNOWN_ACCOUNT:
        return "check that account_id means the same in data.mapping as in the accounts table"
    return "check data.mapping and data.calendar.timezone"
