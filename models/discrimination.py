"""How well scores rank accounts: AUC within quarters, with paired intervals by account.

Usage and base rates drift, so a pair of accounts is compared only inside its quarter. Quarters are averaged
with the weight positives x negatives / (n + 1), the precision of an AUC under no discrimination (van Elteren
1960). Plain pair counts would give a quarter twice as large four times the say; n alone would let a quarter
with a single positive count like any other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers
from models.estimates import Estimate, account_codes

_CELLS = 20_000_000  # accounts x resamples held at once: 160 MB


@dataclass(frozen=True)
class QuarterAuc:
    """AUC of one model in one quarter that holds both classes."""

    quarter: str
    value: float
    lower: float
    upper: float
    n: int
    n_positive: int


@dataclass(frozen=True, eq=False)
class Discrimination:
    """AUC within quarters of several models on the same rows and the same resamples of accounts.

    `skipped` names the quarters with a single class; with no quarter left every estimate is None.
    """

    estimates: Mapping[str, Estimate | None]
    quarterly: Mapping[str, tuple[QuarterAuc, ...]]
    skipped: tuple[str, ...]
    replicates: Mapping[str, Floats] = field(repr=False)

    def estimate(self, model: str) -> Estimate | None:
        """The average AUC within quarters; 0.5 ranks like chance."""
        return self.estimates[model]

    def by_quarter(self, model: str) -> list[QuarterAuc]:
        """The model's AUC in every quarter that holds both classes, in order of the quarter."""
        return list(self.quarterly[model])

    def difference(self, model: str, other: str) -> Estimate | None:
        """AUC of `model` minus AUC of `other`, paired by resample; None where there is no AUC."""
        one, two = self.estimates[model], self.estimates[other]
        if one is None or two is None:
            return None
        gap = self.replicates[model] - self.replicates[other]
        lower, upper = _percentiles(gap, one.level)
        value = one.value - two.value
        return Estimate("auc_difference", value, lower, upper, one.n_observations, one.n_accounts, one.level)


@dataclass(frozen=True, eq=False)
class _Quarter:
    """The rows of one usable quarter, with every model's ranking of them."""

    label: str
    account: Integers  # (rows,)
    good: Floats  # (rows,) 1.0 where the outcome happened
    rankings: tuple[
        tuple[Integers, Integers | None], ...
    ]  # per model: order, and starts of ties where there are any

    def scaled_wins(self, multiplicity: Floats) -> tuple[Floats, Floats]:
        """Pairs won / (n + 1) per model (models, r) and the weight pairs / (n + 1) (r,) for (accounts, r)."""
        weight = multiplicity[self.account]
        positive = self.good @ weight
        total = weight.sum(axis=0)
        wins = np.stack([self._wins(weight, order, starts) for order, starts in self.rankings])
        return wins / (total + 1), positive * (total - positive) / (total + 1)

    def _wins(self, weight: Floats, order: Integers, starts: Integers | None) -> Floats:
        weight = weight[order]
        positive = weight * self.good[order][:, None]
        negative = weight - positive
        if starts is not None:
            positive = np.add.reduceat(positive, starts, axis=0)
            negative = np.add.reduceat(negative, starts, axis=0)
        # A tie is half a win (mid-rank): all negatives ranked below, and half of those ranked alike.
        below = np.cumsum(negative, axis=0) - negative / 2
        wins: Floats = np.einsum("ir,ir->r", positive, below)
        return wins


