"""Does any feature look at or past its as-of date? Change everything from there on, and see whether one moves.

The past of an account is what happened before t. So its features at t must be the same when everything at or after
t is removed, and when rows are planted at exactly t and later: events of every kind by a user nobody knows, in huge
quantities, and a subscription with a thousand seats. A window that takes in its cutoff cannot pass both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import ibis
import pandas as pd

from features.attributes import FAR, in_force
from features.declaration import Data, Outcome
from features.log import Log
from features.observations import Question, observe
from features.specs import FeatureSpec
from features.subset import typed
from features.tables import TABLES
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
    spells, states = (_past(name, rows, cuts) for name, rows in _spans(log).items())
    yield "removed", replace(log, events=past, subscriptions=spells, states=states)
    rows = _planted_events(log, cuts, specs)
    more = typed(log.lay_down("planted_events", rows), log.events)
    yield (
        "planted",
        replace(
            log,
            events=ibis.union(log.events, more),
            subscriptions=_planted("subscriptions", spells, cuts, _planted_spells(cuts)),
            states=_planted("states", states, cuts, _planted_states(states, cuts, specs)),
        ),
    )


def _spans(log: Log) -> dict[str, pd.DataFrame | None]:
    """The tables of what lasts for a while."""
    return {"subscriptions": log.subscriptions, "states": log.states}


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


def _past(name: str, rows: pd.DataFrame | None, cuts: "pd.Series[pd.Timestamp]") -> pd.DataFrame | None:
    """The rows as they stand before each account's as-of date: an end at or after it is not known.

    What begins there begins in a far year instead: an attribute that comes later is an attribute all the same.
    """
    if rows is None:
        return None
    begins, ends = str(TABLES[name].begins), str(TABLES[name].ends)
    cut = pd.Series(cuts.loc[rows["account"]].to_numpy(), index=rows.index)
    known = rows.get(ends, pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]"))
    past = {begins: rows[begins].where(rows[begins] < cut, FAR), ends: known.where(known < cut)}
    return rows.assign(**past).sort_values(["account", begins], kind="stable", ignore_index=True)


def _planted(
    name: str, past: pd.DataFrame | None, cuts: "pd.Series[pd.Timestamp]", rows: pd.DataFrame
) -> pd.DataFrame | None:
    """The past rows, ended at the as-of date where they went on, and the ones that start there."""
    if past is None:
        return None
    ends = str(TABLES[name].ends)
    cut = pd.Series(cuts.loc[past["account"]].to_numpy(), index=past.index)
    new = rows[[column for column in rows if column in past]]
    new = new.astype({column: past[column].dtype for column in new})
    begins = str(TABLES[name].begins)
    over = past.assign(**{ends: past[ends].fillna(cut).where(past[begins] < cut)})
    return pd.concat([over, new], ignore_index=True).sort_values(["account", begins], kind="stable")


def _planted_spells(cuts: "pd.Series[pd.Timestamp]") -> pd.DataFrame:
    return pd.DataFrame({"account": cuts.index, "started_at": cuts.to_numpy(), **PLANTED})


def _planted_states(
    states: pd.DataFrame | None, cuts: "pd.Series[pd.Timestamp]", specs: tuple[FeatureSpec, ...]
) -> pd.DataFrame:
    """Another value of every attribute for every account: one that a test asks for, if any does.

    A test that looks at the as-of date itself then passes where it did not: what it saw before, it goes on to see.
    """
    asked = {
        t.state: t.at_least if t.equals is None else t.equals for spec in specs for t in spec.state_tests
    }
    attributes = [] if states is None else sorted(states["attribute"].unique())
    places = pd.MultiIndex.from_product([cuts.index, attributes], names=["account", "attribute"])
    frame = places.to_frame(index=False)
    values = frame["attribute"].map(lambda attribute: str(asked.get(attribute, "planted")))
    return frame.assign(value=values, valid_from=cuts.loc[frame["account"]].to_numpy())
