"""The elementary table of one block of accounts: what the scans counted per slot, and running sums over the slots.

Counts of slots add up, so the count of a window is a difference of two running sums, and so are active days
once the day bits of a set's codes are united; users do not add up, so their slots are united as bits. Rows of the
same account, slot and code, or of the same user, unite as slots do: it does not matter in how many parts a log was
scanned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.arrays import Floats, Integers, Positions
from features.needs import EventSet, Needs
from features.sequences import ActiveDays
from features.windows import Slots

NEVER = np.iinfo(np.int64).min  # the last time of what was never done
NO_FIRST = np.iinfo(np.int64).max  # the first time of it

# By column of the cells: its type over the slots, what stands where there is no cell, and how cells unite.
_OVER_SLOTS: Mapping[str, tuple[type[np.generic], int, np.ufunc]] = {
    "count": (np.float64, 0, np.add),
    "bits": (np.int64, 0, np.bitwise_or),
    "last": (np.int64, NEVER, np.maximum),
    "first": (np.int64, NO_FIRST, np.minimum),
}


@dataclass(frozen=True)
class Layout:
    """What elementary tables hold, and of how many accounts one is."""

    needs: Needs
    slots: Slots
    block_size: int


class Elementary:
    """What the scans counted of the accounts [first, stop), with running sums that are made when first asked for.

    cells, users: as `features.scan.Scan` has them, None where they were not asked for. An array over the slots is
    (slots + 1, accounts): slot s is stored at s + 1, so that running[b] - running[a] is the sum over [a, b), of whole
    rows that lie together in memory.
    """

    def __init__(
        self, layout: Layout, cells: pa.Table | None, users: pa.Table | None, first: int, stop: int
    ) -> None:
        self.layout, self.n_accounts = layout, stop - first
        self._place, self._cells, self._starts = _by_code(layout, cells, first, self.n_accounts)
        self._user_account, self._words = _by_user(layout, users, first)
        self._made: dict[tuple[str, EventSet], Any] = {}

    def counts(self, events: EventSet) -> Floats:
        """Running counts of a set of events, (slots + 1, accounts)."""
        return self._running("count", events)

    def days(self, events: EventSet) -> Floats:
        """Running active days of a set of events, (slots + 1, accounts)."""

        def make() -> Floats:
            return np.cumsum(np.bitwise_count(self._bits(events)), axis=0, dtype=np.float64)

        return np.asarray(self._once("days", events, make))

    def active_days(self, events: EventSet) -> ActiveDays:
        """Each day on which an account did one of a set of events; accounts count from the first of the block."""

        def make() -> ActiveDays:
            return ActiveDays.of(self._bits(events)[1:].T, self.layout.slots.edges[:-1])

        found: ActiveDays = self._once("active days", events, make)
        return found

    def last_times(self, events: EventSet) -> Integers:
        """Time of the last event before each slot edge in µs from the origin, NEVER where there is none."""
        return self._running("last", events)

    def first_times(self, events: EventSet) -> Integers:
        """Time of the first event before each slot edge in µs from the origin, NO_FIRST where there is none."""
        return self._running("first", events)

    def users(self, events: EventSet, start: Positions, stop: Positions) -> Floats:
        """Distinct users in the slots [start, stop) of each as-of date, (accounts, as-of dates)."""
        words = self._words[events]
        found = np.empty((self.n_accounts, len(start)))
        for column, (lower, upper) in enumerate(zip(start, stop, strict=True)):
            present = (words & self.layout.slots.mask(lower, upper)).any(axis=1)
            found[:, column] = np.bincount(self._user_account[present], minlength=self.n_accounts)
        return found

    def _once(self, what: str, events: EventSet, make: Callable[[], Any]) -> Any:
        if (what, events) not in self._made:
            self._made[what, events] = make()
        return self._made[what, events]

    def _running(self, column: str, events: EventSet) -> NDArray[Any]:
        def make() -> NDArray[Any]:
            dense = self._dense(column, events)
            return np.asarray(_OVER_SLOTS[column][2].accumulate(dense, axis=0, out=dense))

        return np.asarray(self._once(column, events, make))

    def _bits(self, events: EventSet) -> Integers:
        return np.asarray(self._once("bits", events, lambda: self._dense("bits", events)))

    def _dense(self, column: str, events: EventSet) -> NDArray[Any]:
        """(slots + 1, accounts): the cells of a set united."""
        kind, nothing, unite = _OVER_SLOTS[column]
        dense = np.full((len(self.layout.slots) + 1, self.n_accounts), nothing, dtype=kind)
        flat = dense.ravel()
        for code in self.layout.needs.codes_of(events):
            rows = slice(*self._starts[code : code + 2])
            # Of its own type: numpy is many times slower where it must convert value by value.
            unite.at(flat, self._place[rows], self._cells[column][rows].astype(kind, copy=False))
        return dense


def _by_code(
    layout: Layout, cells: pa.Table | None, first: int, n_accounts: int
) -> tuple[Positions, dict[str, NDArray[Any]], Integers]:
    """The cells in the order of codes: place in a flat array over the slots, the other columns, where codes start."""
    n_codes = layout.needs.n_codes
    if cells is None:
        return np.empty(0, np.intp), {}, np.zeros(n_codes + 1, dtype=np.int64)
    columns = _columns(cells)
    account, slot, code = (columns.pop(name) for name in ("account", "slot", "code"))
    order = np.argsort(code, kind="stable")
    place = (slot.astype(np.intp) + 1) * n_accounts + account - first
    starts = np.concatenate([[0], np.cumsum(np.bincount(code, minlength=n_codes))])
    return place[order], {name: values[order] for name, values in columns.items()}, starts


def _by_user(
    layout: Layout, users: pa.Table | None, first: int
) -> tuple[Positions, dict[EventSet, Integers]]:
    """The account of every user, counted from `first`, and per set (users, words) of the slots they acted in."""
    if users is None:
        return np.empty(0, np.intp), {}
    account = users["account"].to_numpy().astype(np.intp) - first
    user = users["user_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.intp)
    key = account * (user.max(initial=0) + 1) + user
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    words = {}
    for i, events in enumerate(layout.needs.users):
        found = np.column_stack([users[f"u{i}_{n}"].to_numpy() for n in range(layout.slots.n_words)])
        words[events] = np.bitwise_or.reduceat(found[order], starts) if len(starts) else found
    return account[order][starts], words


def _columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    """The columns of a table without nulls; instants as µs since 1970."""
    return {name: _column(table[name]) for name in table.column_names}


def _column(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray((column.cast("int64") if pa.types.is_timestamp(column.type) else column).to_numpy())
