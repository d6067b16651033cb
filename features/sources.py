"""Open a declared source as an Ibis table on DuckDB, and read its columns as ids, texts, times and numbers.

Parquet and CSV may be a file, a folder or a glob; a DuckDB file is written `file.duckdb::table`.
CSV columns are read as text and converted here, so that a bad value is a counted row, not a crash.
"""

from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pandas as pd

from features.errors import DataError
from features.tables import Kind

NULL_WORDS = ("", "nan", "nat", "null", "none", "na", "n/a")
DUCKDB_SUFFIXES = (".duckdb", ".ddb", ".db")
OFFSET = r"[0-9]:[0-9]{2}(\.[0-9]+)?\s*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)\s*$"


def connect() -> Any:
    """A private in-memory DuckDB behind Ibis; all times in UTC."""
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    backend.raw_sql("SET enable_progress_bar = false")
    return backend


def open_table(backend: Any, source: str, folder: Path, table: str) -> Any:
    """The raw table of a source. Raises DataError naming the source when it cannot be read."""
    if "://" in source:
        raise DataError(
            f"{table}: {source} is an address of a kind that is not supported; use Parquet, CSV or DuckDB"
        )
    path_text, _, inner = source.partition("::")
    path = (folder / path_text).resolve()
    try:
        if inner:
            return _open_duckdb(backend, path, inner, table)
        return _open_files(backend, path, table)
    except duckdb.Error as error:
        raise DataError(f"{table}: cannot read {path}: {_first_line(error)}") from error


def _open_duckdb(backend: Any, path: Path, inner: str, table: str) -> Any:
    if not path.is_file():
        raise DataError(f"{table}: there is no DuckDB file {path}")
    alias = f"source_{table}"
    backend.attach(str(path), name=alias, read_only=True)
    names = backend.list_tables(database=(alias, "main"))
    if inner not in names:
        raise DataError(
            f"{table}: {path} has no table {inner!r}; it has {', '.join(sorted(names)) or 'none'}"
        )
    return backend.table(inner, database=(alias, "main"))


def _open_files(backend: Any, path: Path, table: str) -> Any:
    files = source_files(path)
    if not files:
        raise DataError(
            f"{table}: there is no file {path}; give a Parquet or CSV file, a folder of them, or a glob"
        )
    suffixes = {suffix_of(file) for file in files}
    if len(suffixes) > 1:
        raise DataError(
            f"{table}: {path} mixes {', '.join(sorted(suffixes))} files; name one kind, such as '*.parquet'"
        )
    names = [str(file) for file in files]
    if suffixes <= {".parquet", ".pq"}:
        opened = backend.read_parquet(names, union_by_name=True)
    elif suffixes <= {".csv", ".tsv", ".txt"}:
        opened = backend.read_csv(names, all_varchar=True, union_by_name=True, header=True)
    elif suffixes <= set(DUCKDB_SUFFIXES):
        raise DataError(f"{table}: {path} is a DuckDB file; say which table, as in {path.name}::{table}")
    else:
        raise DataError(f"{table}: {path} is of no known kind; use .parquet, .csv or file.duckdb::table")
    return opened


def source_files(path: Path) -> list[Path]:
    """The files behind a file, a folder or a glob, sorted; hidden ones left out."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file()]
    else:
        anchor = path
        while "*" in str(anchor) or "?" in str(anchor):
            anchor = anchor.parent
        pattern = str(path.relative_to(anchor)) if anchor != path else ""
        found = [p for p in anchor.glob(pattern) if p.is_file()] if pattern and anchor.is_dir() else []
    kinds = (".parquet", ".pq", ".csv", ".tsv")
    return sorted(p for p in found if not p.name.startswith((".", "_")) and suffix_of(p) in kinds)


def suffix_of(path: Path) -> str:
    """The suffix that tells the kind, compression left aside: `x.csv.gz` is a CSV."""
    suffixes = [s.lower() for s in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in (".gz", ".zst") else (suffixes or [""])[-1]


def read_column(raw: Any, physical: str, kind: Kind, zone: str) -> Any:
    """One column as the contract has it: ids and texts trimmed of nothing, times naive UTC, numbers float64.

    What cannot be read is null; the intake says which rows that concerns and why.
    """
    column = raw[physical]
    if kind in ("id", "text"):
        text = column.cast("string")
        return ibis.ifelse(
            text.strip().lower().isin(NULL_WORDS) if kind == "id" else text.strip() == "",
            ibis.null("string"),
            text,
        )
    if kind == "number":
        return (
            _without_null_words(column).try_cast("float64")
            if column.type().is_string()
            else column.cast("float64")
        )
    if kind == "flag":
        return column.cast("string").lower().isin(("true", "t", "1", "yes"))
    return _as_time(column, zone)


def _without_null_words(column: Any) -> Any:
    return ibis.ifelse(column.strip().lower().isin(NULL_WORDS), ibis.null("string"), column.strip())


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp(timezone="UTC")))
def _in_zone(zone, local):  # type: ignore[no-untyped-def]
    """The instant at which a clock in `zone` showed the local time."""


def _as_time(column: Any, zone: str) -> Any:
    kind = column.type()
    if kind.is_integer() or kind.is_floating():
        return _from_epoch(column)
    if kind.is_timestamp() and kind.timezone is not None:
        return column.cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    if kind.is_string():
        text = _without_null_words(column)
        read = text.try_cast("timestamp")  # an offset in the text is applied: such a time is UTC already
        return ibis.ifelse(text.re_search(OFFSET), read, _in_utc(read, zone))
    if kind.is_timestamp() or kind.is_date():
        return _in_utc(column.cast("timestamp"), zone)
    return ibis.null("timestamp")


def _in_utc(local: Any, zone: str) -> Any:
    return local if zone == "UTC" else _in_zone(zone, local).cast("timestamp")


def _from_epoch(column: Any) -> Any:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size (until 2286)."""
    value = column.cast("float64")
    size = value.abs()
    millis = ibis.cases(
        (size < 1e10, value * 1e3), (size < 1e13, value), (size < 1e16, value / 1e3), else_=value / 1e6
    )
    return millis.round().cast("int64").as_timestamp("ms")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def to_frame(table: Any) -> pd.DataFrame:
    """Execute an Ibis expression into pandas, with times in microseconds."""
    frame: pd.DataFrame = table.to_pyarrow().to_pandas()
    return frame
