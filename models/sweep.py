"""The honest sweep: try every cut of every candidate, and say what survives having tried them all.

One row is one account, which the caller guarantees: accounts are shuffled and resampled as independent. The
outcome is true where the good thing happened, and a milestone must be a rise: the test is one-sided. What is
chosen in sample is judged by a permutation maximum over everything tried, and measured out of sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers
from features.proportions import wilson
from models import plateau as plateaus
from models.cutpoints import Association, Candidate, CutFamily, association
from models.effects import Method, lacking
from models.estimates import Estimate, risk_difference, stratified_risk_difference
from models.finding import SweepEffect, SweepResult, none_finding, supported_finding
from models.held_out import HeldOut
from models.permutations import ALPHA, corrected, permutation_maxima
from models.plateau import CurvePoint, Resamples
from models.shape import step_or_smooth
from models.splits import N_FOLDS

_POWER = 0.8
_LEVEL = 0.95
_CLEAR = 0.01


@dataclass(frozen=True, eq=False)
class _Task:
    """The inputs of one sweep, checked."""

    family: CutFamily
    outcome: Flags
    fold: Integers
    current: tuple[int, float] | None
    band: tuple[float, float]

    @property
    def counted(self) -> dict[str, int]:
        candidates = self.family.candidates
        return {
            "features": len({(one.events, one.per_seat) for one in candidates}),
            "cuts": len(self.family.cut),
            "windows": len({one.window_days for one in candidates}),
            "candidates": len(candidates),
        }


def sweep(
    candidates: Sequence[Candidate],
    outcome: Flags,
    block: Integers,
    rng: np.random.Generator,
    *,
    current: tuple[str, float] | None = None,
    band: tuple[float, float] = (0.2, 0.6),
    n_permutations: int = 1000,
    group: Integers | None = None,
    most_cuts: int | None = None,
) -> SweepResult:
    """Sweep all candidates for a milestone on n accounts, one a row.

    outcome: (n,) true where the good thing happened; block: (n,) cohort quarter, within which outcomes are
    shuffled; current: candidate and cut in use today; band: shares of accounts an operating cut should reach;
    group: (n,) the fold of each account, drawn at random where it is not given; most_cuts: of each candidate at most so
    many, all without it. Too little data is a verdict, not an error. Raises ValueError for lengths that differ, a name
    used twice, an unknown current candidate.
    """
    task = _checked(candidates, outcome, block, rng, current, band, group, most_cuts)
    seen = association(task.family, task.outcome)
    grid = _grid(task.family, seen)
    missing = _missing(task)
    if missing:
        said = f"Insufficient data: {missing}."
        return SweepResult("insufficient_data", said, seen.n, task.counted, grid=grid)
    maxima = permutation_maxima(task.family, task.outcome, rng, n_permutations)
    noise = float(np.quantile(maxima, 1 - ALPHA))
    best = seen.best
    found: dict[str, Any] = {
        "n_accounts": seen.n,
        "family": task.counted,
        "grid": grid,
        "null": maxima,
        "curves": _curves(task, best),
        "excluded_above": _excluded_above(seen, noise, band),
    }
    found |= _detectable(task, seen, best, noise)
    p = 1.0 if best is None else float(corrected(maxima, seen.phi[[best]])[0])
    held_out = HeldOut.of(task.family, task.outcome, task.fold)
    found["effects"] = (
        *held_out.effects(clear=p < _CLEAR),
        *_in_sample(task, best),
        *_in_use(task),
    )
    if task.current is not None:
        found["gain_over_current"] = held_out.gain_over(*task.current, rng)
        found["gain_beyond_slight"] = held_out.gain_over(*task.current, rng.spawn(1)[0], 1 - plateaus.SLIGHT)
    if best is None:
        return SweepResult("none", none_finding(found), **found)
    found["p_corrected"] = p
    coarse = task.family.coarse(best)
    resamples = Resamples.of(coarse, task.outcome, rng)
    found |= _around(task, seen, best, resamples)
    if p >= ALPHA:
        return SweepResult("none", none_finding(found), **found)
    return _supported(task, seen, best, coarse, resamples, rng, found)


def _checked(
    candidates: Sequence[Candidate],
    outcome: Flags,
    block: Integers,
    rng: np.random.Generator,
    current: tuple[str, float] | None,
    band: tuple[float, float],
    group: Integers | None,
    most_cuts: int | None,
) -> _Task:
    n = len(outcome)
    names = [candidate.name for candidate in candidates]
    if len(set(names)) < len(names):
        raise ValueError(f"candidates need names of their own: {sorted(names)}")
    if current is not None and current[0] not in names:
        raise ValueError(f"the current candidate {current[0]!r} is not among the {len(names)} candidates")
    if current is not None and not np.isfinite(current[1]):
        raise ValueError(f"the cut in use of {current[0]!r} is {current[1]}: give a number, or no cut in use")
    if outcome.dtype != bool and not np.isin(outcome, (0, 1)).all():
        raise ValueError(f"the outcome must be true or false for each of {n} accounts")
    if len(block) != n or (group is not None and len(group) != n):
        raise ValueError(f"block and group need one entry for each of {n} accounts")
    if not 0 <= band[0] < band[1] <= 1:
        raise ValueError(f"band {band} must be two rising shares between 0 and 1")
    fold = rng.permutation(n) % N_FOLDS if group is None else group
    where = None if current is None else (names.index(current[0]), current[1])
    return _Task(
        CutFamily.of(candidates, block, most_cuts), outcome.astype(bool), fold.astype(np.int64), where, band
    )


def _missing(task: _Task) -> str:
    """What is missing for a sweep, in words; empty where nothing is."""
    n = len(task.outcome)
    no_cut = f"no cut of any candidate leaves enough of the {n} accounts on both sides"
    return lacking(task.outcome) or ("" if len(task.family.cut) else no_cut)


def _grid(family: CutFamily, seen: Association) -> dict[str, NDArray[Any]]:
    n_not = seen.n - seen.n_reached
    rate_reached = seen.good_reached / np.maximum(seen.n_reached, 1)
    rate_not = (seen.n_good - seen.good_reached) / np.maximum(n_not, 1)
    value = rate_reached - rate_not
    (low1, up1), (low0, up0) = (
        wilson(rate, np.maximum(n, 1), np.inf, _LEVEL)
        for rate, n in ((rate_reached, seen.n_reached), (rate_not, n_not))
    )
    return {
        "candidate": np.array([one.name for one in family.candidates], dtype=object)[family.owner],
        "cut": family.cut,
        "n_reached": seen.n_reached.astype(np.int64),
        "share_reached": seen.n_reached / max(seen.n, 1),
        "rate_reached": rate_reached,
        "rate_not": rate_not,
        "risk_difference": value,
        # Newcombe 1998, of one cut alone: the best of many is lifted by having been searched for.
        "lower": value - np.hypot(rate_reached - low1, up0 - rate_not),
        "upper": value + np.hypot(up1 - rate_reached, rate_not - low0),
        "phi": seen.phi,
        "youden": seen.youden,
        "p_single": seen.p_single,
    }


def _in_sample(task: _Task, best: int | None) -> list[SweepEffect]:
    if best is None:
        return []
    one, cut = task.family.candidates[task.family.owner[best]], float(task.family.cut[best])
    reached = one.values >= cut
    crude = risk_difference(reached, task.outcome)
    within = stratified_risk_difference(reached, task.outcome, task.family.block)
    named: list[tuple[str, Method, Estimate | None]] = [
        ("best", "crude", crude),
        ("best_within_blocks", "stratified", within),
    ]
    return [SweepEffect(name, method, one.name, cut, True, e) for name, method, e in named if e is not None]


def _in_use(task: _Task) -> list[SweepEffect]:
    if task.current is None:
        return []
    one, cut = task.family.candidates[task.current[0]], task.current[1]
    crude = risk_difference(one.values >= cut, task.outcome)
    return [] if crude is None else [SweepEffect("current", "crude", one.name, cut, False, crude)]


def _curves(task: _Task, best: int | None) -> dict[str, tuple[CurvePoint, ...]]:
    which = [] if best is None else [int(task.family.owner[best])]
    if task.current is not None:
        which.append(task.current[0])
    shown = [task.family.candidates[one] for one in which]
    return {one.name: plateaus.curve(one.values, task.outcome) for one in shown}


def _detectable(task: _Task, seen: Association, best: int | None, noise: float) -> dict[str, float]:
    """The effect that would have been found with 80 % power, at the current cut or else at the best one.

    To be found, phi must pass what noise alone reaches in all that was tried, and one power term more. Where hardly
    anybody reaches the cut, or all do, it is that at the end of the adoption band: a cut is adopted within it.
    """
    adoption = 0.0
    if task.current is not None:
        values = task.family.candidates[task.current[0]].values
        adoption = float((values >= task.current[1]).mean())
    if not 0 < adoption < 1:  # no current cut, or one that splits nobody
        row = int(np.argmax(np.where(seen.allowed, seen.phi, -np.inf))) if best is None else best
        adoption = float(seen.n_reached[row] / seen.n)
    adoption = float(np.clip(adoption, *task.band))
    least = noise + float(norm.ppf(_POWER)) / np.sqrt(seen.n)
    return {"smallest_detectable": float(least * _points_per_phi(seen, np.array([adoption]))[0])}


def _points_per_phi(seen: Association, adoption: Floats) -> Floats:
    base = seen.n_good / seen.n
    scale: Floats = np.sqrt(base * (1 - base) / (adoption * (1 - adoption)))
    return scale


def _excluded_above(seen: Association, noise: float, band: tuple[float, float]) -> float | None:
    """Upper bound on the risk difference that holds at all cuts within the band at once.

    Noise lifts or lowers no phi by more than `noise` in 95 % of samples, over everything tried.
    """
    share = seen.n_reached / seen.n
    inside = (share >= band[0]) & (share <= band[1]) & seen.allowed
    if not inside.any():
        return None
    return float(((seen.phi[inside] + noise) * _points_per_phi(seen, share[inside])).max())


def _around(task: _Task, seen: Association, best: int, resamples: Resamples) -> dict[str, Any]:
    family, owner = task.family, int(task.family.owner[best])
    first, last = plateaus.plateau(seen, family.cut, np.flatnonzero(family.owner == owner), best)
    return {
        "best": family.candidates[owner].name,
        "best_cut": float(family.cut[best]),
        "phi": float(seen.phi[best]),
        "youden": float(seen.youden[best]),
        "plateau": (float(family.cut[first]), float(family.cut[last])),
        "stability_range": resamples.stability_range(),
    }


def _supported(
    task: _Task,
    seen: Association,
    best: int,
    coarse: CutFamily,
    resamples: Resamples,
    rng: np.random.Generator,
    found: dict[str, Any],
) -> SweepResult:
    family, owner = task.family, int(task.family.owner[best])
    values, size = family.candidates[owner].values, coarse.histogram(0)
    level = coarse.histogram(0, values).sum(axis=1) / size.sum(axis=1)
    good = coarse.histogram(0, task.outcome.astype(np.float64))
    shape = step_or_smooth(level, size, good, rng)
    if shape.verdict != "threshold":
        found["plateau"] = resamples.as_good_as(found["best_cut"])
    low, high = found["plateau"]
    rows = (family.owner == owner) & (family.cut >= low) & (family.cut <= high)
    operating = plateaus.operating_cut(
        values, family.cut[rows], seen.phi[rows], task.band, gradual=shape.verdict != "threshold"
    )
    found |= {"shape": shape, "operating_cut": operating}
    if shape.verdict == "threshold":
        found["threshold"] = found["best_cut"]
    return SweepResult(shape.verdict, supported_finding(shape, operating, found), **found)
