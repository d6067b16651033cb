"""Blocks of accounts: from the cells that the scans count to columns of features, here or where the cells are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.access import Eligibility
from features.arrays import Floats, Times
from features.attributes import Holding, Level, State
from features.composition import Beside, Moments, compose
from features.elementary import Elementary, Layout
from features.specs import Aggregation, FeatureSpec
from features.windows import ONE_DAY, Grid

Columns = dict[str, Floats]  # of one block of accounts, by feature
Streams = Sequence[pa.RecordBatchReader]  # rows in the order of their accounts, each


@dataclass(frozen=True)
class Recipe:
    """All that the features of a block are made from, but its events: plain data, which can travel to executors.

    signed_up: (accounts,) of all accounts. `layout.block_size` accounts make a block. `specs` are asked of those that could
    use what they look at, `outcome_specs` of everybody: silence is silence, whatever its reason. `states` are by the
    name of the feature that looks them up, `holdings` by the meaning of the test.
    """

    specs: tuple[FeatureSpec, ...]
    outcome_specs: tuple[FeatureSpec, ...]
    grid: Grid
    layout: Layout
    signed_up: Times
    data_from: np.datetime64
    levels: Mapping[Aggregation, Level]
    states: Mapping[str, State]
    holdings: Mapping[tuple[object, ...], Holding]
    eligibility: Eligibility

    def accounts(self, block: int) -> tuple[int, int]:
        """The first account of a block, and one past its last."""
        return block * self.block_size, min((block + 1) * self.block_size, len(self.signed_up))

    @property
    def block_size(self) -> int:
        """How many accounts make a block."""
        return self.layout.block_size

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
            time = np.broadcast_to(np.datetime64(0, "us") + offset, (stop - first, len(days)))
        # As the sums over slots come, date by date: what lies alike is quick to combine.
        time = np.asfortranarray(time)
        tenure = (time - signed_up) / ONE_DAY
        seen = np.where(signed_up < self.data_from, (time - self.data_from) / ONE_DAY, np.inf)
        return Moments(np.arange(first, stop), signed_up, days, time, tenure, seen)

    def block(self, cells: pa.Table | None, users: pa.Table | None, number: int) -> Columns:
        """Every feature of a block, each (accounts x as-of dates,), account by account, from its cells and users."""
        table, moments = Elementary(self.layout, cells, users, *self.accounts(number)), self.moments(number)
        found: Columns = {}
        for specs, rules in ((self.outcome_specs, Eligibility({})), (self.specs, self.eligibility)):
            access = rules.at(moments.account, moments.time, moments.signed_up)
            beside = Beside(self.levels, self.states, self.holdings, access)
            found |= {spec.name: compose(spec, table, moments, beside).ravel() for spec in specs}
        return found

    def blocks(self, cells: Streams, users: Streams) -> Iterator[Columns]:
        """Every block in turn, from cells and users that come in parts, each in the order of accounts."""
        of_cells, of_users = ([self._in_blocks(part) for part in parts] for parts in (cells, users))
        for number in range(self.n_blocks):
            yield self.block(_together(of_cells), _together(of_users), number)

    def _in_blocks(self, rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
        """Rows in the order of accounts, as one table a block; no more than one is held."""
        held: list[pa.RecordBatch] = []
        number = 0
        for batch in rows:
            next_blocks = np.arange(number + 1, self.n_blocks) * self.block_size
            cuts = np.searchsorted(batch["account"].to_numpy(), next_blocks)
            done = 0
            for cut in cuts[cuts < len(batch)].tolist():
                yield pa.Table.from_batches([*held, batch.slice(done, cut - done)])
                held, number, done = [], number + 1, cut
            held.append(batch.slice(done))
        for _ in range(number, self.n_blocks):
            yield pa.Table.from_batches(held, rows.schema)
            held = []


def _together(parts: Sequence[Iterator[pa.Table]]) -> pa.Table | None:
    """What all parts have of the next block; None where there are none."""
    return pa.concat_tables([next(part) for part in parts]) if parts else None
