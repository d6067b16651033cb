"""How differently lost and kept accounts stand: ranks, shares and rates, within strata and clustered by account.

Everything here is one pass over arrays, because an audit tries hundreds of things: intervals come from the influence
of each account on the figure, not from resamples.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Integers
from features.proportions import kish, score_limits


@dataclass(frozen=True, eq=False)
class Ranked:
    """An AUC within strata; `influence` (accounts,) is what each account adds to its error."""

    value: float
    influence: Floats

    @property
    def error(self) -> float:
        """Standard error by account."""
        n = len(self.influence)
        return float(math.sqrt((self.influence**2).sum() * n / max(n - 1, 1)))

    def turned(self) -> "Ranked":
        """The same with the order of the scores reversed."""
        return Ranked(1 - self.value, -self.influence)


@dataclass(frozen=True, eq=False)
class Strata:
    """Rows with an outcome, compared inside their stratum alone; a stratum with one class says nothing.

    good: (n,) bool; stratum, account: (n,) codes from 0.
    """

    good: Flags
    stratum: Integers
    account: Integers

    @cached_property
    def _positives(self) -> Floats:
        return np.bincount(self.stratum, weights=self.good).astype(np.float64)

    @cached_property
    def _negatives(self) -> Floats:
        return np.bincount(self.stratum, weights=~self.good).astype(np.float64)

    @cached_property
    def _weights(self) -> Floats:
        """Positives x negatives / (n + 1), as in `models.discrimination`; they sum to 1."""
        weight = self._positives * self._negatives / (self._positives + self._negatives + 1)
        return np.asarray(weight / weight.sum()) if weight.any() else weight

    @property
    def comparable(self) -> bool:
        """Whether any stratum holds both classes."""
        return bool(self._weights.any())

    @property
    def compared(self) -> Flags:
        """Which rows are in a stratum that holds both classes, (n,)."""
        return np.asarray(self._weights[self.stratum] > 0)

    def auc(self, score: Floats) -> Ranked:
        """AUC of a score (n,), missing values lowest, with each account's influence.

        Placement values by account: Obuchowski 1997; DeLong, DeLong & Clarke-Pearson 1988.
        """
        score = np.where(np.isnan(score), -np.inf, score)
        order = np.lexsort((score, self.stratum))
        fresh = np.r_[True, (np.diff(self.stratum[order]) != 0) | (score[order][1:] != score[order][:-1])]
        tie = np.cumsum(fresh) - 1
        rivals_below = np.empty(len(score))
        for mine, rivals in ((self.good, ~self.good), (~self.good, self.good)):
            in_tie = np.bincount(tie, weights=rivals[order])
            below = np.cumsum(in_tie) - in_tie / 2
            first = np.flatnonzero(np.r_[True, np.diff(self.stratum[order]) != 0])
            start = (np.cumsum(in_tie) - in_tie)[tie[first]]
            mid = below[tie] - start[self._place(order)]
            rivals_below[order[mine[order]]] = mid[mine[order]]
        rivals = np.where(self.good, self._negatives[self.stratum], self._positives[self.stratum])
        won = np.divide(rivals_below, rivals, out=np.full(len(score), 0.5), where=rivals > 0)
        won = np.where(self.good, won, 1 - won)
        return self._averaged(won)

    def _place(self, order: Integers) -> Integers:
        """The number of each sorted row's stratum among those present."""
        return np.asarray(np.cumsum(np.r_[0, np.diff(self.stratum[order]) != 0]))

    def _averaged(self, won: Floats) -> Ranked:
        """won: (n,) share of the rivals of a row's stratum that it ranks right."""
        size = np.where(self.good, self._positives[self.stratum], self._negatives[self.stratum])
        share = self._weights[self.stratum] / size
        wins = np.bincount(self.stratum, weights=np.where(self.good, won, 0.0))
        each = np.divide(wins, self._positives, out=np.full(len(wins), 0.5), where=self._positives > 0)
        value = float((self._weights * each).sum())
        # Away from the whole, not from its stratum: the only lost row of a stratum is never away from itself.
        influence = share * (won - value)
        return Ranked(value, np.bincount(self.account, weights=influence).astype(np.float64))


