"""Apache Spark, for logs that outgrow one machine: a local cluster, or one at `spark://host:port`.

The executors group the events, and compose the features of each block of accounts with the very function that
runs here without them; only finished columns travel back.
"""

import gzip
import os
import re
import socket
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.engines.engine import Columns, Engine, Recipe
from features.errors import DataError, StoreError

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # else it refuses files with times in nanoseconds
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# On one machine: nothing listens to others, and two hundred partitions would each start a Python.
ONE_MACHINE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}
PATIENCE_SECONDS = 5.0  # for a master to take a connection
CODE = "milestones_features.zip"
CSV = {"header": "true", "quote": '"', "escape": '"', "multiLine": "true", "inferSchema": "false"}


@ibis.udf.scalar.builtin(name="to_utc_timestamp", signature=((dt.timestamp, dt.string), dt.timestamp))
def _to_utc(local, zone):  # type: ignore[no-untyped-def]
    """The UTC time at which a clock in `zone` showed the local time; of an hour shown twice, the earlier."""


@ibis.udf.scalar.builtin(name="from_utc_timestamp", signature=((dt.timestamp, dt.string), dt.timestamp))
def _from_utc(utc, zone):  # type: ignore[no-untyped-def]
    """What a clock in `zone` shows at a UTC time."""


@ibis.udf.scalar.builtin(name="timestamp_micros", signature=((dt.int64,), dt.timestamp))
def _since_1970(microseconds):  # type: ignore[no-untyped-def]
    """The time so long after 1970 began in UTC."""


def connect(master: str) -> Any:
    """A session on a Spark master; a second call gives the same session.

    Raises DataError where the extra is not installed, StoreError when the master is away.
    """
    # PySpark 4 says of pandas 3 that some of pyspark.pandas may not work: nothing of it is used here.
    warnings.filterwarnings(
        "ignore", message="PySpark does not yet fully support pandas", category=FutureWarning
    )
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise DataError(
            f"data.engine {master}: Spark needs Java 17 and the extra `spark`: run `make engines`, or pip install pyspark"
        ) from error
    if SparkSession.getActiveSession() is None:
        require_answer(master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    quiet = resources.files("features.engines") / "spark_log.properties"
    settings = SETTINGS | (ONE_MACHINE if master.startswith("local") else {})
    builder = SparkSession.builder.master(master).appName("milestones")
    builder = builder.config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={quiet}")
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # whatever a JVM that does not come up makes of it
        raise StoreError(
            f"data.engine {master}: Spark cannot be started: {_words(error)}; it needs Java 17 and, for spark://, a"
            " running master"
        ) from error
    return ibis.pyspark.connect(session)


def require_answer(master: str) -> None:
    """Raises StoreError where nothing listens at any host of `spark://host:port[,host:port]`: Spark itself would wait.

    What other masters are reached by is Spark's to know: they are not asked.
    """
    if not master.startswith("spark://"):
        return
    refused = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS).close()
            return
        except (OSError, OverflowError) as error:
            refused.append(f"{address} ({error})")
    raise StoreError(
        f"data.engine {master}: no Spark master can be reached at {', '.join(refused)}, each given"
        f" {PATIENCE_SECONDS:g} seconds: start the master, or correct host and port"
    )


def open_files(backend: Any, files: list[Path], *, csv: bool, table: str) -> Any:
    """Parquet or CSV files as one table, columns matched by name. Raises DataError where one cannot be read."""
    session, name = backend._session, ibis.util.gen_name(f"source_{table}")
    with _told(table):
        frame = _csv(session, files) if csv else _parquet(session, files)
        frame.createOrReplaceTempView(name)
        zoned = {field.name for field in frame.schema if field.dataType.typeName() == "timestamp"}
        return _with_zones(backend, name, zoned)


def _parquet(session: Any, files: list[Path]) -> Any:
    from pyspark.sql.functions import expr

    frame = session.read.option("mergeSchema", "true").parquet(*map(_literally, files))
    for field in pq.read_schema(files[0]):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = "timestamp" if field.type.tz else "timestamp_ntz"
            quoted = field.name.replace("`", "``")
            frame = frame.withColumn(field.name, expr(f"timestamp_micros(`{quoted}` div 1000)").cast(kind))
    return frame


def _csv(session: Any, files: list[Path]) -> Any:
    """Files of one header are read together: Spark matches the columns of CSV by their place."""
    by_header: dict[str, list[Path]] = {}
    for file in files:
        by_header.setdefault(_header(file), []).append(file)
    frames = [
        session.read.options(**CSV, sep=_separator(header)).csv([_literally(f) for f in same])
        for header, same in by_header.items()
    ]
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


