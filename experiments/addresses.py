"""Addresses of tracking stores, and what a store says when it is away, in words for a person."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

from features.errors import StoreError

LONGEST_REASON = 400
# What is said of a file that is none of ours: damaged, another program's, or made by a newer MLflow.
_NO_RECORD = "not a database|malformed|Can't locate revision"
_DATABASES = frozenset({"postgresql", "mysql", "mssql"})


def sqlite_uri(path: Path) -> str:
    """The URI of an SQLite file; "%" and "?", which mean something in a URI, are encoded."""
    return "sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite URI; None for a database in memory and for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    path = unquote(uri.removeprefix("sqlite:///").partition("?")[0])
    return None if path in {"", ":memory:"} else Path(path)


def shown(text: str) -> str:
    """The text without the user and password that a URI in it may carry."""
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def try_writing(database: Path) -> None:
    """Raise sqlite3.Error at once where the file is no database or cannot be written.

    MLflow would try ten times, for a hundred seconds, before it says so.
    """
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def knock(uri: str) -> None:
    """Raise what a database server answers, at once; MLflow is as patient here. Other addresses pass."""
    if uri.partition(":")[0].partition("+")[0] in _DATABASES:
        import sqlalchemy

        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect():
            pass


@contextmanager
def asking(uri: str, what: str) -> Iterator[None]:
    """Turn what MLflow raises when a store is away or refuses into a StoreError with its URI and a remedy."""
    from alembic.util import CommandError  # a database of a newer MLflow, or of another program
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, ImportError) as error:
        text = shown(str(error)).strip().partition("\n")[0][:LONGEST_REASON]
        # Of what a web client says of its attempts, the system's own words are what helps.
        refused = re.search(r"\[Errno -?\d+\] ([^'\")]+)", str(error))
        reason = refused[1] if refused else text
        if uri.startswith("sqlite:"):
            unusable = re.search(_NO_RECORD, reason)
            first = "move the file away to begin a fresh record" if unusable else "make the folder writable"
            remedy = f"{first}, or name another store in MLFLOW_TRACKING_URI"
        else:
            remedy = "start it or correct MLFLOW_TRACKING_URI; unset, runs are recorded in the workspace"
        raise StoreError(f"cannot {what}: the store {shown(uri)} answers {reason!r}; {remedy}") from error
