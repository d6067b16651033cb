"""Attributes as they were: seats and recurring revenue from dated subscription spells, and dated states."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats, Integers, Positions, Times
from features.equality import holds
from features.specs import StateTest
from features.windows import ONE_DAY, Window

FAR = np.datetime64("2262-01-01", "us")  # the end of what goes on
TOUCHING = pd.Timedelta(days=1)  # an end on one day and a start on the next leave no gap


@dataclass(frozen=True)
class Timeline:
    """Things that happened to accounts, sorted by account and time, searched for all accounts at once.

    account, time: (n,) ascending by (account, time). Times are ranked first, so that account and rank together
    always fit one integer.
    """

    account: Integers
    time: Times

    def latest(self, account: Integers, time: Times, *, inclusive: bool) -> Positions:
        """Index of the last entry of each account before each time (at it too where `inclusive`), -1 without one."""
        distinct, rank = np.unique(self.time.astype("datetime64[us]"), return_inverse=True)
        width = len(distinct) + 1
        side: Literal["left", "right"] = "right" if inclusive else "left"
        seen = np.searchsorted(distinct, time.astype("datetime64[us]"), side=side)
        place = np.searchsorted(self.account * width + rank, account * width + seen, side="left") - 1
        found = place >= 0
        found[found] = self.account[place[found]] == account[found]
        return np.where(found, place, -1)


@dataclass(frozen=True)
class Level:
    """A running total per account that changes at known times (seats, revenue)."""

    changes: Timeline
    total: Floats

    @classmethod
    def of(cls, spells: pd.DataFrame, column: str) -> "Level":
        """Overlapping spells add up; a spell adds from its start and is gone from its end on."""
        known = spells[spells[column].notna()]
        moves = [known[["account", "started_at", column]].set_axis(["account", "time", "change"], axis=1)]
        if "ended_at" in known:
            ends = known.loc[known["ended_at"].notna(), ["account", "ended_at", column]]
            moves.append(
                ends.set_axis(["account", "time", "change"], axis=1).assign(change=lambda f: -f["change"])
            )
        frame = pd.concat(moves, ignore_index=True).sort_values(["account", "time", "change"], kind="stable")
        changes = Timeline(frame["account"].to_numpy(np.int64), frame["time"].to_numpy("datetime64[us]"))
        return cls(changes, frame.groupby("account")["change"].cumsum().to_numpy(np.float64))

    def at(self, account: Integers, time: Times, *, inclusive: bool) -> Floats:
        """The level in force at each time, NaN where no spell had started.

        A change at the very instant counts only where `inclusive`: at an as-of date the instant belongs to the
        future, at the start of a window it belongs to the window.
        """
        place = self.changes.latest(account, time, inclusive=inclusive)
        return np.where(place >= 0, self.total[place] if len(self.total) else 0.0, np.nan)


@dataclass(frozen=True)
class State:
    """One attribute per account as a number: each value is in force from the change to it until the next.

    changes: (n,) with number and until, an end of its own that a value may have (NaT without one). `nothing` stands
    where no value is in force.
    """

    changes: Timeline
    until: Times
    number: Floats
    nothing: float

    @classmethod
    def of(cls, rows: pd.DataFrame, equals: bool | float | str | None) -> "State":
        """From rows of one attribute (account, value, valid_from, valid_to) in the order in which they took force.

        With `equals` the number is 1 where a value equals it, 0 elsewhere; without, a value that is no number is NaN.
        """
        values = rows["value"]
        return cls(
            Timeline(rows["account"].to_numpy(np.int64), rows["valid_from"].to_numpy("datetime64[us]")),
            rows["valid_to"].to_numpy("datetime64[us]"),
            numbers(values) if equals is None else np.asarray(holds(values, equals), np.float64),
            np.nan if equals is None else 0.0,
        )

    def at(self, account: Integers, time: Times) -> Floats:
        """The number in force before each time: the instant itself belongs to the future.

        So a value that ends at the very time is still in force.
        """
        place = self.changes.latest(account, time, inclusive=False)
        until = np.append(self.until, np.datetime64("NaT"))  # -1, for none, takes the last entry
        return np.append(self.number, self.nothing)[np.where(until[place] < time, -1, place)]


@dataclass(frozen=True)
class Holding:
    """When a test of a state holds, account by account: from each start until its end, which do not overlap.

    spells: (n,) the starts. until: (n,) the ends, FAR of what goes on.
    """

    spells: Timeline
    until: Times

    @classmethod
    def of(cls, rows: pd.DataFrame, test: StateTest) -> "Holding":
        """From rows of one attribute (account, value, valid_from, valid_to) in the order in which they took force.

        A value is in force until the next one of the account or its own end: what that leaves nothing of never was.
        """
        account, start = rows["account"].to_numpy(np.int64), times_of(rows["valid_from"])
        own_end = times_of(rows["valid_to"].fillna(FAR))
        following = np.append(start[1:], FAR)
        superseded = np.append(account[1:] == account[:-1], False)
        until = np.where(superseded, np.minimum(own_end, following), own_end)
        holding = passing(rows["value"], test) & (until > start)
        return cls(Timeline(account[holding], start[holding]), until[holding])

    def within(self, account: Integers, time: Times, window: Window) -> Flags:
        """Whether it held at some instant of the window around each time; account, time: (n,)."""
        # Of spells that do not overlap, the one that begins last before the window's end is the one that ends last.
        place = self.spells.latest(account, time + window.end_days * ONE_DAY, inclusive=False)
        if window.start_days is None:
            return np.asarray(place >= 0)
        until = np.append(self.until, np.datetime64("NaT"))  # -1, for none, takes the last entry
        return np.asarray(until[place] > time + window.start_days * ONE_DAY)

    def first_from(self, instants: "pd.Series[pd.Timestamp]") -> "pd.Series[pd.Timestamp]":
        """The first instant from one of each account on (by its code) at which it holds; of those that have one."""
        since = pd.Series(times_of(instants), index=instants.index).reindex(self.spells.account)
        going_on = self.until > since.to_numpy()
        found = np.maximum(self.spells.time, since.to_numpy())[going_on]
        return pd.Series(found, index=self.spells.account[going_on]).groupby(level=0).min()


def passing(values: "pd.Series[str]", test: StateTest) -> Flags:
    """Which values pass a test."""
    if test.at_least is not None:
        return np.asarray(numbers(values) >= test.at_least)
    assert test.equals is not None  # a test asks for one of the two
    return holds(values, test.equals).to_numpy(bool)


def numbers(values: "pd.Series[str]") -> Floats:
    """Texts as numbers, NaN where they are none."""
    found = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def in_force(spells: pd.DataFrame, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Columns of the spell in force before each as-of date; missing where none is, (rows of frame,).

    A spell is in force from its start until it has been over for more than a day, so that touching ones leave no gap.
    Of several the one that started last, of spells that start together the one that lasts longest; the order of the
    rows decides nothing.
    """
    if spells.empty:
        return spells[list(columns)].reindex(frame.index)
    lasting = [c for c in ("ended_at", *columns) if c in spells and c != "started_at"]
    ordered = spells.sort_values(["account", "started_at", *lasting], kind="stable")
    spells_of = Timeline(ordered["account"].to_numpy(np.int64), times_of(ordered["started_at"]))
    times = times_of(frame["as_of"])
    place = spells_of.latest(frame["account"].to_numpy(np.int64), times, inclusive=False)
    if "ended_at" in ordered:
        place = _not_over(ordered, place, times)
    taken = ordered[list(columns)].iloc[np.maximum(place, 0)].set_axis(frame.index)
    return taken.where(pd.Series(place >= 0, index=frame.index))


def _not_over(spells: pd.DataFrame, place: Positions, time: Times) -> Positions:
    """Each place or, where that spell is over at its time, the nearest before it that is not; -1 without one.

    `spells` are sorted by account and start. Takes as many steps as spells ended within one that goes on.
    """
    ends = (spells["ended_at"] + TOUCHING).fillna(FAR)
    reach = times_of(ends.groupby(spells["account"]).cummax())  # of a spell and all before it
    until = times_of(ends)
    place = np.where((place >= 0) & (reach[place] >= time), place, -1)
    while (over := (place >= 0) & (until[place] < time)).any():
        place = place - over  # one of the same account reaches the time, so there is one before
    return place


def times_of(column: "pd.Series[pd.Timestamp]") -> Times:
    """A column of times in microseconds."""
    return column.to_numpy("datetime64[us]")
