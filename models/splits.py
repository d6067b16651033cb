"""Who learns from whom: folds of accounts crossed with forward time.

A prediction for an account at t comes from a model that saw neither this account nor any label that was not
known by t. Worked example: block 2024Q1-2024Q4 is predicted by models trained on labels known by 2024-01-01,
five of them, each without the fifth of accounts it predicts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.arrays import Flags, Integers, Positions

N_FOLDS = 5
FEWEST_DATES = (
    4  # a model that has not seen a whole year mistakes the season, or the youth of a log, for a cause
)
QUARTERS_PER_REFIT = 4  # at most one refit per year of data
FEWEST_OF_A_CLASS = 100  # before a first model: fewer taught it the quirks of one quarter (worse than chance)


def folds(account_ids: "pd.Series[str]", n_folds: int = N_FOLDS) -> Integers:
    """The fold of each account by a hash of its id: stable whatever rows come or go, (n,) in [0, n_folds)."""
    hashed = pd.util.hash_array(account_ids.to_numpy(dtype=object), categorize=True)
    return (hashed % np.uint64(n_folds)).astype(np.int64)


@dataclass(frozen=True)
class Block:
    """A stretch of as-of dates [first, stop) predicted by models trained on what was known at `first`."""

    first: pd.Timestamp
    rows: Positions
    training: Positions


def forward_blocks(
    as_of: "pd.Series[pd.Timestamp]", known_from: "pd.Series[pd.Timestamp]", outcome: Flags
) -> Iterator[Block]:
    """Blocks of up to a year in time order; as-of dates before both classes are learnable have none.

    as_of, known_from, outcome: (n,) of observations whose outcome is known by now.
    """
    dates = np.sort(as_of.unique())
    place = 0
    while place < len(dates):
        first = dates[place]
        training = np.flatnonzero((known_from <= first).to_numpy())
        positive = int(outcome[training].sum())
        enough = min(positive, len(training) - positive) >= FEWEST_OF_A_CLASS
        if not enough or as_of.iloc[training].nunique() < FEWEST_DATES:
            place += 1
            continue
        stop = place + QUARTERS_PER_REFIT
        rows = np.flatnonzero((as_of >= first).to_numpy() & as_of.isin(dates[place:stop]).to_numpy())
        yield Block(pd.Timestamp(first), rows, training)
        place = stop
