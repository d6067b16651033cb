"""The elementary table: one scan of the events for all counts, days and times, one more for users.

The axis of days is cut at every edge of every window (`features.windows.Slots`). The first scan counts, per
account, slot and *code*, marks the active days as bits and keeps the first and last times asked for; codes stand for events, and
events that the same sets contain share one. The second, only where users are asked for, marks per account
and user the slots they acted in. That is one group-by each, so its cost hardly depends on how many features
or windows there are: the engine never sees a feature.

Counts of slots add up, so the count of a window is a difference of two running sums, and so are active days
once the day bits of a set's codes are united; users do not add up, so their slots are united as bits.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.log import Log
from features.sequences import ActiveDays
from features.specs import SEQUENCES, Aggregation, FeatureSpec, Per
from features.windows import DAY_US, Grid, Slots, day_number

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
EventSet = tuple[str, ...] | None  # None: every event

BATCH_BYTES = 120e6
SLOTS_PER_WORD = 62
NEVER = np.iinfo(np.int64).min
NOT_YET = np.iinfo(np.int64).max
UNNAMED = 0  # the code of all events that no set names


@dataclass(frozen=True)
class Needs:
    """The aggregates that a list of specs asks for, each set of events once."""

    counts: tuple[EventSet, ...]
    days: tuple[EventSet, ...]
    lasts: tuple[EventSet, ...]
    firsts: tuple[EventSet, ...]
    users: tuple[EventSet, ...]

    @classmethod
    def of(cls, specs: Iterable[FeatureSpec]) -> "Needs":
        """Collect from the specs."""
        found: dict[Aggregation, dict[EventSet, None]] = {kind: {} for kind in Aggregation}
        for spec in specs:
            if spec.aggregation is Aggregation.GROUPS:
                found[Aggregation.COUNT].update({group.events: None for group in spec.groups})
            else:
                found[spec.aggregation][spec.events] = None
            if spec.aggregation in SEQUENCES:
                found[Aggregation.ACTIVE_DAYS][spec.events] = None
            if spec.per is Per.USER:
                found[Aggregation.DISTINCT_USERS][spec.events] = None
            if spec.per is Per.EVENTS:
                found[Aggregation.COUNT][None] = None
        return cls(
            counts=tuple(found[Aggregation.COUNT]),
            days=tuple(found[Aggregation.ACTIVE_DAYS]),
            lasts=tuple(found[Aggregation.DAYS_SINCE]),
            firsts=tuple(found[Aggregation.DAYS_TO_FIRST]),
            users=tuple(found[Aggregation.DISTINCT_USERS]),
        )

    @property
    def added(self) -> tuple[EventSet, ...]:
        """The sets that the scan of the events serves."""
        return (*self.counts, *self.days, *self.lasts, *self.firsts)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The code of every event that a set names. Events that are in the same sets share one.

        With the sets {a, b}, {c} and {a, b, c}: a and b are 1, c is 2, and all others UNNAMED.
        """
        sets = [frozenset(events) for events in (*self.added, *self.users) if events is not None]
        named = sorted(frozenset[str]().union(*sets))
        membership = {event: tuple(event in events for events in sets) for event in named}
        numbers = {member: 1 + i for i, member in enumerate(dict.fromkeys(membership.values()))}
        return {event: numbers[membership[event]] for event in named}

    @property
    def n_codes(self) -> int:
        """Number of codes, UNNAMED among them."""
        return max(self.codes.values(), default=UNNAMED) + 1

    def codes_of(self, events: EventSet) -> list[int]:
        """The codes that make up a set."""
        return list(range(self.n_codes)) if events is None else sorted({self.codes[e] for e in events})


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
class Elementary:
    """What the scans brought home.

    Cells, by heap: (cells,) place and count, and if asked for day bits, first and last time in µs; heap h is the rows
    [starts[h], starts[h + 1]). Users, by account: (pairs,) account, (pairs, w) words of slot bits per set.
    """

    needs: Needs
    slots: Slots
    layout: Layout
    cells: dict[str, NDArray[Any]]
    starts: Integers
    user_account: Integers
    user_words: dict[EventSet, Integers]

    def batches(self, n_accounts: int) -> Iterator["Batch"]:
        """Dense blocks of accounts [first, stop), each within a fixed budget of memory."""
        for first in range(0, n_accounts, self.layout.size):
            yield Batch(self, first, min(first + self.layout.size, n_accounts))


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
            first_days = self.table.slots.edges[:-1]
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
        total = self._empty(0.0)
        for place, count in self._cells("count", events):
            total.ravel()[place] += count
        return np.cumsum(total, axis=1, out=total)

    def _running_days(self, events: EventSet) -> NDArray[Any]:
        return np.cumsum(np.bitwise_count(self._day_bits(events)), axis=1, dtype=np.float64)

    def _day_bits(self, events: EventSet) -> Integers:
        bits = self._empty(0)
        for place, found in self._cells("bits", events):
            bits.ravel()[place] |= found
        return bits

    def _latest(self, events: EventSet) -> NDArray[Any]:
        latest = self._empty(NEVER)
        flat = latest.ravel()
        for place, last in self._cells("last", events):
            flat[place] = np.maximum(flat[place], last)
        return np.asarray(np.maximum.accumulate(latest, axis=1, out=latest))

    def _earliest(self, events: EventSet) -> NDArray[Any]:
        earliest = self._empty(NOT_YET)
        flat = earliest.ravel()
        for place, first in self._cells("first", events):
            flat[place] = np.minimum(flat[place], first)
        return np.asarray(np.minimum.accumulate(earliest, axis=1, out=earliest))

    def _empty(self, value: float) -> NDArray[Any]:
        return np.full((self.stop - self.first, len(self.table.slots) + 1), value)

    def _cells(self, column: str, events: EventSet) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Places and values by code: within one code no place comes twice, so they can be added by index."""
        table = self.table
        for code in table.needs.codes_of(events):
            heap = table.layout.heap(self.first, code)
            rows = slice(table.starts[heap], table.starts[heap + 1])
            yield table.cells["place"][rows], table.cells[column][rows]


def slot_mask(lower: int, upper: int, n_words: int) -> Integers:
    """Bits of the slots [lower, upper) over the words that hold them, (n_words,)."""
    mask = np.zeros(n_words, dtype=np.int64)
    for slot in range(lower, upper):
        mask[slot // SLOTS_PER_WORD] |= np.int64(1) << np.int64(slot % SLOTS_PER_WORD)
    return mask


def scan(log: Log, specs: tuple[FeatureSpec, ...], grid: Grid) -> Elementary:
    """Run the scans that the specs need on the log's engine."""
    needs = Needs.of(specs)
    first_day = 0 if grid.origin == "tenure" else day_number(log.data_from)
    windows = {window for spec in specs for window in spec.windows}
    slots = grid.slots(windows, first_day)
    placed = _place(log, grid, slots)
    coded = _code(log, placed, needs)
    layout = Layout(_batch_size(needs, slots, len(specs) * len(grid.as_of_days)), len(slots), needs.n_codes)
    n_heaps = layout.heap(len(log.accounts) - 1, 0) + needs.n_codes
    cells, starts = _scan_events(coded, needs, layout, n_heaps)
    # Whoever asks for the users of all events alone needs no codes.
    user_account, words = _scan_users(placed if set(needs.users) <= {None} else coded, needs, slots)
    return Elementary(needs, slots, layout, cells, starts, user_account, words)


