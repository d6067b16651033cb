"""Observations: account x as-of date, with features from before that date and the outcome from it on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.ahead import ahead
from features.attributes import Holding, Level, State
from features.blocks import Columns, Recipe
from features.declaration import Data
from features.eligibility import eligibility
from features.engines import engine_of
from features.kept import Counting
from features.log import Log
from features.outcomes import EXPANDED, MRR, Labels, outcome_specs
from features.progress import ProgressCallback
from features.scan import Scan, scan
from features.specs import Aggregation, FeatureSpec
from features.states import States, holdings
from features.windows import LONGEST_WINDOW_DAYS, Grid, day_number

IDENTITY = ("account", "as_of", "signed_up_at", "alive", "at_risk", "retained", "known_from")
BOOKED = (EXPANDED, MRR)  # beside these where the subscriptions say so


@dataclass(frozen=True)
class Question:
    """Which features, at which as-of dates. `alive_only` leaves out accounts that were gone by then."""

    specs: tuple[FeatureSpec, ...]
    grid: Grid
    alive_only: bool = False


# Of closes that are farther ahead no window reaches back to today: a trend looks back over two of the longest.
CLOSES_AHEAD = 2 * LONGEST_WINDOW_DAYS // 90 + 1


def quarterly(log: Log, data: Data) -> Grid:
    """The as-of dates at which every quarter of the log closes: its end, the first instant of the next.

    Where none has closed yet it is the close to come, at which nobody can be observed: the questions have no rows.
    """
    quarters = data.calendar.quarters
    starts = quarters.starts(log.data_from, log.data_through)
    starts = starts or [quarters.end(quarters.containing(log.data_through))]
    return Grid("calendar", tuple(day_number(t) for t in starts))


def with_coming(grid: Grid, data: Data) -> Grid:
    """The same quarters, laid out so that the closes to come find the counts of today."""
    quarters = data.calendar.quarters
    final = quarters.containing(pd.Timestamp(grid.as_of_days[-1], unit="D"))
    coming = (quarters.end(quarters.shift(final, i)) for i in range(CLOSES_AHEAD))
    return replace(grid, coming_days=tuple(day_number(t) for t in coming))


def observe(
    log: Log, data: Data, question: Question, progress: ProgressCallback | None = None
) -> pd.DataFrame:
    """Every observation of the question in one frame: IDENTITY columns, those of BOOKED that the log has, a column per feature."""
    batches = list(observe_in_blocks(log, data, question, progress))
    return pd.concat(batches, ignore_index=True)


def observe_in_blocks(
    log: Log,
    data: Data,
    question: Question,
    progress: ProgressCallback | None = None,
    counting: Counting | None = None,
) -> Iterator[pd.DataFrame]:
    """The same by batches of accounts, so that the whole is never needed in memory.

    With `counting` it starts from the counts of the log's files that are kept, and keeps those of the rest.
    """
    of_outcome = outcome_specs(data)
    states, held = _looked_up(log, data, question.specs)
    if progress:
        progress("scanning the events", 0.0)
    specs = (*question.specs, *of_outcome)
    asked = scan(log, specs, question.grid)
    recipe = Recipe(
        question.specs,
        of_outcome,
        question.grid,
        asked.layout,
        log.accounts["signed_up_at"].to_numpy("datetime64[us]"),
        np.datetime64(log.data_from, "us"),
        _levels(log),
        states,
        held,
        eligibility(log, data),
    )
    labels = Labels.of(log, data)
    for block, columns in enumerate(ahead(_composed(log, specs, asked, recipe, counting))):
        observed = labels.label(_asked(log, recipe, block, columns))
        if question.alive_only:
            observed = observed[observed["alive"]]
        if progress:
            progress("composing the windows", (block + 1) / recipe.n_blocks)
        rows = observed.index.to_numpy()
        features = {spec.name: columns[spec.name][rows] for spec in question.specs}
        labelled = (*IDENTITY, *labels.booked)
        yield pd.DataFrame({**{name: observed[name].array for name in labelled}, **features})


def _asked(log: Log, recipe: Recipe, block: int, columns: Columns) -> pd.DataFrame:
    """Who is observed when, and what their outcome is read from; the index is the row of the columns."""
    moments = recipe.moments(block)
    n_dates = len(moments.as_of_days)
    identity = {
        "account": np.repeat(moments.account, n_dates),
        "as_of": moments.time.ravel(),
        "signed_up_at": np.repeat(recipe.signed_up[moments.account], n_dates),
    }
    frame = pd.DataFrame({**identity, **{spec.name: columns[spec.name] for spec in recipe.outcome_specs}})
    # An account that signs up at the very as-of date has no history yet.
    return frame[(frame["as_of"] > frame["signed_up_at"]) & (frame["as_of"] <= log.data_through)]


def _composed(
    log: Log, specs: tuple[FeatureSpec, ...], asked: Scan, recipe: Recipe, counting: Counting | None
) -> Iterator[Columns]:
    """What the recipe makes of the events, wherever they are counted."""
    coming = recipe.grid.coming_days
    if counting is None or not coming:
        return engine_of(log.events).composed(asked.cells, asked.users, recipe)
    found = counting.streams(
        asked, coming[0], lambda events: scan(replace(log, events=events), specs, recipe.grid)
    )
    return recipe.blocks(found.get("cells", []), found.get("users", []))


def _levels(log: Log) -> dict[Aggregation, Level]:
    """What the subscriptions say was in force, by what asks for it."""
    if log.subscriptions is None:
        return {}
    columns = {Aggregation.SEATS: "seats", Aggregation.REVENUE: "mrr"}
    return {kind: Level.of(log.subscriptions, c) for kind, c in columns.items() if c in log.subscriptions}


def _looked_up(
    log: Log, data: Data, specs: tuple[FeatureSpec, ...]
) -> tuple[dict[str, State], dict[tuple[object, ...], Holding]]:
    """What features of states look up, by their names, and when the tests of groups hold, by their meaning."""
    asked = any(spec.attribute is not None or spec.state_tests for spec in specs)
    known = States.of(log, data) if asked else States({})
    states: dict[str, State] = {}
    held: dict[tuple[object, ...], Holding] = {}
    for spec in specs:
        asked_by = f"feature {spec.name!r}"
        if spec.attribute is not None:
            states[spec.name] = State.of(known.require(spec.attribute, asked_by), spec.equals)
        held |= holdings(known, (t for t in spec.state_tests if t.meaning not in held), asked_by)
    return states, held
