"""Strata: observations of about equal size or habit together, so that they are compared with their like."""

import numpy as np
import pandas as pd

from features.arrays import Floats, Integers

UNKNOWN = -1


def quarter_codes(rows: pd.DataFrame) -> Integers:
    """(n,): the cohort quarter of each row (quarter) as a code, ascending from 0."""
    return np.unique(rows["quarter"].to_numpy(str), return_inverse=True)[1].astype(np.int64)


def in_parts(values: Floats, n_parts: int, fewest: int) -> Integers:
    """(n,): at most so many parts by value, ascending from 0, equal values together; UNKNOWN where the value is NaN.

    Each part but UNKNOWN holds at least `fewest` rows, or all rows are one part. A heavy value is a part of its own,
    so that there are fewer parts where there are few different values.
    """
    known = ~np.isnan(values)
    distinct, counts = np.unique(values[known], return_counts=True)
    enough = max(known.sum() / n_parts, fewest)
    part, held, parts = 0, 0, np.zeros(len(distinct), dtype=np.int64)
    for i, count in enumerate(counts):
        parts[i] = part
        held += count
        if held >= enough:
            part, held = part + 1, 0
    if held and part:
        parts[parts == part] = part - 1  # too few are left over at the end: they join the part before
    found = np.full(len(values), UNKNOWN, dtype=np.int64)
    found[known] = parts[np.searchsorted(distinct, values[known])]
    return found
