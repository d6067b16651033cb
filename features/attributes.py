"""Attributes as they were: seats, plan and recurring revenue in force at a time, from dated subscription spells."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Times = NDArray[np.datetime64]


@dataclass(frozen=True)
class Timeline:
    """Things that happened to accounts, sorted by account and time, searched for all accounts at once.

    account, time: (n,) ascending by (account, time). Times are ranked first, so that account and rank together
    always fit one integer.
    """

    account: NDArray[np.int64]
    time: Times

    def latest(self, account: NDArray[np.int64], time: Times, *, inclusive: bool) -> NDArray[np.intp]:
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
    total: NDArray[np.float64]

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
        frame = pd.concat(moves, ignore_index=True).sort_values(["account", "time"], kind="stable")
        changes = Timeline(frame["account"].to_numpy(np.int64), frame["time"].to_numpy("datetime64[us]"))
        return cls(changes, frame.groupby("account")["change"].cumsum().to_numpy(np.float64))

    def at(self, account: NDArray[np.int64], time: Times, *, inclusive: bool) -> NDArray[np.float64]:
        """The level in force at each time, NaN where no spell had started.

        A change at the very instant counts only where `inclusive`: at an as-of date the instant belongs to the
        future, at the start of a window it belongs to the window.
        """
        place = self.changes.latest(account, time, inclusive=inclusive)
        return np.where(place >= 0, self.total[place] if len(self.total) else 0.0, np.nan)
