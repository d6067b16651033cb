"""Draw a tiny log as text, and open it as the platform would."""

from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from features.declaration import Calendar, Data, Sources
from features.discovery import provisional
from features.intake import open_log
from features.log import Log
from features.observations import Question, observe
from features.specs import FeatureSpec
from features.tables import TABLES
from features.windows import Grid
from tests.stores import load

SCHEMAS = count()

ON: ContextVar[str] = ContextVar(
    "ON", default="duckdb"
)  # where drawn events are counted: see the fixture `engine`
NOW = pd.Timestamp("2030-01-01")


def table(text: str) -> pd.DataFrame:
    """A table drawn with a header line and columns apart by `|`; '-' is nothing, dates are times."""
    rows = [[cell.strip() for cell in line.strip().split("|")] for line in text.strip().splitlines()]
    frame = pd.DataFrame(rows[1:], columns=rows[0]).replace("-", None)
    for column in frame:
        if str(column).endswith(("_at", "_from", "_to")):
            frame[column] = pd.to_datetime(frame[column], format="ISO8601")
        elif column in ("seats", "quantity", "mrr", "term_months"):
            frame[column] = frame[column].astype("float64")
    return frame


def data_for(folder: Path, tables: dict[str, pd.DataFrame], **changes: Any) -> Data:
    """Write the tables as Parquet and declare them; `changes` are keys of the data half."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    sources = {name: f"{name}.parquet" for name in tables}
    if ON.get().startswith("postgresql://"):
        schema = f"drawn_{next(SCHEMAS)}"
        sources = {name: load(ON.get(), schema, name, frame) for name, frame in tables.items()}
    elif ON.get() != "duckdb":
        changes = {"engine": ON.get(), **changes}
    mapping = {
        name: {column: column for column in TABLES[name].columns if column in frame}
        for name, frame in tables.items()
    }
    base = provisional(Sources(**sources), mapping, Calendar())
    return Data.model_validate({**base.model_dump(), **changes})


def draw(folder: Path, tables: dict[str, str], **changes: Any) -> tuple[Log, Data]:
    """Open a drawn log; `tables` are texts by name."""
    data = data_for(folder, {name: table(text) for name, text in tables.items()}, **changes)
    return open_log(data, folder, now=NOW), data


def feature(
    log: Log, data: Data, spec: FeatureSpec, *as_of: str, origin: str = "calendar"
) -> dict[tuple[str, str], float]:
    """The feature by (account, as-of date); tenure grids are asked for by days."""
    if origin == "calendar":
        days = tuple(int(pd.Timestamp(t).timestamp() // 86_400) for t in as_of)
        grid = Grid("calendar", days)
    else:
        grid = Grid("tenure", tuple(int(t) for t in as_of))
    frame = observe(log, data, Question((spec,), grid))
    names = log.accounts["account_id"].to_numpy()[frame["account"]]
    dates = frame["as_of"].dt.strftime("%Y-%m-%d")
    return dict(zip(zip(names, dates, strict=True), frame[spec.name], strict=True))
