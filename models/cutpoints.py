"""Every achievable cut of every candidate, its association with the outcome, and what noise would reach.

Worked example: values 0 0 1 3 3 with a minimum support of one account have the cuts 1 and 3 ("value >= cut";
the cut 0 would leave nobody below). Two cuts that split the accounts alike never both appear.

All association is measured *within blocks* (cohort quarters): usage and base rates both drift from quarter to
quarter, so accounts are exchangeable inside a quarter only. With one block this is the ordinary phi.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers

MIN_ACCOUNTS = 20
MIN_SHARE = 0.02
COARSE_CUTS = 200
_MAX_DECIMALS = 12
_PERMUTED_CELLS = 8_000_000  # accounts x permutations held at once: 32 MB of float32


@dataclass(frozen=True, eq=False)
class Candidate:
    """A feature that may carry the milestone; values: (n,), one account a row, all of them knowable.

    `events` are what it counts, `window_days` how far it looks, `per_seat` whether it is relative to size.
    Raises ValueError for a value that is not finite: an account whose value is not knowable is left out, and
    counted, by the caller.
    """

    name: str
    events: tuple[str, ...]
    window_days: int
    per_seat: bool
    values: Floats

    def __post_init__(self) -> None:
        if self.values.ndim != 1:
            raise ValueError(f"{self.name}: values {self.values.shape} must be one column")
        bad = int(np.count_nonzero(~np.isfinite(self.values)))
        if bad:
            raise ValueError(
                f"{self.name}: {bad} values are not finite: leave out accounts that are not knowable"
            )


def minimum_support(n: int) -> int:
    """Accounts that must be on either side of a cut: 20, or 2 % of n where that is more."""
    return max(MIN_ACCOUNTS, int(np.ceil(MIN_SHARE * n)))


def achievable_cuts(values: Floats, support: int) -> Floats:
    """All distinct cuts, ascending, that leave `support` (at least 1) accounts on both sides of "value >= cut".

    Of counts a cut is a value itself. Of rates it is the shortest decimal that splits the accounts as the value
    does: of 1, 1.2083 and 1.25 the cut at 1.2083 is 1.2.
    """
    distinct, counts = np.unique(values, return_counts=True)
    below = np.cumsum(counts) - counts
    supported = np.flatnonzero((below >= support) & (len(values) - below >= support))
    cuts: Floats = distinct[supported]
    return cuts if (cuts == np.round(cuts)).all() else _shortest(distinct[supported - 1], cuts)


def _shortest(above: Floats, upto: Floats) -> Floats:
    """(n,): per pair a number in (above, upto] with the fewest decimals, the largest of those."""
    found = upto.copy()
    waiting = np.ones(len(upto), bool)
    for decimals in range(_MAX_DECIMALS + 1):
        power = 10.0**decimals
        number = np.floor(upto * power) / power
        here = waiting & (number > above) & (number <= upto)
        found[here] = number[here]
        waiting &= ~here
    return found


@dataclass(frozen=True, eq=False)
class CutFamily:
    """Everything that is tried at once: K cuts over all candidates, on n accounts in blocks.

    bins: per candidate (n,), how many of its cuts the account reaches; it reaches cut j where bins > j.
    """

    candidates: tuple[Candidate, ...]
    block: Integers
    cuts: tuple[Floats, ...]
    bins: tuple[Integers, ...]

    @classmethod
    def of(
        cls, candidates: Sequence[Candidate], block: Integers, most_cuts: int | None = None
    ) -> "CutFamily":
        """All achievable cuts of the candidates, of each at most so many. Raises ValueError where lengths differ."""
        n = len(block)
        for candidate in candidates:
            if len(candidate.values) != n:
                raise ValueError(f"{candidate.name} has {len(candidate.values)} values for {n} accounts")
        cuts = tuple(achievable_cuts(candidate.values, minimum_support(n)) for candidate in candidates)
        if most_cuts is not None:
            cuts = tuple(
                _thinned(one.values, of, most_cuts) for one, of in zip(candidates, cuts, strict=True)
            )
        bins = tuple(_bins(candidate, cut) for candidate, cut in zip(candidates, cuts, strict=True))
        return cls(tuple(candidates), np.unique(block, return_inverse=True)[1].astype(np.int64), cuts, bins)

    def coarse(self, row: int) -> "CutFamily":
        """The one candidate of cut `row` with at most 200 of its cuts, that of `row` among them.

        For what holds a number per cut, block *and* replicate in memory. The cuts kept are about equally many
        accounts apart: none moves by more than half a per cent of them.
        """
        which = int(self.owner[row])
        candidate, cuts = self.candidates[which], self.cuts[which]
        if len(cuts) > COARSE_CUTS:
            cuts = np.union1d(_thinned(candidate.values, cuts, COARSE_CUTS - 1), self.cut[[row]])
        return CutFamily((candidate,), self.block, (cuts,), (_bins(candidate, cuts),))

    @cached_property
    def owner(self) -> Integers:
        """(K,): the candidate of each cut."""
        return np.repeat(np.arange(len(self.cuts)), [len(cut) for cut in self.cuts]).astype(np.int64)

    @cached_property
    def cut(self) -> Floats:
        """(K,): the value of each cut."""
        return np.concatenate([*self.cuts, np.empty(0)])

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return int(self.block.max()) + 1 if len(self.block) else 1

    def histogram(self, which: int, weights: Floats | None = None) -> Floats:
        """(bins, blocks): accounts of one candidate by how many cuts they reach, or a sum of weights."""
        cells = self.bins[which] * self.n_blocks + self.block
        size = (len(self.cuts[which]) + 1) * self.n_blocks
        counts = np.bincount(cells, weights=weights, minlength=size)
        return counts.astype(np.float64).reshape(-1, self.n_blocks)


def _thinned(values: Floats, cuts: Floats, most: int) -> Floats:
    """At most so many of the cuts, about equally many accounts apart."""
    if len(cuts) <= most:
        return cuts
    n_below = np.searchsorted(np.sort(values), cuts)
    steps = np.linspace(n_below[0], n_below[-1], most)
    return cuts[np.unique(np.searchsorted(n_below, steps))]


def _bins(candidate: Candidate, cuts: Floats) -> Integers:
    return np.searchsorted(cuts, candidate.values, side="right").astype(np.int64)


@dataclass(frozen=True, eq=False)
class Association:
    """What every cut says about the outcome; all arrays are (K,).

    phi: correlation of reached and outcome within blocks, positive where reaching goes with the good outcome;
    0 where nothing varies. z: the same in standard errors under permutation within blocks. allowed: enough
    support.
    """

    n_reached: Floats
    good_reached: Floats
    phi: Floats
    z: Floats
    allowed: Flags
    n: int
    n_good: int

    @property
    def best(self) -> int | None:
        """The allowed cut with the largest positive phi, the first of equals; None where none is positive."""
        if not self.allowed.any():
            return None
        best = int(np.argmax(np.where(self.allowed, self.phi, -np.inf)))
        return best if self.phi[best] > 0 else None

    @property
    def youden(self) -> Floats:
        """Sensitivity + specificity - 1 of each cut over all accounts; 0 where one class is missing. Youden 1950."""
        bad = self.n - self.n_good
        if not self.n_good or not bad:
            return np.zeros_like(self.n_reached)
        return np.asarray(self.good_reached / self.n_good - (self.n_reached - self.good_reached) / bad)

    @property
    def p_single(self) -> Floats:
        """One-sided p of each cut as if it alone had been tried."""
        return np.asarray(norm.sf(self.z), dtype=np.float64)


def upper_sums(histogram: Floats) -> Floats:
    """(bins, ...) -> (cuts, ...): the sum over everything at or above each cut."""
    sums: Floats = np.cumsum(histogram[::-1], axis=0)[::-1][1:]
    return sums


def association(family: CutFamily, outcome: Flags, rows: Flags | None = None) -> Association:
    """Every cut against the outcome (n,), over all accounts or over `rows` (n,) of them."""
    chosen = np.ones(len(outcome)) if rows is None else rows.astype(np.float64)
    good = outcome * chosen
    which = range(len(family.cuts))
    empty = np.empty((0, family.n_blocks))
    reached = np.concatenate([*(upper_sums(family.histogram(i, chosen)) for i in which), empty])
    good_reached = np.concatenate([*(upper_sums(family.histogram(i, good)) for i in which), empty])
    size = np.bincount(family.block, weights=chosen, minlength=family.n_blocks)
    rate = np.bincount(family.block, weights=good, minlength=family.n_blocks) / np.maximum(size, 1)
    excess = good_reached.sum(axis=1) - reached @ rate
    spread = reached * (1 - reached / np.maximum(size, 1))
    varies = rate * (1 - rate)
    scale = np.sqrt(spread.sum(axis=1) * (size @ varies))
    error = np.sqrt(spread @ (varies * size / np.maximum(size - 1, 1)))
    n_reached, n = reached.sum(axis=1), int(chosen.sum())
    support = minimum_support(n)
    return Association(
        n_reached=n_reached,
        good_reached=good_reached.sum(axis=1),
        phi=np.divide(excess, scale, out=np.zeros_like(excess), where=scale > 0),
        z=np.divide(excess, error, out=np.zeros_like(excess), where=error > 0),
        allowed=(n_reached >= support) & (n - n_reached >= support),
        n=n,
        n_good=int(good.sum()),
    )


def permutation_maxima(
    family: CutFamily, outcome: Flags, rng: np.random.Generator, n_permutations: int
) -> Floats:
    """(n_permutations,): the largest phi over the whole family when outcomes are shuffled within blocks.

    H0: within a block the outcome has nothing to do with any candidate. One shuffle serves all candidates, so
    what they share is kept, and the maximum answers for everything tried. Hothorn & Lausen 2003.
    """
    size = np.bincount(family.block, minlength=family.n_blocks).astype(np.float64)
    rate = np.bincount(family.block, weights=outcome, minlength=family.n_blocks) / size
    reached = [upper_sums(family.histogram(i)) for i in range(len(family.cuts))]
    spread = [(part * (1 - part / size)).sum(axis=1) for part in reached]
    # Which accounts fall into which bin, as a sparse matrix: sums over bins are one product per candidate.
    members = [_membership(bins, len(cuts)) for bins, cuts in zip(family.bins, family.cuts, strict=True)]
    chunk = max(1, min(n_permutations, _PERMUTED_CELLS // max(len(outcome), 1)))
    maxima = []
    for start in range(0, n_permutations, chunk):
        shuffled = _shuffled(outcome, family.block, rng, min(chunk, n_permutations - start))
        highest = np.full(shuffled.shape[1], -np.inf)
        for part, wide, member in zip(reached, spread, members, strict=True):
            if not len(part):
                continue
            sums = np.cumsum((member @ shuffled)[::-1], axis=0)[::-1]
            scale = np.where(wide > 0, 1 / np.sqrt(np.where(wide > 0, wide, 1.0)), 0.0)
            phi = (sums - (part @ rate)[:, None]) * scale[:, None]
            highest = np.maximum(highest, phi.max(axis=0))
        maxima.append(highest)
    varies = float(size @ (rate * (1 - rate)))
    return np.concatenate(maxima) / np.sqrt(varies) if varies > 0 else np.zeros(n_permutations)


def corrected(maxima: Floats, phi: Floats) -> Floats:
    """How often noise reaches each phi (k,) somewhere in all that was tried, (k,). Westfall & Young 1993 (single-step maxT).

    maxima: from `permutation_maxima`. The 1e-6 lets shuffles that tie with an observed phi count as ties in spite of
    float32.
    """
    below = np.searchsorted(np.sort(maxima), phi - 1e-6, side="left")
    return np.asarray((1 + len(maxima) - below) / (1 + len(maxima)), dtype=np.float64)


def _membership(bins: Integers, n_cuts: int) -> csr_array:
    rows = np.flatnonzero(
        bins > 0
    )  # who reaches no cut enters no sum: of zero-heavy counts that is half the work
    order = rows[np.argsort(bins[rows], kind="stable")]
    starts = np.searchsorted(bins[order], np.arange(1, n_cuts + 2))
    return csr_array((np.ones(len(order), np.float32), order, starts), shape=(n_cuts, len(bins)))


def _shuffled(
    outcome: Flags, block: Integers, rng: np.random.Generator, n_permutations: int
) -> NDArray[np.float32]:
    shuffled = np.empty((len(outcome), n_permutations), np.float32)
    for one in np.unique(block):
        rows = np.flatnonzero(block == one)
        tiled = np.tile(outcome[rows].astype(np.uint8), (n_permutations, 1))
        shuffled[rows] = rng.permuted(tiled, axis=1).T
    return shuffled
