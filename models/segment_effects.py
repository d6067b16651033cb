"""Effects by segment: whether one cut serves small and large customers, and every plan.

An effect that one segment shows and another does not is no difference between them: the difference has an interval of
its own, which allows for as many segments as were looked at.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Flags
from features.segments import UNKNOWN, Segmentation, by_plan, by_size
from models.comparison import Comparison
from models.cutpoints import Candidate, CutFamily, association
from models.effects import difference_in, enough
from models.estimates import Estimate, account_codes, risk_difference
from models.influence import by_account, correlation, mover, weighted_difference
from models.milestones import number
from models.permutations import ALPHA, corrected, permutation_maxima
from models.plateau import phi_gain, plateau
from models.strata import quarter_codes

N_PERMUTATIONS = 200
ALL_LOOKS = 0.05  # error for all segments of a dimension together


@dataclass(frozen=True)
class SegmentEffect:
    """One segment at the cut in question.

    effect: None where too few accounts had the rarer outcome. interaction: the effect minus that of all other accounts
    of the dimension. own_cut, own_plateau: where the segment's own accounts support one. needs_another: they tell it
    apart from the cut in question.
    """

    dimension: str
    segment: str
    n_observations: int
    n_accounts: int
    adoption: float
    effect: Estimate | None
    interaction: Estimate | None
    own_cut: float | None
    own_plateau: tuple[float, float] | None
    needs_another: bool

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return asdict(self)


def by_segment(seen: Comparison, once_each: pd.Index, rng: np.random.Generator) -> list[SegmentEffect]:
    """The effect of the cut by size, and by plan where it is in the adjustment set, both as the window began.

    once_each: the index of one row per account (`trial.one_each`), on which a segment's own cut is looked for: a
    permutation may only exchange what is exchangeable. Size is parted in thirds of the observations.
    """
    single = seen.rows.index.isin(once_each)
    return [
        _segment(seen, division, i, single, rng)
        for division in _divisions(seen)
        for i in range(len(division.labels))
    ]


def _divisions(seen: Comparison) -> Iterator[Segmentation]:
    """The ways to part the rows, each with two parts or more."""
    if not len(seen.rows):
        return
    size = by_size(seen.seats, np.ones(len(seen.rows), bool), "seats")
    plans = by_plan(seen.adjust_for["plan"]) if "plan" in seen.adjust_for else None
    yield from (found for found in (size, plans) if found is not None and len(found.labels) > 1)


def _segment(
    seen: Comparison, division: Segmentation, i: int, single: Flags, rng: np.random.Generator
) -> SegmentEffect:
    here = division.code == i
    rows = seen.rows[here]
    effect = difference_in(rows) if enough(rows) else None
    looks = _looks(division)
    own = _own_cut(seen.rows[here & single], seen.cut, looks, rng)
    return SegmentEffect(
        dimension=division.dimension,
        segment=division.labels[i],
        n_observations=len(rows),
        n_accounts=int(rows["account"].nunique()),
        adoption=float(rows["reached"].mean()),
        effect=effect,
        interaction=None if effect is None else _interaction(seen, here, looks),
        own_cut=None if own is None else own.cut,
        own_plateau=None if own is None else own.plateau,
        needs_another=own is not None and own.needs_another,
    )


def _looks(division: Segmentation) -> int:
    """How many comparisons a dimension makes: a segment against the rest, of two segments the same twice."""
    return 1 if len(division.labels) == 2 else len(division.labels)


def _interaction(seen: Comparison, here: Flags, looks: int) -> Estimate | None:
    """The effect of a segment minus that of all others; the level allows for so many looks.

    Score intervals of both, combined with the correlation of their errors: an account may have been in both (MOVER).
    Zou & Donner 2008.
    """
    level = 1 - ALL_LOOKS / looks
    one, other = (_at_level(seen, of, level) for of in (here, ~here))
    if one is None or other is None or not enough(seen.rows[~here]):
        return None
    codes, n_accounts = account_codes(seen.account, len(here))
    added = (weighted_difference(seen.reached, seen.outcome, of.astype(float))[1] for of in (here, ~here))
    r = correlation(*(by_account(influence, codes, n_accounts) for influence in added))
    value = one.value - other.value
    below, above = one.value - one.lower, one.upper - one.value
    lower = value - mover(below, other.upper - other.value, r)
    upper = value + mover(above, other.value - other.lower, r)
    return Estimate("risk_difference", value, lower, upper, len(here), n_accounts, level)


def _at_level(seen: Comparison, of: Flags, level: float) -> Estimate | None:
    return risk_difference(seen.reached[of], seen.outcome[of], seen.account[of], level)


@dataclass(frozen=True)
class _Own:
    """The best cut of a segment, its plateau, and whether the cut in question is told apart from it."""

    cut: float
    plateau: tuple[float, float]
    needs_another: bool


def _own_cut(rows: pd.DataFrame, cut: float, looks: int, rng: np.random.Generator) -> _Own | None:
    """What some accounts say of the cut, one row each; None where they support none."""
    if not enough(rows):
        return None
    outcome = rows["outcome"].to_numpy(bool)
    block = quarter_codes(rows)
    score = rows["score"].to_numpy(np.float64)
    family = CutFamily.of([Candidate("score", (), 0, False, score)], block)
    found = association(family, outcome)
    best = found.best
    if best is None:
        return None
    by_chance = permutation_maxima(family, outcome, rng, N_PERMUTATIONS)
    if corrected(by_chance, found.phi[[best]])[0] >= ALPHA:
        return None
    low, high = plateau(found, family.cut, np.arange(len(family.cut)), best)
    span = float(family.cut[low]), float(family.cut[high])
    own = _Own(float(family.cut[best]), span, needs_another=False)
    if span[0] <= cut <= span[1]:
        return own
    chosen, current = score >= own.cut, rows["reached"].to_numpy(bool)
    # Paired, on the same accounts: beside a plateau a cut may do as well for any purpose.
    gain = phi_gain(chosen, current, outcome, block, rng, level=1 - ALL_LOOKS / looks)
    return replace(own, needs_another=gain is not None and gain.lower > 0)


def one_cut_for_all(found: list[SegmentEffect], cut: float, dimension: str = "size") -> str:
    """Does the cut serve every segment of a dimension, and does it go with as much in each? Empty where there is but one."""
    parts = [one for one in found if one.dimension == dimension and one.segment != UNKNOWN]
    if len(parts) < 2:
        return ""
    another = [
        f"{one.segment}: {number(one.own_plateau[0])} to {number(one.own_plateau[1])} fits better"
        for one in parts
        if one.needs_another and one.own_plateau
    ]
    differences = [(one.segment, one.interaction) for one in parts if one.interaction is not None]
    if not differences:
        return f"Whether one cut at {number(cut)} serves every {dimension} cannot be told: too few accounts."
    unlike = [f"{name}: {_points(one)} than the others" for name, one in differences if not _holds_zero(one)]
    serves = f"No {dimension} is shown to need another cut than {number(cut)}"
    if another:
        serves = f"One cut at {number(cut)} does not serve every {dimension} ({'; '.join(another)})"
    if unlike:
        return f"{serves}; what it goes with differs ({'; '.join(unlike)})."
    widest = max((one.upper - one.lower) / 2 for _, one in differences)
    return f"{serves}; effects that differ by less than {100 * widest:.0f} points could not have been told apart."


def _holds_zero(one: Estimate) -> bool:
    return one.lower <= 0 <= one.upper


def _points(one: Estimate) -> str:
    more = "more" if one.value > 0 else "less"
    return f"{100 * abs(one.value):.1f} points {more} ({100 * one.lower:+.1f} to {100 * one.upper:+.1f})"
