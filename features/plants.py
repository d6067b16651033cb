"""Does any feature look at or past its as-of date? Change everything from there on, and see whether one moves.

The past of an account is what happened before t. So its features at t must be the same when everything at or after
t is removed, and when rows are planted at exactly t and later: events of every kind by a user nobody knows, in huge
quantities, and a subscription with a thousand seats. A window that takes in its cutoff cannot pass both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import ibis
import pandas as pd

from features.declaration import Data, Outcome
from features.log import Log
from features.observations import Question, observe
from features.outcomes import in_force
from features.specs import FeatureSpec
from features.subset import typed
from features.windows import Grid

PLANTED_AFTER = (pd.Timedelta(0), pd.Timedelta(hours=1), pd.Timedelta(days=1), pd.Timedelta(days=30))
PLANTED = {"plan": "planted", "seats": 1000.0, "mrr": 1e6}  # no account has these
MANY = 1000.0
PLAN = "plan in force"  # what a segment is named by


@dataclass(frozen=True)
class Movement:
    """A feature that changed although nothing before its as-of date did, in `n_moved` of `n` observations."""

    feature: str
    change: str  # what was done at and after the as-of date, in words
    grid: Grid
    n_moved: int
    n: int


def movements(log: Log, data: Data, specs: tuple[FeatureSpec, ...], grid: Grid) -> list[Movement]:
    """The features that move at the only as-of date of the grid; `log` should hold few accounts.

    Worked example: t = 2024-04-01. A row at 2024-04-01 00:00:00 belongs to the future: events_30d at t is the same
    with it and without it.
    """
    # Features do not depend on what lost means, and a silent outcome can be asked of every log.
    asked = data.model_copy(update={"outcomes": Outcome(kind="silent", horizon_days=1)})
    question = Question(specs, grid)
    before = _features(log, asked, question)
    found = []
    for change, changed in _changed(log, _cuts(log, grid), specs):
        after = _features(changed, asked, question)
        for feature in before:
            same = (before[feature] == after[feature]) | (before[feature].isna() & after[feature].isna())
            if not same.all():
                found.append(Movement(str(feature), change, grid, int((~same).sum()), len(same)))
    return found


def _features(log: Log, data: Data, question: Question) -> pd.DataFrame:
    """The features and the plan in force, a row per observation."""
    frame = observe(log, data, question)
    found = frame[[spec.name for spec in question.specs]].copy()
    if log.subscriptions is not None and "plan" in log.subscriptions:
        found[PLAN] = in_force(log.subscriptions, frame, "plan")["plan"].astype("object")
    return found


def _cuts(log: Log, grid: Grid) -> "pd.Series[pd.Timestamp]":
    """The as-of date of each account by its code."""
    days = pd.Timedelta(days=grid.as_of_days[0])
    start = log.accounts["signed_up_at"] if grid.origin == "tenure" else pd.Timestamp(0)
    return pd.Series(start + days, index=log.accounts.index, dtype="datetime64[us]")


def _changed(
    log: Log, cuts: "pd.Series[pd.Timestamp]", specs: tuple[FeatureSpec, ...]
) -> Iterator[tuple[str, Log]]:
    """The log with another future, and what was done to it."""
    dates = pd.DataFrame({"cut_account": cuts.index.astype("int32"), "cut": cuts})
    table = log.lay_down("cuts", dates)
    events = log.events.join(table, log.events.account == table.cut_account)
    past = events.filter(events.occurred_at < events.cut).select(*log.events.columns)
    spells = _past_spells(log.subscriptions, cuts)
    yield "removed", replace(log, events=past, subscriptions=spells)
    rows = _planted_events(log, cuts, specs)
    more = typed(log.lay_down("planted_events", rows), log.events)
    yield (
        "planted",
        replace(log, events=ibis.union(log.events, more), subscriptions=_planted_spells(spells, cuts)),
    )


def _planted_events(
    log: Log, cuts: "pd.Series[pd.Timestamp]", specs: tuple[FeatureSpec, ...]
) -> pd.DataFrame:
    """Events of every name that a feature knows, and of one that none knows, at and after each as-of date."""
    sets = [spec.events or () for spec in specs] + [g.events for spec in specs for g in spec.groups]
    names = sorted({"planted"}.union(*sets))
    places = pd.MultiIndex.from_product(
        [cuts.index, names, PLANTED_AFTER], names=["account", "event", "after"]
    )
    frame = places.to_frame(index=False)
    frame["signed_up_at"] = log.accounts["signed_up_at"].take(frame["account"].to_numpy()).to_numpy()
    frame["occurred_at"] = cuts.loc[frame["account"]].to_numpy() + frame["after"].to_numpy()
    return frame.drop(columns="after").assign(user_id="planted", quantity=MANY)


def _past_spells(spells: pd.DataFrame | None, cuts: "pd.Series[pd.Timestamp]") -> pd.DataFrame | None:
    """The spells that began before each account's as-of date; an end at or after it is not known."""
    if spells is None:
        return None
    cut = pd.Series(cuts.loc[spells["account"]].to_numpy(), index=spells.index)
    begun = spells[spells["started_at"] < cut]
    nowhere = pd.Series(pd.NaT, index=begun.index, dtype="datetime64[us]")
    ends = begun.get("ended_at", nowhere)
    return begun.assign(ended_at=ends.where(ends < cut.loc[begun.index]))


def _planted_spells(past: pd.DataFrame | None, cuts: "pd.Series[pd.Timestamp]") -> pd.DataFrame | None:
    """The past spells, ended at the as-of date where they went on, and one more that starts there."""
    if past is None:
        return None
    cut = pd.Series(cuts.loc[past["account"]].to_numpy(), index=past.index)
    new = {c: value for c, value in PLANTED.items() if c in past}
    rows = pd.DataFrame({"account": cuts.index.astype("int64"), "started_at": cuts.to_numpy(), **new})
    rows = rows.astype({c: past[c].dtype for c in rows})
    return pd.concat([past.assign(ended_at=past["ended_at"].fillna(cut)), rows], ignore_index=True)
