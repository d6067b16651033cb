"""The retention model, predicted forward in time, beside the baselines it has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Integers, Positions
from features.catalogue import RECENCY
from features.progress import ProgressCallback
from models.estimators import Factory, logistic, probability
from models.importance import Importance, permutation_importance
from models.splits import N_FOLDS, Block, folds, forward_blocks

BASELINES = ("logistic", "recency", "base_rate")
PLAIN_FORWARD = "plain_forward"


@dataclass(frozen=True)
class Predictions:
    """Out-of-sample predictions.

    frame: account_id, as_of, quarter, known_from, retained (bool), then P(retained) by each model: the main one under
    its own name, logistic, recency, base_rate, and plain_forward, in which an account may be in training and test.
    importance: of the main model's features, a list per block of predictions in time order.
    """

    main: str
    frame: pd.DataFrame
    importance: tuple["BlockImportance", ...]


@dataclass(frozen=True)
class BlockImportance:
    """Importance on one block of predictions; known from when the last of its outcomes was."""

    known_from: pd.Timestamp
    features: tuple[Importance, ...]


def learnable(frame: pd.DataFrame) -> pd.DataFrame:
    """The observations a model may learn from or be judged on: alive, at risk, label known."""
    return frame[frame["alive"] & frame["at_risk"] & frame["retained"].notna()].reset_index(drop=True)


def predict_forward(
    frame: pd.DataFrame,
    features: Sequence[str],
    main: str,
    factory: Factory,
    seed: int,
    progress: ProgressCallback | None = None,
) -> Predictions:
    """Predict every observation that can be, from models that saw neither its account nor its future.

    frame: learnable observations with account_id, as_of, quarter, known_from, retained, the features, and the days
    since the last event, which are the rival whether or not they are among the features.
    """
    X = frame[list(features)].to_numpy(np.float32)
    y = frame["retained"].to_numpy(bool)
    quarter = frame["quarter"].to_numpy(dtype=str)
    fold = folds(frame["account_id"])
    blocks = list(forward_blocks(frame["as_of"], frame["known_from"], y))
    fitting = _Fitting(X, y, fold, frame[RECENCY].to_numpy(np.float64), factory, seed)
    scores = {name: np.full(len(frame), np.nan) for name in (main, *BASELINES, PLAIN_FORWARD)}
    importance = []
    rng = np.random.default_rng(seed)
    for i, block in enumerate(blocks):
        fitted: list[tuple[Any, Positions]] = []
        for k in range(N_FOLDS):
            if progress:
                progress(
                    f"training on what was known by {block.first.date()}", (i + k / N_FOLDS) / len(blocks)
                )
            fitted += fitting.fold(block, k, main, scores)
        fitting.plain(block, scores[PLAIN_FORWARD])
        # One constant per block: rates of folds differ by who is left out, and would rank accounts by that.
        scores["base_rate"][block.rows] = y[block.training].mean()
        if progress:
            progress(f"shuffling features since {block.first.date()}", (i + 1) / len(blocks))
        found = permutation_importance(fitted, X, y, features, rng, quarter)
        importance.append(BlockImportance(frame["known_from"].iloc[block.rows].max(), found))
    predicted = ~np.isnan(scores[main])
    columns = frame[["account_id", "as_of", "quarter", "known_from", "retained"]]
    result = columns.assign(**scores)[predicted].reset_index(drop=True)
    return Predictions(main, result, tuple(importance))


@dataclass(frozen=True)
class _Fitting:
    """The arrays every fit shares. X: (n, k) float32; y, fold_of, recency (days since the last event): (n,)."""

    X: NDArray[np.float32]
    y: Flags
    fold_of: Integers
    recency: Floats
    factory: Factory
    seed: int

    def fold(self, block: Block, k: int, main: str, scores: dict[str, Floats]) -> list[tuple[Any, Positions]]:
        """Fit without fold k, predict fold k of the block; returns the main model with the rows it predicted."""
        training = block.training[self.fold_of[block.training] != k]
        rows = block.rows[self.fold_of[block.rows] == k]
        if not len(rows) or len(np.unique(self.y[training])) < 2:
            return []
        model = self.factory(self.seed).fit(self.X[training], self.y[training])
        scores[main][rows] = probability(model, self.X[rows])
        if main != "logistic":
            baseline = logistic(self.seed).fit(self.X[training], self.y[training])
            scores["logistic"][rows] = probability(baseline, self.X[rows])
        # Recency ranks as it stands: the longer the silence, the likelier the loss. A fit could only turn it round.
        scores["recency"][rows] = -self.recency[rows]
        return [(model, rows)]

    def plain(self, block: Block, score: Floats) -> None:
        """The plain forward figure: the block predicted by one model of all accounts."""
        model = self.factory(self.seed).fit(self.X[block.training], self.y[block.training])
        score[block.rows] = probability(model, self.X[block.rows])


def fit_final(frame: pd.DataFrame, features: Sequence[str], factory: Factory, seed: int) -> Any:
    """The model to use from now on, fitted on every learnable observation by column name."""
    return factory(seed).fit(
        frame[list(features)].astype("float64"), frame["retained"].to_numpy(bool).astype(int)
    )
