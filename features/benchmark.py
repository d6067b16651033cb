"""The adoption benchmark: the adoption of every feature over time, by plan and by size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.adoption import YEAR, Described, column_groups, implied, limits
from features.arrays import Flags, Positions
from features.segments import Segmentation, by_plan, by_size, everybody, size_columns
from features.tally import Marks, Tally, marks

DIMENSIONS = ("all", "plan", "size")


@dataclass(frozen=True)
class Benchmark:
    """Tables of one row per feature and segment: dimension, segment, shares; and what they rest on.

    by_quarter has a row per quarter too; newest is the newest year, earliest the first year before it in which
    anybody was eligible (from, to: its quarters). What is used by definition has no interval. size_by is the column
    that told the size, None without one; n_accounts how many were observed in the newest year.
    """

    by_quarter: pd.DataFrame
    newest: pd.DataFrame
    earliest: pd.DataFrame
    quarters: tuple[str, ...]
    size_by: str | None
    n_accounts: int

    @property
    def newest_year(self) -> tuple[str, ...]:
        """The quarters that `newest` rests on."""
        return self.quarters[-YEAR:]


def benchmark(
    frame: pd.DataFrame, features: Sequence[Described], blocks: Iterable[pd.DataFrame] | None = None
) -> Benchmark:
    """Every feature to which adoption applies, in its order.

    frame: account_id, as_of, quarter, what tells the size, and the plan where one is known, a row per observation;
    features: as the manifest has them; blocks: their columns in frames of the same rows, in the same order, by
    default columns of `frame`.
    """
    above = limits(features)
    layout = _Layout.of(frame, list(above))
    found: dict[str, list[pd.DataFrame]] = {"by_quarter": [], "newest": [], "earliest": []}
    for block in blocks if blocks is not None else column_groups(frame, list(above)):
        known, used = marks(block.to_numpy(dtype=np.float64), np.array([above[b] for b in block.columns]))
        for part, table in layout.tables(list(block.columns), known, used).items():
            found[part].append(table)
    tables = {part: pd.concat(pieces, ignore_index=True) for part, pieces in found.items()}
    for table in tables.values():
        table.loc[table["feature"].isin(implied(features)), ["lower", "upper"]] = np.nan
    return Benchmark(**tables, quarters=layout.quarters, size_by=layout.size_by, n_accounts=layout.n_accounts)


@dataclass(frozen=True)
class _Layout:
    """How the observations of a frame lie in quarters and segments: made once, counted in for every feature.

    quarter: (n,) codes; is_newest: (quarters,) which belong to the newest year; parts: for each segmentation its
    tallies by quarter and in the newest year; whole: all observations as one cell; n_accounts: of the newest year.
    """

    names: list[str]
    quarters: tuple[str, ...]
    quarter: Positions
    is_newest: Flags
    parts: list[tuple[Segmentation, Tally, Tally]]
    whole: Tally
    size_by: str | None
    n_accounts: int

    @classmethod
    def of(cls, frame: pd.DataFrame, names: list[str]) -> "_Layout":
        closes, first, quarter = np.unique(frame["as_of"].to_numpy(), return_index=True, return_inverse=True)
        account = pd.factorize(frame["account_id"])[0]
        is_newest = np.arange(len(closes)) >= len(closes) - YEAR
        recent = is_newest[quarter] if len(closes) else np.zeros(0, dtype=bool)
        size_by, segmentations = _segmentations(frame, recent)
        parts = []
        for part in segmentations:
            n, within = len(part.labels), np.where(recent, part.code, -1)
            by_quarter = Tally.of(quarter * n + part.code, len(closes) * n, account)
            parts.append((part, by_quarter, Tally.of(within, n, account)))
        quarters = tuple(frame["quarter"].iloc[first].astype(str))
        whole = Tally.of(np.zeros(len(frame), dtype=np.intp), 1, account)
        n_accounts = len(np.unique(account[recent]))
        return cls(names, quarters, quarter, is_newest, parts, whole, size_by, n_accounts)

    def tables(self, block: list[str], known: Marks, used: Marks) -> dict[str, pd.DataFrame]:
        """The tables of a benchmark for the features of one block; known, used: (n, k)."""
        in_quarters = [tally.shares(known, used) for _, tally, _ in self.parts]
        seen = in_quarters[0]["n_observations"] > 0  # everybody comes first
        by_quarter = [
            self._table(block, part, shares, self.quarters)
            for (part, _, _), shares in zip(self.parts, in_quarters, strict=True)
        ]
        newest = [self._table(block, part, tally.shares(known, used)) for part, _, tally in self.parts]
        return {
            "by_quarter": pd.concat(by_quarter),
            "newest": pd.concat(newest),
            "earliest": self._earliest(block, known, used, seen),
        }

    def _earliest(
        self,
        block: list[str],
        known: Marks,
        used: Marks,
        seen: Flags,
    ) -> pd.DataFrame:
        """The first four quarters before the newest year in which anybody was eligible; seen: (quarters, k)."""
        before = seen & ~self.is_newest[:, None]
        first = before & (np.cumsum(before, axis=0) <= YEAR)
        inside = first.astype(np.int32)[self.quarter]
        shares = self.whole.shares(known * inside, used * inside)
        names = np.array([*self.quarters, ""], dtype=object)  # the last where there is none
        place = np.arange(len(first))[:, None]
        start = np.where(first, place, len(first)).min(axis=0, initial=len(first))
        stop = np.where(first, place, -1).max(axis=0, initial=-1)
        shares |= {"first_quarter": names[start][None, :], "last_quarter": names[stop][None, :]}
        table = self._table(block, everybody(len(known)), shares)
        return table.drop(columns="n_missing")  # which are of later quarters mostly

    def _table(
        self,
        block: list[str],
        part: Segmentation,
        shares: Mapping[str, NDArray[Any]],
        quarters: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """A row per feature, quarter where they are told apart, and segment that anybody is in."""
        n_quarters, n = 1 if quarters is None else len(quarters), len(part.labels)
        place = np.tile(np.arange(n_quarters * n), len(block))
        columns: dict[str, Any] = {
            "feature": _words(self.names, np.repeat([self.names.index(b) for b in block], n_quarters * n)),
            "dimension": _words(DIMENSIONS, np.full(len(place), DIMENSIONS.index(part.dimension))),
            "segment": np.array(part.labels, dtype=object)[place % n],
        }
        if quarters is not None:
            columns["quarter"] = np.array(quarters, dtype=object)[place // n]
        table = pd.DataFrame(columns | {name: value.T.ravel() for name, value in shares.items()})
        return table[table["n_observations"] + table["n_missing"] > 0]


def _segmentations(frame: pd.DataFrame, newest: Flags) -> tuple[str | None, list[Segmentation]]:
    """All observations, by plan where plans are known, by size where it tells accounts apart; what told the size."""
    found = [everybody(len(frame))]
    if "plan" in frame and frame["plan"].notna().any():
        found.append(by_plan(frame["plan"]))
    for column in size_columns(list(frame.columns)):
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
        if part := by_size(values, newest, column.partition("_")[0]):
            return column, [*found, part]
    return None, found


def _words(words: Sequence[str], code: Positions) -> Any:
    return pd.Categorical.from_codes(code, pd.Index(words))
