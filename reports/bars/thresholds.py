"""Bars of the sweep: what is planted at a cut is found there, and what is not planted is not found."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from models.cutpoints import Candidate
from models.finding import SweepResult
from models.permutations import ALPHA
from models.sweep import sweep
from models.trial import build_trial, run_trial
from reports.bars.worlds import NAME, World, draw

N_NOISE = 50


def swept(scenario: str, judged: int | None, seed: int) -> SweepResult:
    """Sweep the score of activation and four events that do nothing, every achievable cut of each."""
    world = draw(scenario, seed, judged=judged)
    return swept_on(world, np.random.default_rng(seed))


def swept_on(world: World, rng: np.random.Generator, quarters: Iterable[str] | None = None) -> SweepResult:
    """The same of a world that is drawn, on all its cohort quarters or on some."""
    cohort = world.cohort()
    known = None if quarters is None else list(quarters)
    trial = build_trial(cohort, "primary", world.end, rng, world.rivals, known)
    return _light(run_trial(trial, cohort, rng, world.framework.review.adoption_band))


def swept_noise(n: int, seed: int) -> SweepResult:
    """Sweep 50 scores that say nothing, on n accounts of eight quarters of which three in four stay."""
    rng = np.random.default_rng(seed)
    shape, mean = rng.uniform(0.3, 1, N_NOISE), rng.uniform(2, 15, N_NOISE)
    counts = rng.negative_binomial(shape, shape / (shape + mean), (n, N_NOISE)).astype(np.float64)
    candidates = [
        Candidate(f"noise {i}", (f"noise {i}",), 90, False, column) for i, column in enumerate(counts.T)
    ]
    return _light(sweep(candidates, rng.random(n) < 0.75, rng.integers(0, 8, n), rng))


def _light(result: SweepResult) -> SweepResult:
    """Without what is only drawn, so that thousands of them can be kept."""
    return replace(result, grid={}, curves={})


# How a result is judged.


def found_within_one(cut: float, result: SweepResult) -> list[bool]:
    """Whether the best of all that was tried is the planted score, and its cut the planted one, give or take one."""
    near = result.best_cut is not None and abs(result.best_cut - cut) <= 1
    return [near and result.best == NAME]


def significant(result: SweepResult) -> list[bool]:
    """Whether anything is supported after the correction."""
    return [result.p_corrected is not None and result.p_corrected < ALPHA]


def is_step(result: SweepResult) -> list[bool]:
    """Whether the verdict is a threshold."""
    return [result.verdict == "threshold"]


def is_gradual(result: SweepResult) -> list[bool]:
    """Whether the verdict is a curve."""
    return [result.verdict == "gradual"]


def is_gradual_with_plateau(result: SweepResult) -> list[bool]:
    """Whether the verdict is a curve, and the cuts that cannot be told apart are more than one."""
    plateau = result.plateau
    return [result.verdict == "gradual" and plateau is not None and plateau[0] < plateau[1]]


def is_nothing(result: SweepResult) -> list[bool]:
    """Whether the verdict is that nothing is supported."""
    return [result.verdict == "none"]


def says_what_could_be_seen(result: SweepResult) -> list[bool]:
    """Whether nothing is supported, and it is told which effect could not have been seen, or what is lacking."""
    if result.verdict == "insufficient_data":
        return [bool(result.lacking)]
    return [result.verdict == "none" and result.smallest_detectable is not None]


def says_no_effect_above(result: SweepResult) -> list[bool]:
    """Whether nothing is supported, and an interval says above which size there is no effect."""
    return [result.no_effect_above is not None]


def verdicts(results: Iterable[SweepResult]) -> Counter[str]:
    """How often each verdict was given."""
    return Counter(result.verdict for result in results)
