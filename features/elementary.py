"""The elementary table in numpy: per account and slot what the scans counted, and running sums over the slots.

Counts of slots add up, so the count of a window is a difference of two running sums, and so are active days
once the day bits of a set's codes are united; users do not add up, so their slots are united as bits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.needs import EventSet, Needs
from features.sequences import ActiveDays
from features.windows import Slots

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SLOTS_PER_WORD = 62
NEVER = np.iinfo(np.int64).min
NOT_YET = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Layout:
    """Dense blocks of `size` accounts, each an array (size, slots + 1) per set of events.

    Slot s is stored at s + 1, so that running[:, b] - running[:, a] is the sum over the slots [a, b).
    """

    size: int
    n_slots: int
    n_codes: int

    def place(self, account: NDArray[Any], slot: NDArray[Any]) -> NDArray[Any]:
        """Where a cell is within its block, flattened."""
        return np.asarray((account % self.size) * (self.n_slots + 1) + slot + 1)

    def heap(self, account: Any, code: Any) -> Any:
        """Number of the heap that a cell is in: cells of one block and code lie together."""
        return account // self.size * self.n_codes + code


@dataclass(frozen=True)
class Plan:
    """What an elementary table holds, and how it is laid out."""

    needs: Needs
    slots: Slots
    layout: Layout

    @property
    def n_words(self) -> int:
        """How many words of bits hold all slots."""
        return -(-len(self.slots) // SLOTS_PER_WORD)


@dataclass(frozen=True)
class Elementary:
    """What the scans brought home.

    Cells, by heap: (cells,) place and count, and if asked for day bits, first and last time in µs; heap h is the rows
    [starts[h], starts[h + 1]). Users, by account: (pairs,) account, (pairs, w) words of slot bits per set.
    """

    plan: Plan
    cells: dict[str, NDArray[Any]]
    starts: Integers
    user_account: Integers
    user_words: dict[EventSet, Integers]

    @classmethod
    def of(cls, plan: Plan, cells: pa.Table | None, users: pa.Table | None, n_accounts: int) -> "Elementary":
        """Sort what the scans found for accounts below `n_accounts` into heaps, and users by account."""
        needs, layout = plan.needs, plan.layout
        found, starts = _heaps(cells, layout, layout.heap(n_accounts - 1, 0) + needs.n_codes)
        user_account, words = np.empty(0, np.int64), {}
        if users is not None:
            columns = _columns(users.drop_columns(["user_id"]))
            order = np.argsort(columns["account"], kind="stable")
            user_account = columns["account"][order]
            words = {
                events: np.column_stack([columns[f"u{i}_{n}"][order] for n in range(plan.n_words)])
                for i, events in enumerate(needs.users)
            }
        return cls(plan, found, starts, user_account, words)


def _heaps(cells: pa.Table | None, layout: Layout, n_heaps: int) -> tuple[dict[str, NDArray[Any]], Integers]:
    """The cells in the order of their heaps, and where each heap starts."""
    if cells is None:
        return {}, np.zeros(n_heaps + 1, dtype=np.int64)
    account, slot, code = (cells[name].to_numpy() for name in ("account", "slot", "code"))
    heap = layout.heap(account, code)
    if n_heaps < np.iinfo(np.uint16).max:
        heap = heap.astype(np.uint16)  # numpy sorts these by radix, ten times as fast
    order = np.argsort(heap, kind="stable")
    found = {"place": layout.place(account, slot)[order].astype(np.int32)}
    starts = np.concatenate([[0], np.cumsum(np.bincount(heap, minlength=n_heaps))])
    del account, slot, code, heap
    for name in cells.column_names:
        if name not in ("account", "slot", "code"):
            found[name] = _column(cells[name])[order]  # one after the other: together they are large
    return found, starts


def _columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    """The columns of a table without nulls; instants as µs since 1970."""
    return {name: _column(table[name]) for name in table.column_names}


def _column(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray((column.cast("int64") if pa.types.is_timestamp(column.type) else column).to_numpy())


class Batch:
    """The accounts [first, stop) with their running sums over the slots, made when first asked for."""

    def __init__(self, table: Elementary, first: int, stop: int) -> None:
        self.table, self.first, self.stop = table, first, stop
        self.pairs = slice(*np.searchsorted(table.user_account, [first, stop]))
        self._made: dict[tuple[str, EventSet], NDArray[Any]] = {}
        self._active: dict[EventSet, ActiveDays] = {}

    def counts(self, events: EventSet) -> Floats:
        """Running counts of a set of events, (accounts, slots + 1)."""
        return self._once("count", events, self._running_counts)

    def days(self, events: EventSet) -> Floats:
        """Running active days of a set of events, (accounts, slots + 1)."""
        return self._once("bits", events, self._running_days)

    def active_days(self, events: EventSet) -> ActiveDays:
        """Each day on which an account did one of a set of events; accounts count from the first of the batch."""
        if events not in self._active:
            first_days = self.table.plan.slots.edges[:-1]
            self._active[events] = ActiveDays.of(self._day_bits(events)[:, 1:], first_days)
        return self._active[events]

    def last_times(self, events: EventSet) -> Integers:
        """Time of the last event before each slot edge in µs from the origin, NEVER where there is none."""
        return self._once("last", events, self._latest)

    def first_times(self, events: EventSet) -> Integers:
        """Time of the first event before each slot edge in µs from the origin, NOT_YET where there is none."""
        return self._once("first", events, self._earliest)

    def users(self, events: EventSet, start: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
        """Distinct users in the slots [start, stop) of each as-of date, (accounts, as-of dates)."""
        words = self.table.user_words[events][self.pairs]
        account = self.table.user_account[self.pairs] - self.first
        found = np.empty((self.stop - self.first, len(start)))
        for column, (lower, upper) in enumerate(zip(start, stop, strict=True)):
            present = (words & slot_mask(lower, upper, words.shape[1])).any(axis=1)
            found[:, column] = np.bincount(account[present], minlength=len(found))
        return found

    def _once(self, kind: str, events: EventSet, make: Callable[[EventSet], NDArray[Any]]) -> NDArray[Any]:
        if (kind, events) not in self._made:
            self._made[kind, events] = make(events)
        return self._made[kind, events]

    def _running_counts(self, events: EventSet) -> NDArray[Any]:
        return self._accumulated("count", events, 0.0, np.add)

    def _running_days(self, events: EventSet) -> NDArray[Any]:
        return np.cumsum(np.bitwise_count(self._day_bits(events)), axis=1, dtype=np.float64)

    def _day_bits(self, events: EventSet) -> Integers:
        return self._dense("bits", events, 0, np.bitwise_or)

    def _latest(self, events: EventSet) -> NDArray[Any]:
        return self._accumulated("last", events, NEVER, np.maximum)

    def _earliest(self, events: EventSet) -> NDArray[Any]:
        return self._accumulated("first", events, NOT_YET, np.minimum)

    def _accumulated(self, column: str, events: EventSet, nothing: float, unite: np.ufunc) -> NDArray[Any]:
        dense = self._dense(column, events, nothing, unite)
        return np.asarray(unite.accumulate(dense, axis=1, out=dense))

    def _dense(self, column: str, events: EventSet, nothing: float, unite: np.ufunc) -> NDArray[Any]:
        """(accounts, slots + 1): the cells of a set united, `nothing` where there is none."""
        dense = np.full((self.stop - self.first, len(self.table.plan.slots) + 1), nothing)
        flat = dense.ravel()
        for place, found in self._cells(column, events):
            flat[place] = unite(flat[place], found)
        return dense

    def _cells(self, column: str, events: EventSet) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Places and values by code: within one code no place comes twice, so they can be added by index."""
        table = self.table
        for code in table.plan.needs.codes_of(events):
            heap = table.plan.layout.heap(self.first, code)
            rows = slice(table.starts[heap], table.starts[heap + 1])
            yield table.cells["place"][rows], table.cells[column][rows]


def slot_mask(lower: int, upper: int, n_words: int) -> Integers:
    """Bits of the slots [lower, upper) over the words that hold them, (n_words,)."""
    mask = np.zeros(n_words, dtype=np.int64)
    for slot in range(lower, upper):
        mask[slot // SLOTS_PER_WORD] |= np.int64(1) << np.int64(slot % SLOTS_PER_WORD)
    return mask
