"""Who stayed: lives of accounts, and labels that are marked, never guessed, until they can be known.

An account is *alive* at t when its life has begun and not ended before t; *lost* when the life it is in ends in
[t, t + horizon); *at risk* when it could end then at all (an annual contract without a renewal in the horizon
could not). A silent outcome has no lives: alive means a core event in the horizon's length before t, lost means
none from t on.

An account has *expanded* when it is retained and what it has bought just before t + horizon is more than just before t.
In seats a rise of prices is no expansion; in revenue it is one.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.arrays import Flags, Integers, Times
from features.attributes import FAR, TOUCHING, Timeline, in_force, times_of
from features.contracts import Contracts, expansion_basis, paid_spells
from features.declaration import Data
from features.log import Log
from features.specs import Aggregation, FeatureSpec
from features.windows import ONE_DAY, following, last

# What only subscriptions can say: an outcome, and the weight of an account.
EXPANDED, MRR = "expanded", "mrr"


@dataclass(frozen=True)
class Lives:
    """Merged stretches of life per account, sorted; `end` is FAR while a life goes on."""

    account: Integers
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
        merged = frame.groupby(life).agg(
            account=("account", "first"), start=("started_at", "first"), end=("end", "max")
        )
        return cls._of(merged)

    @classmethod
    def of_outcomes(cls, accounts: pd.DataFrame, outcomes: pd.DataFrame) -> "Lives":
        """One life per account, from signup to its first outcome."""
        first = outcomes.astype({"account": "int64"}).groupby("account")["occurred_at"].min()
        frame = pd.DataFrame({"account": accounts.index, "start": accounts["signed_up_at"]})
        frame["end"] = first.reindex(accounts.index).astype("datetime64[us]").fillna(pd.Timestamp(FAR))
        return cls._of(frame[frame["end"] >= frame["start"]])

    @classmethod
    def _of(cls, frame: pd.DataFrame) -> "Lives":
        return cls(
            frame["account"].to_numpy(np.int64),
            frame["start"].to_numpy("datetime64[us]"),
            frame["end"].to_numpy("datetime64[us]"),
        )

    def end_of_life(self, account: Integers, time: Times) -> Times:
        """The end of the life each account is in at each time; NaT where it is in none."""
        place = Timeline(self.account, self.start).latest(account, time, inclusive=True)
        result = np.full(len(account), np.datetime64("NaT"), dtype="datetime64[us]")
        result[place >= 0] = self.end[place[place >= 0]]
        result[result < time] = np.datetime64("NaT")
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


@dataclass(frozen=True)
class Labels:
    """What a log says of who stayed, ready for any observation of it.

    `lives` is None for a silent outcome, which is read from counts; `contracts` is None where no terms are known;
    `bought` (seats or revenue, in which growth is measured) and `revenue` where no subscription says them.
    """

    horizon: pd.Timedelta
    data_through: pd.Timestamp
    lives: Lives | None
    contracts: pd.DataFrame | None
    bought: Contracts | None
    revenue: Contracts | None

    @classmethod
    def of(cls, log: Log, data: Data) -> "Labels":
        """From the declared kind of outcome."""
        silent = data.outcomes.kind == "silent"
        spells = log.subscriptions
        paid = None if spells is None else paid_spells(spells)
        basis = expansion_basis(paid, data)
        return cls(
            pd.Timedelta(days=data.outcomes.horizon_days),
            log.data_through,
            None if silent else lives(log, data),
            None if silent or spells is None else customer_spells(spells, data),
            None if paid is None or basis is None else Contracts.of(paid, basis),
            None if paid is None or "mrr" not in paid else Contracts.of(paid, "mrr"),
        )

    @property
    def booked(self) -> tuple[str, ...]:
        """The columns that the subscriptions add: `expanded` where growth can be measured, `mrr` where revenue is known."""
        found = {EXPANDED: self.bought, MRR: self.revenue}
        return tuple(name for name, contracts in found.items() if contracts is not None)

    def label(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Observations with alive, at_risk, retained (missing where not observable), known_from, and those of `booked`.

        expanded: missing where not observable, or what is bought is not known; known from `known_from` on. mrr:
        recurring revenue in force just before t, NaN where it is not known: a weight, never a feature.
        `frame` has account, as_of and, for a silent outcome, the columns of `outcome_specs`.
        """
        known_from = frame["as_of"] + self.horizon
        if self.lives is None:
            alive = at_risk = ~(frame["_core_before"] == 0).to_numpy()
            lost = (frame["_core_after"] == 0).to_numpy()
        else:
            ends = self.lives.end_of_life(frame["account"].to_numpy(np.int64), times_of(frame["as_of"]))
            alive = ~np.isnat(ends)
            lost = alive & (ends < times_of(known_from))
            at_risk = alive & could_leave(self.contracts, frame, self.horizon)
        observable = alive & (known_from <= self.data_through).to_numpy()
        retained = pd.Series(~lost, index=frame.index, dtype="boolean").where(observable)
        labelled = frame.assign(alive=alive, at_risk=at_risk, retained=retained, known_from=known_from)
        if self.bought is not None:
            labelled[EXPANDED] = _expanded(self.bought, labelled)
        if self.revenue is not None:
            labelled[MRR] = self.revenue.before(*_when(labelled, "as_of"))
        return labelled


