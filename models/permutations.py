"""What noise alone would reach: outcomes shuffled within blocks, and the best cut of everything searched anew.

The shuffles are drawn first, in one order, and then searched by many threads, or taken by somebody else's measure.
However many threads there are and however much memory, the same generator gives the same numbers.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from features.arrays import Flags, Floats, Integers, Positions
from models.cutpoints import CutFamily, upper_sums
from models.replicates import turns

_MOST_ONES = 255  # that a byte can count
_SEARCHED_CELLS = 2_000_000  # accounts x shuffles searched together: what the cache of a processor holds
_SLAB = 2**15  # accounts summed before the next: in their order, not all over memory
_FEWEST_SHUFFLES = 8  # searched together: of fewer, most of a line of the cache is wasted

ALPHA = 0.05  # corrected p below which something is supported

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shuffles:
    """An outcome of n accounts, shuffled within blocks many times: the one place where chance is drawn for a corrected p.

    rows: the accounts of each block; bits: (shuffles, bytes) of each, an eighth of a byte an account. All shuffles of a
    block are drawn before the next, so that it changes nothing how many are drawn, or looked at, at a time.
    """

    rows: tuple[Positions, ...]
    bits: tuple[Bytes, ...]

    @classmethod
    def drawn(cls, outcome: Flags, block: Integers, rng: np.random.Generator, n_shuffles: int) -> "Shuffles":
        """outcome, block: (n,). Raises ValueError for fewer than one shuffle."""
        rows = tuple(np.flatnonzero(block == one) for one in np.unique(block))
        return cls(rows, tuple(_drawn(outcome[these], rng, n_shuffles) for these in rows))

    def __getitem__(self, which: slice) -> Bytes:
        """(n, r): some of the shuffles, 1 where the good thing happened; an account a row."""
        n_accounts = sum(map(len, self.rows))
        shuffled = np.empty((n_accounts, len(self.bits[0][which])), np.uint8)
        for rows, bits in zip(self.rows, self.bits, strict=True):
            shuffled[rows] = np.unpackbits(bits[which], axis=1, count=len(rows)).T
        return shuffled

    def parts(self, n_cells: int) -> list[slice]:
        """All of them in turns of about so many accounts x shuffles; what is drawn does not depend on it."""
        n_shuffles, n_accounts = len(self.bits[0]), sum(map(len, self.rows))
        n_parts = max(1, min(n_shuffles * n_accounts // n_cells, n_shuffles // _FEWEST_SHUFFLES))
        bounds = np.linspace(0, n_shuffles, n_parts + 1).astype(int)
        return [slice(start, end) for start, end in pairwise(bounds.tolist())]


def _drawn(outcome: Flags, rng: np.random.Generator, n_shuffles: int) -> Bytes:
    """(n_shuffles, bytes): the outcome of one block, shuffled."""
    once = outcome.astype(np.uint8)
    drawn = (rng.permuted(np.tile(once, (n, 1)), axis=1) for n in turns(n_shuffles, len(once)))
    return np.concatenate([np.packbits(some, axis=1) for some in drawn])


def permutation_maxima(
    family: CutFamily, outcome: Flags, rng: np.random.Generator, n_permutations: int
) -> Floats:
    """(n_permutations,): the largest phi over the whole family when outcomes are shuffled within blocks.

    H0: within a block the outcome has nothing to do with any candidate. One shuffle serves all candidates, so
    what they share is kept, and the maximum answers for everything tried. Zeros where there is no cut, or the outcome
    varies in no block. Raises ValueError for no permutation. Hothorn & Lausen 2003.
    """
    size = np.bincount(family.block, minlength=family.n_blocks).astype(np.float64)
    rate = np.bincount(family.block, weights=outcome, minlength=family.n_blocks) / np.maximum(size, 1)
    varies = float(size @ (rate * (1 - rate)))
    searches = [_Search.of(family, i, size, rate) for i, cuts in enumerate(family.cuts) if len(cuts)]
    if not searches or varies <= 0:
        return np.zeros(sum(turns(n_permutations, 1)))  # none is refused here, too
    shuffles = Shuffles.drawn(outcome, family.block, rng, n_permutations)

    def highest(which: slice) -> Floats:
        shuffled = shuffles[which]
        found: Floats = np.max([search.highest(shuffled) for search in searches], axis=0)
        return found

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        maxima = [*pool.map(highest, shuffles.parts(_SEARCHED_CELLS))]
    highest_phi: Floats = np.concatenate(maxima) / np.sqrt(varies)
    return highest_phi


def corrected(maxima: Floats, phi: Floats) -> Floats:
    """How often noise reaches each phi (k,) somewhere in all that was tried, (k,). Westfall & Young 1993 (single-step maxT).

    maxima: the largest phi of everything tried, of each shuffle. The 1e-6 lets shuffles that tie with an observed phi
    count as ties in spite of rounding, in float32 too.
    """
    below = np.searchsorted(np.sort(maxima), phi - 1e-6, side="left")
    return np.asarray((1 + len(maxima) - below) / (1 + len(maxima)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Search:
    """One candidate, prepared for many outcomes on the same accounts.

    members: (pieces, n), ones in bytes: the accounts of each bin, in pieces of neighbours, 255 at most, so that their
    sum fits a byte again. Bytes let four times as many shuffles through memory as floats do.
    """

    members: csr_array
    upwards: Positions  # (pieces,): the pieces by their bin
    first: Positions  # (cuts,): the first of these at or above each cut
    expected: Floats  # (cuts,): good outcomes above it, were there nothing in it
    scale: Floats  # (cuts,): one over the spread of "reached"; 0 where nothing is spread

    @classmethod
    def of(cls, family: CutFamily, which: int, size: Floats, rate: Floats) -> "_Search":
        """size, rate: (blocks,) accounts, share that is good."""
        bins, n_cuts = family.bins[which], len(family.cuts[which])
        reached = upper_sums(family.histogram(which))
        spread = (reached * (1 - reached / np.maximum(size, 1))).sum(axis=1)
        scale = np.where(spread > 0, 1 / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
        # Who reaches no cut enters no sum: of zero-heavy counts that is half the work.
        some = np.flatnonzero(bins > 0)
        cell = some // _SLAB * (n_cuts + 1) + bins[some]
        sort = np.argsort(cell, kind="stable")
        order, starts = some[sort], np.flatnonzero(np.diff(cell[sort], prepend=-1))
        bounds = pairwise([*starts, len(order)])
        pieces = np.concatenate([np.arange(start, end, _MOST_ONES) for start, end in bounds])
        of_bin = bins[order[pieces]]
        upwards = np.argsort(of_bin, kind="stable")
        first = np.searchsorted(of_bin[upwards], np.arange(1, n_cuts + 1))
        ends = np.append(pieces, len(order))
        ones = np.ones(len(order), np.uint8)
        members = csr_array((ones, order.astype(np.int32), ends), shape=(len(pieces), len(bins)))
        return cls(members, upwards, first, reached @ rate, scale)

    def highest(self, shuffled: Bytes) -> Floats:
        """(r,): the largest excess of good outcomes above a cut, in spreads; shuffled: (n, r)."""
        sums = np.cumsum((self.members @ shuffled)[self.upwards[::-1]], axis=0, dtype=np.int32)[::-1]
        phi = (sums[self.first] - self.expected[:, None]) * self.scale[:, None]
        highest: Floats = phi.max(axis=0)
        return highest
