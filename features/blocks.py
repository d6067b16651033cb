"""Blocks of accounts: from the cells that the scans count to columns of features, here or where the cells are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.attributes import Level, State
from features.composition import Beside, Moments, compose
from features.elementary import Batch, Elementary, Plan
from features.eligibility import Eligibility
from features.engines.engine import Columns
from features.specs import Aggregation, FeatureSpec
from features.windows import Grid

ONE_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Recipe:
    """All that the features of a block are made from, but its events: plain data, which can travel to executors.

    signed_up: (accounts,) of all accounts. `layout.size` accounts make a block. `specs` are asked of those that could
    use what they look at, `outcome_specs` of everybody: silence is silence, whatever its reason. `states` are by the
    name of the feature that looks them up.
    """

    specs: tuple[FeatureSpec, ...]
    outcome_specs: tuple[FeatureSpec, ...]
    grid: Grid
    plan: Plan
    signed_up: NDArray[np.datetime64]
    data_from: np.datetime64
    levels: Mapping[Aggregation, Level]
    states: Mapping[str, State]
    eligibility: Eligibility

    def accounts(self, block: int) -> tuple[int, int]:
        """The first account of a block, and one past its last."""
        return block * self.block_size, min((block + 1) * self.block_size, len(self.signed_up))

    @property
    def block_size(self) -> int:
        """How many accounts make a block."""
        return self.plan.layout.size

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self.signed_up) // self.block_size)

    def moments(self, block: int) -> Moments:
        """The as-of dates of a block's accounts."""
        first, stop = self.accounts(block)
        signed_up = self.signed_up[first:stop, None]
        days = np.asarray(self.grid.as_of_days, dtype=np.int64)
        offset = (days * ONE_DAY.astype("timedelta64[us]"))[None, :]
        if self.grid.origin == "tenure":
            time = signed_up + offset
        else:
            time = np.broadcast_to(np.datetime64(0, "us") + offset, (stop - first, len(days))).copy()
        tenure = (time - signed_up) / ONE_DAY
        seen = np.where(signed_up < self.data_from, (time - self.data_from) / ONE_DAY, np.inf)
        return Moments(np.arange(first, stop), signed_up, days, time, tenure, seen)

    def columns(self, table: Elementary, block: int) -> Columns:
        """Every feature of a block, each (accounts x as-of dates,), account by account."""
        batch, moments = Batch(table, *self.accounts(block)), self.moments(block)
        found: Columns = {}
        for specs, rules in ((self.outcome_specs, Eligibility({})), (self.specs, self.eligibility)):
            access = rules.at(moments.account, moments.time, moments.signed_up)
            beside = Beside(self.levels, self.states, access)
            found |= {spec.name: compose(spec, batch, moments, beside).ravel() for spec in specs}
        return found

    def block(self, cells: pa.Table | None, users: pa.Table | None, number: int) -> Columns:
        """The same from the cells and users of one block alone, as an executor has them."""
        return self.columns(Elementary.of(self.plan, cells, users, self.accounts(number)[1]), number)

    def blocks(self, cells: pa.Table | None, users: pa.Table | None) -> Iterator[Columns]:
        """Every block, in the order of accounts."""
        table = Elementary.of(self.plan, cells, users, len(self.signed_up))
        del cells, users  # they are as large as what was made of them
        for number in range(self.n_blocks):
            yield self.columns(table, number)
