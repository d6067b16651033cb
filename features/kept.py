"""What earlier scans counted is kept by content, so that a new quarter costs a scan of its own files alone.

Where the events are a folder of files, the counts of files that were there before still hold as long as those files
are the same to the byte, what is asked of them is the same, and so are their accounts. Counts add up, bits unite,
first and last times are the least and the greatest: what is kept and what is new make the counts of all files.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import feather

from features.declaration import Data
from features.document import content_hash
from features.elementary import Plan
from features.engines import bit_or
from features.fingerprints import of_code, of_files
from features.rejection import IN_THE_FUTURE, LEFT_OUT, UNKNOWN_ACCOUNT
from features.sources import is_files
from features.windows import Days
from features.workspace import Workspace, discard, set_aside, write_text

Counts = tuple[pa.Table | None, pa.Table | None]  # cells and users, as `features.scan.Scan` has them
SPANS = ("reason", "n", "first", "final")
ACCOUNTS = ("account_id", "signed_up_at", LEFT_OUT)


@dataclass(frozen=True)
class Kept:
    """The counts of some files of events.

    files: fingerprints by name. accounts: ACCOUNTS, in the order of their codes. spans: SPANS, what became of the rows
    by reason (missing for the usable ones). edges: of the slots. cells, users: as `features.scan.Scan` has them.
    """

    files: dict[str, str]
    accounts: pd.DataFrame
    spans: pd.DataFrame
    edges: Days
    cells: pa.Table | None
    users: pa.Table | None

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

    def of(self, accounts: pd.DataFrame) -> Counts:
        """Cells and users under the codes that their accounts have now."""
        codes = pd.Index(accounts["account_id"]).get_indexer(pd.Index(self.accounts["account_id"]))
        return _recoded(self.cells, codes), _recoded(self.users, codes)


def current_files(data: Data, folder: Path) -> dict[str, str] | None:
    """The files of the events with their fingerprints; None where counts of a file cannot stand for it."""
    source = data.sources.events
    if data.engine != "duckdb" or not is_files(source) or data.events.deduplicate:
        return None
    return {str(path): digest for path, digest in of_files(source, folder).items()}


@dataclass(frozen=True)
class Increment:
    """A log's events, part of which may be counted already.

    files: fingerprints by name, None where counts of a file cannot stand for it. accounts: ACCOUNTS, by code. spans: of
    all rows, as `Kept` has them. fresh: the usable events that are not counted yet, None where all are.
    """

    files: dict[str, str] | None
    accounts: pd.DataFrame
    spans: pd.DataFrame
    kept: Kept | None
    fresh: Any | None


def united(kept: Counts, new: Counts) -> Counts:
    """Cells and users of both: each account, slot and code once, each account and user once."""
    cells, more_cells = kept[0], new[0]
    if cells is not None and more_cells is not None:
        # Files come in the order of time: most of what is kept lies before all that is new.
        since = np.asarray(more_cells["slot"], dtype=np.int64).min(initial=np.iinfo(np.int64).max)
        late = np.asarray(cells["slot"]) >= since
        cells = pa.concat_tables(
            [cells.filter(~late), _grouped(cells.filter(late), more_cells, ["account", "slot", "code"])]
        )
    users, more_users = kept[1], new[1]
    if users is not None and more_users is not None:
        users = _grouped(users, more_users, ["account", "user_id"])
    return cells, users


def _grouped(one: pa.Table, other: pa.Table, keys: list[str]) -> pa.Table:
    both = ibis.memtable(pa.concat_tables([one, other.select(one.column_names).cast(one.schema)]))
    unite = {"count": "sum", "last": "max", "first": "min"}
    wanted = {
        name: getattr(both[name], unite[name])() if name in unite else bit_or(both[name])
        for name in one.column_names
        if name not in keys
    }
    found = both.group_by(keys).aggregate(**wanted).select(one.column_names)
    return ibis.duckdb.connect().to_pyarrow(found).cast(one.schema)


def _recoded(table: pa.Table | None, codes: NDArray[np.intp]) -> pa.Table | None:
    if table is None:
        return None
    place = table.column_names.index("account")
    account = codes.astype(np.int32)[np.asarray(table["account"])]
    return table.set_column(place, pa.field("account", pa.int32()), pa.array(account))


def read_kept(workspace: Workspace, data: Data) -> Kept | None:
    """What an earlier build kept for the same question; None where there is nothing, or it cannot be used."""
    folder = workspace.kept
    try:
        note = json.loads((folder / "kept.json").read_text(encoding="utf-8"))
        if note["question"] != _question(data):
            return None
        tables = {name: _read(folder, name, note) for name in ("accounts", "spans", "cells", "users")}
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None  # it can always be counted again
    accounts, spans = tables["accounts"], tables["spans"]
    if accounts is None or spans is None:
        return None
    edges = np.asarray(note["edges"], dtype=np.int64)
    return Kept(
        note["files"], accounts.to_pandas(), spans.to_pandas(), edges, tables["cells"], tables["users"]
    )


def write_kept(workspace: Workspace, data: Data, kept: Kept) -> None:
    """Keep counts for the next build. The note that says what they are goes first away and comes back last."""
    folder = workspace.kept
    discard(folder / "kept.json")
    tables = {
        "accounts": pa.Table.from_pandas(kept.accounts[list(ACCOUNTS)], preserve_index=False),
        "spans": pa.Table.from_pandas(kept.spans[list(SPANS)], preserve_index=False),
        "cells": kept.cells,
        "users": kept.users,
    }
    for name, table in tables.items():
        if table is not None:
            with set_aside(folder / f"{name}.feather") as path:
                feather.write_feather(table, path, compression="lz4")
    note = {
        "question": _question(data), "files": kept.files, "edges": kept.edges.tolist(),
        "tables": [name for name, table in tables.items() if table is not None],
    }  # fmt: skip
    write_text(folder / "kept.json", json.dumps(note) + "\n")


def _read(folder: Path, name: str, note: dict[str, Any]) -> pa.Table | None:
    return feather.read_table(folder / f"{name}.feather") if name in note["tables"] else None


def _question(data: Data) -> str:
    """What counts depend on besides their files and accounts: the data section, and the code."""
    return f"{content_hash(data)}-{of_code()}"


def summed(spans: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Spans of several parts of a log as one."""
    both = pd.concat([part for part in spans if len(part)] or list(spans[:1]), ignore_index=True)
    grouped = both.groupby("reason", dropna=False, as_index=False)
    return grouped.agg(n=("n", "sum"), first=("first", "min"), final=("final", "max"))
