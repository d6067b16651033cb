"""The effect among accounts alike in what is known from before: augmented inverse probability weighting (AIPW).

The estimate is right where either the propensity to reach the milestone or the outcome within both groups is modelled
well. Robins, Rotnitzky & Zhao 1994; Bang & Robins 2005. It is made for the rows that could have gone either way.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from features.arrays import Flags, Floats, Integers
from features.proportions import kish
from features.windows import ONE_DAY
from models.estimates import Estimate, account_codes
from models.strata import is_amount

EXTREME = (0.05, 0.95)  # propensities beyond are told: whoever is there has hardly a counterpart
NEVER = (0.01, 0.99)  # propensities beyond are as good as certain; statsmodels takes them for these
FEWEST_EACH = 20  # accounts in either group, also after what unequal weights take away
LEAST_KEPT = 0.5  # of all rows; a figure for fewer would be one of a minority
MOST_LEVELS, FEWEST_OF_A_LEVEL = 20, 20  # of a text; rarer levels (rows) go together
OTHER, UNKNOWN = "other", "unknown"
_WEAK = 1e4  # inverse strength of the ridge: it only keeps a separated propensity finite


@dataclass(frozen=True)
class Overlap:
    """How far the two groups can be compared.

    reached, others: smallest and largest propensity of the rows of each group. extreme: share of rows with one outside
    EXTREME. kept: share of rows that could have gone either way. effective_reached, effective_others: how many equally
    weighted accounts say as much as those kept.
    """

    reached: tuple[float, float]
    others: tuple[float, float]
    extreme: float
    kept: float
    effective_reached: float
    effective_others: float

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return asdict(self)


@dataclass(frozen=True)
class Weighted:
    """The adjusted risk difference; without overlap None, and the reason."""

    estimate: Estimate | None
    overlap: Overlap | None
    reason: str = ""


def weighted_risk_difference(
    reached: Flags, outcome: Flags, covariates: pd.DataFrame, account: Integers, level: float = 0.95
) -> Weighted:
    """Risk difference by AIPW over covariates from before the window, with an interval clustered by account.

    reached, outcome: (n,); covariates: (n, k), numbers or texts, missing where unknown; account: (n,) codes, where one
    may repeat. The rows it is for are the optimal subpopulation of Crump, Hotz, Imbens & Mitnik 2009 (corollary 1): those
    without which the variance of the estimate would be larger lack a counterpart.
    """
    codes, _ = account_codes(account, len(outcome))
    if _fewest(reached, codes) < FEWEST_EACH:
        return Weighted(None, None, f"fewer than {FEWEST_EACH} accounts on one side")
    columns = design(covariates)
    propensity = _propensity(columns, reached)
    kept = could_go_either_way(propensity)
    overlap = _overlap(propensity, reached, kept, codes)
    reason = _without_overlap(overlap, _fewest(reached[kept], codes[kept]))
    if reason:
        return Weighted(None, overlap, reason)
    return Weighted(_aipw(covariates[kept], reached[kept], outcome[kept], codes[kept], level), overlap)


def could_go_either_way(propensity: Floats) -> Flags:
    """(n,): rows whose 1 / (e (1 - e)) is at most twice its mean over all such rows; all, where none is far from the rest.

    Crump, Hotz, Imbens & Mitnik 2009, corollary 1; beyond NEVER nobody is one of them. A milestone that few reach loses
    nobody: its propensities are all low.
    """
    possible = (propensity > NEVER[0]) & (propensity < NEVER[1])
    if not possible.any():
        return possible
    spread = 1 / (propensity * (1 - propensity))
    ordered = np.sort(spread[possible])
    within = ordered <= 2 * np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return np.asarray(possible & (spread <= ordered[np.flatnonzero(within)[-1]]))


def design(covariates: pd.DataFrame) -> Floats:
    """(n, columns): an intercept and the covariates, without columns that others determine.

    Numbers as log(1 + x), which sizes are, with its square, standardised; an unknown one is at the mean, and marked.
    Texts as dummies of their levels, rare ones together.
    """
    parts = [np.ones((len(covariates), 1))]
    for name in covariates:
        column = _as_number_of_days(covariates[name])
        numeric = is_amount(column)
        parts.append(_number(column) if numeric else _dummies(column))
    return _independent(np.hstack(parts))


def _as_number_of_days(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column of times as days from the first of them; any other as it is."""
    return (column - column.min()) / ONE_DAY if pd.api.types.is_datetime64_any_dtype(column) else column


