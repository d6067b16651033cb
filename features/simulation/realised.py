"""What came out of a simulated company: counts by the block, so that a large one needs no more memory."""

from typing import Any

import numpy as np

from features.arrays import Flags, Floats, Integers
from features.simulation.blocks import Block
from features.simulation.history import Columns, History, standing
from features.simulation.plantings import ACTIVATION_DAYS, MONTH_DAYS, SETUP_DAYS, TERM_DAYS
from features.simulation.scenario import Scenario

MILESTONES = ("setup", "activation", "utilization", "maturity")


class Realised:
    """Counts in the log as it came out, block by block. Rates and milestones are of customers, test accounts left out."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.counts = dict.fromkeys(
            ("n_events", "n_accounts", "n_test_accounts", "n_trials", "n_trials_lost", "n_left", "n_returned",
             "n_contacted", "n_held_out", "n_pushed"), 0
        )  # fmt: skip
        self.years, self.left = 0.0, 0
        self.reached = {name: np.zeros(2, dtype=np.int64) for name in MILESTONES}
        self.moments = {twin: np.zeros(6) for twin, usage in scenario.events.items() if usage.follows}

    def add(self, block: Block, n_events: int) -> None:
        """Take in one block, and how many events the log has of it."""
        history = block.history
        people, log_days = history.population, history.log_days
        trial_days = self.scenario.population.trial_days
        customer, gone = ~people.is_test, history.first_end < log_days
        never_bought = people.trial & (history.first_end <= trial_days)
        found = {
            "n_events": n_events,
            "n_accounts": len(people),
            "n_test_accounts": people.is_test.sum(),
            "n_trials": people.trial.sum(),
            "n_trials_lost": (never_bought & gone).sum(),
            "n_left": gone.sum(),
            "n_returned": (gone & (history.return_day < log_days)).sum(),
            "n_contacted": history.contacted.sum(),
            "n_held_out": history.held_out.sum(),
            "n_pushed": history.pushed.sum(),
        }
        self.counts = {name: self.counts[name] + int(n) for name, n in found.items()}
        buyer = customer & ~never_bought
        self.years += float(np.minimum(history.first_end, log_days)[buyer].sum() / TERM_DAYS)
        self.left += int((gone & buyer).sum())
        for name, tally in (*_once_reached(history, customer), *_state_reached(history, customer)):
            self.reached[name] += tally
        for twin in self.moments:
            self.moments[twin] += _moments(history, twin)

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            **self.counts,
            "yearly_leaving_rate": round(float(1 - np.exp(-self.left / self.years)), 4)
            if self.years
            else None,
            **{name: {"reached": int(tally[0]), "of": int(tally[1])} for name, tally in self.reached.items()},
            "twin_correlation": {twin: _correlation(moments) for twin, moments in self.moments.items()},
        }


def _once_reached(history: History, customer: Flags) -> list[tuple[str, Integers]]:
    """Setup and activation among accounts alive at the landmark, as (reached, of)."""
    months = history.spans.shape[1]
    found = []
    for name, day in (("setup", SETUP_DAYS), ("activation", ACTIVATION_DAYS)):
        first = standing(history.scenario, history.counts, history.seats, min(day // MONTH_DAYS, months))
        there = (history.first_end >= day) | (history.return_day <= day)
        alive = customer & there & (history.log_days >= day)
        found.append((name, _tally(first.setup if name == "setup" else first.activated, alive)))
    return found


def _state_reached(history: History, customer: Flags) -> list[tuple[str, Integers]]:
    """Utilization after day 90 and maturity after day 180, in windows lived in full, as (reached, of)."""
    full = (history.spans == MONTH_DAYS) & customer[:, None]
    utilization, maturity = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for month in range(4, history.spans.shape[1] + 1):
        by_now = standing(history.scenario, history.counts, history.seats, month)
        utilization += _tally(by_now.utilized, full[:, month - 1])
        if month >= 6:
            maturity += _tally(by_now.mature, full[:, month - 3 : month].all(axis=1))
    return [("utilization", utilization), ("maturity", maturity)]


def _tally(reached: Flags, among: Flags) -> Integers:
    """(reached, all) among the flagged."""
    return np.array([(reached & among).sum(), among.sum()], dtype=np.int64)


def _moments(history: History, twin: str) -> Floats:
    """n, sums, squares and products of log(1 + count) of an event and its twin, over months lived in full."""
    full, of = history.spans == MONTH_DAYS, Columns(history.scenario).of
    followed = history.scenario.events[twin].follows
    x, y = (np.log1p(history.counts[:, :, of[str(event)]][full]) for event in (followed, twin))
    return np.array([len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])


def _correlation(moments: Floats) -> float | None:
    """Pearson's r from the moments; None where one of the two never varies."""
    n, x, y, xx, yy, xy = moments
    spread = (n * xx - x * x) * (n * yy - y * y)
    return round(float((n * xy - x * y) / np.sqrt(spread)), 4) if spread > 1e-9 else None
