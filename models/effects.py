"""The one record of an effect in every file."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from models.estimates import Estimate

Method: TypeAlias = Literal["naive", "crude", "stratified", "weighted", "after_prior_use", "out_of_sample"]
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
