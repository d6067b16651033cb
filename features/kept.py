"""What earlier scans counted is kept by content, so that a new quarter costs a scan of its own files alone.

Where the events are a folder of files, the counts of files that were there before still hold as long as those files
are the same to the byte, what is asked of them is the same, and so are their accounts. Counts add up, bits unite,
first and last times are the least and the greatest: the parts that are kept and a scan of the rest make the counts of
all files.
"""

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.declaration import Data
from features.document import content_hash
from features.elementary import Plan
from features.engines import engine_of
from features.errors import DataError
from features.fingerprints import of_code, of_files
from features.rejection import IN_THE_FUTURE, LEFT_OUT, UNKNOWN_ACCOUNT
from features.sources import is_files
from features.windows import Days
from features.workspace import Workspace, set_aside, write_text

SPANS = ("reason", "n", "first", "final")
ACCOUNTS = ("account_id", "signed_up_at", LEFT_OUT)
NOTE = "part.json"
A_DAY = 86_400.0
MOST_PARTS = 32  # of more, say one a day, all is counted again into one: each costs a little


@dataclass(frozen=True)
class Fresh:
    """Events of some files: the usable ones as `features.log.Log` has them, and SPANS of all their rows.

    files: fingerprints by name. spans: what became of the rows by reason, missing for the usable ones.
    """

    files: dict[str, str]
    events: Any
    spans: pd.DataFrame


@dataclass(frozen=True)
class Kept:
    """What a scan of some files of events counted, in a folder of its own.

    files, spans: as `Fresh` has them. accounts: ACCOUNTS, in the order of their codes. edges: of the slots.
    """

    folder: Path
    files: dict[str, str]
    accounts: pd.DataFrame
    spans: pd.DataFrame
    edges: Days

    def holds(self, files: dict[str, str], accounts: pd.DataFrame) -> bool:
        """Whether the counts still are what a scan of their files would find."""
        same_files = all(files.get(name) == digest for name, digest in self.files.items())
        now = accounts.set_index("account_id").reindex(self.accounts["account_id"])
        columns = list(ACCOUNTS[1:])
        same_accounts = now[columns].equals(self.accounts.set_index("account_id")[columns])
        reasons = set(self.spans.loc[self.spans["n"] > 0, "reason"].dropna())
        # Time passes, and who was unknown may be known by now.
        changes = {IN_THE_FUTURE} | ({UNKNOWN_ACCOUNT} if len(accounts) > len(self.accounts) else set())
        return same_files and same_accounts and not reasons & changes

    def fits(self, plan: Plan) -> bool:
        """Whether the counts lie in the first slots of a plan, with the very same edges."""
        return np.array_equal(plan.slots.edges[: len(self.edges)], self.edges)

    def stream(self, name: str, accounts: pd.DataFrame) -> pa.RecordBatchReader:
        """`cells` or `users` as `features.scan.Scan` has them, under the codes that their accounts have now, by account.

        Raises DataError where the file was taken away or damaged since it was found.
        """
        codes = pd.Index(accounts["account_id"]).get_indexer(pd.Index(self.accounts["account_id"]))
        codes = codes.astype(np.int32)
        path = self.folder / f"{name}.parquet"
        with _readable(path):
            file = pq.ParquetFile(path)
        in_order = bool((np.diff(codes) > 0).all())

        def batches() -> Iterator[pa.RecordBatch]:
            with _readable(path):
                for batch in file.iter_batches():
                    yield _recoded(batch, codes)

        reader = pa.RecordBatchReader.from_batches(file.schema_arrow, batches())
        return reader if in_order else reader.read_all().sort_by("account").to_reader()


@dataclass(frozen=True)
class Increment:
    """A log's events, part of which may be counted already.

    whole: all of them, None where counts of a file cannot stand for it. accounts: ACCOUNTS, by code. fresh: those that
    are not `kept`, None where all are.
    """

    whole: Fresh | None
    accounts: pd.DataFrame
    kept: tuple[Kept, ...]
    fresh: Fresh | None

    def parts(self, plan: Plan) -> tuple[tuple[Kept, ...], Fresh | None]:
        """What can be used of the kept counts in a plan, and what is to be counted."""
        fitting = all(kept.fits(plan) for kept in self.kept)
        return (self.kept, self.fresh) if fitting else ((), self.whole)