def _batch_size(needs: Needs, slots: Slots, n_values: int) -> int:
    """Accounts whose running sums and observations together stay within the budget."""
    per_account = 8 * ((len(slots) + 1) * (len(needs.added) + 1) + n_values)
    return max(1, int(BATCH_BYTES // per_account))


def _place(log: Log, grid: Grid, slots: Slots) -> Any:
    """Every event with its slot, the slot's word and bit, and the bit of its day; others fall away."""
    calendar = pd.DataFrame(slots.calendar()).astype({"slot": "int32"})
    calendar["word"] = calendar["slot"] // SLOTS_PER_WORD
    calendar["slot_bit"] = np.left_shift(np.int64(1), calendar["slot"] % SLOTS_PER_WORD)
    events = log.events
    if grid.origin == "calendar":
        calendar["day"] = pd.to_datetime(calendar["day"], unit="D").dt.date
        events = events.mutate(day=events.occurred_at.date(), since=events.occurred_at)
    else:
        elapsed = events.occurred_at.delta(events.signed_up_at, unit="microsecond")
        events = events.mutate(day=(elapsed // DAY_US).cast("int64"), since=elapsed)
    return events.join(log.backend.create_table("calendar", calendar, temp=True, overwrite=True), "day")


def _code(log: Log, placed: Any, needs: Needs) -> Any:
    """Every event with its code and whether it is in each set of users: texts are compared once, in a join."""
    columns: dict[str, Any] = {
        "named": pd.Series(list(needs.codes), dtype="string"),
        "code": np.array(list(needs.codes.values()), dtype=np.int32),
    }
    for i, events in enumerate(needs.users):
        columns[f"in{i}"] = np.array([events is None or event in events for event in needs.codes], dtype=bool)
    table = log.backend.create_table("codes", pd.DataFrame(columns), temp=True, overwrite=True)
    if None not in (*needs.added, *needs.users):
        return placed.join(table, placed.event == table.named)
    coded = placed.left_join(table, placed.event == table.named)
    flags = {f"in{i}": coded[f"in{i}"].fill_null(events is None) for i, events in enumerate(needs.users)}
    return coded.mutate(code=coded.code.fill_null(UNNAMED), **flags)


def _scan_events(
    coded: Any, needs: Needs, layout: Layout, n_heaps: int
) -> tuple[dict[str, NDArray[Any]], Integers]:
    """The cells and where each heap starts."""
    if not needs.added:
        return {}, np.zeros(n_heaps + 1, dtype=np.int64)
    wanted = {"count": coded.quantity.sum() if "quantity" in coded.columns else coded.count()}
    if needs.days:
        wanted["bits"] = coded.bit.bit_or()
    if needs.lasts:
        wanted["last"] = coded.since.max()
    if needs.firsts:
        wanted["first"] = coded.since.min()
    found = _columns(coded.group_by(["account", "slot", "code"]).aggregate(**wanted))
    account = found.pop("account")
    heap = layout.heap(account, found.pop("code"))
    if n_heaps < np.iinfo(np.uint16).max:
        heap = heap.astype(np.uint16)  # numpy sorts these by radix, ten times as fast
    order = np.argsort(heap, kind="stable")
    found["place"] = layout.place(account, found.pop("slot"))
    starts = np.concatenate([[0], np.cumsum(np.bincount(heap, minlength=n_heaps))])
    return {name: found[name][order] for name in list(found)}, starts


def _scan_users(events: Any, needs: Needs, slots: Slots) -> tuple[Integers, dict[EventSet, Integers]]:
    """Accounts and words of slot bits, a row per user of an account."""
    if not needs.users:
        return np.empty(0, np.int64), {}
    known = events.filter(events.user_id.notnull())
    words = range(-(-len(slots) // SLOTS_PER_WORD))

    def word(i: int, events: EventSet, number: int) -> Any:
        within = [known.word == number] if len(words) > 1 else []
        if events is not None:
            within.append(known[f"in{i}"])
        return known.slot_bit.bit_or(where=ibis.and_(*within) if within else None).fill_null(0)

    wanted = {f"u{i}_{n}": word(i, events, n) for i, events in enumerate(needs.users) for n in words}
    found = _columns(known.group_by(["account", "user_id"]).aggregate(**wanted).drop("user_id"))
    order = np.argsort(found["account"], kind="stable")
    return found["account"][order], {
        events: np.column_stack([found[f"u{i}_{n}"][order] for n in words])
        for i, events in enumerate(needs.users)
    }


def _columns(table: Any) -> dict[str, NDArray[Any]]:
    """The columns of a table without nulls; instants as µs since 1970."""
    arrow = table.to_pyarrow()
    found = {}
    for field in arrow.schema:
        column = arrow[field.name]
        found[field.name] = (column.cast("int64") if pa.types.is_timestamp(field.type) else column).to_numpy()
    return found