def auc_interval(value: float, n_positive: int, n_negative: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of one AUC from its class sizes, sane at 0 and 1. Newcombe 2006 (method 5)."""
    z = float(norm.ppf((1 + level) / 2))
    size = (n_positive + n_negative) / 2 - 1

    def excess(auc: float) -> float:
        factor = 1 + size * ((1 - auc) / (2 - auc) + auc / (1 + auc))
        error = math.sqrt(max(auc * (1 - auc), 0.0) * factor / (n_positive * n_negative))
        return abs(auc - value) - z * error

    tiny = 1e-9  # a step off the value itself, which at 0 and 1 is a root and not the limit that is sought
    lower = brentq(excess, tiny, value - tiny) if value > 2 * tiny and excess(tiny) > 0 else 0.0
    upper = brentq(excess, value + tiny, 1 - tiny) if value < 1 - 2 * tiny and excess(1 - tiny) > 0 else 1.0
    return float(lower), float(upper)


def quarterly_auc(
    scores: Mapping[str, Floats],
    outcome: Flags,
    quarter: NDArray[np.str_] | Integers | Sequence[str],
    account: Integers,
    rng: np.random.Generator,
    n_resamples: int = 500,
    level: float = 0.95,
) -> Discrimination:
    """AUC within quarters of each model's scores (n,), higher meaning the outcome is likelier.

    outcome, quarter, account: (n,). Percentile intervals over `n_resamples` draws of whole accounts, the same
    for all models; a resample is a multiplicity per account, so nothing is sorted twice. An interval of one
    quarter comes from its accounts of each class: percentiles fail on the few positives a quarter may have.
    Raises ValueError for a score that is not finite.
    """
    good = outcome.astype(np.float64)
    codes, n_accounts = account_codes(account, len(good))
    names = tuple(scores)
    for name in names:
        if scores[name].shape != good.shape or not np.isfinite(scores[name]).all():
            raise ValueError(f"scores of {name} must be finite, one for each of {len(good)} rows")
    quarters, skipped = _quarters([scores[name] for name in names], good, np.asarray(quarter), codes)
    if not quarters:
        return Discrimination(dict.fromkeys(names), dict.fromkeys(names, ()), skipped, {})
    values = _average(quarters, np.ones((n_accounts, 1)))[:, 0]
    replicates = _resampled(quarters, n_accounts, rng, n_resamples)
    rows = np.concatenate([part.account for part in quarters])
    classes = _class_accounts(rows, np.concatenate([part.good for part in quarters]))
    estimates: dict[str, Estimate | None] = {}
    for i, name in enumerate(names):
        lower, upper = _percentiles(replicates[i], level)
        if upper - lower < 1e-12:  # a perfect ranking: resamples cannot show how sure it is
            lower, upper = auc_interval(values[i], *classes, level)
        n_observations, n_present = len(rows), len(np.unique(rows))
        estimates[name] = Estimate("auc", float(values[i]), lower, upper, n_observations, n_present, level)
    quarterly = {
        name: tuple(_quarter_auc(part, i, level) for part in quarters) for i, name in enumerate(names)
    }
    return Discrimination(estimates, quarterly, skipped, dict(zip(names, replicates, strict=True)))


def _quarters(
    scores: Sequence[Floats], good: Floats, quarter: NDArray[np.str_] | Integers, codes: Integers
) -> tuple[list[_Quarter], tuple[str, ...]]:
    labels, members = np.unique(quarter, return_inverse=True)
    quarters, skipped = [], []
    for i, label in enumerate(labels.tolist()):
        rows = np.flatnonzero(members == i)
        if good[rows].min() == good[rows].max():
            skipped.append(str(label))
            continue
        rankings = tuple(_ranking(score[rows]) for score in scores)
        quarters.append(_Quarter(str(label), codes[rows], good[rows], rankings))
    return quarters, tuple(skipped)


def _ranking(score: Floats) -> tuple[Integers, Integers | None]:
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    return order, None if len(starts) == len(order) else starts


def _average(quarters: Sequence[_Quarter], multiplicity: Floats) -> Floats:
    """AUC (models, resamples); a resample without a single pair is NaN."""
    parts = [part.scaled_wins(multiplicity) for part in quarters]
    weight = np.sum([weight for _, weight in parts], axis=0)
    wins = np.sum([wins for wins, _ in parts], axis=0)
    average: Floats = wins / np.where(weight > 0, weight, np.nan)
    return average


def _resampled(
    quarters: Sequence[_Quarter], n_accounts: int, rng: np.random.Generator, n_resamples: int
) -> Floats:
    block = max(1, min(n_resamples, _CELLS // n_accounts))
    parts = []
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        drawn = rng.integers(0, n_accounts, size=(size, n_accounts))
        counts = [np.bincount(row, minlength=n_accounts) for row in drawn]
        parts.append(_average(quarters, np.stack(counts, axis=1).astype(np.float64)))
    return np.concatenate(parts, axis=1)


def _percentiles(replicates: Floats, level: float) -> tuple[float, float]:
    lower, upper = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def _class_accounts(account: Integers, good: Floats) -> tuple[int, int]:
    return len(np.unique(account[good == 1])), len(np.unique(account[good == 0]))


def _quarter_auc(part: _Quarter, model: int, level: float) -> QuarterAuc:
    everybody = np.ones((int(part.account.max()) + 1, 1))
    wins, weight = part.scaled_wins(everybody)
    value = float(wins[model, 0] / weight[0])
    lower, upper = auc_interval(value, *_class_accounts(part.account, part.good), level)
    return QuarterAuc(part.label, value, lower, upper, len(part.good), int(part.good.sum()))
