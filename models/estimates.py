"""A number with its interval: proportions, differences, ratios and phi, honest about repeated accounts.

Every interval here replaces the number of rows by an *effective* number, as `features.proportions` says why.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from scipy.stats import t

from features.arrays import Flags, Floats, Integers
from features.proportions import effective, wilson

Method: TypeAlias = Literal["naive", "crude", "stratified", "weighted", "after_prior_use", "out_of_sample"]
Measure: TypeAlias = Literal["risk_difference", "risk_ratio", "odds_ratio", "phi", "auc", "hazard_ratio"]


@dataclass(frozen=True)
class Estimate:
    """One number with its interval and what it rests on; every field is finite.

    `n_observations` counts rows (account x as-of), `n_accounts` distinct accounts. Raises ValueError where a
    number is not finite: what cannot be estimated is `None`, not an Estimate that holds a hole.
    """

    measure: str
    value: float
    lower: float
    upper: float
    n_observations: int
    n_accounts: int
    level: float = 0.95

    def __post_init__(self) -> None:
        if not all(math.isfinite(number) for number in (self.value, self.lower, self.upper)):
            raise ValueError(
                f"{self.measure} {self.value} [{self.lower}, {self.upper}] is not finite: return None instead"
            )
        if self.lower > self.upper:
            raise ValueError(f"{self.measure}: lower {self.lower} must not be above upper {self.upper}")

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return asdict(self)

    def brief(self) -> dict[str, float]:
        """{value, lower, upper}."""
        return {"value": self.value, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True)
class Effect:
    """The one record of an effect in every file: an estimate, and what it is an estimate of.

    Exactly one of `landmark_day` (a `once` milestone: days after signup) and `as_of` (a `state` milestone:
    as-of dates, in words or as an ISO date) is given; the other is left out of the written record.
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
        """The record as JSON writes it: of landmark_day and as_of only the one that applies."""
        unused = "as_of" if self.as_of is None else "landmark_day"
        return {name: value for name, value in asdict(self).items() if name != unused}


@dataclass(frozen=True)
class _Rate:
    """The rate of one group, its effective size and each account's share in its error."""

    value: float
    n: int
    n_effective: float
    scores: Floats  # (accounts,): sum over the account's rows in the group of (y - rate) / n
    degrees: float = math.inf  # of freedom of its variance: few accounts leave the variance itself unsure

    def wilson(self, level: float) -> tuple[float, float]:
        lower, upper = wilson(self.value, self.n_effective, self.degrees, level)
        return float(lower), float(upper)


def account_codes(account: Integers | None, n: int) -> tuple[Integers, int]:
    """Accounts as 0..G-1 and their number G; without accounts every row is an account of its own."""
    if account is None:
        return np.arange(n, dtype=np.int64), n
    if len(account) != n:
        raise ValueError(f"account has {len(account)} rows, the outcome has {n}")
    labels, codes = np.unique(account, return_inverse=True)
    return codes.astype(np.int64), len(labels)


def _rate(good: Floats, members: Flags, codes: Integers, n_accounts: int) -> _Rate | None:
    n = int(members.sum())
    if n == 0:
        return None
    value = float(good[members].mean())
    error = np.where(members, good - value, 0.0) / n
    scores = np.bincount(codes, weights=error, minlength=n_accounts).astype(np.float64)
    present = int(np.count_nonzero(np.bincount(codes[members], minlength=n_accounts)))
    n_effective, degrees = effective(value, n, present, float((scores**2).sum()))
    return _Rate(value, n, float(n_effective), scores, float(degrees))


def _checked(reached: Flags, outcome: Flags) -> tuple[Flags, Floats]:
    if reached.shape != outcome.shape or reached.ndim != 1:
        raise ValueError(
            f"reached {reached.shape} and outcome {outcome.shape} must be one column of equal length"
        )
    return reached.astype(bool), outcome.astype(np.float64)


def _correlation(one: _Rate, other: _Rate) -> float:
    """How the errors of the two rates move together; 0 where no account is in both groups."""
    scale = math.sqrt(float((one.scores**2).sum()) * float((other.scores**2).sum()))
    return float(one.scores @ other.scores) / scale if scale > 0 else 0.0


def _combined(one: float, other: float, correlation: float) -> float:
    """Length of the difference of two correlated errors (MOVER)."""
    return math.sqrt(max(one * one - 2 * correlation * one * other + other * other, 0.0))


def proportion(outcome: Flags, account: Integers | None = None, level: float = 0.95) -> Estimate | None:
    """Share of true outcomes with a Wilson interval on the effective number of rows; None without rows."""
    codes, n_accounts = account_codes(account, len(outcome))
    rate = _rate(outcome.astype(np.float64), np.ones(len(outcome), bool), codes, n_accounts)
    if rate is None:
        return None
    lower, upper = rate.wilson(level)
    return Estimate("proportion", rate.value, lower, upper, len(outcome), n_accounts, level)


