"""DuckDB, the embedded engine: reads Parquet, CSV and its own files, and works out of core."""

import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pandas as pd
import pyarrow as pa

from features.declaration import Calendar
from features.engines.engine import Engine
from features.errors import DataError, StoreError

# A text that says its own zone: 10:00Z, 10:00:00.5+02:00, 10:00 UTC, 10:00 Europe/Dublin.
OFFSET = r"[0-9]:[0-9]{2}(\.[0-9]+)?\s*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?|\s[A-Za-z][A-Za-z_/]+)$"
T = TypeVar("T")
ROWS_AT_ONCE = 122_880  # as many as DuckDB itself takes at a time
BYTES_PER_THREAD = 300_000_000
FULL = re.compile(r"no space left|could not write|cannot write", re.IGNORECASE)
GONE = re.compile(r"no such file|cannot open file|no files found", re.IGNORECASE)


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _parsed(text, pattern):  # type: ignore[no-untyped-def]
    """The time that a text names in a pattern, null where it does not."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.timestamp))
def _since_1970(microseconds):  # type: ignore[no-untyped-def]
    """The time so long after 1970 began in UTC."""


def connect() -> Any:
    """A private in-memory DuckDB behind Ibis; all times in UTC."""
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    backend.raw_sql("SET enable_progress_bar = false")
    _stay_small(backend)
    return backend


def _stay_small(backend: Any) -> None:
    """Let a group-by that has no room go to disk: with more memory it is hardly faster, with less it may not end."""
    threads, memory = backend.raw_sql(
        "SELECT current_setting('threads'), parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchone()
    # Made when it is needed, and removed at the end.
    room = Path(tempfile.gettempdir()) / f"milestones-{uuid.uuid4().hex}"
    backend.raw_sql(f"SET memory_limit = '{min(memory, max(threads, 2) * BYTES_PER_THREAD)}B'")
    backend.raw_sql(f"SET temp_directory = '{room}'")


class DuckDB(Engine):
    """The default. Its words give null for what cannot be read."""

    def lay_down(self, backend: Any, name: str, frame: pd.DataFrame) -> Any:
        """As `Engine` says."""
        return backend.create_table(ibis.util.gen_name(name), frame, temp=True)

    def fetch(self, table: Any) -> pa.Table:
        """As `Engine` says."""
        with told():
            return _stoppable(table.get_backend(), table.to_pyarrow)

    def stream(self, table: Any) -> pa.RecordBatchReader:
        """As `Engine` says."""
        backend, schema = table.get_backend(), table.schema().to_pyarrow()

        def batches() -> Iterator[pa.RecordBatch]:
            with told():
                asked = backend.con.sql(backend.compile(table))
                for batch in _stoppable(backend, lambda: asked.to_arrow_reader(ROWS_AT_ONCE)):
                    yield batch.cast(schema)

        return pa.RecordBatchReader.from_batches(schema, batches())

    def write(self, table: Any, path: Path) -> None:
        """As `Engine` says, without a copy in memory."""
        with told():
            _stoppable(table.get_backend(), lambda: table.to_parquet(path, use_tmp_file=False))

    def since_1970(self, microseconds: Any) -> Any:
        """As `Engine` says."""
        return _since_1970(microseconds)

    def number(self, text: Any) -> Any:
        """As `Engine` says."""
        # DuckDB would read 1_000 as a thousand.
        return ibis.ifelse(text.contains("_"), ibis.null("string"), text).try_cast("float64")

    def time(self, text: Any, calendar: Calendar) -> Any:
        """As `Engine` says."""
        zone = calendar.timezone
        # A plain timestamp ignores an offset in the text; only one with a time zone applies it.
        aware = (
            text.re_replace(r"\s+([+-][0-9:]+)$", r"\1")
            .try_cast(dt.Timestamp(timezone="UTC"))
            .cast("timestamp")
        )
        return ibis.coalesce(
            *(self.in_utc(_parsed(text, pattern), zone) for pattern in calendar.time_formats),
            ibis.ifelse(text.re_search(OFFSET), aware, self.in_utc(text.try_cast("timestamp"), zone)),
        )


def _stoppable(backend: Any, query: Callable[[], T]) -> T:
    """What a query answers. Ctrl-C ends it: who waits inside DuckDB is not told of signals while others work."""
    answer: Future[T] = Future()
    background = Thread(target=_answer, args=(answer, query))
    try:
        background.start()
        return answer.result()
    except KeyboardInterrupt:
        if not answer.cancel():  # it has begun, if only just: what DuckDB does not run yet it cannot stop
            while not answer.done():
                backend.con.interrupt()
                time.sleep(0.02)
        raise


def _answer(answer: "Future[T]", query: Callable[[], T]) -> None:
    if answer.set_running_or_notify_cancel():
        try:
            answer.set_result(query())
        except BaseException as error:
            answer.set_exception(error)


@contextmanager
def told() -> Iterator[None]:
    """What stopped DuckDB, in its own words, as errors for people; what it met while it streams comes as OSError."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise StoreError(
            f"the log needs more memory, or more room for temporary files, than there is ({_first(error)}): free some,"
            " or let TMPDIR name a folder on a larger disk"
        ) from error
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        words = first_line(error)
        if GONE.search(words):
            raise StoreError(
                f"a source was taken away while it was read ({words}): put it back and run again"
            ) from error
        if FULL.search(words):
            raise StoreError(f"{words}: free some space") from error
        raise DataError(f"the tables cannot be read: {words}") from error


def first_line(error: Exception) -> str:
    """What went wrong, without the excerpt of a query that DuckDB adds."""
    unknown = re.search(r'sniffing file "([^"]+)"', str(error))
    if unknown:
        return f"{unknown[1]} is no CSV that can be recognised: check its line ends, quotes and delimiter, and that it is written in UTF-8"
    if re.search("invalid unicode|not utf-8|encoding", str(error), re.IGNORECASE):
        return f"{_first(error)} It is not written in UTF-8: convert it"
    return _first(error)


def _first(error: Exception) -> str:
    """The first line, and the file that a later one names."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    named = re.search(r"^\s*file = (.+)$", str(error), re.MULTILINE)
    return f"{line} of {named[1]}." if named else line