def _when(frame: pd.DataFrame, column: str) -> tuple[Integers, Times]:
    return frame["account"].to_numpy(np.int64), times_of(frame[column])


def _expanded(bought: Contracts, frame: pd.DataFrame) -> "pd.Series[bool]":
    """Who is retained with more than before; who left has not expanded, whatever came afterwards."""
    now = bought.before(*_when(frame, "as_of"))
    then = bought.before(*_when(frame, "known_from"), nothing=0.0)
    stayed = frame["retained"].eq(True).fillna(False).to_numpy(bool)
    # Sums of the same prices in another order differ by rounding.
    more = (then > now) & ~np.isclose(then, now, rtol=1e-9, atol=1e-6)
    told = frame["retained"].notna().to_numpy() & ~np.isnan(now) & ~(stayed & np.isnan(then))
    return pd.Series(stayed & more, index=frame.index, dtype="boolean").where(told)


def lives(log: Log, data: Data) -> Lives:
    """The lives of the log's accounts, by the declared kind of outcome."""
    if data.outcomes.kind == "subscription_end" and log.subscriptions is not None:
        return Lives.of_subscriptions(customer_spells(log.subscriptions, data))
    if data.outcomes.kind == "outcomes" and log.outcomes is not None:
        return Lives.of_outcomes(log.accounts, log.outcomes)
    raise ValueError(f"an outcome of kind {data.outcomes.kind!r} has no lives")


def customer_spells(spells: pd.DataFrame, data: Data) -> pd.DataFrame:
    """The spells that a customer's life is made of: without trials, unless these are counted by declaration."""
    return spells if data.outcomes.trials == "counted" else paid_spells(spells)


def could_leave(spells: pd.DataFrame | None, frame: pd.DataFrame, horizon: pd.Timedelta) -> Flags:
    """Whether the contract in force at each as-of date comes up for renewal within the horizon.

    Without terms everybody could. A monthly term always could; a longer one when a multiple of the term since
    its start, or the declared renewal, falls in [t, t + horizon).
    """
    everybody = np.ones(len(frame), dtype=bool)
    if spells is None or "term_months" not in spells:
        return everybody
    known = [c for c in ("term_months", "started_at", "renews_at") if c in spells]
    contract = in_force(spells, frame, *known)
    months = contract["term_months"].to_numpy(float)
    bound = months > 1
    to_start = (contract["started_at"] - frame["as_of"]).to_numpy() / ONE_DAY
    # The first renewal not before t, counted in terms from the start of the spell.
    term_days = np.where(bound, months, 1) * (365.25 / 12)
    days_to_renewal = to_start + np.maximum(np.ceil(-to_start / term_days), 1) * term_days
    if "renews_at" in known:
        declared = (contract["renews_at"] - frame["as_of"]).to_numpy() / ONE_DAY
        days_to_renewal = np.where(declared >= 0, declared, days_to_renewal)
    return np.asarray(~bound | (days_to_renewal < horizon.days))
