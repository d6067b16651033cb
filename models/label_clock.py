"""The label clock: from which date on the outcomes of a cohort quarter are known.

A worked example: activation within 90 days, judged by retention over 180; of signups whose landmark lies in 2024Q2 the
last is known 180 days after 2024-07-01.
"""

from dataclasses import dataclass

import pandas as pd

from features.outcomes import EXPANDED
from features.quarters import Quarters
from models.framework import Framework
from models.milestones import DORMANT, LINK_DAYS, RETAINED, Milestone

QUARTER_DAYS = 91  # from one close to the next: 90 to 92 days


@dataclass(frozen=True)
class LabelClock:
    """When the outcomes of a cohort quarter are known: so long after its last landmark, or its close.

    lag: from the landmark or close to the outcome, by column; None where it is the next close.
    """

    quarters: Quarters
    lag: dict[str, pd.Timedelta | None]

    @classmethod
    def of(cls, framework: Framework, milestone: Milestone) -> "LabelClock":
        """The clock of a milestone's outcomes, as its framework declares them."""
        horizon = pd.Timedelta(days=framework.data.outcomes.horizon_days)
        lag: dict[str, pd.Timedelta | None] = {RETAINED: horizon, EXPANDED: horizon}
        if milestone.kind == "once":
            lag[DORMANT] = pd.Timedelta(days=LINK_DAYS)
        target = framework.milestones.get(milestone.primary_outcome)
        if target is not None:
            once = milestone.kind == "once"
            lag["outcome"] = pd.Timedelta(days=link_days(milestone, target)) if once else None
        return cls(framework.data.calendar.quarters, lag)

    def matures_at(self, quarter: str, column: str) -> pd.Timestamp:
        """The date from which a whole cohort quarter is known."""
        lag = self.lag[column]
        if lag is None:
            return self.quarters.end(self.quarters.shift(quarter, 1))
        return self.quarters.end(quarter) + lag

    def horizon_days(self, column: str) -> int:
        """Days from the landmark or as-of date to the moment the outcome is looked at."""
        lag = self.lag[column]
        return QUARTER_DAYS if lag is None else lag.days


def link_days(milestone: Milestone, target: Milestone) -> int:
    """Days from the landmark of a once milestone to the moment its next link is looked at."""
    return target.rule.window_days - milestone.rule.window_days if target.kind == "once" else LINK_DAYS
