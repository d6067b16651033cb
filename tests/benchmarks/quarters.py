"""A workspace whose events are a folder of files, a quarter each, as they were at the end of some quarter."""

import shutil
from pathlib import Path

import duckdb
import pandas as pd

from features.declaration import Data
from features.fingerprints import of_inputs
from features.intake import open_increment
from features.kept import Shelf
from features.matrix import build_matrix
from features.workspace import Workspace
from tests.benchmarks.log import EVENT_NAMES, FIRST_DAY, closes, declared

NOW = pd.Timestamp("2030-01-01")


def workspace_of(log: Path, place: Path, n_quarters: int, *, keep: bool = False) -> Path:
    """The log as it was when `n_quarters` had closed: no later event, account or end. With `keep`, what was built stays."""
    if not keep:
        shutil.rmtree(place, ignore_errors=True)
    files = place / "events"
    files.mkdir(parents=True, exist_ok=True)
    edges = (FIRST_DAY, *closes(n_quarters))
    for number in range(n_quarters):
        file = files / f"quarter_{number:02d}.parquet"
        if not file.exists():
            source = _split(log) / file.name
            file.hardlink_to(source)
    end = pd.Timestamp(edges[-1], unit="D")
    accounts = pd.read_parquet(log / "accounts.parquet")
    accounts[accounts["signed_up_at"] < end].to_parquet(place / "accounts.parquet", index=False)
    spells = pd.read_parquet(log / "subscriptions.parquet")
    spells = spells[spells["started_at"] < end]
    ended = spells["ended_at"].where(spells["ended_at"] < end)
    spells.assign(ended_at=ended).to_parquet(place / "subscriptions.parquet", index=False)
    return place


def _split(log: Path) -> Path:
    """The events of a log in files by quarter, made once."""
    folder = log / "by_quarter"
    if folder.exists():
        return folder
    aside = log / "by_quarter_in_work"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    edges = [pd.Timestamp(day, unit="D") for day in (FIRST_DAY, *closes(13))]
    with duckdb.connect() as connection:
        for number in range(13):
            connection.execute(
                f"COPY (SELECT * FROM read_parquet('{log / 'events.parquet'}') WHERE occurred_at >= ? AND occurred_at < ?)"
                f" TO '{aside / f'quarter_{number:02d}.parquet'}' (FORMAT parquet, COMPRESSION zstd)",
                [edges[number], edges[number + 1]],
            )
    return aside.rename(folder)


def build(place: Path) -> None:
    """What `milestones features` does: intake, features, matrix and manifest."""
    data = _declared()
    workspace = Workspace(place)
    inputs = of_inputs(data, place)
    log, counting = open_increment(data, place, Shelf.of(workspace, data), NOW)
    build_matrix(log, data, workspace, inputs, counting=counting)


def _declared() -> Data:
    base = declared()
    changes = {
        "sources": {**base.sources.model_dump(), "events": "events"},
        "features": {
            "events": EVENT_NAMES,
            "windows_days": (30, 90, 365),
            "event_windows_days": (30, 90, 365),
        },
    }
    return Data.model_validate({**base.model_dump(), **changes})
