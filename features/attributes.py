"""Attributes as they were: seats, plan and recurring revenue in force at a time, from dated subscription spells."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
KEY_SPAN_US = np.int64(2) ** 52  # µs: some 142 years either side of 1970 fit below one account's key


def composite_key(account: NDArray[np.int64], time: Times) -> NDArray[np.int64]:
    """One sortable integer per account and time (µs), for searches within each account at once."""
    micros = time.astype("datetime64[us]").astype(np.int64)
    return account.astype(np.int64) * 2 * KEY_SPAN_US + micros + KEY_SPAN_US


@dataclass(frozen=True)
class Level:
    """A running total per account that changes at known times (seats, revenue)."""

    key: NDArray[np.int64]
    account: NDArray[np.int64]
    total: NDArray[np.float64]

    @classmethod
    def of(cls, spells: pd.DataFrame, column: str) -> "Level":
        """Overlapping spells add up; a spell adds from its start and is gone from its end on."""
        known = spells[spells[column].notna()]
        ends = known[known["ended_at"].notna()] if "ended_at" in known else known.iloc[:0]
        account = np.concatenate([known["account"], ends["account"]]).astype(np.int64)
        time = np.concatenate([known["started_at"], ends["ended_at"] if len(ends) else known["started_at"].iloc[:0]])
        change = np.concatenate([known[column], -ends[column]]).astype(np.float64)
        key = composite_key(account, time.astype("datetime64[us]"))
        order = np.argsort(key, kind="stable")
        frame = pd.DataFrame({"account": account[order], "change": change[order]})
        return cls(key[order], account[order], frame.groupby("account")["change"].cumsum().to_numpy())

    def at(self, account: NDArray[np.int64], time: Times, *, inclusive: bool) -> NDArray[np.float64]:
        """The level in force at each time, NaN where no spell had started.

        A change at the very instant counts only where `inclusive`: at an as-of date the instant belongs to the
        future, at the start of a window it belongs to the window.
        """
        side: Literal["left", "right"] = "right" if inclusive else "left"
        place = np.searchsorted(self.key, composite_key(account, time), side=side) - 1
        found = (place >= 0) & (self.account[np.maximum(place, 0)] == account) if len(self.key) else np.zeros(len(place), bool)
        result = np.full(len(place), np.nan)
        result[found] = self.total[place[found]]
        return result
