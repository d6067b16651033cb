"""How estimates of the same accounts err together: what each row adds to an error, and how long a difference may be.

MOVER keeps two intervals as long as each is on either side, and combines them with the correlation of their errors.
Zou & Donner 2008.
"""

import math

import numpy as np

from features.arrays import Flags, Floats, Integers


def weighted_difference(reached: Flags, outcome: Flags, weight: Floats) -> tuple[float, Floats]:
    """The risk difference of rows with weights, and what each row adds to its error, (n,).

    reached, outcome, weight: (n,); either group has some weight. Of rows that weigh nothing the addition is 0.
    """
    good = outcome.astype(np.float64)
    value, influence = 0.0, np.zeros(len(good))
    for group, sign in ((reached, 1.0), (~reached, -1.0)):
        share = np.where(group, weight, 0.0)
        share = share / share.sum()
        rate = float(share @ good)
        value += sign * rate
        influence += sign * share * (good - rate)
    return value, influence


def by_account(influence: Floats, codes: Integers, n_accounts: int) -> Floats:
    """What each account adds to an error, (accounts,), from what its rows add, (n,)."""
    return np.bincount(codes, weights=influence, minlength=n_accounts).astype(np.float64)


def correlation(one: Floats, other: Floats) -> float:
    """How two errors move together, from what each account adds to them, (accounts,); 0 where none adds to both."""
    scale = math.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return float(one @ other) / scale if scale > 0 else 0.0


def mover(one: float, other: float, r: float) -> float:
    """How far a difference reaches beyond its value where its two parts reach so far, and err together by r."""
    return math.sqrt(max(one * one - 2 * r * one * other + other * other, 0.0))
