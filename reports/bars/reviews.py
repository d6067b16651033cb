"""Bars of the quarterly verdict: a company reviewed quarter after quarter, each time as known then."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.quarters import Quarters
from models.cohorts import Cohort
from models.demonstration import with_expectation
from models.effects import difference_in
from models.mix import traits_of
from reports.bars.thresholds import swept_on
from reports.bars.worlds import World, draw
from reports.budget import REVIEWS_A_YEAR, Interval, difference
from reports.judgement import Judgement, Settings
from reports.verdicts import Evidence, Verdict, verdict

# What is expected of a cut that was swept: its effect on accounts that did not choose it.
EXPECTED = "out_of_sample"
QUARTERS = 16
N_CHOSEN_ON = 4  # quarters
SECOND = 2
# Accounts, for about 400 a cohort quarter; other scenarios have as many by themselves.
JUDGED = {"null": 4800}


@dataclass(frozen=True)
class Reviewed:
    """One review of one milestone; `newest` is the newest quarter it could judge."""

    quarter: str
    newest: str
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class History:
    """The reviews of a company in time order.

    changed_from: the quarter from which on its truth is another. gap: what the milestone did after it was adopted less
    what was expected of it, with a 95 % interval; None where either is not known.
    """

    reviews: tuple[Reviewed, ...]
    changed_from: str | None = None
    gap: Interval | None = None


def reviewed(scenario: str, judged: int | None, seed: int, *, at_least: float | None = None) -> History:
    """Review activation, adopted after six quarters, once it has quarters of its own to be judged by.

    at_least: its cut; the planted one where none is given.
    """
    world = draw(scenario, seed, judged=judged, beside=())
    rule = world.framework.milestones[world.name].rule
    cohort = world.cohort(rule=rule if at_least is None else rule.model_copy(update={"at_least": at_least}))
    cohort = Cohort(cohort.name, with_expectation(cohort), cohort.frame, cohort.clock)
    change = world.scenario.changes.drift or world.scenario.changes.mix
    changed = None if change is None else str(pd.Period(world.scenario.quarter_start(change.quarter), "Q"))
    return History(_reviews(world, cohort, seed), changed)


def reviewed_after_sweep(scenario: str, seed: int) -> History:
    """Sweep everything there is on the first four cohort quarters, adopt the best whatever the verdict, and review it."""
    world = draw(scenario, seed, judged=JUDGED.get(scenario), quarters=QUARTERS, beside=None)
    quarters = sorted(world.cohort().judged("primary", world.end)["quarter"].unique())
    first = quarters[:N_CHOSEN_ON]
    result = swept_on(world, np.random.default_rng(seed), first)
    expected = result.effect(EXPECTED)
    if result.best is None or result.best_cut is None or expected is None:
        return History(())  # nothing rises: there is nothing to adopt
    operating = result.operating_cut
    cohort = world.cohort_of(
        result.best,
        result.best_cut if operating is None else operating.value,
        defined_on=(first[0], quarters[N_CHOSEN_ON]),
        expected_effect=expected.value,
        expected_interval=(expected.lower, expected.upper),
    )
    since = difference_in(_judgement(world, cohort, world.end, seed).held_out)
    gap = None if since is None else difference(since, expected, n_tests=1)
    return History(_reviews(world, cohort, seed), gap=gap)


def _reviews(world: World, cohort: Cohort, seed: int) -> tuple[Reviewed, ...]:
    """Every review that has a quarter to judge by, each as known when it was due."""
    traits = traits_of(cohort, world.log, world.framework.data)
    quarters, lag = Quarters(), pd.Timedelta(days=world.framework.review.settling_lag_days)
    made, before = [], None
    for quarter in quarters.closed(world.scenario.start, world.end):
        now = _judgement(world, cohort, quarters.end(quarter) + lag, seed, traits)
        if len(now.held_out):
            evidence = now.evidence(before)
            made.append(Reviewed(quarter, str(now.held_out["quarter"].max()), evidence, verdict(evidence)))
        before = now
    return tuple(made)


def _judgement(
    world: World,
    cohort: Cohort,
    known_at: pd.Timestamp,
    seed: int,
    traits: pd.DataFrame | None = None,
) -> Judgement:
    settings = Settings(world.framework.review.adoption_band, 1, seed, world.end)
    return Judgement(cohort, known_at, settings, traits)


# How a history is judged.


def ever_re_tune(history: History) -> list[bool]:
    """Whether any review says RE-TUNE."""
    return [any(one.verdict == Verdict.RE_TUNE for one in history.reviews)]


def changed_within_a_year(history: History) -> list[bool]:
    """Whether any of the first four reviews shows a change: what the error budget is for."""
    return [any(one.evidence.changed == "shown" for one in history.reviews[:REVIEWS_A_YEAR])]


def as_expected(history: History) -> list[bool]:
    """Whether what came after adoption cannot be told from what was expected; nothing where nothing was adopted."""
    return [] if history.gap is None else [history.gap.lower <= 0 <= history.gap.upper]


def each_hold(history: History) -> list[bool]:
    """Of every review, whether it says HOLD."""
    return [one.verdict == Verdict.HOLD for one in history.reviews]


def each_insufficient(history: History) -> list[bool]:
    """Of every review, whether it says INSUFFICIENT DATA."""
    return [one.verdict == Verdict.INSUFFICIENT_DATA for one in history.reviews]


def shown_by_the_second_quarter(history: History) -> list[bool]:
    """Whether a review shows the change by the second quarter in which it is true."""
    after = sorted({one.newest for one in history.reviews if one.newest >= str(history.changed_from)})
    shown = {one.newest for one in _shown(history)}
    return [not shown.isdisjoint(after[:SECOND])]


def _shown(history: History) -> list[Reviewed]:
    """The reviews that show a change."""
    return [one for one in history.reviews if one.evidence.changed == "shown"]


def called_mix(history: History) -> list[bool]:
    """Of every review that shows a change, whether it is called one of mix."""
    return [one.evidence.cause == "mix" for one in _shown(history)]