def risk_difference(
    reached: Flags, outcome: Flags, account: Integers | None = None, level: float = 0.95
) -> Estimate | None:
    """Rate of the outcome among those who reached minus among those who did not, in [-1, 1].

    reached, outcome: (n,); account: (n,) codes, where one may repeat. Newcombe's hybrid score interval on the
    effective sizes; an account seen in both groups makes their errors move together, which enters as in
    MOVER. None where a group is empty. Newcombe 1998 (method 10); Zou & Donner 2008.
    """
    reached, good = _checked(reached, outcome)
    codes, n_accounts = account_codes(account, len(good))
    one, other = _rate(good, reached, codes, n_accounts), _rate(good, ~reached, codes, n_accounts)
    if one is None or other is None:
        return None
    (low1, up1), (low0, up0) = one.wilson(level), other.wilson(level)
    correlation = _correlation(one, other)
    value = one.value - other.value
    lower = value - _combined(one.value - low1, up0 - other.value, correlation)
    upper = value + _combined(up1 - one.value, other.value - low0, correlation)
    return Estimate("risk_difference", value, max(lower, -1.0), min(upper, 1.0), len(good), n_accounts, level)


def risk_ratio(
    reached: Flags, outcome: Flags, account: Integers | None = None, level: float = 0.95
) -> Estimate | None:
    """Rate among those who reached over the rate among those who did not; arguments as `risk_difference`.

    The Wilson limits are combined on the log scale (MOVER). None where a group is empty or a rate is 0: the
    ratio or its interval has no value there, and the difference says what can be said. Zou & Donner 2008.
    """
    reached, good = _checked(reached, outcome)
    codes, n_accounts = account_codes(account, len(good))
    one, other = _rate(good, reached, codes, n_accounts), _rate(good, ~reached, codes, n_accounts)
    if one is None or other is None or one.value == 0.0 or other.value == 0.0:
        return None
    (low1, up1), (low0, up0) = one.wilson(level), other.wilson(level)
    correlation = _correlation(one, other)
    value = math.log(one.value / other.value)
    lower = value - _combined(math.log(one.value / low1), math.log(up0 / other.value), correlation)
    upper = value + _combined(math.log(up1 / one.value), math.log(other.value / low0), correlation)
    return Estimate(
        "risk_ratio", math.exp(value), math.exp(lower), math.exp(upper), len(good), n_accounts, level
    )


def phi(
    reached: Flags, outcome: Flags, account: Integers | None = None, level: float = 0.95
) -> Estimate | None:
    """Correlation of two yes/no columns in [-1, 1]; arguments as `risk_difference`.

    phi is the difference of the rates times sd(reached) / sd(outcome). Its interval is the difference's,
    times the same: Fisher's scale fails on the rare cells that milestones have. None where a column is
    constant.
    """
    difference = risk_difference(reached, outcome, account, level)
    if difference is None or outcome.min() == outcome.max():
        return None
    scale = float(reached.std() / outcome.std())
    value, lower, upper = (
        float(np.clip(number * scale, -1.0, 1.0))
        for number in (difference.value, difference.lower, difference.upper)
    )
    return Estimate("phi", value, lower, upper, len(outcome), difference.n_accounts, level)


def stratified_risk_difference(
    reached: Flags,
    outcome: Flags,
    stratum: Integers,
    account: Integers | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Risk difference within strata, pooled with Mantel-Haenszel weights; stratum: (n,) codes.

    Cluster-robust Wald interval. Strata where everybody or nobody reached say nothing and have no weight;
    None where no stratum is left. Greenland & Robins 1985.
    """
    reached, good = _checked(reached, outcome)
    codes, n_accounts = account_codes(account, len(good))
    _, strata = np.unique(stratum, return_inverse=True)
    n1, n0 = np.bincount(strata, weights=reached), np.bincount(strata, weights=~reached)
    weight = n1 * n0 / (n1 + n0)
    if weight.sum() == 0:
        return None
    weight /= weight.sum()
    size1, size0 = np.maximum(n1, 1.0), np.maximum(n0, 1.0)
    rate1 = np.bincount(strata, weights=good * reached) / size1
    rate0 = np.bincount(strata, weights=good * ~reached) / size0
    value = float(weight @ (rate1 - rate0))
    error = np.where(reached, (good - rate1[strata]) / size1[strata], -(good - rate0[strata]) / size0[strata])
    scores = np.bincount(codes, weights=weight[strata] * error, minlength=n_accounts)
    variance = float((scores**2).sum()) * n_accounts / max(n_accounts - 1, 1)
    half = float(t.ppf((1 + level) / 2, max(n_accounts - 1, 1))) * math.sqrt(variance)
    lower, upper = max(value - half, -1.0), min(value + half, 1.0)
    return Estimate("risk_difference", value, lower, upper, len(good), n_accounts, level)
