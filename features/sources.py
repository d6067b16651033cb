"""Open a declared source as an Ibis table: Parquet, CSV, a DuckDB file, or a table of a Postgres database.

Parquet and CSV may be a file, a folder or a glob; a DuckDB file is written `file.duckdb::table`, a database
`postgresql://user@host:port/database::schema.table`. CSV columns are read as text and converted later, so that a
bad value is a counted row, not a crash.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.engines import duckdb as embedded
from features.engines import postgres, spark_files, spark_session
from features.errors import DataError

DUCKDB_SUFFIXES = (".duckdb", ".ddb", ".db")
PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv", ".tsv", ".txt")
# A text in a folder is as likely a README.txt as a table: whoever means one names it, or a glob.
FOLDER_SUFFIXES = tuple(s for s in (*PARQUET_SUFFIXES, *CSV_SUFFIXES) if s != ".txt")
DUCKDB = "duckdb"
POSTGRES = re.compile("postgres(ql)?://")


class Stores:
    """The connections that sources are opened with, each made when it is first needed.

    Events in files are read by `engine`: DuckDB, or a Spark master. What is small is read by DuckDB, and what is in
    a database stays there.
    """

    def __init__(self, engine: str = DUCKDB) -> None:
        self.engine = engine
        self._made: dict[str, Any] = {}

    def open(self, source: str, folder: Path, table: str, only: Collection[str] | None = None) -> Any:
        """The raw table of a source, of `only` some of its files where they are named.

        Raises DataError or StoreError naming the source when it cannot be read.
        """
        if "://" in source:
            return self._open_database(source, table)
        path_text, _, inner = source.partition("::")
        path = (folder / path_text).resolve()
        distributed = table == "events" and self.engine != DUCKDB
        if inner and distributed:
            raise DataError(
                f"{table}: Spark reads Parquet and CSV, not the DuckDB file {path}; export it first"
            )
        backend = self._connected(DUCKDB)
        try:
            if inner:
                return _open_duckdb(backend, path, inner, table)
            files, csv = _files(path, table)
            files = files if only is None else [file for file in files if str(file) in only]
            if distributed:
                return spark_files.open_files(self._connected(self.engine), files, csv=csv, table=table)
            return _open_files(backend, files, csv=csv)
        except duckdb.Error as error:
            raise DataError(f"{table}: cannot read {path}: {embedded.first_line(error)}") from error

    def schemas(self, source: str, folder: Path, table: str) -> dict[Path, dict[str, pa.DataType]]:
        """The columns of every file of a source of several files; nothing of another source.

        Raises DataError naming a file that cannot be read.
        """
        if not is_files(source):
            return {}
        files, csv = _files((folder / source).resolve(), table)
        if len(files) < 2:
            return {}
        return {file: self._schema(file, table, csv=csv) for file in files}

    def _schema(self, file: Path, table: str, *, csv: bool) -> dict[str, pa.DataType]:
        try:
            if csv:
                columns = _open_files(self._connected(DUCKDB), [file], csv=True).columns
                return dict.fromkeys(columns, pa.string())
            return {field.name: field.type for field in pq.read_schema(file)}
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            raise DataError(f"{table}: cannot read {file}: {embedded.first_line(error)}") from error

    def _connected(self, where: str) -> Any:
        if where not in self._made:
            if where == DUCKDB:
                self._made[where] = embedded.connect()
            else:
                self._made[where] = (
                    postgres.connect(where) if POSTGRES.match(where) else spark_session.connect(where)
                )
        return self._made[where]

    def _open_database(self, source: str, table: str) -> Any:
        address, _, inner = source.rpartition("::")
        if not POSTGRES.match(source):
            raise DataError(
                f"{table}: {source} is an address of a kind that is not supported; use Parquet, CSV, DuckDB or"
                " postgresql://user@host/database::schema.table"
            )
        if table == "events" and self.engine != DUCKDB:
            raise DataError(
                f"{table}: data.engine {self.engine} reads files; leave it out to count in Postgres itself"
            )
        if not address:
            raise DataError(f"{table}: {source} names no table; write {source}::schema.table")
        backend = self._connected(address)
        schema, _, name = inner.rpartition(".")
        found = postgres.tables(backend)
        if (schema or "public", name) not in found:
            there = ", ".join(s if d == "public" else f"{d}.{s}" for d, s in sorted(found)) or "none"
            raise DataError(f"{table}: {address} has no table {inner!r}; it has {there}")
        return backend.table(name, database=schema or "public")


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


def _files(path: Path, table: str) -> tuple[list[Path], bool]:
    """The files behind a path, and whether they are CSV."""
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
    if suffixes <= set(DUCKDB_SUFFIXES):
        raise DataError(f"{table}: {path} is a DuckDB file; say which table, as in {path.name}::{table}")
    if not suffixes <= {*PARQUET_SUFFIXES, *CSV_SUFFIXES}:
        raise DataError(f"{table}: {path} is of no known kind; use .parquet, .csv or file.duckdb::table")
    csv = suffixes <= set(CSV_SUFFIXES)
    if csv and not any(file.stat().st_size for file in files):
        raise DataError(f"{table}: {path} is empty: it has not even a header")
    return files, csv


def _open_files(backend: Any, files: list[Path], *, csv: bool) -> Any:
    # DuckDB reads names as globs: a bracket in one stands for itself.
    names = [re.sub(r"([\[*?])", r"[\1]", str(file)) for file in files]
    if csv:
        return backend.read_csv(names, all_varchar=True, union_by_name=True, header=True)
    return backend.read_parquet(names, union_by_name=True)


def is_files(source: str) -> bool:
    """Whether a source is one of files, not of a table in a database or a DuckDB file."""
    return "::" not in source and "://" not in source


def source_files(path: Path) -> list[Path]:
    """The files behind a file, a folder or a glob, sorted; hidden ones left out."""
    if path.is_file():
        return [path]
    if path.is_dir():
        found, kinds = [p for p in path.rglob("*") if p.is_file()], FOLDER_SUFFIXES
    else:
        anchor = path
        while "*" in str(anchor) or "?" in str(anchor):
            anchor = anchor.parent
        pattern = str(path.relative_to(anchor)) if anchor != path else ""
        found = [p for p in anchor.glob(pattern) if p.is_file()] if pattern and anchor.is_dir() else []
        kinds = (*PARQUET_SUFFIXES, *CSV_SUFFIXES)
    return sorted(p for p in found if not p.name.startswith((".", "_")) and suffix_of(p) in kinds)


def suffix_of(path: Path) -> str:
    """The suffix that tells the kind, compression left aside: `x.csv.gz` is a CSV."""
    suffixes = [s.lower() for s in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in (".gz", ".zst") else (suffixes or [""])[-1]
