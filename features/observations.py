"""Observations: account x as-of date, with features from before that date and the outcome from it on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.attributes import Level
from features.composition import Moments, compose
from features.declaration import Data
from features.elementary import Batch
from features.log import Log
from features.outcomes import label, outcome_specs
from features.progress import ProgressCallback
from features.scan import scan
from features.specs import Aggregation, FeatureSpec
from features.windows import Grid, day_number

IDENTITY = ("account", "as_of", "signed_up_at", "alive", "at_risk", "retained", "known_from")


@dataclass(frozen=True)
class Question:
    """Which features, at which as-of dates. `alive_only` leaves out accounts that were gone by then."""

    specs: tuple[FeatureSpec, ...]
    grid: Grid
    alive_only: bool = False


def quarterly(log: Log, data: Data) -> Grid:
    """The as-of dates at which every quarter of the log closes: its end, the first instant of the next.

    Where none has closed yet it is the close to come, at which nobody can be observed: the questions have no rows.
    """
    quarters = data.calendar.quarters
    starts = quarters.starts(log.data_from, log.data_through)
    starts = starts or [quarters.end(quarters.containing(log.data_through))]
    return Grid("calendar", tuple(day_number(t) for t in starts))


def observe(
    log: Log, data: Data, question: Question, progress: ProgressCallback | None = None
) -> pd.DataFrame:
    """Every observation of the question in one frame: IDENTITY columns, then a column per feature."""
    batches = list(observe_in_batches(log, data, question, progress))
    return pd.concat(batches, ignore_index=True)


def observe_in_batches(
    log: Log, data: Data, question: Question, progress: ProgressCallback | None = None
) -> Iterator[pd.DataFrame]:
    """The same by batches of accounts, so that the whole is never needed in memory."""
    specs = (*question.specs, *outcome_specs(data))
    if progress:
        progress("scanning the events", 0.0)
    table = scan(log, specs, question.grid)
    levels = _levels(log)
    n_accounts = len(log.accounts)
    for batch in table.batches(n_accounts):
        moments = _moments(log, question.grid, batch)
        columns = {spec.name: compose(spec, batch, moments, levels).ravel() for spec in specs}
        frame = pd.DataFrame({**_identity(log, moments), **columns})
        # An account that signs up at the very as-of date has no history yet.
        frame = frame[
            (frame["as_of"] > frame["signed_up_at"]) & (frame["as_of"] <= log.data_through)
        ].reset_index(drop=True)
        frame = label(log, data, frame)
        if question.alive_only:
            frame = frame[frame["alive"]].reset_index(drop=True)
        if progress:
            progress("composing the windows", batch.stop / n_accounts)
        yield frame[[*IDENTITY, *(spec.name for spec in question.specs)]]


def _levels(log: Log) -> dict[Aggregation, Level]:
    """What the subscriptions say was in force, by what asks for it."""
    if log.subscriptions is None:
        return {}
    columns = {Aggregation.SEATS: "seats", Aggregation.REVENUE: "mrr"}
    return {kind: Level.of(log.subscriptions, c) for kind, c in columns.items() if c in log.subscriptions}


def _moments(log: Log, grid: Grid, batch: Batch) -> Moments:
    accounts = log.accounts.iloc[batch.first : batch.stop]
    signed_up = accounts["signed_up_at"].to_numpy("datetime64[us]")[:, None]
    days = np.asarray(grid.as_of_days, dtype=np.int64)
    offset = (days * np.timedelta64(1, "D").astype("timedelta64[us]"))[None, :]
    if grid.origin == "tenure":
        time = signed_up + offset
    else:
        time = np.broadcast_to(np.datetime64(0, "us") + offset, (len(accounts), len(days))).copy()
    one_day = np.timedelta64(1, "D")
    tenure = (time - signed_up) / one_day
    data_from = np.datetime64(log.data_from, "us")
    seen = np.where(signed_up < data_from, (time - data_from) / one_day, np.inf)
    return Moments(accounts.index.to_numpy(np.int64), days, time, tenure, seen)


def _identity(log: Log, moments: Moments) -> dict[str, object]:
    n_dates = len(moments.as_of_days)
    signed_up = log.accounts["signed_up_at"].to_numpy("datetime64[us]")
    return {
        "account": np.repeat(moments.account, n_dates),
        "as_of": moments.time.ravel(),
        "signed_up_at": np.repeat(signed_up[moments.account], n_dates),
    }
