"""What every engine must be able to do: lay small tables beside the events, fetch rows, and say a few words of SQL."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.declaration import Calendar
from features.engines import texts

if TYPE_CHECKING:
    from features.blocks import Columns, Recipe


class Engine(ABC):
    """A kind of store that reads and counts events; it has no state, the connection is the Ibis backend's.

    All that is asked of it is Ibis expressions. What engines say differently, or what one can do that another
    cannot, is in these few methods.
    """

    compares_bytes = True  # whether texts sort by their bytes, not by the rules of a language

    @abstractmethod
    def lay_down(self, backend: Any, name: str, frame: pd.DataFrame) -> Any:
        """A small table of ours beside the events, for this connection only, under a name of its own.

        Expressions are not run until they are asked for: what they were built on must not be replaced meanwhile.

        Raises StoreError where the store refuses.
        """

    @abstractmethod
    def fetch(self, table: Any) -> pa.Table:
        """The rows of an expression. Raises DataError where a value stops it, StoreError where the store is away."""

    def stream(self, table: Any) -> pa.RecordBatchReader:
        """The same part by part; the store answers nothing else meanwhile. Here all of it is fetched first."""
        return self.fetch(table).to_reader()

    def composed(self, cells: Any, users: Any, recipe: "Recipe") -> "Iterator[Columns]":
        """What a recipe makes of cells and users (expressions, or None), block by block; here, as they are fetched."""
        # One store streams one answer at a time: users are fewer than cells.
        of_users = [] if users is None else [self.fetch(users.order_by("account")).to_reader()]
        of_cells = [] if cells is None else [self.stream(cells.order_by("account"))]
        return recipe.blocks(of_cells, of_users)

    def write(self, table: Any, path: Path) -> None:
        """The rows of an expression as a Parquet file."""
        pq.write_table(self.fetch(table), path)

    @abstractmethod
    def since_1970(self, microseconds: Any) -> Any:
        """The naive UTC time so many microseconds (int64) after 1970 began."""

    def in_utc(self, local: Any, zone: str) -> Any:
        """The naive UTC time at which a clock in `zone` showed a local time; of an hour shown twice, the later."""
        return local if zone == "UTC" else _in_zone(zone, local).cast("timestamp")

    def number(self, text: Any) -> Any:
        """A text as float64, null where it is no number."""
        return texts.number(text)

    def time(self, text: Any, calendar: Calendar) -> Any:
        """An ISO text, or one in a declared way of writing, as naive UTC time; null where it is neither."""
        return texts.time(text, calendar, self.in_utc)


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp(timezone="UTC")))
def _in_zone(zone, local):  # type: ignore[no-untyped-def]
    """The instant at which a clock in `zone` showed the local time, as DuckDB and Postgres call it."""


@ibis.udf.agg.builtin(name="bit_or", signature=((dt.int64,), dt.int64))
def bit_or(bits):  # type: ignore[no-untyped-def]
    """All bits that are set in any row: Ibis has this word for some engines only."""
