"""Around the best cut: which cuts are as good, how far the choice wanders, and which one to live with."""

from dataclasses import dataclass

import numpy as np

from features.arrays import Flags, Floats, Integers
from models.cutpoints import Association, CutFamily
from models.estimates import Estimate, proportion
from models.replicates import turns
from models.roundness import round_numbers, scales

# A cut searched for is no ordinary parameter: the likelihood ratio against the true place of a step is below
# -2 ln(1 - sqrt(.95)) = 7.35 in 95 % of samples (Hansen 2000), not below the 3.84 of chi-square. Measured,
# the unbroken run around the best cut holds a true step in 94-99 % of samples with 7.35 and in 78-97 % with 3.84.
_AS_GOOD = 7.35
_SELDOM = 0.05
# Of what the best cut says: what so little less is worth leaving alone for a rounder number, or for no change at all.
SLIGHT = 0.2


@dataclass(frozen=True)
class OperatingCut:
    """The cut to work with, and why it and not its neighbours."""

    value: float
    reason: str


@dataclass(frozen=True)
class CurvePoint:
    """One bin of accounts: values from `lower` to `upper`, and the share with the good outcome."""

    lower: float
    upper: float
    mean: float
    n: int
    rate: float
    rate_lower: float
    rate_upper: float


def plateau(seen: Association, cut: Floats, rows: Integers, best: int) -> tuple[int, int]:
    """First and last of the rows with a chi-square within 7.35 of that of `best`.

    Not the unbroken run around it: where many cuts are tried, chance alone lets a single cut between two good ones
    fall out. Hansen 2000 calls it the convexified region.

    rows: the rows of one candidate, ascending by cut; chi-square is n phi^2 with the sign of phi.
    """
    if not len(rows) or cut[rows[0]] > cut[best]:
        raise ValueError(f"row {best} is not one of the {len(rows)} rows of its candidate")
    chi_square = seen.n * seen.phi * np.abs(seen.phi)
    as_good = (chi_square >= chi_square[best] - _AS_GOOD) & seen.allowed & (seen.phi > 0)
    good = rows[as_good[rows]]
    return int(good[0]), int(good[-1])


