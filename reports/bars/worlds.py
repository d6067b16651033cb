"""Simulated companies as the cohorts of their activation, drawn directly and without a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import pandas as pd

from features.log import Log
from features.observations import quarterly
from features.simulation.direct import draw_log, draw_matrix, draw_matrix_and_log
from features.simulation.scenario import Scenario, load_scenario
from features.simulation.simulator import draw_company
from models.cohorts import Cohort, once_cohort, state_cohort, tenure_question
from models.demonstration import adopted_framework
from models.framework import Framework
from models.milestones import RETAINED, Milestone
from models.rivals import Rival, countable, field_of, rivals_by_event

NAME = "activation"
BESIDE = ("theme_changed", "shortcut_used", "profile_updated", "changelog_opened")  # events that do nothing
# Accounts to draw for one that is judged: the rest has left by day 90, or its outcome is not known by the end.
_DRAWN: dict[str, float] = {"null": 1.53, "immortal-time": 1.53, "size-confounded": 1.8}
_USUALLY = 1.04


@dataclass(frozen=True, eq=False)
class World:
    """A company as one milestone of it asks: at day 90 of every account, or at every quarter's close.

    rivals: what is a candidate beside its own score.
    """

    name: str
    scenario: Scenario
    framework: Framework
    log: Log
    frame: pd.DataFrame
    rivals: tuple[Rival, ...]

    @property
    def end(self) -> pd.Timestamp:
        """The first instant of which nothing is known."""
        return self.scenario.end

    def cohort(self, **changes: object) -> Cohort:
        """The cohort of the milestone, judged by retention; `changes` are fields of it."""
        milestone = self.framework.milestones[self.name].model_copy(update=changes)
        framework = self.framework.model_copy(update={"milestones": {self.name: milestone}})
        make = once_cohort if milestone.kind == "once" else state_cohort
        return make(framework, self.name, self.frame, self.log)

    def cohort_of(self, candidate: str, at_least: float, **changes: object) -> Cohort:
        """The cohort of another milestone in its place, at the same landmark: so much of a candidate, by its name."""
        rule = self.framework.milestones[self.name].rule.model_copy(update={"at_least": at_least})
        column = next((one.column for one in self.rivals if one.name == candidate), self.name)
        frame = self.frame.assign(**{self.name: self.frame[column]})
        return replace(self, frame=frame).cohort(rule=rule, **changes)


def draw(
    scenario: str,
    seed: int,
    *,
    judged: int | None = None,
    quarters: int | None = None,
    beside: Sequence[str] | None = BESIDE,
    horizon_days: int = 180,
) -> World:
    """Draw a company in which about `judged` accounts can be judged; as large as its scenario says without it.

    beside: the events that are candidates beside its own score; None: everything that `sweep` would explore, but for
    events that not everybody could use.
    """
    accounts = None if judged is None else round(judged * _DRAWN.get(scenario, _USUALLY))
    sized = load_scenario(scenario).sized(accounts, quarters)
    framework = _framework(scenario, quarters, NAME, horizon_days)
    rivals = (
        _family(sized, framework) if beside is None else rivals_by_event(framework.milestones[NAME], beside)
    )
    question = tenure_question(framework, (one.spec for one in rivals))
    assert question is not None  # activation is reached once
    frame, log = draw_matrix_and_log(sized, seed, question.specs, question.grid, horizon_days)
    return World(NAME, sized, framework, log, frame, rivals)


def draw_closes(scenario: str, seed: int, name: str, accounts: int) -> World:
    """Draw a company as a state milestone asks, at every quarter's close."""
    sized = load_scenario(scenario).sized(accounts)
    framework, log = _framework(scenario, None, name, 180), draw_log(sized, seed)
    spec = framework.milestones[name].rule.spec(name)
    frame = draw_matrix(sized, seed, [spec], quarterly(log, framework.data))
    return World(name, sized, framework, log, frame, ())


def _family(scenario: Scenario, framework: Framework) -> tuple[Rival, ...]:
    open_to_all = set(scenario.logged) - scenario.limited
    found = countable(framework.data, framework.milestones[NAME])
    counted = {label: events for label, events in found.items() if open_to_all.issuperset(events)}
    return field_of(framework, NAME, counted, has_seats=False).rivals


@cache
def _framework(scenario: str, quarters: int | None, name: str, horizon_days: int) -> Framework:
    """What the company's team adopted, but for a single milestone, at the planted cut, judged by retention."""
    chosen = load_scenario(scenario).sized(accounts=1, quarters=quarters)
    framework = adopted_framework(chosen, draw_company(chosen, 0).columns)
    outcomes = framework.data.outcomes.model_copy(update={"horizon_days": horizon_days})
    data = framework.data.model_copy(update={"outcomes": outcomes})
    milestone: Milestone = framework.milestones[name].model_copy(update={"primary_outcome": RETAINED})
    return framework.model_copy(update={"data": data, "milestones": {name: milestone}})
