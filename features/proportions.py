"""A share with its interval where accounts repeat: score limits on the number of rows that independence would need.

One account may appear at many as-of dates. Its rows are alike, so they hold less information than as many accounts
would. The number of rows is therefore replaced by an *effective* number: rows divided by the design effect, the
cluster-robust variance by account over the variance of independent rows.
"""

from typing import Any

import numpy as np
from scipy.stats import t

LEVEL = 0.95
NO_SPREAD = 1e-12  # a design effect below it is rounding


def wilson(rate: Any, n: Any, degrees: Any = np.inf, level: float = LEVEL) -> tuple[Any, Any]:
    """Wilson score limits of rates seen on n (effective) rows, within [0, 1], NaN where n is 0. Wilson 1927.

    rate, n, degrees: numbers or arrays of one shape. `degrees` of freedom of the variance: few accounts leave the
    variance itself unsure.
    """
    return score_limits(rate, n, t.ppf((1 + level) / 2, degrees))


def score_limits(rate: Any, n: Any, z: Any) -> tuple[Any, Any]:
    """The same at `z` standard errors; numbers or arrays of one shape."""
    rate, n = np.asarray(rate, dtype=float), np.asarray(n, dtype=float)
    z2 = z * z
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Rounding must not push the interval off the rate, or out of the unit interval, at 0 and at 1.
    return np.maximum(0.0, np.minimum(rate, centre - half)), np.minimum(1.0, np.maximum(rate, centre + half))


def kish(weights: Any) -> float:
    """How many equal weights say as much as these, (n,). Kish 1965."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def effective(rate: Any, n: Any, n_accounts: Any, variance: Any) -> tuple[Any, Any]:
    """The effective number of rows behind rates, and the degrees of freedom of their variance.

    rate, n, n_accounts: over n rows of so many accounts. variance: the sum over accounts of their squared part in
    the error of the rate. Where nothing can be said of how alike an account's rows are, accounts are counted, which
    is the safe side. Arrays of one shape, or numbers.
    """
    n, n_accounts = np.asarray(n, dtype=float), np.asarray(n_accounts, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        independent = rate * (1 - rate) / n
        clustered = variance * n_accounts / np.maximum(n_accounts - 1, 1)
        told = (independent > 0) & (clustered > NO_SPREAD * independent)
        shrunk = np.minimum(n, n * independent / clustered)
    once = n_accounts == n
    size = np.where(once, n, np.where(told, shrunk, n_accounts))
    return size, np.where(once | ~told, np.inf, np.maximum(n_accounts - 1.0, 1.0))
