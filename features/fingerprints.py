"""Fingerprints: short texts that change when a file, a table or the code that reads them does."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import metadata
from pathlib import Path

from features.declaration import Data
from features.engines import postgres
from features.sources import Stores, source_files

# What makes features of events: another version of one may make another number in the last digit.
MADE_WITH = ("duckdb", "ibis-framework", "numpy", "pandas", "pyarrow")


def of_files(source: str, folder: Path) -> dict[Path, str]:
    """Every file behind a source of files with the SHA-256 of its bytes, first 16 hex digits."""
    path = (folder / source.partition("::")[0]).resolve()
    files = source_files(path)
    with ThreadPoolExecutor() as readers:
        return dict(zip(files, readers.map(_of_file, files), strict=True))


def _of_file(file: Path) -> str:
    stat = file.stat()
    return _of_bytes(file, stat.st_size, stat.st_mtime_ns)


@cache
def _of_bytes(file: Path, _size: int, _changed: int) -> str:
    """Read once in a program, however often it is asked for."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def of_inputs(data: Data, folder: Path) -> dict[str, str]:
    """A fingerprint of each declared source: of the bytes of its files, or of the rows of its database table."""
    stores = Stores()
    found = {}
    for table, source in data.sources.declared().items():
        if "://" in source:
            found[table] = postgres.fingerprint(stores.open(source, folder, table))
        else:
            digests = "".join(of_files(source, folder).values())
            found[table] = hashlib.sha256(digests.encode()).hexdigest()[:16]
    return found


@cache
def of_code() -> str:
    """The code of this room, and the versions of the libraries that count with it."""
    digest = hashlib.sha256()
    room = Path(__file__).resolve().parent
    for module in sorted(room.rglob("*.py")):
        digest.update(module.relative_to(room).as_posix().encode() + module.read_bytes())
    for library in MADE_WITH:
        digest.update(f"{library}=={metadata.version(library)}".encode())
    return digest.hexdigest()[:16]
