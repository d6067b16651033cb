"""Confounding shown: one effect seen naively, as it is, within strata, adjusted, and after what accounts did before.

The crude effect stands beside each of them, so that a reader sees what a comparison of like with like leaves of it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from features.arrays import Integers
from models.comparison import Comparison
from models.effects import Effect, Method, difference_in, enough
from models.estimates import Estimate, in_points, risk_ratio, stratified_risk_difference
from models.explained import surely_taken
from models.lifetimes import Lifetimes, hazard_ratio
from models.sensitivity import EValue, Placebo, e_value, placebos
from models.strata import FEWEST_IN_A_STRATUM, UNKNOWN, in_parts
from models.weighting import Overlap, Weighted, design, weighted_risk_difference

# Tenths by seats and by volume, fifths by recency: five strata leave a tenth of what confounds (Cochran 1968), which of
# prior volume is too much.
SIZES, VOLUMES, RECENCIES = 10, 10, 5
HALF, HARDLY = 0.5, 0.1  # what is left of a crude effect that size explains, and of one that is persistence

# What a sentence is about: an effect by its method, or what it comes to.
Kind: TypeAlias = Literal[
    "nothing", "naive", "landmark", "over_time", "stratified", "explained_by_size", "weighted", "after_prior_use", "persistence", "not_given",
    "e_value", "placebo",
]  # fmt: skip

METHODS: dict[str, Method] = {
    "naive": "naive",
    "naive_ratio": "naive",
    "at_landmark": "crude",
    "later_landmark": "crude",
    "over_time": "time_dependent",
    "crude": "crude",
    "crude_ratio": "crude",
    "stratified": "stratified",
    "weighted": "weighted",
    "after_prior_use": "after_prior_use",
}


@dataclass(frozen=True)
class Remark:
    """A sentence for people, with its kind for whoever asks which one it is."""

    kind: Kind
    sentence: str


@dataclass(frozen=True)
class Confounding:
    """What other explanations leave of an effect.

    effects: by name, those of METHODS that can be had. not_given: why another cannot, by name. explained_by_size: what
    looks like an effect is one of size. persistence: it is one of behaviour that milestone and outcome share.
    """

    effects: dict[str, Effect] = field(default_factory=dict)
    not_given: dict[str, str] = field(default_factory=dict)
    e_value: EValue | None = None
    overlap: Overlap | None = None
    placebos: tuple[Placebo, ...] = ()
    explained_by_size: bool = False
    persistence: bool = False

    @property
    def remarks(self) -> list[Remark]:
        """What a reader has to know, most telling first."""
        return [*_said(self), *(Remark("placebo", placebo.sentence) for placebo in self.placebos)]

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return {
            "effects": [{"name": name, **effect.as_dict()} for name, effect in self.effects.items()],
            "not_given": self.not_given,
            "e_value": None if self.e_value is None else self.e_value.as_dict(),
            "overlap": None if self.overlap is None else self.overlap.as_dict(),
            "placebos": [placebo.as_dict() for placebo in self.placebos],
            "explained_by_size": self.explained_by_size,
            "persistence": self.persistence,
            "remarks": [asdict(one) for one in self.remarks],
        }


def confounding(seen: Comparison, rng: np.random.Generator, *, in_definition: bool = False) -> Confounding:
    """Every other explanation of an effect that the data can tell, each with its interval, clustered by account.

    in_definition: whether the cut was chosen on these rows. Nothing is said where fewer than thirty accounts had the
    rarer outcome, or everybody or nobody reached the cut.
    """
    crude = difference_in(seen.rows) if enough(seen.rows) else None
    if crude is None:
        return Confounding(not_given={"crude": "too few accounts of one outcome, or on one side of the cut"})
    size = in_parts(seen.seats, SIZES, FEWEST_IN_A_STRATUM)
    ratio = risk_ratio(seen.reached, seen.outcome, seen.account)
    weighted = _weighted(seen)
    found: dict[str, Estimate | str] = {
        **_naive(seen),
        **_landmarks(seen),
        "crude": crude,
        "crude_ratio": ratio or "a rate is zero",
        "stratified": _by_size(seen, size),
        "weighted": weighted.estimate or weighted.reason,
        "after_prior_use": _after_prior_use(seen),
    }
    within, after = found["stratified"], found["after_prior_use"]
    return Confounding(
        effects={
            name: seen.recorded(one, name, METHODS[name], in_definition=in_definition)
            for name, one in found.items()
            if isinstance(one, Estimate)
        },
        not_given={name: reason for name, reason in found.items() if isinstance(reason, str)},
        e_value=None if ratio is None else e_value(ratio),
        overlap=weighted.overlap,
        placebos=placebos(seen),
        explained_by_size=isinstance(within, Estimate) and _explained(seen, size, within, rng),
        persistence=bool(seen.shared) and isinstance(after, Estimate) and _persists(seen, crude, after, rng),
    )


def _naive(seen: Comparison) -> dict[str, Estimate | str]:
    """The comparison with immortal time, of milestones reached once."""
    if seen.naive is None:
        return {}
    reached, outcome = (seen.naive[c].to_numpy(bool) for c in ("reached", "outcome"))
    ratio = risk_ratio(reached, outcome, seen.naive["account"].to_numpy(np.int64))
    return {
        "naive": difference_in(seen.naive) or "a group is empty",
        "naive_ratio": ratio or "a rate is zero",
    }


def _landmarks(seen: Comparison) -> dict[str, Estimate | str]:
    """What the landmark has to do with it: the same effect from a later one on, and without any, over time."""
    found: dict[str, Estimate | str] = {}
    for name, rows in (("at_landmark", seen.at_landmark), ("later_landmark", seen.later_landmark)):
        if rows is not None:
            effect = difference_in(rows) if enough(rows) else None
            few = "too few accounts of one outcome, or on one side of the cut"
            found[name] = effect or (few if len(rows) else "no cohort quarter can be judged from both yet")
    if isinstance(seen.lifetimes, Lifetimes):
        found["over_time"] = hazard_ratio(seen.lifetimes) or "too few leave, or all on one side of the cut"
    elif seen.lifetimes is not None:
        found["over_time"] = seen.lifetimes
    return found


def _by_size(seen: Comparison, size: Integers) -> Estimate | str:
    """Among accounts of about as many seats."""
    known = size != UNKNOWN
    if not known.any():
        return "no seats are known when the window begins"
    if size.max() == 0:
        return "the seats tell nobody apart"
    found = stratified_risk_difference(
        seen.reached[known], seen.outcome[known], size[known], seen.account[known]
    )
    return found or "accounts of one size all reached it, or all did not"


def _weighted(seen: Comparison) -> Weighted:
    """Among accounts alike in the adjustment set, of the same quarter."""
    if seen.adjust_for.empty:
        return Weighted(None, None, "no adjustment set is declared: name one under data.adjust_for")
    if design(seen.adjust_for).shape[1] == 1:
        names = ", ".join(seen.adjust_for.columns)
        return Weighted(None, None, f"data.adjust_for ({names}) tells nobody apart")
    covariates = seen.adjust_for.assign(**{"cohort quarter": seen.rows["quarter"]})
    return weighted_risk_difference(seen.reached, seen.outcome, covariates, seen.account)


def _after_prior_use(seen: Comparison) -> Estimate | str:
    """Among accounts that were as recently active, and did as much before.

    By strata and not by weights: whoever did nothing in the window cannot have reached it, so that a propensity over
    recency is 0 by construction; a stratum in which all or none reached it just says nothing.
    """
    if seen.prior is None:
        return "prior use was not looked up"
    found = stratified_risk_difference(seen.reached, seen.outcome, _habits(seen.prior), seen.account)
    return found or "prior use tells who reached it, so that nobody compares"


def _habits(prior: pd.DataFrame) -> Integers:
    """(n,): the stratum by recency and volume of each row, from 0."""
    recency, volume = (
        in_parts(prior[name].to_numpy(np.float64), n_parts, FEWEST_IN_A_STRATUM)
        for name, n_parts in (("recency", RECENCIES), ("volume", VOLUMES))
    )
    habit = np.unique(recency * (VOLUMES + 1) + volume, return_inverse=True)[1]
    return np.asarray(habit, dtype=np.int64)


def _persists(seen: Comparison, crude: Estimate, after: Estimate, rng: np.random.Generator) -> bool:
    """Whether prior use leaves nothing of an effect that is there, or less than a tenth, and that beyond chance.

    Fifty strata lose precision: that alone made nothing of true effects in up to three worlds of ten.
    """
    hardly = _may_be_nothing(crude, after) or after.value < HARDLY * crude.value
    if seen.prior is None or crude.lower <= 0 or not hardly:
        return False
    return surely_taken(_habits(seen.prior), seen.reached, seen.outcome, seen.account, rng)


def _may_be_nothing(crude: Estimate, left: Estimate) -> bool:
    return left.lower <= 0 and left.value < HALF * crude.value


def _explained(seen: Comparison, size: Integers, within: Estimate, rng: np.random.Generator) -> bool:
    """Whether size explains the effect: of one that is there, less than half is left within sizes, which may be nothing.

    And the difference of the two is beyond chance, over resamples of the accounts: a small effect is halved by noise.
    size: (n,) strata; within: the effect within them.
    """
    known = size != UNKNOWN
    crude = difference_in(seen.rows[known])
    if crude is None or crude.lower <= 0 or not _may_be_nothing(crude, within):
        return False
    return surely_taken(size[known], seen.reached[known], seen.outcome[known], seen.account[known], rng)


def _said(found: Confounding) -> Iterator[Remark]:
    if "crude" not in found.effects:
        yield Remark("nothing", f"Nothing can be said of other explanations: {found.not_given['crude']}.")
        return
    yield from _of_effects(found)
    for name in ("later_landmark", "over_time", "stratified", "weighted", "after_prior_use"):
        if name in found.not_given:
            yield Remark("not_given", f"No effect {name.replace('_', ' ')}: {found.not_given[name]}.")
    if found.e_value is not None and found.e_value.limit > 1:
        yield Remark(
            "e_value",
            "To explain it away as it is, what goes with both, known or not, needs a risk ratio of"
            f" {found.e_value.value:.2f} with each ({found.e_value.limit:.2f} for the end of the interval).",
        )


def _of_effects(found: Confounding) -> Iterator[Remark]:
    effects = found.effects
    if "naive" in effects:
        yield Remark(
            "naive",
            f"Naively, with everybody who signed up, {_points(effects['naive'])} on being retained: whoever leaves early"
            " cannot reach it (immortal time). Distrust it; what counts is who is there at the landmark.",
        )
    if "at_landmark" in effects and "later_landmark" in effects:
        now, later = effects["at_landmark"], effects["later_landmark"]
        yield Remark(
            "landmark",
            f"On being retained: {_points(now)} from day {now.landmark_day} on, {_points(later)} from day"
            f" {later.landmark_day} on, among accounts of the same quarters that are there and could leave then.",
        )
    if "over_time" in effects:
        ratio = effects["over_time"]
        yield Remark(
            "over_time",
            f"Over time from signup on (Cox), accounts leave {ratio.value:.2f} times as often ({ratio.lower:.2f} to"
            f" {ratio.upper:.2f}) once they have reached it as those who have not, or not yet.",
        )
    if "stratified" in effects:
        within = f"{_points(effects['crude'])} as it is, {_points(effects['stratified'])} among accounts of about one size"
        if found.explained_by_size:
            yield Remark("explained_by_size", f"{within}: size explains most of it, and may explain all.")
        else:
            yield Remark("stratified", f"{within}.")
    if "weighted" in effects and found.overlap is not None:
        kept = f" (for the {found.overlap.kept:.0%} that could have gone either way)"
        adjusted = f"Adjusted for what is known from before: {_points(effects['weighted'])}{kept}."
        yield Remark("weighted", adjusted)
    if "after_prior_use" in effects:
        after = f"After recency and prior volume {_points(effects['after_prior_use'])}"
        if found.persistence:
            yield Remark("persistence", f"{after}: persistence of the same behaviour.")
        else:
            yield Remark("after_prior_use", f"{after}.")


def _points(effect: Effect) -> str:
    return in_points(effect.value, effect.lower, effect.upper)
