"""What a sweep found, as a record and in words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.arrays import Floats
from models.effects import Method
from models.estimates import Estimate, in_points
from models.permutations import corrected
from models.plateau import CurvePoint, OperatingCut
from models.shape import Shape

Verdict: TypeAlias = Literal["threshold", "gradual", "none", "cannot_tell", "insufficient_data"]

_WORTH_EXCLUDING = 0.10  # "no effect above X" is said only where X is small enough to be news


@dataclass(frozen=True)
class SweepEffect:
    """A risk difference of the sweep.

    `name`: best, best_within_blocks, out_of_sample or out_of_sample_within_blocks. `cut` is None
    where the folds chose for themselves; `in_sample` marks a figure that was selected on the very accounts it
    is computed from, and is therefore too large.
    """

    name: str
    method: Method
    candidate: str | None
    cut: float | None
    in_sample: bool
    estimate: Estimate


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep found. Fields that have no value are None, never NaN.

    `lacking` says what is missing where the data are insufficient. There is an `operating_cut` where something is supported.
    `smallest_detectable` is a risk difference; `excluded_above` a simultaneous upper bound on it at any cut
    within the adoption band. `grid` holds one row per candidate x cut; `curves` the share with the good
    outcome along the best and the current candidate; `null` the largest phi of all that was tried in each of the
    permutations, where chance alone is at work. `gain_over_current` is what the cuts chosen on other accounts say more than
    the cut in use, in phi; above zero, `gain_beyond_slight` says that it is more than a slight part of what they say.
    """

    verdict: Verdict
    n_accounts: int
    family: Mapping[str, int]
    lacking: str = ""
    best: str | None = None
    best_cut: float | None = None
    threshold: float | None = None
    operating_cut: OperatingCut | None = None
    plateau: tuple[float, float] | None = None
    stability_range: tuple[float, float] | None = None
    gain_over_current: Estimate | None = None
    gain_beyond_slight: Estimate | None = None
    p_corrected: float | None = None
    phi: float | None = None
    youden: float | None = None
    smallest_detectable: float | None = None
    excluded_above: float | None = None
    shape: Shape | None = None
    effects: tuple[SweepEffect, ...] = ()
    grid: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    curves: Mapping[str, tuple[CurvePoint, ...]] = field(default_factory=dict, repr=False)
    null: Floats | None = field(default=None, repr=False)

    @property
    def finding(self) -> str:
        """What was found, in words; where nothing is supported what could have been seen, never "no effect"."""
        if self.verdict == "insufficient_data":
            return f"Insufficient data: {self.lacking}."
        return _nothing(self) if self.operating_cut is None else _supported(self, self.operating_cut)

    @property
    def no_effect_above(self) -> float | None:
        """Where nothing is supported, the risk difference that is excluded; None where that is too large to be news."""
        bound = self.excluded_above
        return bound if self.verdict == "none" and bound is not None and bound <= _WORTH_EXCLUDING else None

    @property
    def sentence(self) -> str:
        """The finding in words, with the effect on accounts that did not choose the cut."""
        held_out = self.effect("out_of_sample") if self.operating_cut is not None else None
        return self.finding if held_out is None else f"{self.finding} {held_out_sentence(held_out)}"

    def corrected(self, phi: Floats) -> Floats:
        """The chance that noise reaches each phi (k,) anywhere in what was tried, (k,)."""
        return corrected(np.empty(0) if self.null is None else self.null, phi)

    def effect(self, name: str) -> Estimate | None:
        """The estimate of that name, or None where it could not be estimated."""
        return next((one.estimate for one in self.effects if one.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the grid and the permutations, as JSON writes it."""
        record = {**asdict(self), "sentence": self.sentence}
        del record["grid"], record["null"]
        return record


def _nothing(found: SweepResult) -> str:
    text = "No milestone is supported"
    if found.smallest_detectable is not None:
        least = 100 * found.smallest_detectable
        text += f": with {found.n_accounts:,} accounts an effect under {least:.1f} points could not have been seen"
    if found.no_effect_above is None:
        return f"{text}."
    return (
        f"{text}. No effect above {100 * found.no_effect_above:.1f} points at any cut within the adoption band, with 95 %"
        " certainty."
    )


def _supported(found: SweepResult, operating: OperatingCut) -> str:
    name, cut = found.best, found.best_cut
    text = {
        "threshold": f"A step, or a rise about as steep, is supported at {name} >= {cut:g}.",
        "gradual": f"The outcome rises gradually with {name}, without a jump; the best cut is {cut:g}.",
        "cannot_tell": f"The outcome rises with {name}; a step at {cut:g} or a gradual rise cannot be told.",
    }[found.verdict]
    if found.plateau is not None and found.plateau[0] < found.plateau[1]:
        low, high = found.plateau
        text += f" Cuts from {low:g} to {high:g} cannot be told apart from it."
    return f"{text} Operating cut {operating.value:g}: {operating.reason}."


def held_out_sentence(effect: Estimate) -> str:
    """What the best cut goes with among accounts that did not choose it."""
    return (
        f"Out of sample, reaching the best cut of the other accounts goes with {in_points(**effect.brief())}."
    )


def fresh_sentence(effect: Estimate, quarters: tuple[str, str], cuts: tuple[float, float]) -> str:
    """The same in fresh quarters; cuts: the least and the largest that were best before."""
    low, high = cuts
    best = (
        f"the best cut until then ({low:g})"
        if low == high
        else f"the best cut until then ({low:g} to {high:g})"
    )
    return (
        f"Out of sample, in the fresh quarters {quarters[0]} to {quarters[1]}, reaching {best} goes with"
        f" {in_points(**effect.brief())}."
    )
