"""The grid of a sweep: one row for each cut of each candidate, as it is, with nothing chosen yet."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.proportions import wilson
from models.cutpoints import Association, CutFamily

_LEVEL = 0.95


def grid_of(family: CutFamily, seen: Association) -> dict[str, NDArray[Any]]:
    """Columns (K,) by name: who reached each cut, the outcome on both sides, and what tells them apart; in shares of 1."""
    n_not = seen.n - seen.n_reached
    rate_reached = seen.good_reached / np.maximum(seen.n_reached, 1)
    rate_not = (seen.n_good - seen.good_reached) / np.maximum(n_not, 1)
    value = rate_reached - rate_not
    (low1, up1), (low0, up0) = (
        wilson(rate, np.maximum(n, 1), np.inf, _LEVEL)
        for rate, n in ((rate_reached, seen.n_reached), (rate_not, n_not))
    )
    return {
        "candidate": np.array([one.name for one in family.candidates], dtype=object)[family.owner],
        "cut": family.cut,
        "n_reached": seen.n_reached.astype(np.int64),
        "share_reached": seen.n_reached / max(seen.n, 1),
        "rate_reached": rate_reached,
        "rate_not": rate_not,
        "risk_difference": value,
        # Newcombe 1998, of one cut alone: the best of many is lifted by having been searched for.
        "lower": value - np.hypot(rate_reached - low1, up0 - rate_not),
        "upper": value + np.hypot(up1 - rate_reached, rate_not - low0),
        "phi": seen.phi,
        "youden": seen.youden,
        "p_single": seen.p_single,
    }
