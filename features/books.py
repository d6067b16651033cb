"""The books of an intake: tables as they are opened, and what becomes of each of their rows."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from features.columns import read_column, to_frame
from features.declaration import Data
from features.errors import DataError
from features.file_schemas import require_alike
from features.log import CountsByReason
from features.rejection import NOT_YET_RECORDED, UNKNOWN_ACCOUNT, UNREAD, remedy
from features.sources import Stores
from features.tables import RECORDED, TABLES

GIVEN = "given: "  # prefix of a mapped column as its source has it
# An empty table of outcomes says that nobody was lost; an empty one of these says nothing.
MUST_HAVE_ROWS = ("accounts", "subscriptions")
SUPERSEDED = "superseded by a later version"


class Books:
    """Opens the declared tables, and counts every row read: used, set aside, left out by rule, or withheld.

    `known_at` is the instant whose knowledge is asked for (naive UTC), None for all there is; `now` ends the past.
    """

    def __init__(self, data: Data, folder: Path, now: pd.Timestamp, known_at: pd.Timestamp | None) -> None:
        self.stores, self.data, self.folder = Stores(data.engine), data, folder
        self.now, self.known_at = now, known_at
        self.not_yet = f"{NOT_YET_RECORDED} at {known_at}"
        self.read: dict[str, int] = {}
        self.quarantined: CountsByReason = {}
        self.excluded: CountsByReason = {}
        self.withheld: CountsByReason = {}
        self.notes: list[str] = []
        self.rejected: dict[str, Any] = {}
        self.an_account = ""

    def _withhold(self, table: str, reason: str, n: int) -> None:
        """Count rows that are sound and yet say nothing at the instant asked for."""
        if n:
            self.withheld.setdefault(table, {})[reason] = n

    def _open(self, table: str, only: Collection[str] | None = None, *, part: bool = False) -> Any:
        """The raw table, of `only` some of its files where they are named; a `part` of them once the whole was opened.

        Raises DataError where a mapped column is missing, or files do not go together.
        """
        source = self.data.sources.declared()[table]
        raw = self.stores.open(source, self.folder, table, only)
        mapping = self.data.mapping[table]
        if part:  # which may lack what other files have; how they go together was looked at with the whole
            absent = {physical for physical in mapping.values() if physical not in raw.columns}
            return raw.mutate(**{physical: ibis.null("string") for physical in absent}) if absent else raw
        for logical, physical in mapping.items():
            if physical not in raw.columns:
                raise DataError(
                    f"{table}: {source} has no column {physical!r} (mapped to {logical});"
                    f" it has {', '.join(raw.columns)}. Correct data.mapping.{table}.{logical}"
                )
        if files := self.stores.schemas(source, self.folder, table):
            required = [mapping[logical] for logical in TABLES[table].required]
            require_alike(table, files, required, list(mapping.values()))
        return raw

    def _columns(self, table: str, raw: Any) -> dict[str, Any]:
        """The mapped columns as the contract has them."""
        kinds = TABLES[table].columns
        mapping = self.data.mapping[table]
        return {c: read_column(raw, mapping[c], kinds[c], self.data.calendar) for c in kinds if c in mapping}

    def _unread(self, table: str, raw: Any, columns: dict[str, Any]) -> dict[str, Any]:
        """For each time and number, whether there was a value that could not be read."""
        mapping = self.data.mapping[table]
        return {
            UNREAD + c: read.isnull() & read_column(raw, mapping[c], "id", self.data.calendar).notnull()
            for c, read in columns.items()
            if TABLES[table].columns[c] in ("time", "number")
        }

    def _given(self, table: str, raw: Any) -> dict[str, Any]:
        """The mapped columns once more, as the source has them, for the rows that are set aside."""
        return {GIVEN + c: raw[physical] for c, physical in self.data.mapping[table].items()}

    def _keep(self, table: str, frame: pd.DataFrame, reasons: "pd.Series[str]") -> pd.DataFrame:
        """The rows without a reason against them; the others are set aside. Raises DataError where none is left."""
        self.read.setdefault(table, len(frame))
        bad = reasons.notna().to_numpy()
        counts = reasons[bad].value_counts()
        self.quarantined[table] = {str(reason): int(n) for reason, n in sorted(counts.items())}
        self.rejected[table] = self._as_given(table, frame[bad].assign(reason=reasons[bad].to_numpy()))
        nothing = not self.read[table] and table in MUST_HAVE_ROWS
        if bad.all() and (len(bad) or nothing):
            raise DataError(self._nothing_usable(table))
        return frame[~bad].drop(columns=[c for c in frame if str(c).startswith(GIVEN)])

    def _as_given(self, table: str, rows: Any) -> Any:
        """What the quarantine keeps of a row: the values it came with under the contract's names, and the reason."""
        logical = list(self.data.mapping[table])
        if not isinstance(rows, pd.DataFrame):
            return rows.select(**{c: rows[GIVEN + c] for c in logical}, reason=rows.reason)
        rest = [c for c in rows if c not in logical and not str(c).startswith((GIVEN, UNREAD))]
        rest = [c for c in rest if c not in ("account", "reason")]
        named = rows[[GIVEN + c for c in logical]].set_axis(logical, axis=1)
        return pd.concat([named, rows[rest], rows[["reason"]]], axis=1)

    def _nothing_usable(self, table: str) -> str:
        """Why no row of a table can be used, with an example and what to do."""
        source = self.data.sources.declared()[table]
        if not self.read.get(table):
            return f"{table}: {source} has no rows; give a table with data"
        counts = {**self.quarantined.get(table, {}), **self.excluded.get(table, {})}
        reasons = "; ".join(f"{reason}: {n:,}" for reason, n in counts.items())
        worst = max(counts, key=lambda reason: counts[reason])
        there = f", the accounts table has {self.an_account[:60]!r}" if worst == UNKNOWN_ACCOUNT else ""
        return (
            f"{table}: none of the {self.read[table]:,} rows of {source} can be used ({reasons})"
            f"{self._examples(table)}{there}; {remedy(worst)}"
        )

    def _examples(self, table: str) -> str:
        """A value of each column that the rows were refused for most, as a person would look for it."""
        rejected = self.rejected[table]
        first = to_frame(rejected.limit(1)) if not isinstance(rejected, pd.DataFrame) else rejected.head(1)
        if first.empty:
            return ""
        row = first.iloc[0]
        shown = ", ".join(f"{c} {str(row[c])[:60]!r}" for c in self.data.mapping[table])
        return f"; the first of them has {shown}"

    def closed(self) -> dict[str, Any]:
        """The books as the log keeps them."""
        return {
            "read": self.read,
            "quarantined": self.quarantined,
            "excluded": self.excluded,
            "withheld": self.withheld,
            "notes": (*self.notes, *self._unrecorded()),
            "rejected": self.rejected,
        }

    def _unrecorded(self) -> list[str]:
        """Which tables cannot say when they learned of a row, where that matters."""
        tables = [
            table
            for table in self.data.sources.declared()
            if RECORDED in TABLES[table].columns and RECORDED not in self.data.mapping[table]
        ]
        if self.known_at is None or not tables:
            return []
        return [
            f"{', '.join(tables)}: without recorded_at, so a row is taken as recorded when it happened, and an end"
            " when it came"
        ]
