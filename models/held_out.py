"""Held out: what became of accounts at the cut that the others chose.

The accounts are parted into folds. The best of everything tried is chosen on all folds but one, and that one is measured
at it: no account is measured at a cut that it helped to choose.
"""

from dataclasses import dataclass, replace

import numpy as np

from features.arrays import Flags, Integers
from models.cutpoints import CutFamily, association
from models.estimates import Estimate, risk_difference, stratified_risk_difference
from models.finding import SweepEffect
from models.plateau import phi_gain

# Folds choose on accounts they share. Where the choice is noise their results move together: the error
# measured is 1.3 to 1.5 times that of independent accounts; where it is clear (corrected p under 0.01), 1.0.
_SHARED_FOLDS = 1.5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """reached: (n,) who reached the cut that the other folds chose; chosen: (n,) for whom they chose one."""

    family: CutFamily
    outcome: Flags
    reached: Flags
    chosen: Flags

    @classmethod
    def of(cls, family: CutFamily, outcome: Flags, fold: Integers) -> "HeldOut":
        """outcome, fold: (n,)."""
        reached, chosen = np.zeros(len(outcome), bool), np.zeros(len(outcome), bool)
        for one in np.unique(fold):
            apart = fold == one
            best = association(family, outcome, ~apart).best if not apart.all() else None
            if best is not None:
                values = family.candidates[family.owner[best]].values
                reached[apart] = values[apart] >= family.cut[best]
                chosen |= apart
        return cls(family, outcome, reached, chosen)

    def effects(self, *, clear: bool) -> list[SweepEffect]:
        """As it is, and within blocks. clear: whether the choice is no noise."""
        reached, outcome = self.reached[self.chosen], self.outcome[self.chosen]
        crude = risk_difference(reached, outcome)
        within = stratified_risk_difference(reached, outcome, self.family.block[self.chosen])
        return [
            SweepEffect(name, "out_of_sample", None, None, False, one if clear else _widened(one))
            for name, one in (("out_of_sample", crude), ("out_of_sample_within_blocks", within))
            if one is not None
        ]

    def gain_over(
        self, which: int, cut: float, rng: np.random.Generator, share: float = 1.0
    ) -> Estimate | None:
        """What the cuts that other folds chose say more than a cut of one candidate; share as in `phi_gain`."""
        current = self.family.candidates[which].values >= cut
        on = self.chosen
        block = self.family.block[on]
        return phi_gain(self.reached[on], current[on], self.outcome[on], block, rng, share=share)


def _widened(one: Estimate) -> Estimate:
    lower = max(one.value - _SHARED_FOLDS * (one.value - one.lower), -1.0)
    return replace(one, lower=lower, upper=min(one.value + _SHARED_FOLDS * (one.upper - one.value), 1.0))