@dataclass(frozen=True)
class Shares:
    """How frequent something is among the lost and among the kept, with the bounds of both and the accounts behind.

    `kept` is standardised to the strata of the lost. `of_lost` and `of_kept` are (accounts with it, accounts).
    """

    lost: float
    kept: float
    lost_bounds: tuple[float, float]
    kept_bounds: tuple[float, float]
    of_lost: tuple[int, int]
    of_kept: tuple[int, int]

    @property
    def times_more_lost(self) -> float:
        """It is at least so many times as frequent among the lost; 0 where it could be absent there."""
        return self.lost_bounds[0] / max(self.kept_bounds[1], 1e-12)

    @property
    def times_more_kept(self) -> float:
        """It is at least so many times as frequent among the kept."""
        return self.kept_bounds[0] / max(self.lost_bounds[1], 1e-12)


def shares(flag: Flags, lost: Flags, stratum: Integers, account: Integers, z: float) -> Shares | None:
    """Compare a flag (n,) between lost and kept rows of the same strata; None where no stratum holds both.

    Rows of one account count as one: the bounds are Wilson's with the effective number of accounts (Kish 1965).
    """
    n_lost = np.bincount(stratum, weights=lost)
    n_kept = np.bincount(stratum, weights=~lost)
    both = ((n_lost > 0) & (n_kept > 0))[stratum]
    if not both.any():
        return None
    ratio = np.divide(n_lost, n_kept, out=np.zeros(len(n_lost)), where=n_kept > 0)
    weight = np.where(lost, 1.0, ratio[stratum]) * both
    rates, bounds, counts = [], [], []
    for rows in (lost & both, ~lost & both):
        by_account = np.bincount(account[rows], weights=weight[rows])
        rate = float((weight * flag)[rows].sum() / weight[rows].sum())
        rates.append(rate)
        bounds.append(_limits(rate, by_account, z))
        counts.append((len(np.unique(account[rows & flag])), len(np.unique(account[rows]))))
    return Shares(rates[0], rates[1], bounds[0], bounds[1], counts[0], counts[1])


def _limits(rate: float, by_account: NDArray[Any], z: float) -> tuple[float, float]:
    """Wilson's limits of a rate with the effective number of accounts (Kish 1965); by_account: their weights."""
    lower, upper = score_limits(rate, kish(by_account), z)
    return float(lower), float(upper)


@dataclass(frozen=True)
class Rates:
    """The share of rows of one sort among rows of lost and of kept accounts, as if both had their rows in the same strata.

    z, by account, is how surely the lost have more than `times` the rate of the kept; 0 where nothing can be compared.
    """

    lost: float
    kept: float
    times: float
    z: float
    n_accounts: int  # with such a row


def rates(
    hits: Floats, rows: Floats, lost: Flags, stratum: Integers, account: Integers, times: float
) -> Rates:
    """Compare hits / rows, both (n,), between lost and kept observations: a score test within strata by account.

    Strata weigh lost rows x kept rows / rows (Mantel & Haenszel 1959). Were the lost rate exactly `times` the kept one
    in every stratum, each row would be expected to hold the stratum's hits / (times x lost rows + kept rows), the lost
    ones `times` that; the score adds up what is beyond it. It is above z where the lower bound of the ratio is above
    `times`.
    """
    of_lost, of_kept = (np.bincount(stratum, weights=rows * mine) for mine in (lost, ~lost))
    weight = of_lost * of_kept / np.maximum(of_lost + of_kept, 1.0)
    expected = np.bincount(stratum, weights=hits) / np.maximum(times * of_lost + of_kept, 1.0)
    away = hits - rows * np.where(lost, times, 1.0) * expected[stratum]
    per_row = weight[stratum] / np.maximum(np.where(lost, of_lost[stratum], of_kept[stratum]), 1.0)
    by_account = np.bincount(account, weights=away * per_row * np.where(lost, 1.0, -times))
    spread = math.sqrt(float((by_account**2).sum()))
    rate = [float((hits * per_row)[mine].sum() / max(weight.sum(), 1e-12)) for mine in (lost, ~lost)]
    return Rates(
        lost=rate[0],
        kept=rate[1],
        times=times,
        z=float(by_account.sum() / spread) if spread > 0 else 0.0,
        n_accounts=len(np.unique(account[hits > 0])),
    )


def share_of(hits: Floats, rows: Floats, account: Integers, z: float) -> tuple[float, float]:
    """hits / rows, both (n,), and its lower bound, with an account's rows as one; `rows` hold something.

    Wilson's bound with the effective number of accounts (Kish 1965).
    """
    by_account = np.bincount(account, weights=rows)
    share = float(hits.sum() / rows.sum())
    return share, _limits(share, by_account, z)[0]
