"""Apache Spark, for logs that outgrow one machine: a local cluster, or one at `spark://host:port`.

The executors group the events, and compose the features of each block of accounts with the very function that
runs here without them; only finished columns travel back.
"""

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.engines.engine import Engine
from features.engines.spark_session import told

if TYPE_CHECKING:
    from features.blocks import Columns, Recipe

CODE = "milestones_features.zip"


@ibis.udf.scalar.builtin(name="to_utc_timestamp", signature=((dt.timestamp, dt.string), dt.timestamp))
def _to_utc(local, zone):  # type: ignore[no-untyped-def]
    """The UTC time at which a clock in `zone` showed the local time; of an hour shown twice, the earlier."""


@ibis.udf.scalar.builtin(name="from_utc_timestamp", signature=((dt.timestamp, dt.string), dt.timestamp))
def _from_utc(utc, zone):  # type: ignore[no-untyped-def]
    """What a clock in `zone` shows at a UTC time."""


@ibis.udf.scalar.builtin(name="timestamp_micros", signature=((dt.int64,), dt.timestamp))
def _since_1970(microseconds):  # type: ignore[no-untyped-def]
    """The time so long after 1970 began in UTC."""


class Spark(Engine):
    """Groups, and composes what it grouped, at its executors."""

    def lay_down(self, backend: Any, name: str, frame: pd.DataFrame) -> Any:
        """As `Engine` says, as a view of this session."""
        name = ibis.util.gen_name(name)
        with told(name):
            rows = pa.Table.from_pandas(frame, preserve_index=False)
            backend._session.createDataFrame(rows).createOrReplaceTempView(name)
        return backend.table(name)

    def fetch(self, table: Any) -> pa.Table:
        """As `Engine` says."""
        with told():
            found = self.frame(table).toArrow()
        return _naive(found)

    def frame(self, table: Any) -> Any:
        """The Spark data frame of an expression."""
        backend = table.get_backend()
        return backend._session.sql(ibis.to_sql(table, dialect="pyspark"))

    def composed(self, cells: Any, users: Any, recipe: "Recipe") -> "Iterator[Columns]":
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
        with told():
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


def _composing(recipe: "Recipe") -> Callable[[tuple[Any, ...], pa.Table, pa.Table], pa.Table]:
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
