"""Forward in time: cuts that earlier quarters chose, and what became of whoever reached them in fresh ones.

Worked example: a cut for the accounts of 2024Q3 is chosen on the quarters whose outcomes were all known when 2024Q3
began, as somebody would have done then; for those of 2024Q4 it is chosen anew, on what is known by then. A state sees
an account at many closes: the cut for an account is chosen by the other folds of accounts.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.arrays import Flags
from models.cohorts import Cohort
from models.cutpoints import CutFamily, association
from models.effects import enough, lacking
from models.estimates import Estimate, stratified_risk_difference
from models.splits import N_FOLDS
from models.strata import quarter_codes
from models.trial import Trial, build_trial


@dataclass(frozen=True)
class Forward:
    """The effect of cuts that were chosen before, within the fresh quarters.

    cuts: the least and the largest that the folds chose, by fresh quarter.
    """

    estimate: Estimate
    cuts: dict[str, tuple[float, float]]

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest cut of all."""
        return min(low for low, _ in self.cuts.values()), max(high for _, high in self.cuts.values())

    @property
    def quarters(self) -> tuple[str, str]:
        """The first and the last fresh quarter."""
        return min(self.cuts), max(self.cuts)


def forward(cohort: Cohort, known_at: pd.Timestamp, rng: np.random.Generator) -> Forward | None:
    """Choose a cut of the milestone's own score on what was known when a quarter began, and measure it in the quarter.

    Measured over every observation, as a review does: of a state at every close. Accounts are compared within a quarter:
    each has a cut of its own, so that a drift of usage or of the outcome would look like an effect. None where no quarter
    has enough before it, or the fresh quarters together have too few of a class.
    """
    rows = cohort.judged("primary", known_at)
    cuts: dict[str, tuple[float, float]] = {}
    fresh = []
    for quarter, here in rows.groupby("quarter"):
        begins = cohort.clock.quarters.start(str(quarter))
        chosen = _chosen(build_trial(cohort, "primary", begins, rng), cohort)
        cut = here["fold"].map(chosen).dropna()
        if len(cut):
            cuts[str(quarter)] = float(cut.min()), float(cut.max())
            here = here.loc[cut.index]
            fresh.append(here.assign(reached=(here["score"] >= cut).to_numpy(bool)))
    measured = pd.concat(fresh) if fresh else rows[:0]
    estimate = _within_quarters(measured) if enough(measured) else None
    return None if estimate is None else Forward(estimate, cuts)


def _within_quarters(rows: pd.DataFrame) -> Estimate | None:
    reached, outcome = (rows[name].to_numpy(bool) for name in ("reached", "outcome"))
    return stratified_risk_difference(
        reached, outcome, quarter_codes(rows), rows["account"].to_numpy(np.int64)
    )


def _chosen(trial: Trial, cohort: Cohort) -> dict[int, float]:
    """The best cut of a trial for each fold of accounts. Who reaches a milestone once is in no later quarter."""
    everybody = np.ones(len(trial.outcome), dtype=bool)
    found = {}
    for fold in range(N_FOLDS):
        cut = _best(trial, trial.fold != fold if cohort.milestone.kind == "state" else everybody)
        if cut is not None:
            found[fold] = cut
    return found


def _best(trial: Trial, rows: Flags) -> float | None:
    """The cut of the own score with the largest phi among some rows; None where they are too few, or none is positive."""
    outcome = trial.outcome[rows]
    if lacking(outcome):
        return None
    there = replace(trial.own, values=trial.own.values[rows])  # noqa: PD011 - an array of ours
    family = CutFamily.of([there], trial.block[rows])
    best = association(family, outcome).best
    return None if best is None else float(family.cut[best])
