"""A milestone swept: which cut, by what evidence, and what else was asked of the same accounts on the way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.log import Log
from features.specs import FeatureSpec
from models.adjustment import Confounding, confounding
from models.cohorts import Cohort, chosen_on
from models.comparison import Comparison
from models.effects import difference_in, enough
from models.estimates import Estimate, in_points
from models.exploration import Exploration, explore
from models.finding import SweepResult, fresh_sentence
from models.forward import Forward, forward
from models.framework import Framework
from models.hypotheses import AnsweredHypothesis, answer_hypotheses
from models.rivals import Field
from models.segment_effects import SegmentEffect, by_segment
from models.trial import Trial, build_trial, run_trial


@dataclass(frozen=True, eq=False)
class Swept:
    """Everything that a sweep says of one milestone.

    The search has one date per account; what is measured at a cut has every observation, as a review has. current: the
    effect of the cut in use, and whether it was chosen on some of these observations; others: other
    explanations of the effect at `shown_cut`. exploration: None where there is no rival.
    """

    cohort: Cohort
    trial: Trial
    result: SweepResult
    forward: Forward | None
    current: Estimate | None
    current_chosen_here: bool
    others: Confounding
    segments: tuple[SegmentEffect, ...]
    hypotheses: tuple[AnsweredHypothesis, ...]
    exploration: Exploration | None

    @property
    def sentence(self) -> str:
        """The finding, with the effect in fresh quarters; where there are none, on accounts that did not choose."""
        if self.forward is None or self.result.operating_cut is None:
            return self.result.sentence
        fresh = fresh_sentence(self.forward.estimate, self.forward.quarters, self.forward.range)
        return f"{self.result.finding}{self._at_the_operating_cut} {fresh}"

    @property
    def _at_the_operating_cut(self) -> str:
        """What the operating cut itself goes with, where it is not the best one."""
        crude, operating = self.others.effects.get("crude"), self.result.operating_cut
        if crude is None or operating is None or operating.value == self.result.best_cut:
            return ""
        when = "" if self.cohort.milestone.kind == "once" else " at every close"
        return (
            f" It goes with {in_points(crude.value, crude.lower, crude.upper)}{when} among the accounts that took part in"
            " choosing it."
        )

    @property
    def cut_in_use(self) -> float:
        """The threshold of the framework."""
        return float(self.cohort.milestone.rule.at_least)

    @property
    def p_over_all(self) -> float | None:
        """The corrected p of the best own cut, had it been looked for among everything that was explored.

        What chance reaches shrinks with the root of the accounts, of which the exploration may have fewer. Never less
        than among the own cuts alone, of which the exploration may try fewer.
        """
        own, explored = self.result, self.exploration and self.exploration.result
        if not explored or own.phi is None or own.p_corrected is None or explored.null is None:
            return None
        phi = own.phi * np.sqrt(own.n_accounts / explored.n_accounts)
        return max(float(explored.corrected(np.array([phi]))[0]), own.p_corrected)

    @property
    def shown_cut(self) -> float:
        """The cut at which effects are looked into."""
        return shown_cut(self.cohort, self.result)


def sweep_cohort(
    framework: Framework,
    cohort: Cohort,
    log: Log,
    seed: int,
    *,
    n_permutations: int,
    field: Field,
    believed: Sequence[FeatureSpec],
) -> Swept:
    """Sweep a milestone's own score; then answer the hypotheses by its outcome, and explore the field of rivals."""
    rng, known_at = np.random.default_rng(seed), log.data_through
    trial = build_trial(cohort, "primary", known_at, rng)
    band = framework.review.adoption_band
    result = run_trial(trial, cohort, rng, band, n_permutations)
    exploration = None
    if field.rivals or field.refused:
        exploration = explore(framework, cohort, known_at, field, seed, n_permutations=n_permutations)
    rows = cohort.judged("primary", known_at)
    chosen_here = bool(chosen_on(cohort.milestone, rows).any())
    shown = shown_cut(cohort, result)
    seen, looks = Comparison.of(cohort, framework, log, known_at, cut=shown), np.random.default_rng([seed, 3])
    return Swept(
        cohort=cohort,
        trial=trial,
        result=result,
        forward=forward(cohort, known_at, np.random.default_rng([seed, 2])),
        current=effect_at(rows, float(cohort.milestone.rule.at_least)),
        current_chosen_here=chosen_here,
        others=confounding(seen, looks, in_definition=chosen_here or result.operating_cut is not None),
        segments=tuple(by_segment(seen, trial.drawn, looks)),
        hypotheses=answer_hypotheses(framework, cohort.name, rows, believed),
        exploration=exploration,
    )


def shown_cut(cohort: Cohort, result: SweepResult) -> float:
    """The operating cut where one is supported, else the one in use."""
    operating = result.operating_cut
    return float(cohort.milestone.rule.at_least) if operating is None else operating.value


def effect_at(rows: pd.DataFrame, cut: float) -> Estimate | None:
    """The effect of reaching a cut over judged observations; None where too few are of one class, or on one side."""
    return difference_in(rows.assign(reached=rows["score"] >= cut)) if enough(rows) else None
