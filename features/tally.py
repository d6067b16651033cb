"""Observations counted in cells, for many features at once: how many are known, how many use it, of how many accounts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from features.arrays import Floats, Integers, Positions
from features.proportions import effective, wilson

Marks = NDArray[np.int32]  # 0 or 1, to be added up


@dataclass(frozen=True)
class Tally:
    """Observations in cells, each account's within a cell together; an observation with code -1 is in none.

    rows: (cells,) observations; of_pair: (pairs, n) which observations are of a cell and account, None where none has
    more than one; of_cell: (cells, pairs) which pairs are of a cell, or (cells, n) which observations are.
    """

    rows: Integers
    of_pair: Any
    of_cell: Any

    @classmethod
    def of(cls, code: Positions, n_cells: int, account: Positions) -> "Tally":
        """code, account: (n,)."""
        inside = np.flatnonzero(code >= 0)
        rows = np.bincount(code[inside], minlength=n_cells)
        width = int(account.max(initial=0)) + 1
        pairs, pair = np.unique(code[inside].astype(np.int64) * width + account[inside], return_inverse=True)
        if len(pairs) == len(inside):
            return cls(rows, None, _members(code[inside], inside, (n_cells, len(code))))
        of_pair = _members(pair, inside, (len(pairs), len(code)))
        return cls(rows, of_pair, _members(pairs // width, np.arange(len(pairs)), (n_cells, len(pairs))))

    def shares(self, known: Marks, used: Marks) -> dict[str, NDArray[Any]]:
        """What stands in each cell for each feature, (cells, k) by name. known, used: (n, k), used only where known."""
        seen, did = known, used
        if self.of_pair is not None:
            seen, did = self.of_pair @ known, self.of_pair @ used
        n, n_used = self.of_cell @ seen, self.of_cell @ did
        n_accounts, n_adopters, both, known_twice, used_twice = n, n_used, n_used, n, n_used
        if self.of_pair is not None:
            n_accounts, n_adopters = self.of_cell @ _one(seen), self.of_cell @ _one(did)
            known_twice, used_twice = self.of_cell @ (seen * seen), self.of_cell @ (did * did)
            both = self.of_cell @ (seen * did)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = n_used / n
            # The sum over accounts of (used - share x known) squared.
            variance = (used_twice - 2 * share * both + share * share * known_twice) / (n * n.astype(float))
        lower, upper = wilson(share, *effective(share, n, n_accounts, variance))
        return {
            "n_observations": n,
            "n_accounts": n_accounts,
            "n_adopters": n_adopters,
            "n_missing": self.rows[:, None] - n,
            "adoption": share,
            "lower": lower,
            "upper": upper,
        }


def _members(group: NDArray[Any], member: NDArray[Any], shape: tuple[int, int]) -> Any:
    """The matrix that is 1 where a member is of a group: times values, it adds them up by group."""
    return csr_array((np.ones(len(member), dtype=np.int32), (group, member)), shape=shape)


def _one(counts: Any) -> Marks:
    return np.asarray(counts > 0, dtype=np.int32)


def marks(values: Floats, above: Floats) -> tuple[Marks, Marks]:
    """Which values are known, and which of them are above each column's limit; values: (n, k), above: (k,)."""
    # Row by row in memory, as the sums by cell go through them.
    return (~np.isnan(values)).astype(np.int32, order="C"), (values > above).astype(np.int32, order="C")
