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
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers

FEWEST_ON_A_SIDE, LEAST_SHARE_ON_A_SIDE = 20, 0.02  # accounts of a cut; the larger of the two
COARSE_CUTS = (
    200  # of one candidate: none lies farther than half a per cent of the accounts from one that is kept
)
_MAX_DECIMALS = 12


@dataclass(frozen=True, eq=False)
class Candidate:
    """A feature that may carry the milestone; values: (n,), one account a row, all of them knowable.

    `events` are what it counts, `window_days` how far it looks, `per_seat` whether it is relative to size.
    Raises ValueError for values that are no numbers, or not finite: an account whose value is not knowable is left
    out, and counted, by the caller.
    """

    name: str
    events: tuple[str, ...]
    window_days: int
    per_seat: bool
    values: Floats

    def __post_init__(self) -> None:
        if self.values.ndim != 1:
            raise ValueError(f"{self.name}: values {self.values.shape} must be one column")
        if self.values.dtype.kind not in "fiub":
            raise ValueError(f"{self.name}: values are {self.values.dtype}, not numbers")
        bad = int(np.count_nonzero(~np.isfinite(self.values)))
        if bad:
            raise ValueError(
                f"{self.name}: {bad} values are not finite: leave out accounts that are not knowable"
            )


def minimum_support(n: int) -> int:
    """Accounts that must be on either side of a cut: 20, or 2 % of n where that is more."""
    return max(FEWEST_ON_A_SIDE, int(np.ceil(LEAST_SHARE_ON_A_SIDE * n)))


def achievable_cuts(values: Floats, support: int) -> Floats:
    """All distinct cuts, ascending, that leave `support` (at least 1) accounts on both sides of "value >= cut".

    Of counts a cut is a value itself. Of rates it is the shortest decimal that splits the accounts as the value
    does: of 1, 1.2083 and 1.25 the cut at 1.2083 is 1.2.
    """
    distinct, counts = _distinct(values)
    below = np.cumsum(counts) - counts
    supported = np.flatnonzero((below >= support) & (len(values) - below >= support))
    cuts: Floats = distinct[supported]
    return cuts if (cuts == np.round(cuts)).all() else _shortest(distinct[supported - 1], cuts)


def _distinct(values: Floats) -> tuple[Floats, Integers]:
    """The values that occur, ascending, and of how many accounts each is."""
    whole = _as_counts(values)
    if whole is None:
        return np.unique(values, return_counts=True)
    n_of = np.bincount(whole)
    occurs = np.flatnonzero(n_of)
    return occurs.astype(np.float64), n_of[occurs]


def _as_counts(values: Floats) -> Integers | None:
    """Values as whole numbers from 0 to n, None where they are none: counts are looked up, not sorted and searched."""
    if not len(values) or values.min() < 0 or values.max() > len(values):
        return None
    whole = values.astype(np.int64)
    return whole if np.array_equal(whole, values) else None


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
        if most_cuts is not None and most_cuts < 1:
            raise ValueError(f"most_cuts {most_cuts} leaves no cut of any candidate: keep one at least")
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
    whole = _as_counts(candidate.values)
    looked_up = candidate.values if whole is None else np.arange(whole.max() + 1)
    bins = np.searchsorted(cuts, looked_up, side="right").astype(np.int64)
    return bins if whole is None else bins[whole]


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
        """Sensitivity + specificity - 1 of each cut over all accounts, not within blocks as phi is, in [-1, 1].

        0 where one class is missing. Youden 1950.
        """
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
    size = np.bincount(family.block, weights=chosen, minlength=family.n_blocks).astype(np.float64)
    rate = np.bincount(family.block, weights=good, minlength=family.n_blocks) / np.maximum(size, 1)
    varies = rate * (1 - rate)
    parts = [_sums(family, which, chosen, good, size, rate) for which in range(len(family.cuts))]
    n_reached, good_reached, excess, spread, error = np.concatenate([np.empty((5, 0)), *parts], axis=1)
    scale = np.sqrt(spread * (size @ varies))
    n = int(chosen.sum())
    support = minimum_support(n)
    return Association(
        n_reached=n_reached,
        good_reached=good_reached,
        phi=np.divide(excess, scale, out=np.zeros_like(excess), where=scale > 0),
        z=np.divide(excess, error, out=np.zeros_like(excess), where=error > 0),
        allowed=(n_reached >= support) & (n - n_reached >= support),
        n=n,
        n_good=int(good.sum()),
    )


def _sums(family: CutFamily, which: int, chosen: Floats, good: Floats, size: Floats, rate: Floats) -> Floats:
    """(5, cuts) of one candidate: reached, good and reached, their excess, spread of reached, error of the excess.

    One candidate at a time: its cuts x blocks are held no longer than that.
    """
    reached, good_reached = (upper_sums(family.histogram(which, of)) for of in (chosen, good))
    n_good = good_reached.sum(axis=1)
    spread = reached * (1 - reached / np.maximum(size, 1))
    error = np.sqrt(spread @ (rate * (1 - rate) * size / np.maximum(size - 1, 1)))
    return np.stack([reached.sum(axis=1), n_good, n_good - reached @ rate, spread.sum(axis=1), error])
