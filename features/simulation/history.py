"""What happened in a simulated company, by month of tenure, and which milestones it shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.arrays import Flags, Floats, Integers
from features.simulation.population import Population, category_sizes, category_starts
from features.simulation.scenario import Scenario
from features.windows import DAY_US, microseconds

Counts = NDArray[np.int32]


class Columns:
    """Where things stand among the columns of the counts."""

    def __init__(self, scenario: Scenario) -> None:
        names = scenario.columns
        self.of = {name: number for number, name in enumerate(names)}
        self.setup = slice(0, len(scenario.setup.steps))
        self.started = self.of[scenario.conversations.started]
        self.resolved = self.of[scenario.conversations.resolved]
        self.categories = slice(self.resolved + 1, self.resolved + 1 + len(scenario.maturity.events))
        self.signed_up = len(names) - 1
        self.category_starts, self.category_sizes = category_starts(scenario), category_sizes(scenario)


@dataclass(frozen=True)
class History:
    """What happened. (n, months) arrays are by month of tenure; days are counted from signup."""

    scenario: Scenario
    population: Population
    counts: Counts  # (n, months, columns of the scenario)
    spans: Floats  # days lived in the month inside the log, 0 to 30
    seats: Integers  # at the start of the month
    plan: Integers
    present: Flags  # subscribed at the start of the month
    first_end: Floats  # day of leaving, inf while staying
    return_day: Floats  # inf where none
    second_end: Floats
    contacted: Flags  # by a team that pushes activation
    held_out: Flags  # would have been, and was not
    pushed: Flags  # complied

    @property
    def log_days(self) -> Floats:
        """Days from signup to the end of the log, (n,)."""
        return days_in_log(self.scenario, self.population)


def days_in_log(scenario: Scenario, population: Population) -> Floats:
    """Days from signup to the end of the log, (n,)."""
    return (microseconds(scenario.end) - population.signed_up) / DAY_US


@dataclass(frozen=True)
class Standing:
    """Which milestones the counts so far show, at the start of a month. Flags, one an account."""

    setup: Flags
    activated: Flags
    utilized: Flags
    mature: Flags


def standing(scenario: Scenario, counts: Counts, seats: Integers, month: int) -> Standing:
    """The milestones reached by the start of `month`, from the counts of the months before.

    counts: (n, months, columns); seats: (n, months), at the start of each month.
    """
    at = Columns(scenario)
    none = np.zeros(len(counts), dtype=np.bool_)
    setup, activated, utilized, mature = none, none, none, none
    if month >= 1:
        setup = (counts[:, 0, at.setup] > 0).sum(axis=1) >= scenario.setup.at_least
        resolved = counts[:, month - 1, at.resolved]
        utilized = resolved >= scenario.utilization.at_least * seats[:, month - 1]
    if month >= 3:
        activated = counts[:, :3, at.started].sum(axis=1) >= scenario.activation.at_least
        recent = counts[:, month - 3 : month, at.categories].sum(axis=1)
        by_category = np.add.reduceat(recent, at.category_starts, axis=1)
        mature = (by_category >= scenario.maturity.mature).sum(axis=1) >= scenario.maturity.at_least
    return Standing(setup, activated, utilized, mature)
