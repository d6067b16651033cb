"""Who stayed: lives of accounts, and labels that are marked, never guessed, until they can be known.

An account is *alive* at t when its life has begun and not ended before t; *lost* when the life it is in ends in
[t, t + horizon); *at risk* when it could end then at all (an annual contract without a renewal in the horizon
could not). A silent outcome has no lives: alive means a core event in the horizon's length before t, lost means
none from t on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.attributes import Times, composite_key
from features.declaration import Data
from features.intake import Log
from features.specs import Aggregation, FeatureSpec
from features.windows import following, last

FAR = np.datetime64("2262-01-01", "us")
TOUCHING = pd.Timedelta(days=1)  # an end on one day and a start on the next leave no gap


@dataclass(frozen=True)
class Lives:
    """Merged stretches of life per account, sorted; `end` is FAR while a life goes on."""

    account: NDArray[np.int64]
    start: Times
    end: Times

    @classmethod
    def of_subscriptions(cls, spells: pd.DataFrame) -> "Lives":
        """Overlapping or touching spells are one life; a gap of more than a day starts another."""
        frame = spells[["account", "started_at"]].copy()
        ends = spells["ended_at"] if "ended_at" in spells else pd.Series(pd.NaT, index=spells.index)
        frame["end"] = ends.astype("datetime64[us]").fillna(pd.Timestamp(FAR))
        frame = frame.sort_values(["account", "started_at"], kind="stable")
        reach = frame.groupby("account")["end"].cummax()
        before = reach.groupby(frame["account"]).shift()
        # A life that never ends swallows whatever starts later.
        opens = before.isna() | ((before < pd.Timestamp(FAR)) & (frame["started_at"] > before + TOUCHING))
        life = opens.cumsum()
        merged = frame.groupby(life).agg(account=("account", "first"), start=("started_at", "first"), end=("end", "max"))
        return cls._of(merged)

    @classmethod
    def of_outcomes(cls, accounts: pd.DataFrame, outcomes: pd.DataFrame) -> "Lives":
        """One life per account, from signup to its first outcome."""
        first = outcomes.groupby("account")["occurred_at"].min()
        frame = pd.DataFrame({"account": accounts.index, "start": accounts["signed_up_at"]})
        frame["end"] = frame["account"].map(first).astype("datetime64[us]").fillna(pd.Timestamp(FAR))
        return cls._of(frame[frame["end"] >= frame["start"]])

    @classmethod
    def _of(cls, frame: pd.DataFrame) -> "Lives":
        return cls(
            frame["account"].to_numpy(np.int64),
            frame["start"].to_numpy("datetime64[us]"),
            frame["end"].to_numpy("datetime64[us]"),
        )

    def end_of_life(self, account: NDArray[np.int64], time: Times) -> Times:
        """The end of the life each account is in at each time; NaT where it is in none."""
        place = np.searchsorted(composite_key(self.account, self.start), composite_key(account, time), side="right") - 1
        result = np.full(len(account), np.datetime64("NaT"), dtype="datetime64[us]")
        if len(self.account):
            at = np.maximum(place, 0)
            inside = (place >= 0) & (self.account[at] == account) & (self.end[at] >= time)
            result[inside] = self.end[at[inside]]
        return result


def outcome_specs(data: Data) -> tuple[FeatureSpec, ...]:
    """The counts a silent outcome is read from; none for the others."""
    if data.outcomes.kind != "silent":
        return ()
    days, core = data.outcomes.horizon_days, data.events.core or None
    return (
        FeatureSpec("_core_before", "Core events before", Aggregation.COUNT, last(days), events=core),
        FeatureSpec("_core_after", "Core events after", Aggregation.COUNT, following(days), events=core),
    )


def label(log: Log, data: Data, frame: pd.DataFrame) -> pd.DataFrame:
    """Add alive, at_risk, retained (missing where not observable), known_from to observations.

    `frame` has account, as_of and, for a silent outcome, the columns of `outcome_specs`.
    """
    horizon = pd.Timedelta(days=data.outcomes.horizon_days)
    frame = frame.copy()
    frame["known_from"] = frame["as_of"] + horizon
    if data.outcomes.kind == "silent":
        frame["alive"] = frame["_core_before"].fillna(1) > 0
        frame["at_risk"] = frame["alive"]
        lost = frame["_core_after"] == 0
        frame = frame.drop(columns=["_core_before", "_core_after"])
    else:
        ends = lives(log, data).end_of_life(frame["account"].to_numpy(np.int64), _times(frame["as_of"]))
        alive = ~np.isnat(ends)
        lost = pd.Series(alive & (ends < _times(frame["known_from"])), index=frame.index)
        frame["alive"] = alive
        frame["at_risk"] = alive & could_leave(log, frame, horizon)
    observable = frame["alive"] & (frame["known_from"] <= log.data_through)
    frame["retained"] = (~lost).astype("boolean").where(observable)
    return frame


def lives(log: Log, data: Data) -> Lives:
    """The lives of the log's accounts, by the declared kind of outcome."""
    if data.outcomes.kind == "subscription_end" and log.subscriptions is not None:
        return Lives.of_subscriptions(log.subscriptions)
    if data.outcomes.kind == "outcomes" and log.outcomes is not None:
        return Lives.of_outcomes(log.accounts, log.outcomes)
    raise ValueError(f"an outcome of kind {data.outcomes.kind!r} has no lives")


def could_leave(log: Log, frame: pd.DataFrame, horizon: pd.Timedelta) -> NDArray[np.bool_]:
    """Whether the contract in force at each as-of date comes up for renewal within the horizon.

    Without terms everybody could. A monthly term always could; a longer one when a multiple of the term since
    its start, or the declared renewal, falls in [t, t + horizon).
    """
    spells = log.subscriptions
    everybody = np.ones(len(frame), dtype=bool)
    if spells is None or "term_months" not in spells:
        return everybody
    term = in_force(spells, frame, "term_months")
    started = in_force(spells, frame, "started_at")
    bound = term["term_months"].to_numpy(float) > 1
    t = frame["as_of"].to_numpy("datetime64[us]")
    start = started["started_at"].to_numpy("datetime64[us]")
    months = term["term_months"].to_numpy(float)
    elapsed = (t - start) / np.timedelta64(1, "D") / (365.25 / 12)
    due = np.ceil(np.maximum(elapsed, 0) / np.where(bound, months, 1)) * np.where(bound, months, 1)
    due = np.maximum(due, np.where(bound, months, 1))
    days_to_renewal = (due - elapsed) * (365.25 / 12)
    return np.asarray(~bound | (days_to_renewal < horizon.days))


def in_force(spells: pd.DataFrame, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Columns of the spell that started last before each as-of date; missing where none had, (rows of frame,)."""
    ordered = spells.sort_values(["account", "started_at"], kind="stable")
    keys = composite_key(ordered["account"].to_numpy(np.int64), _times(ordered["started_at"]))
    wanted = composite_key(frame["account"].to_numpy(np.int64), _times(frame["as_of"]))
    place = np.searchsorted(keys, wanted, side="left") - 1
    found = (place >= 0) & (ordered["account"].to_numpy()[np.maximum(place, 0)] == frame["account"].to_numpy())
    taken = ordered[list(columns)].iloc[np.maximum(place, 0)].set_axis(frame.index)
    return taken.where(pd.Series(found, index=frame.index), other=_missing())


def _missing() -> Any:
    return np.nan


def _times(column: "pd.Series[pd.Timestamp]") -> Times:
    return column.to_numpy("datetime64[us]")
