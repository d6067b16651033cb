"""What earlier scans counted is kept by content, so that a new quarter costs a scan of its own files alone.

Where the events are a folder of files, the counts of files that were there before still hold as long as those files
are the same to the byte, what is asked of them is the same, and so are their accounts. Counts add up, bits unite,
first and last times are the least and the greatest: the parts that are kept and a scan of the rest make the counts of
all files.
"""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.arrays import Integers
from features.blocks import Streams
from features.declaration import Data
from features.document import content_hash
from features.elementary import Layout
from features.engines import engine_of
from features.errors import DataError
from features.fingerprints import of_code, of_files
from features.phrases import listing
from features.rejection import IN_THE_FUTURE, LEFT_OUT, UNKNOWN_ACCOUNT
from features.scan import Scan
from features.sources import is_files
from features.workspace import Workspace, held, set_aside, write_text

SPANS = ("reason", "n", "first", "final")
ACCOUNTS = ("account_id", "signed_up_at", LEFT_OUT)
NOTE = "part.json"
MOST_PARTS = 32  # of more, say one a day, all is counted again into one: each costs a little


@dataclass(frozen=True)
class FileEvents:
    """Events of some files: the usable ones as `features.log.Log` has them, and SPANS of all their rows.

    files: fingerprints by name. spans: what became of the rows by reason, missing for the usable ones, which are told
    by day. names: of the events that are usable.
    """

    files: dict[str, str]
    events: Any
    spans: pd.DataFrame
    names: frozenset[str]


