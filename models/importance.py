"""Which features a model leans on.

Raw importance leans to niche features of a few large customers and says nothing of what everybody uses, so every
figure is to stand beside the feature's adoption, that `features.adoption` counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from features.arrays import Flags, Floats, Positions
from models.estimators import probability

N_REPEATS = 3
MOST_ROWS = 1000
COLUMNS_AT_ONCE = 16
SHAP_ROWS = 200
NEAR_TWINS = 0.9  # rank correlation from which on two features tell the same, and are shuffled together
LEVEL = 0.95


@dataclass(frozen=True)
class Importance:
    """Loss of AUC within quarters when the feature and its near twins are shuffled among held-out observations.

    lower and upper: 95 % interval of the mean over refits, each judged on accounts it never saw.
    """

    feature: str
    value: float
    lower: float
    upper: float


def permutation_importance(
    fitted: Sequence[tuple[Any, Positions]],
    X: NDArray[np.float32],
    y: Flags,
    features: Sequence[str],
    rng: np.random.Generator,
    quarter: NDArray[Any] | None = None,
) -> tuple[Importance, ...]:
    """Held-out permutation importance of the AUC within quarters, the most important feature first.

    fitted: (model, rows it never saw) per refit; X: (n, k); y, quarter: (n,). Rows are capped, at random, to keep it
    quick. Pairs are compared within their quarter, as everywhere: else whatever tells the quarter matters. A twin
    left as it was would answer for the feature that is shuffled, so near twins go together. Refits share most of
    what they learned from, which widens the interval. Nothing is said with fewer than two usable refits.
    Breiman 2001; on held-out rows, because in-sample a forest finds importance in noise. Strobl et al. 2008;
    Nadeau & Bengio 2003.
    """
    stratum = (
        np.zeros(len(y), dtype=np.intp) if quarter is None else np.unique(quarter, return_inverse=True)[1]
    )
    parts = [(model, rng.permutation(rows)[: MOST_ROWS // len(fitted)]) for model, rows in fitted]
    parts = [(model, rows) for model, rows in parts if _pairs(y[rows], stratum[rows])]
    if len(parts) < 2:
        return ()
    twins = near_twins(X[np.concatenate([rows for _, rows in parts])])
    losses = np.stack([_losses(model, X[rows], y[rows], stratum[rows], twins, rng) for model, rows in parts])
    value, n_refits = losses.mean(axis=0), len(parts)
    # 1 / (n_refits - 1) more is what one part tested for so many learned from adds.
    spread = losses.std(axis=0, ddof=1) * np.sqrt(1 / n_refits + 1 / (n_refits - 1))
    half = float(t.ppf((1 + LEVEL) / 2, n_refits - 1)) * spread
    found = (
        Importance(name, float(v), float(v - h), float(v + h))
        for name, v, h in zip(features, value, half, strict=True)
    )
    return tuple(sorted(found, key=lambda i: -i.value))


def near_twins(X: NDArray[np.float32]) -> Flags:
    """Which features tell the same: rank correlation of at least .9 either way, missing as 0; (k, k), each with itself.

    X: (n, k). A column that does not vary has no twin.
    """
    rank = rankdata(np.nan_to_num(X, nan=0.0), axis=0)
    rank -= rank.mean(axis=0)
    size = np.sqrt((rank**2).sum(axis=0))
    rank /= np.where(size > 0, size, 1.0)
    return np.asarray((np.abs(rank.T @ rank) >= NEAR_TWINS) | np.eye(X.shape[1], dtype=bool))


def _pairs(y: Flags, stratum: Positions) -> bool:
    """Whether some stratum holds both classes."""
    return any(0 < y[stratum == one].sum() < (stratum == one).sum() for one in np.unique(stratum))


def _losses(
    model: Any,
    X: NDArray[np.float32],
    y: Flags,
    stratum: Positions,
    twins: Flags,
    rng: np.random.Generator,
) -> Floats:
    """Mean loss of AUC of one refit for each feature, (k,)."""
    whole = _auc(probability(model, X), y, stratum)
    lost = [
        whole
        - _auc(_shuffled_scores(model, X, twins[first : first + COLUMNS_AT_ONCE], rng), y, stratum).mean(
            axis=1
        )
        for first in range(0, len(twins), COLUMNS_AT_ONCE)
    ]
    return np.concatenate(lost)


def _auc(scores: Floats, y: Flags, stratum: Positions) -> Floats:
    """AUC within strata of scores (..., n), weighted as in `models.discrimination`."""
    won, weights = np.zeros(scores.shape[:-1]), 0.0
    for one in np.unique(stratum):
        rows = stratum == one
        positive, n = int(y[rows].sum()), int(rows.sum())
        if not 0 < positive < n:
            continue
        rank = rankdata(scores[..., rows], axis=-1)
        wins = rank[..., y[rows]].sum(axis=-1) - positive * (positive + 1) / 2
        won += wins / (n + 1)
        weights += positive * (n - positive) / (n + 1)
    return np.asarray(won / weights)


def _shuffled_scores(
    model: Any, block: NDArray[np.float32], together: Flags, rng: np.random.Generator
) -> Floats:
    """Predictions with each set of columns shuffled in turn, (sets, repeats, rows); one call, because calls are dear."""
    stacked = np.tile(block, (len(together) * N_REPEATS, 1))
    for place, columns in enumerate(np.repeat(together, N_REPEATS, axis=0)):
        first = place * len(block)
        stacked[first : first + len(block), columns] = block[rng.permutation(len(block))][:, columns]
    return probability(model, stacked).reshape(len(together), N_REPEATS, len(block))


def shap_importance(
    model: Any, X: pd.DataFrame, rng: np.random.Generator
) -> "tuple[pd.Series[float], pd.Series[float]] | None":
    """Mean absolute SHAP value, and direction in [-1, 1], of every feature; None for a model without trees.

    Direction is the rank correlation of the feature with its own contribution. Lundberg et al. 2020.
    """
    import shap

    forest = model.steps[-1][1]
    if not hasattr(forest, "estimators_"):
        return None
    rows = X.sample(n=min(SHAP_ROWS, len(X)), random_state=int(rng.integers(2**31))).astype("float64")
    ready = rows.to_numpy()
    for _, step in model.steps[:-1]:
        ready = step.transform(ready)
    values = np.asarray(shap.TreeExplainer(forest).shap_values(ready))
    contributions = values[..., 1] if values.ndim == 3 else values
    size = pd.Series(np.abs(contributions).mean(axis=0), index=X.columns)
    given = pd.DataFrame(contributions, columns=X.columns)
    direction = rows.reset_index(drop=True).rank().corrwith(given.rank()).fillna(0.0)
    return size, direction
