"""Windows of time, half-open in days, and the grid of as-of dates they are laid on.

Worked example: at the as-of date 2024-04-01 the window of the last 30 days is [2024-03-02, 2024-04-01).
An event at 2024-04-01 00:00:00 belongs to the future: it is no feature, it may be part of an outcome.

Two origins share one axis of whole days. On the *calendar* axis a day is the number of days since
1970-01-01; on the *tenure* axis it is the number of full days since the account signed up, so that
"the first 90 days" is [0, 90) for everybody, to the second.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from features.arrays import Integers, Positions

Origin = Literal["calendar", "tenure"]

ONE_DAY = np.timedelta64(1, "D")
DAY_US = 86_400_000_000  # the same in microseconds, the unit of every time here
LONGEST_WINDOW_DAYS = 3650
# Days of one slot, and slots of one word, are bits of a signed 64-bit integer.
LONGEST_SLOT_DAYS = 60
SLOTS_PER_WORD = 62


def microseconds(time: pd.Timestamp) -> int:
    """A naive UTC time as microseconds since 1970."""
    return int(time.as_unit("us").asm8.astype(np.int64))


def day_number(time: pd.Timestamp) -> int:
    """The day of a time on the calendar axis: days since 1970-01-01."""
    return microseconds(time) // DAY_US


@dataclass(frozen=True, order=True)
class Window:
    """Half-open stretch [t + start_days, t + end_days) around an as-of date t.

    A `start_days` of None reaches back to the first event. A window lies wholly before t (a feature)
    or wholly from t on (an outcome); one that spans t cannot be built.
    """

    start_days: int | None
    end_days: int = 0

    def __post_init__(self) -> None:
        if self.start_days is None:
            if self.end_days > 0:
                raise ValueError(
                    f"a window over all history ends at the as-of date, not {self.end_days} days later"
                )
        elif self.start_days >= self.end_days:
            raise ValueError(
                f"window start {self.start_days} must be less than window end {self.end_days} (days)"
            )
        elif self.start_days < 0 < self.end_days:
            raise ValueError(
                f"window [{self.start_days}, {self.end_days}) spans the as-of date: use one window up to 0"
                " for a feature and one from 0 on for an outcome"
            )

    @property
    def length_days(self) -> int | None:
        """Integers covered, None for all history."""
        return None if self.start_days is None else self.end_days - self.start_days

    def before(self) -> "Window":
        """The window of the same length just before this one (for trends)."""
        if self.start_days is None:
            raise ValueError("all history has no window before it")
        return Window(self.start_days - (self.end_days - self.start_days), self.start_days)


def last(days: int) -> Window:
    """The window of the `days` days before the as-of date."""
    return Window(-days, 0)


def following(days: int) -> Window:
    """The window of the `days` days from the as-of date on."""
    return Window(0, days)


EVER = Window(None)


@dataclass(frozen=True)
class Grid:
    """As-of dates on one axis, ascending and distinct, in whole days from the origin."""

    origin: Origin
    as_of_days: tuple[int, ...]
    # As-of dates to come, ascending. What they will ask of the past cuts it already, and slots reach to the first of
    # them: so slots of today are slots of tomorrow, and counts can be kept.
    coming_days: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.as_of_days:
            raise ValueError("a grid needs at least one as-of date")
        if list(self.as_of_days) != sorted(set(self.as_of_days)):
            raise ValueError(f"as-of days must ascend and be distinct, got {self.as_of_days}")

    def slots(self, windows: Collection[Window], first_day: int) -> "Slots":
        """Cut the axis from `first_day` on at every edge of every window at every as-of date."""
        edges = {first_day, *self.as_of_days, *_edges(self.as_of_days, windows)}
        if self.coming_days:
            following = self.coming_days[0]
            edges |= {following, *(edge for edge in _edges(self.coming_days, windows) if edge < following)}
        kept = sorted(edge for edge in edges if edge >= first_day)
        cut: list[int] = []
        for lower, upper in pairwise(kept):
            cut.extend(range(lower, upper, LONGEST_SLOT_DAYS))
        return Slots(np.asarray([*cut, kept[-1]], dtype=np.int64))


def _edges(as_of_days: Iterable[int], windows: Collection[Window]) -> set[int]:
    """Where windows begin and end at these dates."""
    found = set()
    for day in as_of_days:
        found |= {day + window.end_days for window in windows}
        found |= {day + window.start_days for window in windows if window.start_days is not None}
    return found


@dataclass(frozen=True)
class Slots:
    """Elementary intervals [edges[i], edges[i+1]): every window of a grid is a run of whole slots."""

    edges: Integers

    def __len__(self) -> int:
        return len(self.edges) - 1

    def bounds(self, as_of_days: Integers, window: Window) -> tuple[Positions, Positions]:
        """First slot and one past the last slot of the window at each as-of date.

        What lies before the first edge holds no events, so a window that starts there starts at slot 0.
        """
        stop = np.searchsorted(self.edges, as_of_days + window.end_days)
        if window.start_days is None:
            return np.zeros_like(stop), stop
        return np.searchsorted(self.edges, as_of_days + window.start_days), stop

    @property
    def n_words(self) -> int:
        """How many words of bits hold all slots."""
        return -(-len(self) // SLOTS_PER_WORD)

    def mask(self, lower: int, upper: int) -> Integers:
        """The bits of the slots [lower, upper), word by word, (words,)."""
        mask = np.zeros(self.n_words, dtype=np.int64)
        for slot in range(lower, upper):
            mask[slot // SLOTS_PER_WORD] |= np.int64(1) << np.int64(slot % SLOTS_PER_WORD)
        return mask

    def calendar(self) -> dict[str, Integers]:
        """One row per day: its slot, its bit within the slot, and the slot's word and bit within the word."""
        days = np.arange(self.edges[0], self.edges[-1])
        slot = np.searchsorted(self.edges, days, side="right") - 1
        return {
            "day": days,
            "slot": slot,
            "bit": np.left_shift(np.int64(1), days - self.edges[slot]),
            "word": slot // SLOTS_PER_WORD,
            "slot_bit": np.left_shift(np.int64(1), slot % SLOTS_PER_WORD),
        }
