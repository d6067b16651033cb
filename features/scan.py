"""The scans that make the elementary table: one of the events for all counts, days and times, one more for users.

The axis of days is cut at every edge of every window (`features.windows.Slots`). The first scan counts, per
account, slot and *code*, marks the active days as bits and keeps the first and last times asked for; codes stand
for events, and events that the same sets contain share one. The second, only where users are asked for, marks per
account and user the slots they acted in. That is one group-by each, so its cost hardly depends on how many features
or windows there are: the engine never sees a feature.
"""

from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from features.elementary import Layout
from features.engines import bit_or
from features.log import Log
from features.needs import UNNAMED, EventSet, Needs
from features.specs import FeatureSpec
from features.windows import DAY_US, Grid, Slots, day_number

BLOCK_BYTES = 40e6  # of one block; while it is written two more are in work


@dataclass(frozen=True)
class Scan:
    """What an engine is asked, and how its answer is laid out. None where no spec needs it.

    cells: (account, slot, code, count [, bits, last, first]), one row per account, slot and code that has events.
    users: (account, user_id, u{i}_{w}...), one row per user of an account, with the slots of set i in bits of word w.
    """

    layout: Layout
    cells: Any | None
    users: Any | None

    def tables(self) -> dict[str, Any]:
        """What is asked for, by name."""
        both = {"cells": self.cells, "users": self.users}
        return {name: table for name, table in both.items() if table is not None}


def scan(log: Log, specs: tuple[FeatureSpec, ...], grid: Grid) -> Scan:
    """The scans that the specs need, on the log's engine: nothing runs yet."""
    needs = Needs.of(specs)
    first_day = 0 if grid.origin == "tenure" else day_number(log.data_from)
    windows = {window for spec in specs for window in spec.windows}
    slots = grid.slots(windows, first_day)
    placed = _place(log, grid, slots)
    coded = _code(log, placed, needs)
    # Whoever asks for the users of all events alone needs no codes.
    of_users = placed if set(needs.users) <= {None} else coded
    size = _block_size(needs, slots, len(specs) * len(grid.as_of_days))
    return Scan(
        Layout(needs, slots, size),
        _cells(coded, needs) if needs.scanned else None,
        _users(of_users, needs, slots) if needs.users else None,
    )


def _block_size(needs: Needs, slots: Slots, n_values: int) -> int:
    """Accounts whose running sums and observations together stay within the budget."""
    per_account = 8 * ((len(slots) + 1) * (len(needs.scanned) + 1) + n_values)
    return max(1, int(BLOCK_BYTES // per_account))


def _narrowest(n: int) -> type[np.int16] | type[np.int32]:
    """The type of the numbers below n: millions of rows carry two of them."""
    return np.int16 if n <= np.iinfo(np.int16).max else np.int32


def _place(log: Log, grid: Grid, slots: Slots) -> Any:
    """Every event with its slot, the slot's word and bit, and the bit of its day; others fall away."""
    calendar = pd.DataFrame(slots.calendar()).astype({"slot": _narrowest(len(slots))})
    events = log.events
    if grid.origin == "calendar":
        calendar["day"] = pd.to_datetime(calendar["day"], unit="D").astype(pd.ArrowDtype(pa.date32()))
        events = events.mutate(day=events.occurred_at.date(), since=events.occurred_at)
    else:
        elapsed = events.occurred_at.delta(events.signed_up_at, unit="microsecond")
        events = events.mutate(day=(elapsed // DAY_US).cast("int64"), since=elapsed)
    return events.join(log.lay_down("calendar", calendar), "day")


def _code(log: Log, placed: Any, needs: Needs) -> Any:
    """Every event with its code and whether it is in each set of users: texts are compared once, in a join."""
    columns: dict[str, Any] = {
        "named": pd.Series(list(needs.codes), dtype="string"),
        "code": np.array(list(needs.codes.values()), dtype=_narrowest(needs.n_codes)),
    }
    for i, events in enumerate(needs.users):
        columns[f"in{i}"] = np.array([events is None or event in events for event in needs.codes], dtype=bool)
    table = log.lay_down("codes", pd.DataFrame(columns))
    if None not in (*needs.scanned, *needs.users):
        return placed.join(table, placed.event == table.named)
    coded = placed.left_join(table, placed.event == table.named)
    flags = {f"in{i}": coded[f"in{i}"].fill_null(events is None) for i, events in enumerate(needs.users)}
    return coded.mutate(code=coded.code.fill_null(UNNAMED), **flags)


def _cells(coded: Any, needs: Needs) -> Any:
    wanted = {"count": coded.quantity.sum() if "quantity" in coded.columns else coded.count()}
    if needs.days:
        wanted["bits"] = bit_or(coded.bit)
    if needs.lasts:
        wanted["last"] = coded.since.max()
    if needs.firsts:
        wanted["first"] = coded.since.min()
    return coded.group_by(["account", "slot", "code"]).aggregate(**wanted)


def _users(events: Any, needs: Needs, slots: Slots) -> Any:
    known = events.filter(events.user_id.notnull())
    words = range(slots.n_words)

    def word(i: int, events: EventSet, number: int) -> Any:
        within = [known.word == number] if len(words) > 1 else []
        if events is not None:
            within.append(known[f"in{i}"])
        return bit_or(known.slot_bit, where=ibis.and_(*within) if within else None).fill_null(0)

    wanted = {f"u{i}_{n}": word(i, events, n) for i, events in enumerate(needs.users) for n in words}
    return known.group_by(["account", "user_id"]).aggregate(**wanted)
