"""The honest sweep: try every cut of every candidate, and say what survives having tried them all.

One row is one account, which the caller guarantees: accounts are shuffled and resampled as independent. The
outcome is true where the good thing happened, and a milestone must be a rise: the test is one-sided. What is
chosen in sample is judged by a permutation maximum over everything tried, and measured out of sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers
from models import plateau as plateaus
from models.cutpoints import Association, Candidate, CutFamily, association
from models.effects import Method, lacking
from models.estimates import Estimate, risk_difference, stratified_risk_difference
from models.finding import SweepEffect, SweepResult
from models.grid import grid_of
from models.held_out import HeldOut
from models.permutations import ALPHA, corrected, permutation_maxima
from models.plateau import CurvePoint, Resamples
from models.shape import step_or_smooth
from models.splits import N_FOLDS

_POWER = 0.8
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


@dataclass(frozen=True, eq=False)
class _Best:
    """The best cut of all that was tried, a row of the family; its candidate alone, coarsely, and over resamples."""

    task: _Task
    seen: Association
    row: int
    coarse: CutFamily
    resamples: Resamples

    @classmethod
    def of(cls, task: _Task, seen: Association, row: int, rng: np.random.Generator) -> "_Best":
        coarse = task.family.coarse(row)
        return cls(task, seen, row, coarse, Resamples.of(coarse, task.outcome, rng))

    @property
    def owner(self) -> int:
        return int(self.task.family.owner[self.row])

    @property
    def candidate(self) -> Candidate:
        return self.task.family.candidates[self.owner]

    @property
    def cut(self) -> float:
        return float(self.task.family.cut[self.row])

    @property
    def plateau(self) -> tuple[float, float]:
        """The cuts that cannot be told apart from it, were it a step."""
        cut = self.task.family.cut
        rows = np.flatnonzero(self.task.family.owner == self.owner)
        first, last = plateaus.plateau(self.seen, cut, rows, self.row)
        return float(cut[first]), float(cut[last])

    def described(self, result: SweepResult, p: float) -> SweepResult:
        """The result with what is said of the cut, supported or not."""
        return replace(
            result,
            best=self.candidate.name,
            best_cut=self.cut,
            phi=float(self.seen.phi[self.row]),
            youden=float(self.seen.youden[self.row]),
            plateau=self.plateau,
            stability_range=self.resamples.stability_range(),
            p_corrected=p,
        )


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
    grid = grid_of(task.family, seen)
    result = SweepResult("insufficient_data", seen.n, task.counted, lacking=_missing(task), grid=grid)
    if result.lacking:
        return result
    null = permutation_maxima(task.family, task.outcome, rng, n_permutations)
    row = seen.best
    p = 1.0 if row is None else float(corrected(null, seen.phi[[row]])[0])
    result = _with_evidence(result, task, seen, null, p, rng)
    if row is None:
        return result
    best = _Best.of(task, seen, row, rng)
    result = best.described(result, p)
    return result if p >= ALPHA else _supported(result, best, rng)


def _with_evidence(
    result: SweepResult, task: _Task, seen: Association, null: Floats, p: float, rng: np.random.Generator
) -> SweepResult:
    """The result with what is said whether anything is supported or not; p: corrected, of the best cut."""
    noise = float(np.quantile(null, 1 - ALPHA))
    held_out = HeldOut.of(task.family, task.outcome, task.fold)
    gain, beyond_slight = _gains(task, held_out, rng)
    return replace(
        result,
        verdict="none",
        null=null,
        curves=_curves(task, seen.best),
        excluded_above=_excluded_above(seen, noise, task.band),
        smallest_detectable=_detectable(task, seen, noise),
        effects=(*held_out.effects(clear=p < _CLEAR), *_in_sample(task, seen.best)),
        gain_over_current=gain,
        gain_beyond_slight=beyond_slight,
    )


def _gains(
    task: _Task, held_out: HeldOut, rng: np.random.Generator
) -> tuple[Estimate | None, Estimate | None]:
    """What the cuts chosen on other accounts say more than the cut in use, and more than a slight part of themselves."""
    if task.current is None:
        return None, None
    gain = held_out.gain_over(*task.current, rng)
    return gain, held_out.gain_over(*task.current, rng.spawn(1)[0], 1 - plateaus.SLIGHT)


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


def _curves(task: _Task, best: int | None) -> dict[str, tuple[CurvePoint, ...]]:
    which = [] if best is None else [int(task.family.owner[best])]
    if task.current is not None:
        which.append(task.current[0])
    shown = [task.family.candidates[one] for one in which]
    return {one.name: plateaus.curve(one.values, task.outcome) for one in shown}


def _detectable(task: _Task, seen: Association, noise: float) -> float:
    """The effect that would have been found with 80 % power, at the current cut or else at the best one.

    To be found, phi must pass what noise alone reaches in all that was tried, and one power term more. Where hardly
    anybody reaches the cut, or all do, it is that at the end of the adoption band: a cut is adopted within it.
    """
    adoption = 0.0
    if task.current is not None:
        values = task.family.candidates[task.current[0]].values
        adoption = float((values >= task.current[1]).mean())
    if not 0 < adoption < 1:  # no current cut, or one that splits nobody
        highest = int(np.argmax(np.where(seen.allowed, seen.phi, -np.inf)))
        row = highest if seen.best is None else seen.best
        adoption = float(seen.n_reached[row] / seen.n)
    adoption = float(np.clip(adoption, *task.band))
    least = noise + float(norm.ppf(_POWER)) / np.sqrt(seen.n)
    return float(least * _points_per_phi(seen, np.array([adoption]))[0])


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


def _supported(result: SweepResult, best: _Best, rng: np.random.Generator) -> SweepResult:
    """The result with the shape of the rise, its plateau, and the cut to work with."""
    task, family, coarse = best.task, best.task.family, best.coarse
    values, size = best.candidate.values, coarse.histogram(0)
    level = coarse.histogram(0, values).sum(axis=1) / size.sum(axis=1)
    good = coarse.histogram(0, task.outcome.astype(np.float64))
    shape = step_or_smooth(level, size, good, rng)
    step = shape.verdict == "threshold"
    low, high = best.plateau if step else best.resamples.as_good_as(best.cut)
    rows = (family.owner == best.owner) & (family.cut >= low) & (family.cut <= high)
    operating = plateaus.operating_cut(
        values, family.cut[rows], best.seen.phi[rows], task.band, verdict=shape.verdict
    )
    return replace(
        result,
        verdict=shape.verdict,
        shape=shape,
        plateau=(low, high),
        operating_cut=operating,
        threshold=best.cut if step else None,
    )
