"""A product's log as every room reads it: the usable rows, and what is known of the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from features.columns import to_frame
from features.engines import engine_of
from features.outages import Outage
from features.workspace import discard, set_aside

CountsByReason = dict[str, dict[str, int]]  # by table


@dataclass(frozen=True)
class Log:
    """The usable rows of a product's log, and what is known of the rest.

    `events` is an Ibis expression (account: int32 code, signed_up_at, event, occurred_at [, user_id, quantity]);
    `accounts` is indexed by the same code and holds account_id, signed_up_at and the attributes;
    `subscriptions`, `states` and `outcomes` carry the code in the column `account`; `eligibility` is of no account.
    Knowledge reaches from `data_from` (start of its day) to just before `data_through`; with `known_at` everything
    is as it was knowable at that instant, and `withheld` counts what was not. `outages` are the stretches in which
    nobody did anything, too long to be chance (`features.outages`).
    """

    events: Any
    accounts: pd.DataFrame
    subscriptions: pd.DataFrame | None
    states: pd.DataFrame | None
    outcomes: pd.DataFrame | None
    eligibility: pd.DataFrame | None
    data_from: pd.Timestamp
    data_through: pd.Timestamp
    known_at: pd.Timestamp | None
    n_events: int
    read: dict[str, int]
    quarantined: CountsByReason
    excluded: CountsByReason
    withheld: CountsByReason
    notes: tuple[str, ...]
    outages: tuple[Outage, ...]
    rejected: dict[str, Any]
    # Every event of the log, where counting found it; elsewhere a scan of its own does.
    names: frozenset[str] | None = None

    def lay_down(self, name: str, frame: pd.DataFrame) -> Any:
        """A small table of ours beside the events, to join them with."""
        return engine_of(self.events).lay_down(self.events.get_backend(), name, frame)

    @property
    def has_users(self) -> bool:
        """Whether events say which user acted."""
        return "user_id" in self.events.columns

    @property
    def has_seats(self) -> bool:
        """Whether seats are known with dates."""
        return self.subscriptions is not None and "seats" in self.subscriptions

    def duplicates(self) -> int:
        """How many usable events repeat another one in every mapped column. Asks for a scan of its own."""
        distinct = to_frame(self.events.distinct().aggregate(lambda t: t.count().name("n")))
        return self.n_events - int(distinct["n"].iloc[0])

    def event_names(self) -> frozenset[str]:
        """Every event of the log."""
        return event_names(self.events) if self.names is None else self.names

    def books(self) -> list[str]:
        """What became of every row, in sentences."""
        lines = [] if self.known_at is None else [f"as known at {self.known_at}"]
        lines += [self._book(table) for table in self.read]
        return [*lines, f"data from {self.data_from.date()} through {self.data_through}", *self.notes]

    def set_aside(self) -> list[str]:
        """The books of the tables of which rows were set aside."""
        return [self._book(table) for table in self.read if sum(self.quarantined.get(table, {}).values())]

    def _book(self, table: str) -> str:
        n, bad, out = self.read[table], self.quarantined.get(table, {}), self.excluded.get(table, {})
        withheld = self.withheld.get(table, {})
        used = n - sum(bad.values()) - sum(out.values()) - sum(withheld.values())
        line = f"{table}: {n:,} rows read, {used:,} used"
        for words, counts in (("set aside", bad), ("left out by rule", out)):
            if sum(counts.values()):
                reasons = "; ".join(f"{reason}: {count:,}" for reason, count in counts.items() if count)
                line += f", {sum(counts.values()):,} {words} ({reasons})"
        return line + "".join(f", {count:,} {words}" for words, count in withheld.items())

    def write_quarantine(self, folder: Path) -> None:
        """One Parquet file per table with the rows set aside, as their source gives them, and the reason of each."""
        for table, rows in self.rejected.items():
            if not self.quarantined.get(table):
                discard(folder / f"{table}.parquet")  # an earlier run's rows are no longer set aside
            else:
                with set_aside(folder / f"{table}.parquet") as path:
                    if isinstance(rows, pd.DataFrame):
                        rows.to_parquet(path, index=False)
                    else:
                        engine_of(rows).write(rows, path)


def event_names(events: Any) -> frozenset[str]:
    """Every event that rows of events name. Asks for a scan of its own."""
    return frozenset(to_frame(events.select("event").distinct())["event"])
