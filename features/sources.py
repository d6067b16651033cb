"""Open a declared source as an Ibis table on DuckDB, and read its columns as ids, texts, times and numbers.

Parquet and CSV may be a file, a folder or a glob; a DuckDB file is written `file.duckdb::table`.
CSV columns are read as text and converted here, so that a bad value is a counted row, not a crash.
"""

import re
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pandas as pd

from features.declaration import Calendar
from features.errors import DataError
from features.tables import Kind

NULL_WORDS = ("", "nan", "nat", "null", "none", "na", "n/a")
NOTHING = rf"(?i)^[\s\v]*({'|'.join(NULL_WORDS)})[\s\v]*$"
DUCKDB_SUFFIXES = (".duckdb", ".ddb", ".db")
# A text that says its own zone: 10:00Z, 10:00:00.5+02:00, 10:00 UTC, 10:00 Europe/Dublin.
OFFSET = r"[0-9]:[0-9]{2}(\.[0-9]+)?\s*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?|\s[A-Za-z][A-Za-z_/]+)$"
TIME_FORMS = (
    "times are read as 2024-03-31 14:05:00, as 20240331, as seconds since 1970, and as declared under"
    " data.calendar.time_formats (in `init`: --time-format '%d/%m/%Y %H:%M')"
)
EPOCH = r"^[0-9]{9,19}(\.[0-9]+)?$"  # nine digits of seconds are 1973; eight are a date such as 20240331
COMPACT = "%Y%m%d"
COMPACT_DATES = (19_000_101, 21_001_231)  # whole numbers in here are dates: as seconds they would be of 1970
# Beyond these, and for DuckDB's infinity, a time is drawn in: pandas has no word for infinity, and "9999-12-31" is
# how many systems write "has not ended".
EARLIEST, LATEST = "0001-01-01", "9999-12-31"


def connect() -> Any:
    """A private in-memory DuckDB behind Ibis; all times in UTC."""
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    backend.raw_sql("SET enable_progress_bar = false")
    return backend


def open_table(backend: Any, source: str, folder: Path, table: str) -> Any:
    """The raw table of a source. Raises DataError naming the source when it cannot be read."""
    if "://" in source:
        address = re.sub(r"//[^@/]*@", "//***@", source)
        raise DataError(
            f"{table}: {address} is an address of a kind that is not supported; use Parquet, CSV or DuckDB"
        )
    path_text, _, inner = source.partition("::")
    path = (folder / path_text).resolve()
    try:
        return _open_duckdb(backend, path, inner, table) if inner else _open_files(backend, path, table)
    except duckdb.Error as error:
        raise DataError(f"{table}: cannot read {path}: {first_line(error)}") from error


def _open_duckdb(backend: Any, path: Path, inner: str, table: str) -> Any:
    if not path.is_file():
        raise DataError(f"{table}: there is no DuckDB file {path}")
    catalog = _attached(backend, path, table)
    found = backend.con.execute(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = ?", [catalog]
    ).fetchall()
    places = {name if schema == "main" else f"{schema}.{name}": (schema, name) for schema, name in found}
    if inner.removeprefix("main.") not in places:
        raise DataError(
            f"{table}: {path} has no table {inner!r}; it has {', '.join(sorted(places)) or 'none'}"
        )
    schema, name = places[inner.removeprefix("main.")]
    return backend.table(name, database=(catalog, schema))


def _attached(backend: Any, path: Path, table: str) -> str:
    """The catalog a DuckDB file is attached as: DuckDB attaches a file once, however many tables are asked of it."""
    known = backend.con.execute("SELECT database_name, path FROM duckdb_databases()").fetchall()
    for name, place in known:
        if place is not None and Path(place).resolve() == path:
            return str(name)
    backend.attach(str(path), name=f"source_{table}", read_only=True)
    return f"source_{table}"


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
    # DuckDB reads names as globs: a bracket in one stands for itself.
    names = [re.sub(r"([\[*?])", r"[\1]", str(file)) for file in files]
    if suffixes <= {".parquet", ".pq"}:
        return backend.read_parquet(names, union_by_name=True)
    if suffixes <= {".csv", ".tsv", ".txt"}:
        if not any(file.stat().st_size for file in files):
            raise DataError(f"{table}: {path} is empty: it has not even a header")
        return backend.read_csv(names, all_varchar=True, union_by_name=True, header=True)
    if suffixes <= set(DUCKDB_SUFFIXES):
        raise DataError(f"{table}: {path} is a DuckDB file; say which table, as in {path.name}::{table}")
    raise DataError(f"{table}: {path} is of no known kind; use .parquet, .csv or file.duckdb::table")


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


