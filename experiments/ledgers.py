"""Where a ledger is kept: a journal in the workspace for one machine, a Postgres database for many."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.addresses import LONGEST_REASON
from features.errors import DataError, StoreError, UsageError
from features.faults import masked
from features.sources import POSTGRES
from features.workspace import reason_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

_PATIENCE_SECONDS = 10  # for a server to answer


def checked(address: str) -> str:
    """The address of a database. Raises UsageError where it is no address of Postgres."""
    if not POSTGRES.match(address):
        raise UsageError(
            f"--storage {masked(address)}: write postgresql://user@host:port/database; without it a journal in the workspace"
            " is the storage"
        )
    return address


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Turn what Optuna raises when a storage is away or refuses into a StoreError with its address and a remedy."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot use {masked(address)}: {reason_of(error)}; make the folder writable, or free some space"
        ) from error
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        said = masked(str(cause)).strip().partition("\n")[0].replace("(psycopg.OperationalError) ", "")
        raise StoreError(
            f"{masked(address)} cannot be used: {said[:LONGEST_REASON]}; start the server or correct --storage (a password"
            " comes from the variable PGPASSWORD or the file ~/.pgpass)"
        ) from error


@contextmanager
def storage_at(address: str) -> Iterator[BaseStorage]:
    """The storage at an address, or in the journal at a path; within `asking`. Raises DataError for a damaged journal."""
    from optuna.storages import get_storage

    if not POSTGRES.match(address):
        yield _journal(Path(address))
        return
    database = _database(address)
    try:
        yield get_storage(database)  # with what it has read kept in memory
    finally:
        database.remove_session()
        database.engine.dispose()


def _database(address: str) -> RDBStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError

    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--storage {masked(address)}: Postgres needs the extra `postgres` and libpq: run `make engines` and install"
            " libpq5, or pip install psycopg[binary]"
        ) from error
    url = POSTGRES.sub("postgresql+psycopg://", address, count=1)
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": _PATIENCE_SECONDS},
    }
    try:
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (IntegrityError, ProgrammingError):  # another process made the same tables just now
            return RDBStorage(url, engine_kwargs=options)
    except (ArgumentError, ValueError) as error:  # of the parts of the address, before a server is asked
        raise UsageError(
            f"--storage {masked(address)} is no address of a database: write postgresql://user@host:port/database"
        ) from error


def _journal(path: Path) -> BaseStorage:
    from filelock import FileLock
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Lock(JournalFileOpenLock):
        """Let go of by the system when its holder is killed; Optuna's own would be waited for half a minute."""

        def __init__(self) -> None:
            self._held = FileLock(f"{path}.lock")

        def acquire(self) -> bool:
            self._held.acquire()
            return True

        def release(self) -> None:
            self._held.release()

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock()
    try:
        with FileLock(f"{path}.lock"):
            _mend(path)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise DataError(
            f"{path} is damaged, or was not made by this program: move it away, and the search begins anew"
        ) from error


def _mend(path: Path) -> None:
    """Remove a last line without an end, which a full disk leaves: the next one would be written on to it.

    Raises ValueError where the line before it is none of a journal: Optuna looks at the last one only when another follows.
    """
    if not path.exists():
        return
    with path.open("rb+") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole:
            json.loads(text[:whole].splitlines()[-1])
        if whole < len(text):
            file.truncate(whole)
            os.fsync(file.fileno())