@dataclass(frozen=True)
class Kept:
    """What a scan of some files of events counted, in a folder of its own.

    files, spans, names: as `FileEvents` has them. accounts: ACCOUNTS, in the order of their codes. edges: of the slots.
    """

    folder: Path
    files: dict[str, str]
    accounts: pd.DataFrame
    spans: pd.DataFrame
    names: frozenset[str]
    edges: Integers

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

    def fits(self, layout: Layout) -> bool:
        """Whether the counts lie in the first slots of a layout, with the very same edges."""
        return np.array_equal(layout.slots.edges[: len(self.edges)], self.edges)

    def stream(self, name: str, asked: pa.Schema, accounts: pd.DataFrame) -> pa.RecordBatchReader:
        """`cells` or `users` as `features.scan.Scan` asks for them, under the codes their accounts have now, by account.

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
                    yield _as_asked(batch, asked, codes)

        reader = pa.RecordBatchReader.from_batches(asked, batches())
        return reader if in_order else reader.read_all().sort_by("account").to_reader()


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

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Whether this run alone uses the shelf within the block; another one then counts for itself.

        Raises StoreError when the folder cannot be written.
        """
        with held(self.folder / "lock") as alone:
            yield alone

    def parts(self) -> tuple[Kept, ...]:
        """What earlier builds kept for this question, no file twice; nothing where there are too many, to begin anew."""
        newest_first = sorted(self.folder.glob(f"*/{NOTE}"), key=lambda note: -note.stat().st_mtime_ns)
        found: list[Kept] = []
        taken: set[str] = set()
        for note in newest_first:
            kept = self._read(note)
            # A run that was killed may have left what another part took the place of.
            if kept and taken.isdisjoint(kept.files):
                found.append(kept)
                taken |= kept.files.keys()
        return tuple(found) if len(found) < MOST_PARTS else ()

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
            names = frozenset(note["names"])
            return Kept(folder, note["files"], accounts[list(ACCOUNTS)], spans[list(SPANS)], names, edges)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None  # it can always be counted again

    def add(self, scan: Scan, fresh: FileEvents, accounts: pd.DataFrame, edges: Integers) -> Kept:
        """Run a scan of fresh events and keep what it counts."""
        folder, asked = self.folder / uuid.uuid4().hex, scan.tables()
        for name, table in asked.items():
            with set_aside(folder / f"{name}.parquet") as path:
                engine_of(table).write(table.order_by("account"), path)
        for name, frame in {"accounts": accounts[list(ACCOUNTS)], "spans": fresh.spans[list(SPANS)]}.items():
            with set_aside(folder / f"{name}.parquet") as path:
                frame.to_parquet(path, index=False)
        note = {
            "question": self.question, "files": fresh.files, "names": sorted(fresh.names), "edges": edges.tolist(),
            "counts": [*asked],
        }  # fmt: skip
        write_text(folder / NOTE, json.dumps(note) + "\n")
        return Kept(folder, fresh.files, accounts, fresh.spans, fresh.names, edges)

    def remove_all_but(self, parts: Sequence[Kept]) -> None:
        """Remove what no build can use any more, and what a killed run left."""
        used = {part.folder for part in parts}
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder not in used:
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Counting:
    """The events of a log in files, part of which may be counted already.

    whole: all of them. accounts: ACCOUNTS, by code. kept: parts that hold. fresh: what is in none of them, None where
    all is counted. gone: files that were counted before and whose content is there no more.
    """

    shelf: Shelf
    whole: FileEvents
    accounts: pd.DataFrame
    kept: tuple[Kept, ...]
    fresh: FileEvents | None
    gone: tuple[str, ...]

    @property
    def files(self) -> dict[str, int]:
        """How many files there are, how many of them had to be counted, and how many are there no more."""
        return {
            "all": len(self.whole.files),
            "counted": len(self.fresh.files) if self.fresh else 0,
            "gone": len(self.gone),
        }

    @property
    def sentence(self) -> str:
        """The same for people."""
        new, n = self.files["counted"], self.files["all"]
        said = f"Files of events: {n:,}, of them {new:,} new or changed and counted now, {n - new:,} counted before."
        if self.gone:
            shown = listing([Path(name).name for name in self.gone])
            said += f" Gone since, with all their events: {shown}."
        return said

    def streams(self, asked: Scan, until_day: int, scan_of: Callable[[Any], Scan]) -> dict[str, Streams]:
        """`cells` and `users` of all events as they are asked for: of kept parts, and of a scan of the rest, which is
        kept in turn with the slots that end by `until_day`.

        Raises DataError or StoreError where the events cannot be read or the counts not be written.
        """
        fitting = all(kept.fits(asked.layout) for kept in self.kept)
        parts, fresh = (self.kept, self.fresh) if fitting else ((), self.whole)
        if fresh is not None:
            edges = asked.layout.slots.edges
            part = self.shelf.add(scan_of(fresh.events), fresh, self.accounts, edges[edges <= until_day])
            parts = (*parts, part)
        self.shelf.remove_all_but(parts)
        return {
            name: [part.stream(name, table.schema().to_pyarrow(), self.accounts) for part in parts]
            for name, table in asked.tables().items()
        }


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


def _as_asked(batch: pa.RecordBatch, asked: pa.Schema, codes: NDArray[np.int32]) -> pa.RecordBatch:
    """With the codes of today; in slots that came since, which may need words of their own, nobody did anything."""

    def column(field: pa.Field) -> pa.Array:
        if field.name == "account":
            return pa.array(codes[batch["account"].to_numpy()])
        if field.name in batch.schema.names:
            return batch[field.name].cast(field.type)
        return pa.array(np.zeros(len(batch), dtype=np.int64))

    return pa.RecordBatch.from_arrays([column(field) for field in asked], schema=asked)


def summed(spans: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Spans of several parts of a log as one."""
    both = pd.concat([part for part in spans if len(part)] or list(spans[:1]), ignore_index=True)
    day = both["first"].dt.floor("D").where(both["reason"].isna())
    grouped = both.groupby([both["reason"], day.rename("day")], dropna=False)
    found = grouped.agg(n=("n", "sum"), first=("first", "min"), final=("final", "max"))
    return found.reset_index()[list(SPANS)]