def read_column(raw: Any, physical: str, kind: Kind, calendar: Calendar) -> Any:
    """One column as the contract has it: ids and texts as they are, times naive UTC, numbers float64.

    Words for nothing become null. What cannot be read is null too; the intake says which rows that concerns and why.
    """
    column = raw[physical]
    if kind in ("id", "text"):
        text = _whole(column) if kind == "id" and column.type().is_floating() else column.cast("string")
        return ibis.ifelse(_says_nothing(text, kind), ibis.null("string"), text)
    if kind == "number":
        return (
            _without_null_words(column).try_cast("float64")
            if column.type().is_string()
            else column.cast("float64")
        )
    return _as_time(column, calendar)


def _says_nothing(text: Any, kind: Kind) -> Any:
    """Whether an id is a word for nothing, or a text is blank.

    Its first character clears nearly every row at once: words for nothing are empty or begin with a space (which
    all sort before '!') or an n. And no `isin` here: DuckDB takes a list out of its condition and looks every
    stripped and lowered row up in it, which costs more than all the counting that follows.
    """
    if kind == "text":
        return (text < "!") & (text.strip() == "")
    perhaps = (text < "!") | text.between("N", "O") | text.between("n", "o")
    return perhaps & text.re_search(NOTHING)


def _whole(column: Any) -> Any:
    """Ids that became floats, as one missing value makes them, as the whole numbers they were."""
    whole = column.try_cast("int64")
    return ibis.ifelse(whole.cast("float64") == column, whole.cast("string"), column.cast("string"))


def _without_null_words(column: Any) -> Any:
    return ibis.ifelse(column.strip().lower().isin(NULL_WORDS), ibis.null("string"), column.strip())


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp(timezone="UTC")))
def _in_zone(zone, local):  # type: ignore[no-untyped-def]
    """The instant at which a clock in `zone` showed the local time."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _parsed(text, pattern):  # type: ignore[no-untyped-def]
    """The time that a text names in a pattern, null where it does not."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.timestamp))
def _since_1970(microseconds):  # type: ignore[no-untyped-def]
    """The time so long after 1970 began in UTC."""


# An expression is written out wherever it is used, so each step below names its input as few times as it can.


def _as_time(column: Any, calendar: Calendar) -> Any:
    return _within_reach(_time(column, calendar))


def _time(column: Any, calendar: Calendar) -> Any:
    kind, zone = column.type(), calendar.timezone
    if kind.is_integer() or kind.is_floating() or kind.is_decimal():
        number = column.cast("float64")
        date = _parsed(number.try_cast("int64").cast("string"), COMPACT)
        return ibis.ifelse(number.between(*COMPACT_DATES), _in_utc(date, zone), _from_epoch(number))
    # Ibis 12 does not know DuckDB's time of nanoseconds with a zone, which pandas writes.
    if kind.is_unknown() or (kind.is_timestamp() and kind.timezone is not None):
        return column.cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    if kind.is_string():
        return _from_text(column.strip(), calendar)
    if kind.is_timestamp() or kind.is_date():
        return _in_utc(column.cast("timestamp"), zone)
    return ibis.null("timestamp")


def _from_text(text: Any, calendar: Calendar) -> Any:
    zone = calendar.timezone
    # A plain timestamp ignores an offset in the text; only one with a time zone applies it.
    aware = (
        text.re_replace(r"\s+([+-][0-9:]+)$", r"\1").try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    )
    return ibis.coalesce(
        *(_in_utc(_parsed(text, pattern), zone) for pattern in calendar.time_formats),
        ibis.ifelse(text.re_search(OFFSET), aware, _in_utc(text.try_cast("timestamp"), zone)),
        _in_utc(_parsed(text, COMPACT), zone),
        _from_epoch(text.re_extract(EPOCH, 0).try_cast("float64")),
    )


def _in_utc(local: Any, zone: str) -> Any:
    return local if zone == "UTC" else _in_zone(zone, local).cast("timestamp")


def _from_epoch(value: Any) -> Any:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size (until 2286)."""
    size = value.abs()
    microseconds = ibis.cases((size < 1e10, 1e6), (size < 1e13, 1e3), (size < 1e16, 1.0), else_=1e-3)
    return _since_1970((value * microseconds).try_cast("int64"))


def _within_reach(time: Any) -> Any:
    earliest, latest = ibis.timestamp(EARLIEST), ibis.timestamp(LATEST)
    return ibis.cases((time < earliest, earliest), (time > latest, latest), else_=time)


def first_line(error: Exception) -> str:
    """What went wrong, without the excerpt of a query that DuckDB adds."""
    unknown = re.search(r'sniffing file "([^"]+)"', str(error))
    if unknown:
        return f"{unknown[1]} is no CSV that can be recognised: check its line ends, quotes and delimiter"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def to_frame(table: Any) -> pd.DataFrame:
    """Execute an Ibis expression into pandas, with times in microseconds. Raises DataError where DuckDB cannot."""
    try:
        frame: pd.DataFrame = table.to_pyarrow().to_pandas()
    except duckdb.Error as error:
        raise DataError(f"the tables cannot be read: {first_line(error)}") from error
    return frame
