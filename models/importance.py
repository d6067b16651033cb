"""Which features a model leans on, beside how many accounts use them.

Raw importance leans to niche features of a few large customers and says nothing of what everybody uses, so every
figure stands beside the feature's adoption, and the ranking that proposes milestones leaves both ends out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

N_REPEATS = 3
MOST_ROWS = 1000
COLUMNS_AT_ONCE = 16
SHAP_ROWS = 200

AdoptionClass = Literal["niche", "representative", "ubiquitous"]


@dataclass(frozen=True)
class Importance:
    """Loss of AUC when the feature is shuffled among held-out observations; lower and upper over repeats."""

    feature: str
    value: float
    lower: float
    upper: float


def permutation_importance(
    fitted: Sequence[tuple[Any, NDArray[np.intp]]],
    X: NDArray[np.float32],
    y: NDArray[np.bool_],
    features: Sequence[str],
    rng: np.random.Generator,
) -> tuple[Importance, ...]:
    """Held-out permutation importance of the AUC.

    fitted: (model, rows it never saw) per fold; X: (n, k); y: (n,). Rows are capped, at random, to keep it quick.
    Breiman 2001; on held-out rows, because in-sample a forest finds importance in noise.
    """
    if not fitted:
        return ()
    parts = [(model, rng.permutation(rows)[: MOST_ROWS // len(fitted)]) for model, rows in fitted]
    truth = np.concatenate([y[rows] for _, rows in parts])
    if len(np.unique(truth)) < 2:
        return ()
    whole = roc_auc_score(
        truth, np.concatenate([model.predict_proba(X[rows])[:, 1] for model, rows in parts])
    )
    found = []
    for first in range(0, len(features), COLUMNS_AT_ONCE):
        columns = range(first, min(first + COLUMNS_AT_ONCE, len(features)))
        shuffled = np.concatenate(
            [_shuffled_scores(model, X[rows], columns, rng) for model, rows in parts], axis=2
        )
        for column, repeats in zip(columns, shuffled, strict=True):
            losses = [whole - roc_auc_score(truth, scores) for scores in repeats]
            found.append(
                Importance(features[column], float(np.mean(losses)), float(min(losses)), float(max(losses)))
            )
    return tuple(sorted(found, key=lambda i: -i.value))


def _shuffled_scores(
    model: Any, block: NDArray[np.float32], columns: range, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Predictions with each column shuffled in turn, (columns, repeats, rows); one call, because calls are dear."""
    stacked = np.tile(block, (len(columns) * N_REPEATS, 1))
    for place, column in enumerate(np.repeat(columns, N_REPEATS)):
        rows = slice(place * len(block), (place + 1) * len(block))
        stacked[rows, column] = rng.permutation(block[:, column])
    predicted = np.asarray(model.predict_proba(stacked)[:, 1])
    return predicted.reshape(len(columns), N_REPEATS, len(block))


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


def adoption(frame: pd.DataFrame, features: Sequence[str], quarters: int = 4) -> "pd.Series[float]":
    """Share of observations of the newest quarters in which a feature is above zero, unknown ones left out."""
    newest = np.sort(frame["as_of"].unique())[-quarters:]
    recent = frame.loc[frame["as_of"].isin(newest), list(features)]
    return (recent > 0).where(recent.notna()).astype("float64").mean()


def adoption_class(share: float, niche_below: float, ubiquitous_above: float) -> AdoptionClass:
    """Niche features speak for a few customers, ubiquitous ones tell nobody apart."""
    if share < niche_below:
        return "niche"
    return "ubiquitous" if share > ubiquitous_above else "representative"
