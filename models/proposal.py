"""Propose a framework for a log nobody has described: milestones from the earlier half of the mature quarters.

It works backwards from retention, as the framework's authors did: maturity, utilization, activation, setup, each
judged by the next. What the data cannot support is left out with the reason. The later half of the quarters is
never looked at, so that a review can judge what was proposed here.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from features.declaration import Data
from features.intake import Log
from features.observations import observe
from features.progress import ProgressCallback
from models.cohorts import Cohort, once_cohort, quarterly_question, state_cohort, tenure_question
from models.framework import Framework
from models.milestones import RETAINED, CountRule, Level, LevelsRule, Milestone, StepsRule
from models.sweep import SweepResult
from models.trial import build_trial, mature_quarters, rival_rules, rival_specs, run_trial, within_band

ACTIVATION_DAYS, SETUP_DAYS, UTILIZATION_DAYS, MATURITY_DAYS = 90, 30, 30, 90
MOST_CANDIDATES = 24
FEWEST_QUARTERS = 2
N_PERMUTATIONS = 500
BAND = (0.2, 0.6)
NICHE, UBIQUITOUS = 0.05, 0.98
SETUP_EARLY, SETUP_PER_ACCOUNT, FEWEST_STEPS, FEWEST_CATEGORIES = 0.7, 3.0, 3, 3


@dataclass
class Proposal:
    """Milestones that were proposed, in the order of the chain, and why others were not."""

    milestones: dict[str, Milestone] = field(default_factory=dict)
    not_defined: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def propose(
    log: Log, data: Data, events: pd.DataFrame, seed: int, progress: ProgressCallback | None = None
) -> Proposal:
    """Propose every milestone the log can carry. `events` is the profile of `features.profile.profile_events`."""
    proposer = _Proposer(log, data, events, np.random.default_rng(seed))
    steps = (proposer.maturity, proposer.utilization, proposer.activation, proposer.setup)
    for i, step in enumerate(steps):
        if progress:
            progress(f"proposing {step.__name__}", i / len(steps))
        step()
    found = proposer.found
    order = ("setup", "activation", "utilization", "maturity")
    found.milestones = {name: found.milestones[name] for name in order if name in found.milestones}
    found.not_defined = {name: found.not_defined[name] for name in order if name in found.not_defined}
    return found


class _Proposer:
    def __init__(self, log: Log, data: Data, events: pd.DataFrame, rng: np.random.Generator) -> None:
        self.log, self.data, self.rng = log, data, rng
        core = events[events["event"].isin(data.events.core)]
        usual = core[(core["adoption"] >= NICHE) & (core["adoption"] <= UBIQUITOUS)]
        self.events = events
        self.core = tuple((usual if len(usual) else core)["event"].head(MOST_CANDIDATES))
        self.all_core = tuple(core["event"])
        self.found = Proposal()

    def maturity(self) -> None:
        areas = {
            name: members
            for name, members in self.data.events.categories.items()
            if name != "other" and sum(e in self.core for e in members) >= 2
        }
        if len(areas) < FEWEST_CATEGORIES:
            self.found.not_defined["maturity"] = (
                f"needs at least {FEWEST_CATEGORIES} product areas of two or more events each; the event names show"
                f" {len(areas)}. Declare data.events.categories and add the milestone by hand"
            )
            return
        levels = {
            name: Level(events=members, basic=1, mature=self._mature_level(members))
            for name, members in areas.items()
        }
        rule = LevelsRule(categories=levels, window_days=MATURITY_DAYS, at_least=min(3, len(levels)))
        self._propose("maturity", Milestone(kind="state", rule=rule), rivals=False)

    def utilization(self) -> None:
        if not self.log.has_seats:
            self.found.not_defined["utilization"] = (
                "is relative to the seats that were bought, and no table says with dates how many there were:"
                " give a subscriptions table with seats"
            )
            return
        if not self.core:
            self.found.not_defined["utilization"] = NO_CORE
            return
        rule = CountRule(events=self.all_core, window_days=UTILIZATION_DAYS, per_seat=True, at_least=1)
        primary = "maturity" if "maturity" in self.found.milestones else RETAINED
        self._propose("utilization", Milestone(kind="state", rule=rule, primary_outcome=primary), rivals=True)

    def activation(self) -> None:
        if not self.core:
            self.found.not_defined["activation"] = NO_CORE
            return
        rule = CountRule(events=self.all_core, window_days=ACTIVATION_DAYS, at_least=1)
        primary = next(
            (name for name in ("utilization", "maturity") if name in self.found.milestones), RETAINED
        )
        self._propose("activation", Milestone(kind="once", rule=rule, primary_outcome=primary), rivals=True)

    def setup(self) -> None:
        looks = self.events[
            (self.events["early"] >= SETUP_EARLY)
            & (self.events["per_account"] <= SETUP_PER_ACCOUNT)
            & self.events["adoption"].between(NICHE, 0.97)
        ]
        activation = self.found.milestones.get("activation")
        taken = activation.rule.all_events if activation else frozenset()
        steps = tuple(e for e in looks["event"] if e not in taken)
        if len(steps) < FEWEST_STEPS:
            self.found.not_defined["setup"] = (
                f"needs at least {FEWEST_STEPS} steps that accounts do once or twice and mostly in their first 30 days;"
                f" the log shows {len(steps)}"
            )
            return
        rule = StepsRule(steps=steps, window_days=SETUP_DAYS, at_least=max(2, round(len(steps) * 0.7)))
        primary = "activation" if activation else RETAINED
        self._propose("setup", Milestone(kind="once", rule=rule, primary_outcome=primary), rivals=False)

    def _mature_level(self, members: tuple[str, ...]) -> float:
        """A level that about a third of the accounts using the category reach in its window."""
        rule = CountRule(events=members, window_days=MATURITY_DAYS, at_least=1)
        cohort = self._cohort("level", Milestone(kind="state", rule=rule), {})
        counts = cohort.frame.loc[cohort.frame["alive"] & (cohort.frame["score"] > 0), "score"]
        return float(max(2.0, round_number(float(counts.quantile(2 / 3))))) if len(counts) else 2.0

    def _cohort(self, name: str, milestone: Milestone, rivals: dict[str, CountRule]) -> Cohort:
        framework = Framework(
            schema=1,
            name="proposal",
            version=1,
            data=self.data,
            milestones={**self.found.milestones, name: milestone},
        )
        extra = rival_specs(rivals)
        if milestone.kind == "once":
            question = tenure_question(framework, extra)
        else:
            question = quarterly_question(framework, self.log, self.data, extra)
        assert question is not None  # the framework holds the milestone
        frame = observe(self.log, self.data, question)
        build = once_cohort if milestone.kind == "once" else state_cohort
        return build(framework, name, frame, self.log)

    def _propose(self, name: str, milestone: Milestone, *, rivals: bool) -> None:
        others = rival_rules(milestone, self.core) if rivals else {}
        try:
            cohort = self._cohort(name, milestone, others)
        except ValueError as error:  # the log is too short for a single as-of date
            self.found.not_defined[name] = f"the log is too short: {error}"
            return
        half = self._earlier_half(cohort)
        trial = build_trial(cohort, milestone.primary_outcome, self.log.data_through, self.rng, others, half)
        result = run_trial(within_band(trial, BAND), cohort, self.rng, BAND, N_PERMUTATIONS)
        chosen, why, expected = _choice(cohort, milestone, result, others)
        self.found.said.append(f"{name}: {chosen.words}. {why}")
        self.found.milestones[name] = milestone.model_copy(
            update={"rule": chosen, "defined_on": half, "why": why, **expected}
        )

    def _earlier_half(self, cohort: Cohort) -> tuple[str, str] | None:
        quarters = mature_quarters(cohort, cohort.milestone.primary_outcome, self.log.data_through)
        if len(quarters) < FEWEST_QUARTERS:
            return None
        return quarters[0], quarters[len(quarters) // 2]


NO_CORE = "needs an event by which the customer gets value, and none was recognised: declare data.events.core"


def _choice(
    cohort: Cohort, milestone: Milestone, result: SweepResult, rivals: dict[str, CountRule]
) -> tuple[Any, str, dict[str, Any]]:
    """The rule to propose, why, and what to expect of it out of sample."""
    rule = milestone.rule
    if result.operating_cut is not None:
        by_name = {
            f"{column.partition(':')[2]} in {rival.window_days} days": rival
            for column, rival in rivals.items()
        }
        chosen = by_name.get(result.best or "", rule)
        effect = result.effect("out_of_sample")
        expected: dict[str, Any] = {}
        if effect is not None:
            interval = (round(effect.lower, 4), round(effect.upper, 4))
            expected = {"expected_effect": round(effect.value, 4), "expected_interval": interval}
        cut = float(result.operating_cut.value)
        update = {"at_least": int(cut) if not isinstance(rule, CountRule) else cut}
        return chosen.model_copy(update=update), result.sentence, expected
    if not isinstance(rule, CountRule):
        return rule, f"A convention; {result.sentence}", {}
    score = cohort.frame.loc[cohort.frame["alive"], "score"].dropna()
    cut = round_number(float(score.quantile(0.6))) if len(score) else 1.0
    cut = cut if rule.per_seat else max(1.0, round(cut))
    reached = float((score >= cut).mean()) if len(score) else 0.0
    why = f"A convention that {reached:.0%} of accounts reach; {result.sentence}"
    return rule.model_copy(update={"at_least": cut}), why, {}


def round_number(value: float) -> float:
    """The nearest of 1, 2, 3, 5 x 10^k: a cut that people can remember."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    choices = np.array([1.0, 2.0, 3.0, 5.0, 10.0]) * power
    return float(choices[np.argmin(np.abs(np.log(choices / value)))])
