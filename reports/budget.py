"""Has it changed, and could we have seen it? Two independent estimates inside a yearly error budget.

An interval may be longer on one side: where nearly everybody stays, an estimate can hardly be too low. A fall is judged by
the upper side of what is recent and the lower side of the baseline, a rise by the others (MOVER: Zou & Donner 2008).

Worked example: a baseline of +15 points (11 to 19) and a recent +2 points (-4 to 8). The standard errors are
0.0204 and 0.0306, that of the difference 0.0368. Four milestones are looked at four times a year, 16 looks,
so each may use 0.32 % of the yearly 5 %: a critical value of 2.95. The difference of -13 points is 3.5
standard errors: shown.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, Protocol

from reports import wording

ERROR_BUDGET = 0.05  # the chance of any false "changed" in a year, over all milestones
REVIEWS_A_YEAR = 4
ONE_SIDED = NormalDist().inv_cdf(0.95)  # standard errors to a bound that holds with 95 % certainty

Predicts = Literal["yes", "no", "unclear", "unknown"]
Changed = Literal["shown", "not_shown", "unknown"]


class Estimated(Protocol):
    """An estimate between two bounds; `Interval` is one, and so is any record with these three."""

    @property
    def value(self) -> float:
        """The point estimate."""

    @property
    def lower(self) -> float:
        """The lower bound."""

    @property
    def upper(self) -> float:
        """The upper bound."""


@dataclass(frozen=True)
class Interval:
    """A value between two bounds."""

    value: float
    lower: float
    upper: float


def predicts(estimate: Estimated | None, minimum_effect: float | None, *, level: float = 0.95) -> Predicts:
    """Whether the effect still exceeds `minimum_effect`: yes, or no, with 95 % certainty each; else unclear.

    Each is a question about one side, and so is its bound: that of the interval (of this `level`, two-sided), drawn in to
    1.645 standard errors. "unknown" without an estimate, without a minimum, or with a bound that is not finite.
    """
    if estimate is None or minimum_effect is None or not _finite(estimate):
        return "unknown"
    inwards = ONE_SIDED / _multiple(level)
    if estimate.value - inwards * (estimate.value - estimate.lower) > minimum_effect:
        return "yes"
    return (
        "no" if estimate.value + inwards * (estimate.upper - estimate.value) < minimum_effect else "unclear"
    )


def looks_a_year(n_milestones: int) -> int:
    """How many looks share the error budget: every milestone in every quarterly review of a year."""
    return max(1, n_milestones) * REVIEWS_A_YEAR


def critical_value(n_tests: int) -> float:
    """Standard errors a difference must exceed so that any false alarm in `n_tests` has at most 5 %.

    Two-sided, after Sidak 1967, whose inequality holds for normal statistics however they are correlated:
    reviews share a baseline and half their quarters, and need no further penalty.
    Raises ValueError below one test.
    """
    if n_tests < 1:
        raise ValueError(f"n_tests {n_tests} is below 1: looks_a_year counts milestones x quarters")
    alpha = -math.expm1(math.log1p(-ERROR_BUDGET) / n_tests)
    return NormalDist().inv_cdf(1 - alpha / 2)


def difference(recent: Estimated, baseline: Estimated, n_tests: int, *, level: float = 0.95) -> Interval:
    """Recent minus baseline, two independent estimates, with bounds at the critical value of the budget.

    `level` is that of the two intervals, from whose sides the standard errors are read.
    """
    bar, value = critical_value(n_tests), recent.value - baseline.value
    below = math.hypot(_error_below(recent, level), _error_above(baseline, level))
    return Interval(value, value - bar * below, value + bar * _spread_of_a_fall(recent, baseline, level))


def shifted(baseline: Estimated, by: Estimated) -> Interval:
    """A baseline moved by another estimate: their sum, with both errors in its interval (MOVER)."""
    value = baseline.value + by.value
    below = math.hypot(baseline.value - baseline.lower, by.value - by.lower)
    return Interval(
        value, value - below, value + math.hypot(baseline.upper - baseline.value, by.upper - by.value)
    )


def changed(
    recent: Estimated | None, baseline: Estimated | None, n_tests: int, *, level: float = 0.95
) -> Changed:
    """Whether `recent` differs from `baseline` beyond the error budget; "unknown" where one is missing."""
    if recent is None or baseline is None or not (_finite(recent) and _finite(baseline)):
        return "unknown"
    between = difference(recent, baseline, n_tests, level=level)
    return "shown" if between.lower > 0 or between.upper < 0 else "not_shown"


def power_to_see_total_loss(
    recent: Estimated | None,
    baseline: Estimated | None,
    n_tests: int,
    minimum_effect: float | None = None,
    *,
    level: float = 0.95,
) -> float:
    """The chance in [0, 1] that a true effect of zero would have been called, at the precision of `recent`.

    Called by either question: change shown against the baseline, or the effect below the minimum with 95 % certainty. The larger of the two chances is a lower bound of their union. 0 where neither can be asked.
    """
    if recent is None or not _finite(recent):
        return 0.0
    normal = NormalDist()
    by_minimum = by_change = 0.0
    error = _error_above(recent, level)
    if minimum_effect is not None and minimum_effect > 0:
        by_minimum = normal.cdf(minimum_effect / error - ONE_SIDED) if error else 1.0
    if baseline is not None and _finite(baseline):
        spread = _spread_of_a_fall(recent, baseline, level)
        bar = critical_value(n_tests)
        distance = abs(baseline.value) / spread if spread else math.inf
        by_change = normal.cdf(distance - bar) + normal.cdf(-distance - bar)
    return max(by_minimum, by_change)


def powered(power: float) -> bool:
    """Whether a total loss would more likely be called than missed; below that there is too little data."""
    return power >= 0.5


def smallest_detectable(
    recent: Estimated | None,
    baseline: Estimated | None,
    n_tests: int,
    *,
    power: float = 0.5,
    level: float = 0.95,
) -> float | None:
    """The smallest true fall shown with chance `power`; None without two estimates.

    The default of one half is the bar of INSUFFICIENT DATA: a smaller change would more likely be missed.
    """
    if recent is None or baseline is None or not (_finite(recent) and _finite(baseline)):
        return None
    return (critical_value(n_tests) + NormalDist().inv_cdf(power)) * _spread_of_a_fall(
        recent, baseline, level
    )


def accounts_to_decide(
    recent: Estimated | None,
    baseline: Estimated | None,
    n_accounts: int,
    n_tests: int,
    *,
    level: float = 0.95,
) -> int | None:
    """Recent accounts at which a total loss would be called with power one half; None where none would do.

    The variance of `recent` shrinks with 1/n, that of the baseline stays. Example: errors of 0.06 (n = 200)
    and 0.03, a baseline of 0.15 and a bar of 2.948 need 200 * 0.06^2 / ((0.15 / 2.948)^2 - 0.03^2) = 427.
    """
    if recent is None or baseline is None or not (_finite(recent) and _finite(baseline)):
        return None
    room = (baseline.value / critical_value(n_tests)) ** 2 - _error_below(baseline, level) ** 2
    if room <= 0:
        return None
    return math.ceil(n_accounts * _error_above(recent, level) ** 2 / room)


def _finite(estimate: Estimated) -> bool:
    return all(wording.known(bound) for bound in (estimate.value, estimate.lower, estimate.upper))


def _multiple(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _error_below(estimate: Estimated, level: float) -> float:
    """The standard error that the lower side of an interval tells of."""
    return (estimate.value - estimate.lower) / _multiple(level)


def _error_above(estimate: Estimated, level: float) -> float:
    return (estimate.upper - estimate.value) / _multiple(level)


def _spread_of_a_fall(recent: Estimated, baseline: Estimated, level: float) -> float:
    return math.hypot(_error_above(recent, level), _error_below(baseline, level))
