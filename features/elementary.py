"""The elementary table: one scan of the events per kind of aggregate, however many windows.

The axis of days is cut at every edge of every window (`features.windows.Slots`). One wide scan counts, per
account and slot, every set of events that is asked for, marks the active days as bits and keeps the last time;
a second one, only where users are asked for, marks per account and user the slots they acted in.
Counts and active days of slots add up, so every window is a difference of two running sums; users do not add
up, so their slots are united as bits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.intake import Log
from features.specs import Aggregation, FeatureSpec, Per
from features.windows import Grid, Slots

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
EventSet = tuple[str, ...] | None  # None: every event

BATCH_BYTES = 160e6
SLOTS_PER_WORD = 62
DAY_US = 86_400_000_000
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Needs:
    """The aggregates that a list of specs asks for, each set of events once."""

    counts: tuple[EventSet, ...]
    days: tuple[EventSet, ...]
    lasts: tuple[EventSet, ...]
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
            if spec.per is Per.USER:
                found[Aggregation.DISTINCT_USERS][spec.events] = None
        return cls(
            counts=tuple(found[Aggregation.COUNT]),
            days=tuple(found[Aggregation.ACTIVE_DAYS]),
            lasts=tuple(found[Aggregation.DAYS_SINCE]),
            users=tuple(found[Aggregation.DISTINCT_USERS]),
        )

    @cached_property
    def scanned_counts(self) -> tuple[EventSet, ...]:
        """The counts worth a column of the scan: a set whose single events are all there is their sum."""
        singles = {events for events in self.counts if events is not None and len(events) == 1}
        return tuple(e for e in self.counts if e is None or len(e) == 1 or not {(x,) for x in e} <= singles)

    def events(self, *kinds: tuple[EventSet, ...]) -> set[str] | None:
        """All events that these sets mention; None when one of them is 'every event'."""
        sets = [events for kind in kinds for events in kind]
        return None if None in sets else {event for events in sets if events for event in events}


@dataclass(frozen=True)
class Elementary:
    """What the scans brought home, sorted by account code.

    wide: (rows,) account and slot, (rows, k) additive values (counts, then active days), (rows, l) last times in µs.
    users: (pairs,) account, (pairs, w) words of slot bits per set of events.
    """

    needs: Needs
    slots: Slots
    account: Integers
    slot: Integers
    additive: Floats
    last: Integers
    user_account: Integers
    user_words: dict[EventSet, Integers]

    def batches(self, n_accounts: int) -> Iterator["Batch"]:
        """Dense blocks of accounts [first, stop), each within a fixed budget of memory."""
        width = (len(self.slots) + 1) * (self.additive.shape[1] + self.last.shape[1] + 1) * 8
        size = max(1, int(BATCH_BYTES // width))
        for first in range(0, n_accounts, size):
            stop = min(first + size, n_accounts)
            rows = slice(*np.searchsorted(self.account, [first, stop]))
            pairs = slice(*np.searchsorted(self.user_account, [first, stop]))
            yield Batch(self, first, stop, rows, pairs)


class Batch:
    """The accounts [first, stop) with their running sums over the slots."""

    def __init__(self, table: Elementary, first: int, stop: int, rows: slice, pairs: slice) -> None:
        self.table, self.first, self.stop = table, first, stop
        shape = (stop - first, len(table.slots) + 1)
        account, slot = table.account[rows] - first, table.slot[rows]
        # Slot s is stored at s + 1, so that running[:, b] - running[:, a] is the sum over the slots [a, b).
        self.running = np.zeros((table.additive.shape[1], *shape))
        self.running[:, account, slot + 1] = table.additive[rows].T
        np.cumsum(self.running, axis=2, out=self.running)
        self.latest = np.full((table.last.shape[1], *shape), NEVER)
        self.latest[:, account, slot + 1] = table.last[rows].T
        np.maximum.accumulate(self.latest, axis=2, out=self.latest)
        self.pairs = pairs

    def counts(self, events: EventSet) -> Floats:
        """Running counts of a set of events, (accounts, slots + 1)."""
        scanned = self.table.needs.scanned_counts
        if events in scanned:
            return np.asarray(self.running[scanned.index(events)])
        return np.asarray(sum(self.running[scanned.index((event,))] for event in events or ()))

    def days(self, events: EventSet) -> Floats:
        """Running active days of a set of events, (accounts, slots + 1)."""
        return np.asarray(
            self.running[len(self.table.needs.scanned_counts) + self.table.needs.days.index(events)]
        )

    def last_times(self, events: EventSet) -> Integers:
        """Time of the last event before each slot edge in µs from the origin, NEVER where there is none."""
        return np.asarray(self.latest[self.table.needs.lasts.index(events)])

    def users(self, events: EventSet, start: NDArray[np.intp], stop: NDArray[np.intp]) -> Floats:
        """Distinct users in the slots [start, stop) of each as-of date, (accounts, as-of dates)."""
        words = self.table.user_words[events][self.pairs]
        account = self.table.user_account[self.pairs] - self.first
        found = np.empty((self.stop - self.first, len(start)))
        for column, (lower, upper) in enumerate(zip(start, stop, strict=True)):
            present = (words & slot_mask(lower, upper, words.shape[1])).any(axis=1)
            found[:, column] = np.bincount(account[present], minlength=len(found))
        return found


def slot_mask(lower: int, upper: int, n_words: int) -> Integers:
    """Bits of the slots [lower, upper) over the words that hold them, (n_words,)."""
    mask = np.zeros(n_words, dtype=np.int64)
    for slot in range(lower, upper):
        mask[slot // SLOTS_PER_WORD] |= np.int64(1) << np.int64(slot % SLOTS_PER_WORD)
    return mask


def scan(log: Log, specs: tuple[FeatureSpec, ...], grid: Grid) -> Elementary:
    """Run the scans that the specs need on the log's engine."""
    needs = Needs.of(specs)
    first_day = 0 if grid.origin == "tenure" else int(log.data_from.timestamp() // 86_400)
    windows = {window for spec in specs for window in spec.windows}
    slots = grid.slots(windows, first_day)
    placed = _place(log, grid, slots)
    wide = _wide_scan(placed, needs, grid)
    users = _user_scan(placed, needs, slots) if needs.users else None
    n_counts = len(needs.scanned_counts)
    order = np.argsort(wide["account"].to_numpy(), kind="stable")
    days = [
        np.bitwise_count(wide[f"d{i}"].to_numpy(dtype=np.int64, na_value=0)) for i in range(len(needs.days))
    ]
    counts = [wide[f"c{i}"].to_numpy(dtype=np.float64, na_value=0.0) for i in range(n_counts)]
    lasts = [wide[f"l{i}"].to_numpy(dtype=np.int64, na_value=NEVER) for i in range(len(needs.lasts))]
    return Elementary(
        needs=needs,
        slots=slots,
        account=wide["account"].to_numpy(np.int64)[order],
        slot=wide["slot"].to_numpy(np.int64)[order],
        additive=_columns([*counts, *days], order, np.float64),
        last=_columns(lasts, order, np.int64),
        user_account=np.empty(0, np.int64) if users is None else users["account"].to_numpy(np.int64),
        user_words={} if users is None else _words(users, needs, slots),
    )


def _place(log: Log, grid: Grid, slots: Slots) -> Any:
    """Every event with its slot and the bit of its day; events outside the slots fall away."""
    calendar = pd.DataFrame(slots.calendar()).astype({"slot": "int32"})
    events = log.events
    if grid.origin == "calendar":
        calendar["day"] = pd.to_datetime(calendar["day"], unit="D").dt.date
        events = events.mutate(day=events.occurred_at.date())
    else:
        elapsed = events.occurred_at.delta(events.signed_up_at, unit="microsecond")
        events = events.mutate(day=(elapsed // DAY_US).cast("int64"), elapsed=elapsed)
    name = f"calendar_{grid.origin}_{len(calendar)}_{abs(hash(slots.edges.tobytes())):x}"
    table = log.backend.create_table(name, calendar, temp=True, overwrite=True)
    return events.join(table, "day")


def _chosen(table: Any, events: EventSet) -> Any:
    if events is None:
        return ibis.literal(True)
    return table.event == events[0] if len(events) == 1 else table.event.isin(events)


def _wide_scan(placed: Any, needs: Needs, grid: Grid) -> pd.DataFrame:
    wanted = needs.events(needs.scanned_counts, needs.days, needs.lasts)
    table = placed if wanted is None else placed.filter(placed.event.isin(sorted(wanted)))
    weighted = "quantity" in table.columns
    columns: dict[str, Any] = {}
    for i, events in enumerate(needs.scanned_counts):
        where = _chosen(table, events)
        columns[f"c{i}"] = table.quantity.sum(where=where) if weighted else table.count(where=where)
    for i, events in enumerate(needs.days):
        columns[f"d{i}"] = table.bit.bit_or(where=_chosen(table, events))
    since = table.elapsed if grid.origin == "tenure" else table.occurred_at
    for i, events in enumerate(needs.lasts):
        columns[f"l{i}"] = since.max(where=_chosen(table, events))
    arrow = table.group_by(["account", "slot"]).aggregate(**columns).to_pyarrow()
    frame: pd.DataFrame = arrow.to_pandas()
    for column in frame.columns:
        if frame[column].dtype.kind == "M":  # µs since 1970, the calendar's origin
            missing = frame[column].isna()
            frame[column] = frame[column].astype("datetime64[us]").astype("int64").where(~missing, NEVER)
    return frame


def _user_scan(placed: Any, needs: Needs, slots: Slots) -> pd.DataFrame:
    wanted = needs.events(needs.users)
    table = placed.filter(placed.user_id.notnull())
    table = table if wanted is None else table.filter(table.event.isin(sorted(wanted)))
    bit = ibis.literal(1, "int64") << (table.slot % SLOTS_PER_WORD).cast("int64")
    columns = {
        f"u{i}_{word}": bit.bit_or(where=_chosen(table, events) & (table.slot // SLOTS_PER_WORD == word))
        for i, events in enumerate(needs.users)
        for word in range(_n_words(slots))
    }
    found = table.group_by(["account", "user_id"]).aggregate(**columns).drop("user_id")
    frame: pd.DataFrame = found.to_pyarrow().to_pandas()
    return frame.sort_values("account", kind="stable", ignore_index=True)


def _n_words(slots: Slots) -> int:
    return -(-len(slots) // SLOTS_PER_WORD)


def _words(users: pd.DataFrame, needs: Needs, slots: Slots) -> dict[EventSet, Integers]:
    return {
        events: np.column_stack(
            [users[f"u{i}_{word}"].to_numpy(dtype=np.int64, na_value=0) for word in range(_n_words(slots))]
        )
        for i, events in enumerate(needs.users)
    }


def _columns(columns: list[NDArray[Any]], order: NDArray[np.intp], dtype: type) -> NDArray[Any]:
    table: NDArray[Any] = np.empty((len(order), len(columns)), dtype=dtype)
    for i, column in enumerate(columns):
        table[:, i] = column[order]
    return table
