"""Observations counted in cells, for many features at once: how many are known, how many use it, of how many accounts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from features.proportions import effective, wilson

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Observations in cells, each account's within a cell together; an observation with code -1 is in none.

    rows: (cells,) observations; of_pair: (pairs, n) which observations are of a cell and account; of_cell:
    (cells, pairs) which pairs are of a cell.
    """

    rows: Counts
    of_pair: Any
    of_cell: Any

    @classmethod
    def of(cls, code: NDArray[np.intp], n_cells: int, account: NDArray[np.intp]) -> "Cells":
        """code, account: (n,)."""
        inside = np.flatnonzero(code >= 0)
        width = int(account.max(initial=0)) + 1
        pairs, pair = np.unique(code[inside].astype(np.int64) * width + account[inside], return_inverse=True)
        one = np.ones(len(inside), dtype=np.int64)
        of_pair = csr_array((one, (pair, inside)), shape=(len(pairs), len(code)))
        in_cell = (np.ones(len(pairs), dtype=np.int64), (pairs // width, np.arange(len(pairs))))
        of_cell = csr_array(in_cell, shape=(n_cells, len(pairs)))
        return cls(np.bincount(code[inside], minlength=n_cells), of_pair, of_cell)

    def shares(self, known: NDArray[np.bool_], used: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """What stands in each cell for each feature, (cells, k) by name. known, used: (n, k), used only where known."""
        seen, did = self.of_pair @ known.astype(np.int32), self.of_pair @ used.astype(np.int32)
        n, n_used = self.of_cell @ seen, self.of_cell @ did
        n_accounts = self.of_cell @ (seen > 0).astype(np.int32)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = n_used / n
            squares = self.of_cell @ (did * did) - 2 * share * (self.of_cell @ (did * seen))
            variance = (squares + share * share * (self.of_cell @ (seen * seen))) / (n * n)
        lower, upper = wilson(share, *effective(share, n, n_accounts, variance))
        return {
            "n_observations": n,
            "n_accounts": n_accounts,
            "n_adopters": self.of_cell @ (did > 0).astype(np.int32),
            "n_missing": self.rows[:, None] - n,
            "adoption": share,
            "lower": lower,
            "upper": upper,
        }
