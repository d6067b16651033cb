"""Strata: observations of about equal size or habit together, so that they are compared with their like."""

from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Floats, Integers

UNKNOWN = -1
FEWEST_IN_A_STRATUM = 20  # rows


def by_quarter(rows: pd.DataFrame) -> tuple[tuple[str, ...], Integers]:
    """The cohort quarters of rows (quarter), ascending; and (n,) which of them each row is of, a place among them."""
    names, code = np.unique(rows["quarter"].to_numpy(dtype=str), return_inverse=True)
    return tuple(map(str, names)), code.astype(np.int64)


def quarter_codes(rows: pd.DataFrame) -> Integers:
    """(n,): the cohort quarter of each row, as a stratum."""
    return by_quarter(rows)[1]


def is_amount(column: "pd.Series[Any]") -> bool:
    """Whether a column holds amounts, which have an order; true and false are two names."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


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