@dataclass(frozen=True, eq=False)
class Resamples:
    """The cuts of one candidate over resamples of the accounts. cut: (k,); score: (resamples, k), in the order of phi."""

    cut: Floats
    score: Floats

    @classmethod
    def of(
        cls, family: CutFamily, outcome: Flags, rng: np.random.Generator, n_resamples: int = 1000
    ) -> "Resamples":
        """A family of a single candidate. A resample of value x block x outcome is one multinomial draw."""
        good = family.histogram(0, outcome.astype(np.float64))
        cells = np.stack([family.histogram(0) - good, good], axis=2)
        found = [_scores(cells, rng, n) for n in turns(n_resamples, cells.size)]
        return cls(family.cut, np.concatenate(found))

    def stability_range(self, level: float = 0.9) -> tuple[float, float] | None:
        """Where the best cut wanders; None without a positive cut in any resample.

        A stability range, not a confidence interval: the bootstrap of a cut is non-standard (Seijo & Sen 2011).
        """
        chosen = self.cut[np.argmax(self.score, axis=1)][self.score.max(axis=1) > 0]
        if not len(chosen):
            return None
        lower, upper = np.quantile(chosen, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        return float(lower), float(upper)

    def as_good_as(self, best: float) -> tuple[float, float]:
        """The first and the last cut that does as well as `best` in one resample of twenty or more.

        Under a curve no cut is true, and that two say equally much is a matter of how much they say: compared pairwise
        on the same accounts.
        """
        mine = self.score[:, [int(np.searchsorted(self.cut, best))]]
        good = self.cut[(self.score >= mine).mean(axis=0) >= _SELDOM]
        return float(good[0]), float(good[-1])


def _scores(cells: Floats, rng: np.random.Generator, n_resamples: int) -> Floats:
    """(resamples, cuts): proportional to phi within a resample, -inf where a cut splits nobody; cells: (bins, blocks, outcome)."""
    filled = np.flatnonzero(cells.ravel())
    n = int(cells.sum())
    counts = np.zeros((n_resamples, cells.size))
    counts[:, filled] = rng.multinomial(n, cells.ravel()[filled] / n, size=n_resamples)
    counts = counts.reshape(n_resamples, *cells.shape)
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
    size = np.maximum(counts.sum(axis=(1, 3)), 1)[:, None]
    rate = counts[..., 1].sum(axis=1)[:, None] / size
    reached = above.sum(axis=3)
    excess = (above[..., 1] - reached * rate).sum(axis=2)
    spread = (reached * (1 - reached / size)).sum(axis=2)
    # The spread of the outcome is the same for all cuts of a resample: it does not matter for which is best.
    score: Floats = np.full_like(excess, -np.inf)
    np.divide(excess, np.sqrt(np.maximum(spread, 0.0)), out=score, where=spread > 0)
    return score


def phi_gain(
    reached: Flags,
    current: Flags,
    outcome: Flags,
    block: Integers,
    rng: np.random.Generator,
    n_resamples: int = 500,
    level: float = 0.95,
    share: float = 1.0,
) -> Estimate | None:
    """Phi within blocks of `reached` minus that of `current`, on the same n accounts; all (n,), one account a row.

    share: of the phi of `reached`, how much counts. At 0.8 a gain above zero is one of more than a fifth.

    Paired: a resample of the accounts is one multinomial draw of the cells block x reached x current x outcome. None
    where one of the two splits nobody or the outcome does not vary.
    """
    n_blocks = int(block.max()) + 1 if len(block) else 1
    cells = np.ravel_multi_index((block, reached, current, outcome), (n_blocks, 2, 2, 2))
    counts = np.bincount(cells, minlength=n_blocks * 8)
    draws = rng.multinomial(len(cells), counts / max(len(cells), 1), size=n_resamples)
    table = np.concatenate([counts[None], draws]).reshape(-1, n_blocks, 2, 2, 2).astype(np.float64)
    size, good = table.sum(axis=(2, 3, 4)), table[..., 1].sum(axis=(2, 3))
    rate = good / np.maximum(size, 1)
    varies = (size * rate * (1 - rate)).sum(axis=1)
    phi = []
    for one in (table.sum(axis=3), table.sum(axis=2)):  # (draws, blocks, reached or not, outcome)
        n_reached = one[:, :, 1].sum(axis=2)
        excess = (one[:, :, 1, 1] - n_reached * rate).sum(axis=1)
        spread = (n_reached * (1 - n_reached / np.maximum(size, 1))).sum(axis=1)
        scale = np.sqrt(spread * varies)
        phi.append(np.divide(excess, scale, out=np.full_like(excess, np.nan), where=scale > 0))
    gain = share * phi[0] - phi[1]
    if not np.isfinite(gain[0]):
        return None
    lower, upper = np.nanquantile(gain[1:], [(1 - level) / 2, (1 + level) / 2])
    value = float(gain[0])
    lower, upper = min(float(lower), value), max(float(upper), value)
    return Estimate("phi_difference", value, lower, upper, len(cells), len(cells), level)


_ENDINGS = {
    "gradual": "; a convention, not a jump",
    "cannot_tell": "; a jump or a convention, which cannot be told",
}


def operating_cut(
    values: Floats, cuts: Floats, phi: Floats, band: tuple[float, float], *, verdict: str
) -> OperatingCut:
    """The cut to adopt: the roundest number in the plateau that a share of accounts within `band` reaches.

    verdict: on the shape of the rise. values: (n,); cuts, phi: (k,) the plateau, which is wide where accounts are few: roundness may cost no more than a
    `SLIGHT` part of the phi that is to be had within the band. Of equally round numbers the one with the larger phi. Where
    no round number does, the cut of the plateau whose adoption is nearest to the band.
    """
    ending = _ENDINGS.get(verdict, "")
    low, high = band
    adopted = np.array([_adoption(values, cut) for cut in cuts])
    least = (1 - SLIGHT) * phi[(adopted >= low) & (adopted <= high)].max(initial=-np.inf)
    whole = bool((values == np.round(values)).all())
    for digits in scales(whole=whole):
        fitting = [
            number
            for number in round_numbers(float(cuts[0]), float(cuts[-1]), digits, whole=whole)
            if low <= _adoption(values, number) <= high and phi[np.searchsorted(cuts, number)] >= least
        ]
        if fitting:
            value = max(fitting, key=lambda number: phi[np.searchsorted(cuts, number)])
            reason = (
                f"a round number inside the plateau that {_adoption(values, value):.0%} of accounts reach"
            )
            return OperatingCut(value, reason + ending)
    distance = np.maximum(np.maximum(low - adopted, adopted - high), 0.0)
    nearest = int(np.lexsort((-phi, distance))[0])
    value = float(cuts[nearest])
    reach = f"{_adoption(values, value):.0%} of accounts reach it"
    if distance[nearest] > 0:
        reason = (
            f"no cut of the plateau lies in the band of {low:.0%} to {high:.0%}; this is nearest: {reach}"
        )
    else:
        reason = f"no round number inside the plateau and the band says nearly as much; {reach}"
    return OperatingCut(value, reason + ending)


def _adoption(values: Floats, cut: float) -> float:
    return float((values >= cut).mean())


def curve(values: Floats, outcome: Flags, max_bins: int = 20) -> tuple[CurvePoint, ...]:
    """The share with the good outcome along the values, in at most `max_bins` bins of about equal count.

    Accounts with the same value are never put into two bins, so a heavy value is a bin of its own.
    """
    distinct, counts = np.unique(values, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(values)
    place = np.minimum((middle * max_bins).astype(np.int64), max_bins - 1)[np.searchsorted(distinct, values)]
    points = []
    for one in np.unique(place):
        members = place == one
        share = proportion(outcome[members])
        if share is not None:
            held = values[members]
            ends = float(held.min()), float(held.max()), float(held.mean())
            points.append(CurvePoint(*ends, len(held), share.value, share.lower, share.upper))
    return tuple(points)