def _number(column: "pd.Series[Any]") -> Floats:
    value = column.to_numpy(np.float64, na_value=np.nan)
    known = np.isfinite(value)
    if not known.any():
        return np.zeros((len(value), 1))
    log = np.sign(value) * np.log1p(np.abs(value))
    spread = float(log[known].std())
    centred = np.where(known, (log - log[known].mean()) / (spread or 1.0), 0.0)
    return np.column_stack([centred, centred**2, ~known])


def _dummies(column: "pd.Series[Any]") -> Floats:
    text = column.astype("string").fillna(UNKNOWN)
    counts = text.value_counts().head(MOST_LEVELS)
    text = text.where(text.isin(counts[counts >= FEWEST_OF_A_LEVEL].index), OTHER)
    return np.column_stack([text.eq(one).to_numpy(np.float64) for one in sorted(text.unique())])


def _independent(columns: Floats, within: Flags | None = None) -> Floats:
    """The columns that say something new beside those before them; the first, an intercept, always does.

    within: (n,) the rows that decide, by default all.
    """
    looked_at = columns if within is None else columns[within]
    basis = np.empty((len(looked_at), 0))
    kept = []
    for i, column in enumerate(looked_at.T):
        rest = column - basis @ (basis.T @ column)
        length = float(np.linalg.norm(rest))
        if length > 1e-6 * float(np.linalg.norm(column)):
            kept.append(i)
            basis = np.column_stack([basis, rest / length])
    return columns[:, kept]


def _propensity(columns: Floats, reached: Flags) -> Floats:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_WEAK, solver="newton-cholesky", fit_intercept=False, max_iter=1000)
    found: Floats = model.fit(columns, reached).predict_proba(columns)[:, 1]
    return np.clip(found, 1e-6, 1 - 1e-6)


def _fewest(reached: Flags, codes: Integers) -> int:
    """Accounts in the smaller group."""
    return min(len(np.unique(codes[reached])), len(np.unique(codes[~reached])))


def _overlap(propensity: Floats, reached: Flags, kept: Flags, codes: Integers) -> Overlap:
    def span(of: Flags) -> tuple[float, float]:
        return float(propensity[of].min()), float(propensity[of].max())

    def accounts(of: Flags, weight: Floats) -> float:
        return kish(np.bincount(codes[of], weights=weight[of])) if of.any() else 0.0

    return Overlap(
        reached=span(reached),
        others=span(~reached),
        extreme=float(((propensity < EXTREME[0]) | (propensity > EXTREME[1])).mean()),
        kept=float(kept.mean()),
        effective_reached=accounts(kept & reached, 1 / propensity),
        effective_others=accounts(kept & ~reached, 1 / (1 - propensity)),
    )


def _without_overlap(overlap: Overlap, fewest: int) -> str:
    """Why the groups cannot be compared; empty where they can."""
    if overlap.kept < LEAST_KEPT:
        return f"only {overlap.kept:.0%} of the observations could have gone either way"
    effective = min(overlap.effective_reached, overlap.effective_others)
    if min(fewest, effective) < FEWEST_EACH:
        return f"among those that could have gone either way one side says no more than {min(fewest, effective):.0f} accounts"
    return ""


def _aipw(
    covariates: pd.DataFrame, reached: Flags, outcome: Flags, codes: Integers, level: float
) -> Estimate:
    """The error of the estimate is the mean of its influence values, summed by account: an account is one draw."""
    from statsmodels.regression.linear_model import OLS
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    columns = design(covariates)
    y, one = outcome.astype(np.float64), reached.astype(np.float64)
    e = np.clip(_propensity(columns, reached), *NEVER)
    # What varies in one group alone cannot be told apart from reaching it in a model of that group.
    columns = _independent(_independent(columns, reached), ~reached)
    model = TreatmentEffect(OLS(y, columns), reached.astype(np.int64), prob_select=e)
    value = float(model.aipw(return_results=False)[0])
    ours, theirs = model.results1.predict(columns), model.results0.predict(columns)
    influence = ours - theirs + one * (y - ours) / e - (1 - one) * (y - theirs) / (1 - e) - value
    n_accounts = len(np.unique(codes))
    squared = float((np.bincount(codes, weights=influence) ** 2).sum())
    error = math.sqrt(squared * n_accounts / (n_accounts - 1)) / len(y)
    half = float(t.ppf((1 + level) / 2, _fewest(reached, codes) - 1)) * error
    lower, upper = max(value - half, -1.0), min(value + half, 1.0)
    value = float(np.clip(value, lower, upper))
    return Estimate("risk_difference", value, lower, upper, len(y), n_accounts, level)
