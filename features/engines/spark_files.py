"""Files as Spark reads them: Parquet and CSV, columns matched by name, instants told from local times."""

import gzip
import re
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import pyarrow as pa
import pyarrow.parquet as pq

from features.engines.spark_session import told
from features.errors import DataError, StoreError

CSV = {"header": "true", "quote": '"', "escape": '"', "multiLine": "true", "inferSchema": "false"}


def open_files(backend: Any, files: list[Path], *, csv: bool, table: str) -> Any:
    """Parquet or CSV files as one table, columns matched by name. Raises DataError where one cannot be read."""
    session, name = backend._session, ibis.util.gen_name(f"source_{table}")
    with told(table):
        frame = _csv(session, files) if csv else _parquet(session, files)
        frame.createOrReplaceTempView(name)
        zoned = {field.name for field in frame.schema if field.dataType.typeName() == "timestamp"}
        return _with_zones(backend, name, zoned)


def _parquet(session: Any, files: list[Path]) -> Any:
    """Files with the same times in nanoseconds are read together: Spark takes those for whole numbers."""
    by_nanoseconds: dict[tuple[tuple[str, str], ...], list[Path]] = {}
    for file in files:
        by_nanoseconds.setdefault(_nanoseconds(file), []).append(file)
    return _united([_in_microseconds(session, same, times) for times, same in by_nanoseconds.items()])


def _nanoseconds(file: Path) -> tuple[tuple[str, str], ...]:
    """The columns of a file that hold times in nanoseconds, and what Spark calls their kind."""
    try:
        schema = pq.read_schema(file)
    except FileNotFoundError as error:
        raise StoreError(
            f"a source was taken away while it was read ({file}): put it back and run again"
        ) from error
    except (pa.ArrowException, OSError) as error:  # Arrow has both for a file that is damaged
        raise DataError(f"events: cannot read {file}: {error}") from error
    return tuple(
        (field.name, "timestamp" if field.type.tz else "timestamp_ntz")
        for field in schema
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
    )


def _in_microseconds(session: Any, files: list[Path], times: tuple[tuple[str, str], ...]) -> Any:
    from pyspark.sql.functions import expr

    frame = session.read.option("mergeSchema", "true").parquet(*map(_literally, files))
    for name, kind in times:
        quoted = name.replace("`", "``")
        frame = frame.withColumn(name, expr(f"timestamp_micros(`{quoted}` div 1000)").cast(kind))
    return frame


def _csv(session: Any, files: list[Path]) -> Any:
    """Files of one header are read together: Spark matches the columns of CSV by their place."""
    by_header: dict[str, list[Path]] = {}
    for file in files:
        by_header.setdefault(_header(file), []).append(file)
    return _united(
        [
            session.read.options(**CSV, sep=_separator(header)).csv([_literally(f) for f in same])
            for header, same in by_header.items()
        ]
    )


def _united(frames: list[Any]) -> Any:
    """All rows, columns matched by name; a column that a frame does not have is missing there."""
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionByName(frame, allowMissingColumns=True)
    return whole


def _header(file: Path) -> str:
    if file.suffix == ".zst":
        raise DataError(f"events: Spark cannot read {file}: pack it with gzip, or not at all")
    reading = partial(gzip.open, file) if file.suffix == ".gz" else file.open
    try:
        with reading("rt", encoding="utf-8-sig") as handle:
            return str(handle.readline())
    except UnicodeDecodeError as error:
        raise DataError(f"events: {file} is not written in UTF-8: convert it") from error


def _separator(header: str) -> str:
    """What stands between the columns of a header: the commonest of what DuckDB tries."""
    return max(",;\t|", key=header.count)


def _literally(file: Path) -> str:
    """Spark reads names as globs: what is special in one stands for itself."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", str(file))


def _with_zones(backend: Any, name: str, zoned: set[str]) -> Any:
    """The view under its true schema: Ibis takes Spark's instants for times without a zone."""
    schema = {
        column: dt.Timestamp(timezone="UTC") if column in zoned else kind
        for column, kind in backend.table(name).schema().items()
    }
    return ops.DatabaseTable(
        name=name, schema=ibis.schema(schema), source=backend, namespace=ops.Namespace()
    ).to_expr()
