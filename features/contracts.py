"""What a customer's paid spells add up to just before a time: seats, or recurring revenue.

Trials are no part of it, whatever they are to a customer's life: who turns from a trial into a customer has started,
not expanded.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from features.arrays import Floats, Integers, Times
from features.attributes import TOUCHING, Level
from features.declaration import Data
from features.errors import DataError

Basis: TypeAlias = Literal["seats", "mrr"]


@dataclass(frozen=True)
class Contracts:
    """The total of one column of the spells, how many are in force, and how many of these do not say.

    One spell that ends on a day and one that starts within the next leave no gap, as in the lives of accounts.
    """

    total: Level
    in_force: Level
    unsaid: Level

    @classmethod
    def of(cls, spells: pd.DataFrame, column: Basis) -> "Contracts":
        """From paid spells (account, started_at, ended_at, column)."""
        frame = _bridged(spells).assign(one=1.0, unsaid=spells[column].isna().astype(np.float64))
        return cls(Level.of(frame, column), Level.of(frame, "one"), Level.of(frame, "unsaid"))

    def before(self, account: Integers, time: Times, *, nothing: float = np.nan) -> Floats:
        """The total just before each time, (n,): `nothing` where no spell is in force, NaN where one does not say."""
        total, held, unsaid = (
            level.at(account, time, inclusive=False) for level in (self.total, self.in_force, self.unsaid)
        )
        # NaN stands where no spell had started.
        return np.where(np.nan_to_num(held) > 0, np.where(unsaid > 0, np.nan, total), nothing)


def paid_spells(spells: pd.DataFrame) -> pd.DataFrame:
    """The spells without trials."""
    if "trial" not in spells:
        return spells
    return spells[~spells["trial"].eq(True).fillna(False).to_numpy(bool)]


def expansion_basis(spells: pd.DataFrame | None, data: Data) -> Basis | None:
    """What growth is measured in: as declared, else seats where the paid spells know them, else revenue.

    None where they know neither, or there are none. Raises DataError where they do not know what is declared.
    """
    declared = data.outcomes.expansion
    known: list[Basis] = []
    if spells is not None:
        known = [column for column in _BASES if column in spells and spells[column].notna().any()]
    if declared is not None and declared not in known:
        raise DataError(
            f"data.outcomes.expansion: {declared!r} is asked for, and the subscriptions have"
            f" {' and '.join(known) or 'neither seats nor mrr'}: name the column under data.mapping.subscriptions, or"
            " leave expansion out"
        )
    return declared or next(iter(known), None)


_BASES: tuple[Basis, ...] = ("seats", "mrr")


def _bridged(spells: pd.DataFrame) -> pd.DataFrame:
    """The spells with each end moved to the next start of its account, where that is at most a day later."""
    if "ended_at" not in spells:
        return spells
    starts = spells[["account", "started_at"]].astype({"started_at": "datetime64[us]"})
    ends = spells.loc[spells["ended_at"].notna(), ["account", "ended_at"]]
    ends = ends.astype({"ended_at": "datetime64[us]"}).sort_values("ended_at", kind="stable")
    following = pd.merge_asof(
        ends, starts.sort_values("started_at", kind="stable"), left_on="ended_at", right_on="started_at",
        by="account", tolerance=TOUCHING, direction="forward",
    )["started_at"].set_axis(ends.index)  # fmt: skip
    return spells.assign(ended_at=following.fillna(ends["ended_at"]).reindex(spells.index))
