"""A number with its interval: proportions, differences, ratios and phi, honest about repeated accounts.

Every interval here replaces the number of rows by an *effective* number, as `features.proportions` says why.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t

from features.arrays import Flags, Floats, Integers
from features.proportions import effective, kish, wilson
from models.influence import correlation, mover


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


def rounded_points(share: float) -> float:
    """A share of 1 in points, to a tenth; a zero has no sign, whichever side it was rounded from."""
    return round(100 * share, 1) + 0


def in_points(value: float, lower: float, upper: float) -> str:
    """A risk difference for people: "+3.2 points (+1.0 to +5.4)"."""
    return (
        f"{rounded_points(value):+.1f} points ({rounded_points(lower):+.1f} to {rounded_points(upper):+.1f})"
    )


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


def _weighted(
    plain: _Rate, good: Floats, weight: Floats, members: Flags, codes: Integers, n_accounts: int
) -> _Rate | None:
    """The same group with its rows weighted; `plain` is what it is without. None where it has no weight.

    The effective size shrinks by what the weights leave of the accounts (Kish 1965), or by how much they enlarge the
    squared errors by account where that is worse: large accounts may be the unsteady ones. The first alone would miss
    that; the second alone would trust one account that outweighs all others, because the rate is then its own.
    """
    own = np.where(
        members, weight / weight.max(initial=1e-300), 0.0
    )  # by the largest: equal weights are exactly 1
    if own.sum() == 0:
        return None
    value = float((own * good).sum() / own.sum())
    scores = np.bincount(codes, weights=own * (good - value), minlength=n_accounts) / own.sum()
    by_account, rows = (np.bincount(codes, weights=w, minlength=n_accounts) for w in (own, members))
    left = min(1.0, kish(by_account) / kish(rows))
    spread, before = float((scores**2).sum()), float((plain.scores**2).sum())
    if spread > 0 and before > 0:
        left = min(left, value * (1 - value) / spread * before / (plain.value * (1 - plain.value)))
    degrees = plain.degrees if left == 1.0 else max(min(plain.degrees, kish(by_account) - 1), 1.0)
    return _Rate(value, plain.n, plain.n_effective * left, scores, degrees)


def _checked(reached: Flags, outcome: Flags) -> tuple[Flags, Floats]:
    if reached.shape != outcome.shape or reached.ndim != 1:
        raise ValueError(
            f"reached {reached.shape} and outcome {outcome.shape} must be one column of equal length"
        )
    return reached.astype(bool), outcome.astype(np.float64)


def _sound(weight: Floats, n: int) -> Floats:
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError(f"weight {weight.shape} must be {n} numbers from 0 on: leave out rows without one")
    return weight


def proportion(outcome: Flags, account: Integers | None = None, level: float = 0.95) -> Estimate | None:
    """Share of true outcomes with a Wilson interval on the effective number of rows; None without rows."""
    codes, n_accounts = account_codes(account, len(outcome))
    rate = _rate(outcome.astype(np.float64), np.ones(len(outcome), bool), codes, n_accounts)
    if rate is None:
        return None
    lower, upper = rate.wilson(level)
    return Estimate("proportion", rate.value, lower, upper, len(outcome), n_accounts, level)


def risk_difference(
    reached: Flags,
    outcome: Flags,
    account: Integers | None = None,
    level: float = 0.95,
    weight: Floats | None = None,
) -> Estimate | None:
    """Rate of the outcome among those who reached minus among those who did not, in [-1, 1].

    reached, outcome: (n,); account: (n,) codes, where one may repeat; weight: (n,) from 0 on. Newcombe's hybrid score interval on the
    effective sizes; an account seen in both groups makes their errors move together, which enters as in
    MOVER. None where a group is empty, or has no weight. Newcombe 1998 (method 10); Zou & Donner 2008.
    """
    reached, good = _checked(reached, outcome)
    codes, n_accounts = account_codes(account, len(good))
    one, other = _rate(good, reached, codes, n_accounts), _rate(good, ~reached, codes, n_accounts)
    if weight is not None and one is not None and other is not None:
        weight = _sound(weight, len(good))
        one = _weighted(one, good, weight, reached, codes, n_accounts)
        other = _weighted(other, good, weight, ~reached, codes, n_accounts)
    if one is None or other is None:
        return None
    (low1, up1), (low0, up0) = one.wilson(level), other.wilson(level)
    r = correlation(one.scores, other.scores)
    value = one.value - other.value
    lower = value - mover(one.value - low1, up0 - other.value, r)
    upper = value + mover(up1 - one.value, other.value - low0, r)
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
    r = correlation(one.scores, other.scores)
    value = math.log(one.value / other.value)
    lower = value - mover(math.log(one.value / low1), math.log(up0 / other.value), r)
    upper = value + mover(math.log(up1 / one.value), math.log(other.value / low0), r)
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
    return _as_phi(difference, scale)


def _as_phi(difference: Estimate, scale: float) -> Estimate:
    """A difference and its interval times sd(reached) / sd(outcome), as a correlation."""
    value, lower, upper = (
        float(np.clip(number * scale, -1.0, 1.0))
        for number in (difference.value, difference.lower, difference.upper)
    )
    return replace(difference, measure="phi", value=value, lower=lower, upper=upper)


def stratified_risk_difference(
    reached: Flags,
    outcome: Flags,
    stratum: Integers,
    account: Integers | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Risk difference within strata, pooled with Mantel-Haenszel weights; stratum: (n,) codes.

    Each group is weighted to the same mix of strata, with the interval of `risk_difference` on what the weights leave: a
    Wald interval covers 58 % where six accounts stand on one side. Strata where everybody or nobody reached say nothing
    and have no weight; None where no stratum is left. Greenland & Robins 1985; Yan & Su 2010.
    """
    reached, good = _checked(reached, outcome)
    if len(good) == 0:
        return None
    _, strata = np.unique(stratum, return_inverse=True)
    n1, n0 = np.bincount(strata, weights=reached), np.bincount(strata, weights=~reached)
    shared = n1 * n0 / (n1 + n0)
    own = np.where(reached, n1[strata], n0[strata])
    return risk_difference(reached, good.astype(bool), account, level, shared[strata] / own)