@dataclass(frozen=True)
class Shelf:
    """Where a workspace keeps counts, and the question they answer: the data section, and the code that counts.

    Every part has a folder of its own, and what says that it is whole is written last.
    """

    folder: Path
    question: str

    @classmethod
    def of(cls, workspace: Workspace, data: Data) -> "Shelf":
        """The one for a data section."""
        return cls(workspace.kept, f"{content_hash(data)}-{of_code()}")

    def parts(self) -> tuple[Kept, ...]:
        """What earlier builds kept for this question; nothing where there are too many, to begin anew."""
        found = tuple(kept for note in sorted(self.folder.glob(f"*/{NOTE}")) if (kept := self._read(note)))
        return found if len(found) < MOST_PARTS else ()

    def _read(self, path: Path) -> Kept | None:
        folder = path.parent
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            if note["question"] != self.question:
                return None
            for name in note["counts"]:
                pq.read_metadata(folder / f"{name}.parquet")
            accounts, spans = (pd.read_parquet(folder / f"{name}.parquet") for name in ("accounts", "spans"))
            edges = np.asarray(note["edges"], dtype=np.int64)
            return Kept(folder, note["files"], accounts[list(ACCOUNTS)], spans[list(SPANS)], edges)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None  # it can always be counted again

    def add(self, cells: Any, users: Any, fresh: Fresh, accounts: pd.DataFrame, edges: Days) -> Kept:
        """Count fresh events and keep it; `cells` and `users` as `features.scan.Scan` has them."""
        folder = self.folder / uuid.uuid4().hex
        asked = {name: table for name, table in (("cells", cells), ("users", users)) if table is not None}
        for name, table in asked.items():
            with set_aside(folder / f"{name}.parquet") as path:
                engine_of(table).write(table.order_by("account"), path)
        for name, frame in {"accounts": accounts[list(ACCOUNTS)], "spans": fresh.spans[list(SPANS)]}.items():
            with set_aside(folder / f"{name}.parquet") as path:
                frame.to_parquet(path, index=False)
        note = {"question": self.question, "files": fresh.files, "edges": edges.tolist(), "counts": [*asked]}
        write_text(folder / NOTE, json.dumps(note) + "\n")
        return Kept(folder, fresh.files, accounts, fresh.spans, edges)

    def remove_all_but(self, parts: Sequence[Kept]) -> None:
        """Remove what no build can use any more, and what a killed run left; never what another run is writing."""
        used = {part.folder for part in parts}
        for folder in self.folder.glob("*"):
            whole = (folder / NOTE).exists()
            if folder not in used and (whole or time.time() - folder.stat().st_mtime > A_DAY):
                shutil.rmtree(folder, ignore_errors=True)


def current_files(data: Data, folder: Path) -> dict[str, str] | None:
    """The files of the events with their fingerprints; None where counts of a file cannot stand for it."""
    source = data.sources.events
    if data.engine != "duckdb" or not is_files(source) or data.events.deduplicate:
        return None
    return {str(path): digest for path, digest in of_files(source, folder).items()}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} is damaged or was taken away: run `milestones features --anew`, which counts everything again"
        ) from error


def _recoded(batch: pa.RecordBatch, codes: NDArray[np.int32]) -> pa.RecordBatch:
    place = batch.schema.get_field_index("account")
    account = pa.array(codes[batch.column(place).to_numpy()])
    return batch.set_column(place, batch.schema.field(place), account)


def summed(spans: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Spans of several parts of a log as one."""
    both = pd.concat([part for part in spans if len(part)] or list(spans[:1]), ignore_index=True)
    grouped = both.groupby("reason", dropna=False, as_index=False)
    return grouped.agg(n=("n", "sum"), first=("first", "min"), final=("final", "max"))
