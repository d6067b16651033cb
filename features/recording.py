"""What a table said at an instant: the rows recorded by then, the ends known by then, of several versions the last.

A row without a time of recording counts as recorded when it began to hold, and its end when it came. A worked
example, at 2024-03-01: a spell from 1 January to 1 April is there, without an end, unless it was recorded in February
with this end, as a cancellation announced is; a spell from 2 March on is there only if it was recorded before.
"""

import pandas as pd

from features.tables import RECORDED, TableContract


def as_known_at(
    rows: pd.DataFrame, contract: TableContract, instant: pd.Timestamp | None = None
) -> pd.DataFrame:
    """The rows of a small table that stood at an instant, all times naive UTC; without one, those that stand now.

    `rows` has the columns of the contract, with `account` for the account's id. A function of its arguments alone,
    so that two states of a table can be told apart by what they said at the same instant. The tables of a log have
    no `recorded_at` any more: asked of them, it gives what features before the instant rest on.
    """
    if instant is not None:
        rows = _without_later_ends(rows[recorded_by(rows, contract, instant)], contract, instant)
    return _last_versions(rows, contract)


def recorded_by(rows: pd.DataFrame, contract: TableContract, instant: pd.Timestamp) -> "pd.Series[bool]":
    """Whether each row was recorded by an instant. What has no readable time at all is no matter of when."""
    known = ~(rows[contract.begins] >= instant)
    if RECORDED not in rows:
        return known
    return known.where(rows[RECORDED].isna(), rows[RECORDED] <= instant)


def to_come(rows: pd.DataFrame, contract: TableContract, instant: pd.Timestamp) -> "pd.Series[bool]":
    """Which rows tell of a moment that an instant had not reached, however early they were recorded.

    What lasts can be agreed beforehand; what happens at a moment is known once it has come.
    """
    return (rows[contract.begins] >= instant) & (contract.ends is None)


def _without_later_ends(rows: pd.DataFrame, contract: TableContract, instant: pd.Timestamp) -> pd.DataFrame:
    if contract.ends is None or contract.ends not in rows:
        return rows
    later = rows[contract.ends] >= instant
    if RECORDED in rows:
        later &= rows[RECORDED].isna()
    return rows.assign(**{contract.ends: rows[contract.ends].mask(later)})


def _last_versions(rows: pd.DataFrame, contract: TableContract) -> pd.DataFrame:
    if RECORDED not in rows or not contract.versioned_by:
        return rows
    recorded = rows[RECORDED].fillna(rows[contract.begins])
    versions = rows.groupby(["account", *contract.versioned_by], dropna=False).ngroup()
    return rows[recorded.isna() | (recorded == recorded.groupby(versions).transform("max"))]


def known_words(known_at: str) -> str:
    """What a reader must know of figures that rest on a log as of an instant (ISO, as manifests have it)."""
    return f"As known at {known_at.replace('T', ' ')}."
