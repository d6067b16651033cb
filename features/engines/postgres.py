"""Postgres, read in place: events are counted where they are, and only counts travel."""

import atexit
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from features.engines.engine import Engine
from features.errors import DataError, StoreError
from features.faults import masked

_CONNECTED: dict[str, Any] = {}  # one connection an address, closed when the program ends


def connect(address: str) -> Any:
    """The connection to `postgresql://user@host:port/database`, all times in UTC.

    Raises DataError where the extra is not installed or the address is none, StoreError when the server is away or refuses.
    """
    shown = masked(address)
    try:
        import psycopg
    except ImportError as error:
        raise DataError(
            f"{shown}: reading Postgres needs the extra `postgres` and libpq ({_words(error)}): run `make engines` and"
            " install libpq5, or pip install psycopg[binary]"
        ) from error
    known = _CONNECTED.get(address)
    if known is not None and not (known.con.closed or known.con.broken):
        return known
    try:
        backend = ibis.connect(address)
        for setting in ("TIME ZONE 'UTC'", "datestyle TO 'ISO, YMD'"):
            backend.con.execute(f"SET {setting}")
    except ValueError as error:  # of the parts of the address, before anything is asked of a server
        raise DataError(
            f"{shown} is no address of a database ({_words(error)}): write"
            " postgresql://user@host:port/database, the port a number up to 65535"
        ) from error
    except psycopg.Error as error:
        raise StoreError(
            f"{shown} cannot be reached: {_words(error)}; start the server or correct the address (a password comes"
            " from the variable PGPASSWORD or the file ~/.pgpass)"
        ) from error
    atexit.register(backend.con.close)
    _CONNECTED[address] = backend
    return backend


def tables(backend: Any) -> set[tuple[str, str]]:
    """Schema and name of every table and view that the user may see."""
    with _told():
        rows = backend.con.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
        ).fetchall()
    return {(s, n) for s, n in rows if s not in ("pg_catalog", "information_schema")}


def fingerprint(rows: Any) -> str:
    """What changes when the rows of a table do: how many there are, and the sum of their hashes in any order."""
    query = f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ({ibis.to_sql(rows, dialect='postgres')}) AS t"
    with _told():
        n, total = rows.get_backend().con.execute(query).fetchone()
    return f"{n}-{total or 0}"


class Postgres(Engine):
    """Sorts texts by the rules of a language."""

    compares_bytes = False

    def lay_down(self, backend: Any, name: str, frame: pd.DataFrame) -> Any:
        """As `Engine` says, as a temporary table."""
        name = ibis.util.gen_name(name)
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        text = io.BytesIO()
        pa.csv.write_csv(rows, text, pa.csv.WriteOptions(include_header=False))
        with _told():
            table = backend.create_table(name, schema=ibis.Schema.from_pyarrow(rows.schema), temp=True)
            with (
                backend.con.cursor() as cursor,
                cursor.copy(f'COPY "{name}" FROM STDIN (FORMAT csv)') as copy,
            ):
                copy.write(text.getvalue())
            backend.con.execute(f'ANALYZE "{name}"')
        return table

    def fetch(self, table: Any) -> pa.Table:
        """As `Engine` says; as CSV, which is many times quicker than rows of objects."""
        backend, query = table.get_backend(), ibis.to_sql(table, dialect="postgres")
        copying = f"COPY ({query}) TO STDOUT (FORMAT csv)"
        with _told(), backend.con.cursor() as cursor, cursor.copy(copying) as copy:
            text = b"".join(bytes(part) for part in copy)
        schema = table.as_table().schema().to_pyarrow()
        if not text:
            return schema.empty_table()
        options = pa.csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        )  # fmt: skip
        try:
            return pa.csv.read_csv(
                io.BytesIO(text),
                pa.csv.ReadOptions(column_names=schema.names),
                pa.csv.ParseOptions(newlines_in_values=True),
                options,
            )
        except pa.ArrowInvalid as error:
            raise DataError(
                f"the tables cannot be read: {_words(error)}; correct the value in its table"
            ) from error

    def since_1970(self, microseconds: Any) -> Any:
        """As `Engine` says."""
        return ibis.timestamp("1970-01-01") + microseconds.as_interval("us")


@contextmanager
def _told() -> Iterator[None]:
    """What the server says, as errors for people."""
    import psycopg

    try:
        yield
    except psycopg.OperationalError as error:
        raise StoreError(f"the database went away: {_words(error)}; start it and run again") from error
    except psycopg.errors.UndefinedTable as error:
        raise StoreError(
            f"a table is no longer there ({_words(error)}): put it back and run again"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            f"the database refuses: {_words(error)}; grant SELECT on the tables and TEMPORARY on the database"
        ) from error
    except psycopg.Error as error:
        raise DataError(f"the tables cannot be read: {_words(error)}") from error


def _words(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300] or type(error).__name__
