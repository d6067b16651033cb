"""The mix of customers: how much of a change of an effect comes from who the customers are.

A worked example: +20 points for small customers and +2 for large ones, of whom there were as many of each: +11. A year
later nine in ten are large: +3.8. The accounts of before weighted to the customers of now give +3.8, those of now weighted to
the customers of before +11: the fall of 7.2 points is one of mix, by either. Kitagawa 1955 takes the mean of the two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers
from features.declaration import Data
from features.log import Log
from features.proportions import kish
from features.segments import Segmentation, by_plan, by_size
from features.validators import TENURE
from models.cohorts import Cohort
from models.covariates import at_begin, known_before
from models.estimates import Estimate, account_codes
from models.influence import by_account, weighted_difference
from models.strata import is_amount

# What tells customers apart wherever it is known, beside data.adjust_for.
CUSTOMERS = ("plan", "seats", TENURE)
# Accounts on either side, by what their weights leave of them: below, one may be the whole rate.
LEAST_EFFECTIVE = 30
_LEVEL = 0.95
_ROUNDS = 200
_CLOSE = 1e-6


@dataclass(frozen=True)
class MixShift:
    """What other customers alone would change of an effect. dimensions: by what they are told apart."""

    dimensions: tuple[str, ...]
    change: Estimate


def traits_of(cohort: Cohort, log: Log, data: Data) -> pd.DataFrame:
    """What tells the customers of a cohort apart, as it was when the window of each row of its frame began.

    Plan, seats, of a state tenure, and what the framework adjusts for, as far as the log knows them.
    """
    known = known_before(log, data, cohort.milestone.kind)
    names = [name for name in known if name in CUSTOMERS or name in data.adjust_for]
    return at_begin(cohort.frame, log, cohort.milestone.rule.window_days, names)


def mix_shift(recent: pd.DataFrame, before: pd.DataFrame, traits: pd.DataFrame) -> MixShift | None:
    """How the risk difference would have moved had nothing changed but the customers, from those before to the recent.

    recent, before: account, reached, outcome; traits: of the rows of both, by index. Each period is raked to the mix of the
    other (Deming & Stephan 1940), and the two answers are averaged, so that what has changed within a kind of customer is
    not taken for mix. The interval is Wald's by account, the mix itself taken as it is. None where nothing tells customers
    apart, where a group has too few like those of the other period, and where no weights bring all dimensions there.
    """
    rows = pd.concat([before, recent])
    now = np.arange(len(rows)) >= len(before)
    found = (_parted(str(name), traits[name].loc[rows.index], ~now) for name in traits)
    parted = [one for one in found if one is not None]
    if not parted or now.all() or not now.any():
        return None
    reached, outcome = rows["reached"].to_numpy(bool), rows["outcome"].to_numpy(bool)
    codes, n_accounts = account_codes(rows["account"].to_numpy(np.int64), len(rows))
    value, influence = 0.0, np.zeros(len(rows))
    for period, sign in ((now, 0.5), (~now, -0.5)):
        as_it_is, as_the_other = period.astype(np.float64), raked(parted, period, ~period)
        if as_the_other is None:
            return None
        for weight, of in ((as_it_is, sign), (as_the_other, -sign)):
            if any(_left(weight[group], codes[group]) < LEAST_EFFECTIVE for group in (reached, ~reached)):
                return None
            effect, error = weighted_difference(reached, outcome, weight)
            value += of * effect
            influence += of * error
    spread = float((by_account(influence, codes, n_accounts) ** 2).sum())
    half = float(norm.ppf((1 + _LEVEL) / 2)) * math.sqrt(spread)
    change = Estimate("risk_difference", value, value - half, value + half, len(rows), n_accounts, _LEVEL)
    return MixShift(tuple(one.dimension for one in parted), change)


def _left(weight: Floats, account: Integers) -> float:
    """How many accounts are left of rows with weights; 0 of none."""
    each = np.bincount(account, weights=weight)
    return kish(each) if each.any() else 0.0


def _parted(name: str, column: "pd.Series[Any]", then: Flags) -> Segmentation | None:
    """One dimension of both periods in parts, numbers in thirds of before; None where all are alike."""
    if is_amount(column):
        found = by_size(column.to_numpy(np.float64, na_value=np.nan).astype(np.float64), then, name)
    else:
        found = by_plan(column)
    if found is None or len(found.labels) < 2:
        return None
    return Segmentation(name, found.labels, found.code)


def raked(parted: Sequence[Segmentation], of: Flags, to: Flags) -> Floats | None:
    """Weights, (n,), 0 but for the rows `of`, with which every part of every dimension has its share among the rows `to`.

    A part of which there are no rows has no share either: the others stand for it. None where nobody is left, or where no
    weights give every dimension its shares.
    """
    wanted = [np.bincount(one.code[to], minlength=len(one.labels)).astype(np.float64) for one in parted]
    weight = of.astype(np.float64)
    for _ in range(_ROUNDS):
        furthest = 0.0
        for one, count in zip(parted, wanted, strict=True):
            have = np.bincount(one.code, weights=weight, minlength=len(count))
            share = np.where(have > 0, count, 0.0)
            if not share.any():
                return None
            factor = np.divide(share / share.sum(), have / have.sum(), out=np.ones_like(have), where=have > 0)
            weight = weight * factor[one.code]
            furthest = max(furthest, float(np.abs(factor - 1).max()))
        if furthest < _CLOSE:
            return weight
    return None
