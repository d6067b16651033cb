"""The scans that make the elementary table: one of the events for all counts, days and times, one more for users.

The axis of days is cut at every edge of every window (`features.windows.Slots`). The first scan counts, per
account, slot and *code*, marks the active days as bits and keeps the first and last times asked for; codes stand
for events, and events that the same sets contain share one. The second, only where users are asked for, marks per
account and user the slots they acted in. That is one group-by each, so its cost hardly depends on how many features
or windows there are: the engine never sees a feature.
"""

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.elementary import SLOTS_PER_WORD, Elementary, Integers, Layout
from features.log import Log
from features.needs import UNNAMED, EventSet, Needs
from features.specs import FeatureSpec
from features.windows import DAY_US, Grid, Slots, day_number

BATCH_BYTES = 120e6


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
    per_account = 8 * ((len(slots) + 1) * (len(needs.scanned) + 1) + n_values)
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
    if None not in (*needs.scanned, *needs.users):
        return placed.join(table, placed.event == table.named)
    coded = placed.left_join(table, placed.event == table.named)
    flags = {f"in{i}": coded[f"in{i}"].fill_null(events is None) for i, events in enumerate(needs.users)}
    return coded.mutate(code=coded.code.fill_null(UNNAMED), **flags)


def _scan_events(
    coded: Any, needs: Needs, layout: Layout, n_heaps: int
) -> tuple[dict[str, NDArray[Any]], Integers]:
    """The cells and where each heap starts."""
    if not needs.scanned:
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
