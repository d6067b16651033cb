"""Segments of observations: all of them, by the plan in force, and by size."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Positions

MOST_PLANS = 12  # the others go together: a table by plan is for reading
UNKNOWN, OTHER = "unknown", "other plans"
SIZE_BANDS = 3
BY_USE = "size by events is itself use: read it as light and heavy users"


@dataclass(frozen=True)
class Segmentation:
    """One way to part observations. code: (n,) the place in `labels` of each observation's segment."""

    dimension: str
    labels: tuple[str, ...]
    code: Positions


def everybody(n: int) -> Segmentation:
    """One segment that holds all n observations."""
    return Segmentation("all", ("all",), np.zeros(n, dtype=np.intp))


def by_plan(plan: "pd.Series[Any]") -> Segmentation:
    """A segment for each of the most frequent plans, most frequent first; then the others, and where none is known."""
    text = plan.astype("string")
    kept = sorted(text.value_counts(sort=False).items(), key=lambda item: (-item[1], str(item[0])))
    places = {str(name): i for i, (name, _) in enumerate(kept[:MOST_PLANS])}
    labels = [*places, OTHER, UNKNOWN]
    code = text.map(places).fillna(len(places)).where(text.notna(), len(places) + 1)
    return _without_empty("plan", labels, code.to_numpy(dtype=np.intp))


def by_size(size: Floats, newest: Flags, unit: str) -> Segmentation | None:
    """Thirds by size among the newest observations, equal sizes together; None where the size tells nobody apart.

    size: (n,), NaN where it is not known; newest: (n,) which observations set the limits, that hold for all. A band
    is named by its limits: "up to 3 seats", "over 3 to 9 seats", "over 9 seats".
    """
    known = size[newest & ~np.isnan(size)]
    if not len(known):
        return None
    shares = np.arange(1, SIZE_BANDS) / SIZE_BANDS
    limits = np.unique(np.quantile(known, shares, method="inverted_cdf"))
    limits = limits[limits < known.max()]  # nobody is above the largest
    if not len(limits):
        return None
    code = np.searchsorted(limits, np.nan_to_num(size, nan=-np.inf), side="left")
    code = np.where(np.isnan(size), len(limits) + 1, code)
    return _without_empty("size", [*_bands(limits, unit), UNKNOWN], code)


def size_columns(names: Collection[str]) -> list[str]:
    """What tells size, best first: seats in force, then the events of the longest window of all events."""
    windows = [int(match[1]) for name in names if (match := re.fullmatch(r"events_(\d+)d", name))]
    longest = [f"events_{max(windows)}d"] if windows else []
    return [*(["seats"] if "seats" in names else []), *longest]


def size_words(size_by: str | None) -> str:
    """What has to be said of the column that told the size; nothing of seats."""
    return "" if size_by in (None, "seats") else BY_USE


def _bands(limits: Floats, unit: str) -> list[str]:
    said = [f"{limit:,.10g}" for limit in limits]
    between = [f"over {low} to {high} {unit}" for low, high in pairwise(said)]
    first, last = (f"{end} {unit[:-1] if end == '1' else unit}" for end in (said[0], said[-1]))
    return [f"up to {first}", *between, f"over {last}"]


def _without_empty(dimension: str, labels: list[str], code: NDArray[Any]) -> Segmentation:
    """The segmentation without the segments that hold nobody."""
    used, code = np.unique(code, return_inverse=True)
    return Segmentation(dimension, tuple(labels[i] for i in used), code.astype(np.intp))
