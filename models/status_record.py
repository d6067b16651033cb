"""output/status.parquet: where every account stands at every close, by the version that says so; and its counts."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import UsageError
from features.log import Log
from features.progress import ProgressCallback
from features.workspace import set_aside
from models.framework import Framework
from models.status import CHANGES, ENTERED, LOST, REGAINED, WORDS, StatusBlock, closes, statuses

TEXT = pa.dictionary(
    pa.int32(), pa.string()
)  # few texts in many rows; whoever reads the file gets plain text
SCHEMA = pa.schema(
    {
        "account_id": pa.string(), "quarter": TEXT, "as_of": pa.timestamp("us"), "milestone": TEXT, "status": TEXT,
        "change": TEXT, "score": pa.float64(), "alive": pa.bool_(), "framework_version": pa.int32(),
        "framework_hash": TEXT, "milestone_hash": TEXT,
    }
)  # fmt: skip

COLUMNS = ("quarter", "milestone", "accounts", *WORDS, "entries", "exits", "net")


class Counts:
    """How many accounts have each status and change, by milestone and close, added up block by block.

    Statuses count accounts that are customers at the close; changes count those that have left, too.
    """

    def __init__(self, names: Iterable[str], n_closes: int) -> None:
        self._n_closes = n_closes
        self._status = {name: np.zeros((n_closes, len(WORDS)), np.int64) for name in names}
        self._change = {name: np.zeros((n_closes, len(CHANGES)), np.int64) for name in names}

    def add(self, block: StatusBlock) -> None:
        """Count a block, too."""
        for name, status in block.status.items():
            self._status[name] += self._tally(block.close[block.alive], status[block.alive], len(WORDS))
            moved = block.change[name] >= 0
            self._change[name] += self._tally(block.close[moved], block.change[name][moved], len(CHANGES))

    def _tally(self, close: NDArray[np.int64], code: NDArray[np.int8], n_codes: int) -> NDArray[np.int64]:
        found = np.bincount(close * n_codes + code, minlength=self._n_closes * n_codes)
        return found.reshape(self._n_closes, n_codes).astype(np.int64)

    def rows(self, framework: Framework, quarters: list[str]) -> list[dict[str, Any]]:
        """One row per quarter and milestone; entries, exits and net change of states alone, None of the others."""
        found = []
        for i, quarter in enumerate(quarters):
            for name, milestone in framework.milestones.items():
                status, change = self._status[name][i].tolist(), self._change[name][i].tolist()
                state = milestone.kind == "state"
                entries, exits = change[ENTERED] + change[REGAINED], change[LOST]
                found.append(
                    {"milestone": name, "quarter": quarter, "accounts": sum(status)}
                    | dict(zip(WORDS, status, strict=True))
                    | dict(zip(CHANGES, change if state else [None] * len(CHANGES), strict=True))
                    | {"entries": entries if state else None, "exits": exits if state else None}
                    | {"net": entries - exits if state else None}
                )
        return found


def closed(framework: Framework, log: Log) -> list[str]:
    """The quarters that are over."""
    dates = pd.Series(closes(framework, log), dtype="M8[us]")
    return [str(quarter) for quarter in framework.data.calendar.quarters.closed_by(dates)]


def count_status(
    framework: Framework, log: Log, progress: ProgressCallback | None = None
) -> list[dict[str, Any]]:
    """The counts of `write_status` alone."""
    quarters = closed(framework, log)
    counts = Counts(framework.milestones, len(quarters))
    for block in statuses(framework, log, progress):
        counts.add(block)
    return counts.rows(framework, quarters)


def write_status(
    framework: Framework,
    log: Log,
    path: Path,
    quarter: str | None = None,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Write the status of every account at every close, block by block; returns the counts, of one quarter if asked.

    Columns as SCHEMA has them: `score` is missing where there is none to be had, `change` of what is reached once.
    Raises UsageError for a quarter that has not closed.
    """
    dates, quarters = closes(framework, log), closed(framework, log)
    if quarter is not None and quarter not in quarters:
        span = f"{quarters[0]} to {quarters[-1]}" if quarters else "none"
        raise UsageError(f"{quarter} is no closed quarter of this log; it has {span}")
    counts = Counts(framework.milestones, len(dates))
    ids = pa.array(log.accounts["account_id"].astype("string"), pa.string())
    with (
        set_aside(path) as aside,
        pq.ParquetWriter(aside, SCHEMA, compression="zstd", store_schema=False) as writer,
    ):
        for block in statuses(framework, log, progress):
            counts.add(block)
            for table in _tables(framework, block, ids, quarters, dates):
                writer.write_table(table)
    return {
        "framework": {"name": framework.name, "version": framework.version, "hash": framework.hash},
        "quarters": quarters,
        "counts": [row for row in counts.rows(framework, quarters) if quarter in (None, row["quarter"])],
    }


def shown(counts: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """The counts as a table for people: nothing where a count does not apply."""
    return [
        {key: f"{row[key]:,}" if isinstance(row[key], int) else row[key] or "" for key in COLUMNS}
        for row in counts
    ]


def _tables(
    framework: Framework,
    block: StatusBlock,
    ids: pa.Array,
    quarters: list[str],
    dates: tuple[pd.Timestamp, ...],
) -> Iterator[pa.Table]:
    n = len(block.account)
    account_id = ids.take(pa.array(block.account))
    as_of = pa.array(np.array(dates, dtype="datetime64[us]")[block.close])
    for name, milestone in framework.milestones.items():
        columns = {
            "account_id": account_id,
            "quarter": _text(block.close, quarters),
            "as_of": as_of,
            "milestone": _text(np.zeros(n, np.int32), [name]),
            "status": _text(block.status[name], WORDS),
            "change": _text(block.change[name], CHANGES),
            "score": pa.array(block.score[name], from_pandas=True),
            "alive": pa.array(block.alive),
            "framework_version": pa.array(np.full(n, framework.version, np.int32)),
            "framework_hash": _text(np.zeros(n, np.int32), [framework.hash]),
            "milestone_hash": _text(np.zeros(n, np.int32), [milestone.hash]),
        }
        yield pa.table(columns, schema=SCHEMA)


def _text(code: NDArray[Any], words: Iterable[str]) -> pa.DictionaryArray:
    """The words at these places; nothing where the place is negative."""
    places = pa.array(code.astype(np.int32), mask=np.asarray(code < 0))
    return pa.DictionaryArray.from_arrays(places, pa.array(list(words), pa.string()))
