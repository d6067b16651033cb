"""The exploration: everything else that a milestone could count, tried at once and corrected for all of it.

The milestone's own score is a question asked beforehand and has a family of its own. What is found here was looked for
among hundreds of candidates: it has to pass what noise reaches anywhere among them, and it is a proposal, no decision.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.cohorts import Cohort
from models.cutpoints import COARSE_CUTS
from models.finding import SweepResult
from models.framework import Framework
from models.rivals import Field
from models.sweep import sweep
from models.trial import Trial, build_trial

MOST_LEADING = 12


@dataclass(frozen=True, eq=False)
class Exploration:
    """All candidates of a milestone, its own score the first, on the accounts for which all of them are known.

    counted_by_outcome: of their events those that the outcome counts too, in days of its own; what shares them may be the
    persistence of one behaviour.
    """

    trial: Trial
    result: SweepResult
    counted_by_outcome: frozenset[str]
    refused: dict[str, str]

    def leading(self) -> pd.DataFrame:
        """The best cut of each candidate, the strongest first: a row of the grid, what it counts, and its corrected p."""
        grid = pd.DataFrame(dict(self.result.grid))
        if grid.empty or self.result.null is None:
            return grid[:0]
        best = grid.loc[grid.groupby("candidate", sort=False)["phi"].idxmax()]
        best = best.sort_values("phi", ascending=False, kind="stable")[:MOST_LEADING]
        of = {one.name: one for one in self.trial.candidates}
        counted = [of[name] for name in best["candidate"]]
        shared = [sorted(self.counted_by_outcome & set(one.events)) for one in counted]
        return best.assign(
            p_corrected=self.result.corrected(best["phi"].to_numpy(np.float64)),
            events=pd.Series([list(one.events) for one in counted], best.index, dtype=object),
            window_days=[one.window_days for one in counted],
            per_seat=[one.per_seat for one in counted],
            same_behaviour=pd.Series(shared, best.index, dtype=object),
        ).drop(columns="p_single")

    @property
    def sentence(self) -> str:
        """What the search found, and whether it says more than the cut in use."""
        found, grid = self.result, self.result.grid
        if found.verdict == "insufficient_data":
            return f"Beside its own score nothing could be explored. {found.finding}"
        others = (
            grid["candidate"][grid["candidate"] != self.trial.own.name] if grid else np.empty(0, dtype=object)
        )
        text = (
            f"Beside its own score {len(np.unique(others)):,} other candidates with {len(others):,} cuts were tried on"
            f" {found.n_accounts:,} accounts"
        )
        if self.trial.left_out:
            text += f" ({len(self.trial.left_out):,} more were left out: they are known of too few)"
        if found.best is None or found.p_corrected is None or found.operating_cut is None:
            return f"{text}: none is supported once all that was tried is corrected for."
        if found.best == self.trial.own.name:
            return f"{text}: none is stronger."
        gain = found.gain_over_current
        said = ""
        if gain is not None:
            more = "more" if gain.lower > 0 else "less" if gain.upper < 0 else "no more for certain"
            said = (
                f"; on accounts that did not choose it, it says {more} than the cut in use"
                f" (a difference of {gain.value:+.2f} in phi, {gain.lower:+.2f} to {gain.upper:+.2f})"
            )
        return f"{text}: the strongest is {found.best} >= {found.best_cut:g} (corrected p {found.p_corrected:.3f}){said}."

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        found = self.result
        effect = found.effect("out_of_sample")
        return {
            "sentence": self.sentence,
            "verdict": found.verdict,
            "feature": found.best,
            "cut": found.best_cut,
            "phi": found.phi,
            "p_corrected": found.p_corrected,
            "n_accounts": found.n_accounts,
            "family": dict(found.family),
            "out_of_sample": None if effect is None else effect.brief(),
            "gain_over_current": None if found.gain_over_current is None else found.gain_over_current.brief(),
            "leading": self.leading().rename(columns={"candidate": "feature"}).to_dict("records"),
            "left_out": self.trial.left_out,
            "refused": self.refused,
            "excluded": self.trial.excluded,
        }


def explore(
    framework: Framework,
    cohort: Cohort,
    known_at: pd.Timestamp,
    field: Field,
    seed: int,
    *,
    n_permutations: int,
) -> Exploration:
    """Sweep the milestone's own score and all its rivals together, on the dates that the same seed draws for it alone."""
    trial = build_trial(cohort, "primary", known_at, np.random.default_rng(seed), field.rivals)
    result = sweep(
        trial.candidates,
        trial.outcome,
        trial.block,
        np.random.default_rng([seed, 1]),
        current=(trial.own.name, float(cohort.milestone.rule.at_least)),
        band=framework.review.adoption_band,
        n_permutations=n_permutations,
        group=trial.fold,
        most_cuts=COARSE_CUTS,
    )
    events = (event for one in trial.candidates for event in one.events)
    counted = framework.counted_by(cohort.milestone.primary_outcome, events)
    return Exploration(trial, result, counted, field.refused)
