"""The one record of an effect in every file, and how rows of a cohort become one."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats
from models.estimates import Estimate, risk_difference
from models.milestones import RETAINED, Milestone

FEWEST_ACCOUNTS = 60  # below which nothing is searched for
FEWEST_OF_A_CLASS = 30  # accounts with the rarer outcome, below which nothing is judged

Method: TypeAlias = Literal[
    "naive", "crude", "time_dependent", "stratified", "weighted", "after_prior_use", "out_of_sample"
]
Measure: TypeAlias = Literal["risk_difference", "risk_ratio", "odds_ratio", "phi", "auc", "hazard_ratio"]


@dataclass(frozen=True)
class Effect:
    """The one record of an effect in every file: an estimate, and what it is an estimate of.

    Exactly one of `landmark_day` (a `once` milestone: days after signup) and `as_of` (a `state` milestone:
    as-of dates, in words or as an ISO date) is given; the other is left out of the written record, and so is
    `weighted_by` where every row counts alike.
    """

    outcome: str
    horizon_days: int
    population: str
    method: Method
    measure: Measure
    value: float
    lower: float
    upper: float
    n_observations: int
    n_accounts: int
    in_definition: bool
    primary: bool
    level: float = 0.95
    landmark_day: int | None = None
    as_of: str | None = None
    weighted_by: Literal["revenue"] | None = None

    def __post_init__(self) -> None:
        if (self.landmark_day is None) == (self.as_of is None):
            raise ValueError(f"effect on {self.outcome}: give landmark_day or as_of, one of the two")
        if self.method not in get_args(Method):
            raise ValueError(
                f"effect on {self.outcome}: method {self.method!r} is not one of {get_args(Method)}"
            )
        if self.measure not in get_args(Measure):
            raise ValueError(
                f"effect on {self.outcome}: measure {self.measure!r} is not one of {get_args(Measure)}"
            )

    @classmethod
    def of(cls, estimate: Estimate, **context: Any) -> "Effect":
        """An effect from its estimate; `context` holds the fields an estimate does not know."""
        return cls(**estimate.as_dict(), **context)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it: of landmark_day, as_of and weighted_by only what applies."""
        optional = ("landmark_day", "as_of", "weighted_by")
        return {k: v for k, v in asdict(self).items() if v is not None or k not in optional}


def occasion(milestone: Milestone) -> dict[str, Any]:
    """When a milestone is looked at, as an effect names it: landmark_day or as_of."""
    if milestone.kind == "once":
        return {"landmark_day": milestone.rule.window_days}
    return {"as_of": "every quarter's close"}


def population(milestone: Milestone, outcome: str, *, by_revenue: bool = False) -> str:
    """Of whom an outcome is asked: whoever is there; leaving only of those who could; by revenue where it is known."""
    there = "alive at the landmark" if milestone.kind == "once" else "alive at the as-of date"
    asked = f"{there} and at risk" if outcome == RETAINED else there
    return f"{asked}, with a known revenue" if by_revenue else asked


def rarer(rows: pd.DataFrame) -> int:
    """How many accounts of rows (account, outcome) had the rarer outcome."""
    good = rows["outcome"].to_numpy(bool)
    return min(int(rows.loc[good == one, "account"].nunique()) for one in (False, True))


def enough(rows: pd.DataFrame) -> bool:
    """Whether rows are a basis for an effect or a verdict at all."""
    return rarer(rows) >= FEWEST_OF_A_CLASS


def lacking(outcome: Flags) -> str:
    """What (n,) accounts, one a row, lack for a search, in words; empty where they lack nothing."""
    n, rarer_class = len(outcome), min(int(outcome.sum()), int((~outcome).sum()))
    if n < FEWEST_ACCOUNTS:
        return f"{n} accounts, at least {FEWEST_ACCOUNTS} are needed"
    if rarer_class < FEWEST_OF_A_CLASS:
        return f"{rarer_class} of {n} accounts had the rarer outcome, at least {FEWEST_OF_A_CLASS} are needed"
    return ""


def difference_in(rows: pd.DataFrame, weight: Floats | None = None) -> Estimate | None:
    """The risk difference of rows (account, reached, outcome), None where one of the groups is empty or has no weight.

    weight: (rows,), NaN where it is not known; such rows are left out.
    """
    if weight is not None:
        rows, weight = rows[~np.isnan(weight)], weight[~np.isnan(weight)]
    if not len(rows):
        return None
    reached, outcome = rows["reached"].to_numpy(bool), rows["outcome"].to_numpy(bool)
    return risk_difference(reached, outcome, rows["account"].to_numpy(np.int64), weight=weight)
