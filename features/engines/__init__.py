"""Engines: where events are read and counted. The same Ibis expressions run on each.

DuckDB is embedded and the default, Postgres is read in place, Spark serves logs that outgrow one machine.
"""

from typing import Any

import pyarrow as pa

from features.engines.duckdb import DuckDB
from features.engines.engine import Engine, bit_or
from features.engines.postgres import Postgres
from features.engines.spark import Spark

__all__ = ["ENGINES", "Engine", "bit_or", "engine_of", "fetch"]

# By the name of the Ibis backend.
ENGINES: dict[str, Engine] = {"duckdb": DuckDB(), "postgres": Postgres(), "pyspark": Spark()}


def engine_of(table: Any) -> Engine:
    """The engine that an expression runs on."""
    return ENGINES[table.get_backend().name]


def fetch(table: Any) -> pa.Table:
    """The rows of an expression, from wherever they are. Raises DataError or StoreError, in words."""
    return engine_of(table).fetch(table)