class Spark(Engine):
    """Groups, and composes what it grouped, at its executors."""

    def lay_down(self, backend: Any, name: str, frame: pd.DataFrame) -> Any:
        """As `Engine` says, as a view of this session."""
        name = ibis.util.gen_name(name)
        with _told(name):
            rows = pa.Table.from_pandas(frame, preserve_index=False)
            backend._session.createDataFrame(rows).createOrReplaceTempView(name)
        return backend.table(name)

    def fetch(self, table: Any) -> pa.Table:
        """As `Engine` says."""
        with _told():
            found = self.frame(table).toArrow()
        return _naive(found)

    def frame(self, table: Any) -> Any:
        """The Spark data frame of an expression."""
        backend = table.get_backend()
        return backend._session.sql(ibis.to_sql(table, dialect="pyspark"))

    def composed(self, cells: Any, users: Any, recipe: Recipe) -> Iterator[Columns]:
        """As `Engine` says: both meet at an executor, block by block, and what it composed is streamed back."""
        asked = [expression for expression in (cells, users) if expression is not None]
        if not asked:
            yield from recipe.blocks([], [])
            return
        from pyspark import StorageLevel

        session = asked[0].get_backend()._session
        _send_code(session)
        sides = []
        for expression in (cells, users):
            # A block without events is a block too.
            rows = session.range(recipe.n_blocks).selectExpr("id AS block")
            if expression is not None:
                found = self.frame(expression.mutate(block=expression.account // recipe.block_size))
                rows = found.unionByName(rows, allowMissingColumns=True)
            # Columns of their own: both sides read the same events, and Spark could not tell whose is whose.
            sides.append(rows.toDF(*rows.columns).groupBy("block"))
        with _told():
            made = sides[0].cogroup(sides[1]).applyInArrow(_composing(recipe), "block long, values binary")
            # The sort samples it first, which must not make it twice.
            made = made.persist(StorageLevel.MEMORY_AND_DISK)
            try:
                for row in made.orderBy("block").toLocalIterator():
                    values = pa.ipc.open_stream(row["values"]).read_all()
                    yield {name: values[name].to_numpy() for name in values.column_names}
            finally:
                made.unpersist()

    def in_utc(self, local: Any, zone: str) -> Any:
        """As `Engine` says."""
        if zone == "UTC":
            return local
        # Spark takes the earlier of two hours; counted back from the next day, the offset is the later one's.
        later = _to_utc(local + ibis.interval(days=1), zone) - ibis.interval(days=1)
        return ibis.ifelse(_from_utc(later, zone) == local, later, _to_utc(local, zone))

    def since_1970(self, microseconds: Any) -> Any:
        """As `Engine` says."""
        return _since_1970(microseconds)


def _composing(recipe: Recipe) -> Callable[[tuple[Any, ...], pa.Table, pa.Table], pa.Table]:
    """The function that executors run for each block: its columns, packed into one value."""

    def compose(key: tuple[Any, ...], cells: pa.Table, users: pa.Table) -> pa.Table:
        block = key[0].as_py()
        values = pa.table(recipe.block(_of_block(cells), _of_block(users), block))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, values.schema) as writer:
            writer.write_table(values)
        return pa.table({"block": pa.array([block]), "values": pa.array([sink.getvalue().to_pybytes()])})

    return compose


def _of_block(rows: pa.Table) -> pa.Table | None:
    """The rows of accounts; None where this side was not asked for."""
    if "account" not in rows.column_names:
        return None
    return rows.filter(pc.is_valid(rows["account"])).drop_columns(["block"])


def _send_code(session: Any) -> None:
    """Executors on other machines have Python with the project's dependencies, but not this room."""
    context = session.sparkContext
    if any(str(path).endswith(CODE) for path in context._python_includes):
        return
    archive = Path(tempfile.mkdtemp()) / CODE
    room = Path(str(resources.files("features")))
    with zipfile.ZipFile(archive, "w") as file:
        for module in sorted(room.rglob("*.py")):
            file.write(module, Path("features") / module.relative_to(room))
    context.addPyFile(str(archive))


def _naive(table: pa.Table) -> pa.Table:
    """Instants as naive UTC."""
    fields = [
        pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(fields))


@contextmanager
def _told(table: str = "the tables") -> Iterator[None]:
    """What Spark says, as errors for people."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError) as error:
        words = _words(error)
        if re.search("FILE_NOT_EXIST|PATH_NOT_FOUND|does not exist", words):
            raise StoreError(
                f"a source was taken away while it was read ({words}): put it back and run again"
            ) from error
        if isinstance(error, ConnectionError) or re.search("SparkContext was|application has been", words):
            raise StoreError(f"Spark went away: {words}; see that the master is up and run again") from error
        raise DataError(f"{table} cannot be read: {words}") from error


def _words(error: Exception) -> str:
    """The first line of what was the cause of it all: Java wraps it several times."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    text = str(error) if cause is None else str(cause.toString())
    return (text.strip().splitlines() or [type(error).__name__])[0][:300]