def stratified_phi(
    reached: Flags,
    outcome: Flags,
    stratum: Integers,
    account: Integers | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Correlation of two yes/no columns within strata, in [-1, 1]; arguments as `stratified_risk_difference`.

    The pooled difference times the ratio of what varies within the strata, which is how `phi` is made from its own; so
    is the interval. None where no stratum has both groups, or the outcome varies in none.
    """
    difference = stratified_risk_difference(reached, outcome, stratum, account, level)
    if difference is None:
        return None
    _, strata = np.unique(stratum, return_inverse=True)
    size = np.bincount(strata)
    one, good = (np.bincount(strata, weights=column) / size for column in (reached, outcome))
    varies = float(size @ (good * (1 - good)))
    if varies == 0:
        return None
    scale = math.sqrt(float(size @ (one * (1 - one))) / varies)
    return _as_phi(difference, scale)


def mean_difference(
    reached: Flags, value: Floats, account: Integers | None = None, level: float = 0.95
) -> Estimate | None:
    """Mean of a value among those who reached minus among those who did not; arguments as `risk_difference`.

    Cluster-robust Wald interval by account, with t on the smaller group's accounts: few of them leave the spread unsure.
    None where a group has fewer than two accounts. Liang & Zeger 1986.
    """
    codes, n_accounts = account_codes(account, len(value))
    groups = [np.bincount(codes[members], minlength=n_accounts) > 0 for members in (reached, ~reached)]
    fewest = min(int(present.sum()) for present in groups)
    if fewest < 2:
        return None
    means = [float(value[members].mean()) for members in (reached, ~reached)]
    error = np.where(reached, (value - means[0]) / reached.sum(), -(value - means[1]) / (~reached).sum())
    scores = np.bincount(codes, weights=error, minlength=n_accounts)
    half = float(t.ppf((1 + level) / 2, fewest - 1)) * math.sqrt(
        float((scores**2).sum()) * fewest / (fewest - 1)
    )
    found = means[0] - means[1]
    return Estimate("mean_difference", found, found - half, found + half, len(value), n_accounts, level)
