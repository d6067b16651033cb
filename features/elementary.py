"""The elementary table of one block of accounts: what the scans counted per slot, and running sums over the slots.

Counts of slots add up, so the count of a window is a difference of two running sums, and so are active days
once the day bits of a set's codes are united; users do not add up, so their slots are united as bits. Rows of the
same account, slot and code, or of the same user, unite as slots do: it does not matter in how many parts a log was
scanned.
"""

from collections.abc import Callable
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
class Plan:
    """What elementary tables hold, and of how many accounts one is."""

    needs: Needs
    slots: Slots
    block_size: int

    @property
    def n_words(self) -> int:
        """How many words of bits hold all slots."""
        return -(-len(self.slots) // SLOTS_PER_WORD)


class Elementary:
    """What the scans counted of the accounts [first, stop), with running sums that are made when first asked for.

    cells, users: as `features.scan.Scan` has them, None where they were not asked for. An array over the slots is
    (slots + 1, accounts): slot s is stored at s + 1, so that running[b] - running[a] is the sum over [a, b), of whole
    rows that lie together in memory.
    """

    def __init__(
        self, plan: Plan, cells: pa.Table | None, users: pa.Table | None, first: int, stop: int
    ) -> None:
        self.plan, self.n_accounts = plan, stop - first
        self._place, self._cells, self._starts = _by_code(plan, cells, first, self.n_accounts)
        self._user_account, self._words = _by_user(plan, users, first)
        self._made: dict[tuple[str, EventSet], NDArray[Any]] = {}
        self._active: dict[EventSet, ActiveDays] = {}

    def counts(self, events: EventSet) -> Floats:
        """Running counts of a set of events, (slots + 1, accounts)."""
        return self._once("count", events, self._running_counts)

    def days(self, events: EventSet) -> Floats:
        """Running active days of a set of events, (slots + 1, accounts)."""
        return self._once("bits", events, self._running_days)

    def active_days(self, events: EventSet) -> ActiveDays:
        """Each day on which an account did one of a set of events; accounts count from the first of the block."""
        if events not in self._active:
            first_days = self.plan.slots.edges[:-1]
            self._active[events] = ActiveDays.of(self._day_bits(events)[1:].T, first_days)
        return self._active[events]

    def last_times(self, events: EventSet) -> Integers:
        """Time of the last event before each slot edge in µs from the origin, NEVER where there is none."""
        return self._once("last", events, self._latest)

    def first_times(self, events: EventSet) -> Integers:
        """Time of the first event before each slot edge in µs from the origin, NOT_YET where there is none."""
        return self._once("first", events, self._earliest)

    def users(self, events: EventSet, start: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
        """Distinct users in the slots [start, stop) of each as-of date, (accounts, as-of dates)."""
        words = self._words[events]
        found = np.empty((self.n_accounts, len(start)))
        for column, (lower, upper) in enumerate(zip(start, stop, strict=True)):
            present = (words & slot_mask(lower, upper, words.shape[1])).any(axis=1)
            found[:, column] = np.bincount(self._user_account[present], minlength=self.n_accounts)
        return found

    def _once(self, kind: str, events: EventSet, make: Callable[[EventSet], NDArray[Any]]) -> NDArray[Any]:
        if (kind, events) not in self._made:
            self._made[kind, events] = make(events)
        return self._made[kind, events]

    def _running_counts(self, events: EventSet) -> NDArray[Any]:
        return self._accumulated("count", events, 0.0, np.add)

    def _running_days(self, events: EventSet) -> NDArray[Any]:
        return np.cumsum(np.bitwise_count(self._day_bits(events)), axis=0, dtype=np.float64)

    def _day_bits(self, events: EventSet) -> Integers:
        return self._dense("bits", events, 0, np.bitwise_or)

    def _latest(self, events: EventSet) -> NDArray[Any]:
        return self._accumulated("last", events, NEVER, np.maximum)

    def _earliest(self, events: EventSet) -> NDArray[Any]:
        return self._accumulated("first", events, NOT_YET, np.minimum)

    def _accumulated(self, column: str, events: EventSet, nothing: float, unite: np.ufunc) -> NDArray[Any]:
        dense = self._dense(column, events, nothing, unite)
        return np.asarray(unite.accumulate(dense, axis=0, out=dense))

    def _dense(self, column: str, events: EventSet, nothing: float, unite: np.ufunc) -> NDArray[Any]:
        """(slots + 1, accounts): the cells of a set united, `nothing` where there is none."""
        dense = np.full((len(self.plan.slots) + 1, self.n_accounts), nothing)
        flat = dense.ravel()
        for code in self.plan.needs.codes_of(events):
            rows = slice(*self._starts[code : code + 2])
            # Of its own type: numpy is many times slower where it must convert value by value.
            unite.at(flat, self._place[rows], self._cells[column][rows].astype(flat.dtype, copy=False))
        return dense


def _by_code(
    plan: Plan, cells: pa.Table | None, first: int, n_accounts: int
) -> tuple[NDArray[np.intp], dict[str, NDArray[Any]], Integers]:
    """The cells in the order of codes: place in a flat array over the slots, the other columns, where codes start."""
    n_codes = plan.needs.n_codes
    if cells is None:
        return np.empty(0, np.intp), {}, np.zeros(n_codes + 1, dtype=np.int64)
    columns = _columns(cells)
    account, slot, code = (columns.pop(name) for name in ("account", "slot", "code"))
    order = np.argsort(code, kind="stable")
    place = (slot.astype(np.intp) + 1) * n_accounts + account - first
    starts = np.concatenate([[0], np.cumsum(np.bincount(code, minlength=n_codes))])
    return place[order], {name: values[order] for name, values in columns.items()}, starts


def _by_user(
    plan: Plan, users: pa.Table | None, first: int
) -> tuple[NDArray[np.intp], dict[EventSet, Integers]]:
    """The account of every user, counted from `first`, and per set (users, words) of the slots they acted in."""
    if users is None:
        return np.empty(0, np.intp), {}
    account = users["account"].to_numpy().astype(np.intp) - first
    user = users["user_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.intp)
    key = account * (user.max(initial=0) + 1) + user
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    words = {}
    for i, events in enumerate(plan.needs.users):
        found = np.column_stack([users[f"u{i}_{n}"].to_numpy() for n in range(plan.n_words)])
        words[events] = np.bitwise_or.reduceat(found[order], starts) if len(starts) else found
    return account[order][starts], words


def _columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    """The columns of a table without nulls; instants as µs since 1970."""
    return {name: _column(table[name]) for name in table.column_names}


def _column(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray((column.cast("int64") if pa.types.is_timestamp(column.type) else column).to_numpy())


def slot_mask(lower: int, upper: int, n_words: int) -> Integers:
    """Bits of the slots [lower, upper) over the words that hold them, (n_words,)."""
    mask = np.zeros(n_words, dtype=np.int64)
    for slot in range(lower, upper):
        mask[slot // SLOTS_PER_WORD] |= np.int64(1) << np.int64(slot % SLOTS_PER_WORD)
    return mask
