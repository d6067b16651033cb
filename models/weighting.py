"""The effect among accounts alike in what is known from before: augmented inverse probability weighting (AIPW).

The estimate is right where either the propensity to reach the milestone or the outcome within both groups is modelled
well. Robins, Rotnitzky & Zhao 1994; Bang & Robins 2005. It is made for the rows that could have gone either way.
"""

import math
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr
from scipy.stats import t

from features.arrays import Flags, Floats, Integers
from features.proportions import kish
from models.estimates import Estimate, account_codes

EXTREME = (0.05, 0.95)  # propensities beyond are told: whoever is there has hardly a counterpart
FEWEST_EACH = 20  # accounts in either group, also after what unequal weights take away
LEAST_KEPT = 0.5  # of all rows; a figure for fewer would be one of a minority
RARE = 0.02  # levels of a smaller share of the rows go together
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
    found = _aipw(design(covariates[kept]), reached[kept], outcome[kept], codes[kept], level)
    if found is None:
        return Weighted(
            None, overlap, "what is known from before tells who reached it, so that nobody compares"
        )
    return Weighted(found, overlap)


def could_go_either_way(propensity: Floats) -> Flags:
    """(n,): rows whose 1 / (e (1 - e)) is at most twice its mean over all such rows; all, where none is far from the rest.

    Crump, Hotz, Imbens & Mitnik 2009, corollary 1. A milestone that few reach loses nobody: its propensities are all low.
    """
    spread = 1 / (propensity * (1 - propensity))
    ordered = np.sort(spread)
    within = ordered <= 2 * np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return np.asarray(spread <= ordered[np.flatnonzero(within)[-1]])


def design(covariates: pd.DataFrame) -> Floats:
    """(n, columns): an intercept and the covariates, without columns that others determine.

    Numbers as log(1 + x), which sizes are, with its square, standardised; an unknown one is at the mean, and marked.
    Texts as dummies of their levels, rare ones together.
    """
    parts = [np.ones((len(covariates), 1))]
    for name in covariates:
        column = covariates[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        parts.append(_number(column) if numeric else _dummies(column))
    return _independent(np.hstack(parts))


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
    share = text.value_counts(normalize=True)
    text = text.where(text.map(share) >= RARE, OTHER)
    return np.column_stack([text.eq(one).to_numpy(np.float64) for one in sorted(text.unique())])


def _independent(columns: Floats) -> Floats:
    """The columns of a basis: those that say nothing new are left out."""
    _, triangle, order = qr(columns, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    return columns[:, np.sort(order[: int((size > 1e-8 * size[0]).sum())])]


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


def _aipw(columns: Floats, reached: Flags, outcome: Flags, codes: Integers, level: float) -> Estimate | None:
    """None where the propensity has no finite estimate.

    The error of the estimate is the mean of its influence values, summed by account: an account is one draw.
    """
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.regression.linear_model import OLS
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    y, one = outcome.astype(np.float64), reached.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            selection = Logit(one, columns).fit(disp=0, maxiter=100)
        except (Warning, np.linalg.LinAlgError, ArithmeticError):
            return None
    model = TreatmentEffect(OLS(y, columns), reached.astype(np.int64), results_select=selection)
    value = float(model.aipw(return_results=False)[0])
    e, ours, theirs = (
        model.prob_select, model.results1.predict(columns), model.results0.predict(columns)
    )  # fmt: skip
    influence = ours - theirs + one * (y - ours) / e - (1 - one) * (y - theirs) / (1 - e) - value
    sums = np.bincount(codes, weights=influence)
    n_accounts = len(np.unique(codes))
    error = math.sqrt(float((sums**2).sum()) * n_accounts / (n_accounts - 1)) / len(y)
    half = float(t.ppf((1 + level) / 2, _fewest(reached, codes) - 1)) * error
    lower, upper = max(value - half, -1.0), min(value + half, 1.0)
    return Estimate(
        "risk_difference", float(np.clip(value, lower, upper)), lower, upper, len(y), n_accounts, level
    )
