"""Observations: account x as-of date, with features from before that date and the outcome from it on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.attributes import Level
from features.blocks import Recipe
from features.declaration import Data
from features.engines import engine_of
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
    asked = scan(log, specs, question.grid)
    recipe = Recipe(
        specs,
        question.grid,
        asked.plan,
        log.accounts["signed_up_at"].to_numpy("datetime64[us]"),
        np.datetime64(log.data_from, "us"),
        _levels(log),
    )
    composed = engine_of(log.events).composed(asked.cells, asked.users, recipe)
    for block, columns in enumerate(composed):
        frame = pd.DataFrame({**_identity(recipe, block), **columns})
        # An account that signs up at the very as-of date has no history yet.
        frame = frame[
            (frame["as_of"] > frame["signed_up_at"]) & (frame["as_of"] <= log.data_through)
        ].reset_index(drop=True)
        frame = label(log, data, frame)
        if question.alive_only:
            frame = frame[frame["alive"]].reset_index(drop=True)
        if progress:
            progress("composing the windows", (block + 1) / recipe.n_blocks)
        yield frame[[*IDENTITY, *(spec.name for spec in question.specs)]]


def _levels(log: Log) -> dict[Aggregation, Level]:
    """What the subscriptions say was in force, by what asks for it."""
    if log.subscriptions is None:
        return {}
    columns = {Aggregation.SEATS: "seats", Aggregation.REVENUE: "mrr"}
    return {kind: Level.of(log.subscriptions, c) for kind, c in columns.items() if c in log.subscriptions}


def _identity(recipe: Recipe, block: int) -> dict[str, object]:
    moments = recipe.moments(block)
    n_dates = len(moments.as_of_days)
    return {
        "account": np.repeat(moments.account, n_dates),
        "as_of": moments.time.ravel(),
        "signed_up_at": np.repeat(recipe.signed_up[moments.account], n_dates),
    }
