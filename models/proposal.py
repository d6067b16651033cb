"""Propose a framework for a log nobody has described: milestones from the earlier half of the mature quarters.

It works backwards from retention, as the framework's authors did: maturity, utilization, activation, setup, each
judged by the next. What the data cannot support is left out with the reason. The later half of the quarters is
never looked at, not even for what accounts usually do, so that a review can judge what was proposed here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.arrays import Floats
from features.declaration import Data
from features.log import Log
from features.observations import observe, quarterly
from features.profile import profile_events
from features.progress import ProgressCallback
from models.cohorts import Cohort, once_cohort, quarterly_question, state_cohort, tenure_question
from models.finding import SweepResult
from models.framework import Framework, ReviewSettings
from models.milestones import RETAINED, CountRule, LevelsRule, Milestone, Rule, StepsRule
from models.parts import Level
from models.rivals import Rival, rivals_by_event
from models.roundness import nearest_round, round_numbers, scales
from models.trial import build_trial, run_trial, within_band

ACTIVATION_DAYS, SETUP_DAYS, UTILIZATION_DAYS, MATURITY_DAYS = 90, 30, 30, 90
MOST_CANDIDATES = 24
N_PERMUTATIONS = 500
BAND = ReviewSettings().adoption_band
USUAL_ADOPTION = 0.4  # a convention separates best where nearly half of the accounts are on either side
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
    """Propose every milestone the log can carry. `events` has a row for each event that may be used, in `event`."""
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
        self.until = earlier_half_ends(log, data)
        early = profile_events(_before(log, self.until))
        events = early[early["event"].isin(events["event"])]
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
        rule = LevelsRule(categories=levels, window_days=self._maturity_days, at_least=min(3, len(levels)))
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
        rule = CountRule(events=members, window_days=self._maturity_days, at_least=1)
        frame = self._cohort("level", Milestone(kind="state", rule=rule), ()).frame
        counts = frame.loc[frame["alive"] & (frame["score"] > 0) & (frame["as_of"] < self.until), "score"]
        return float(max(2.0, nearest_round(float(counts.quantile(2 / 3))))) if len(counts) else 2.0

    @property
    def _maturity_days(self) -> int:
        """Three months, or the shortest quarter of the calendar: two closes share no event."""
        return min(MATURITY_DAYS, self._framework({}).shortest_quarter_days)

    def _framework(self, milestones: dict[str, Milestone]) -> Framework:
        return Framework(schema=1, name="proposal", version=1, data=self.data, milestones=milestones)

    def _cohort(self, name: str, milestone: Milestone, rivals: tuple[Rival, ...]) -> Cohort:
        framework = self._framework({**self.found.milestones, name: milestone})
        extra = [one.spec for one in rivals]
        if milestone.kind == "once":
            question = tenure_question(framework, extra)
        else:
            question = quarterly_question(framework, self.log, self.data, extra)
        assert question is not None  # the framework holds the milestone
        frame = observe(self.log, self.data, question)
        build = once_cohort if milestone.kind == "once" else state_cohort
        return build(framework, name, frame, self.log)

    def _propose(self, name: str, milestone: Milestone, *, rivals: bool) -> None:
        others = rivals_by_event(milestone, self.core) if rivals else ()
        cohort = self._cohort(name, milestone, others)
        if not len(cohort.frame):
            awaited = (
                f"an account of {milestone.rule.window_days} days"
                if milestone.kind == "once"
                else "a closed quarter"
            )
            self.found.not_defined[name] = f"the log is too short: it has not seen {awaited} yet"
            return
        half = earlier_half(cohort, self.log.data_through)
        looked_at = cohort.quarters_in(half) if half else None
        trial = build_trial(cohort, "primary", self.log.data_through, self.rng, others, looked_at)
        result = run_trial(within_band(trial, BAND), cohort, self.rng, BAND, N_PERMUTATIONS)
        chosen, why, expected = _choice(cohort, half, result, others)
        self.found.said.append(f"{name}: {chosen.words}. {why}")
        self.found.milestones[name] = milestone.model_copy(
            update={"rule": chosen, "defined_on": half, "why": why, **expected}
        )


NO_CORE = "needs an event by which the customer gets value, and none was recognised: declare data.events.core"


def earlier_half_ends(log: Log, data: Data) -> pd.Timestamp:
    """The close at which the later half of those with mature retention begins; the end of a log without."""
    closes = [pd.Timestamp(0) + pd.Timedelta(days=day) for day in quarterly(log, data).as_of_days]
    horizon = pd.Timedelta(days=data.outcomes.horizon_days)
    mature = sum(close + horizon <= log.data_through for close in closes)
    return [*closes, log.data_through][max(mature // 2, 1)] if mature else log.data_through


def _before(log: Log, until: pd.Timestamp) -> Log:
    """The log as far as its profile goes, with nothing from a time on."""
    events = log.events.filter(log.events.occurred_at < ibis.timestamp(until.to_pydatetime()))
    return replace(log, events=events, accounts=log.accounts[log.accounts["signed_up_at"] < until])


def earlier_half(cohort: Cohort, known_at: pd.Timestamp) -> tuple[str, str] | None:
    """[from, to) of the earlier half of the mature cohort quarters: one where there is one, None where none is.

    Which quarters are mature is a matter of dates; of what happened in the later ones nothing enters.
    """
    judged = cohort.judged("primary", known_at)["quarter"]
    first = judged.min() if len(judged) else None
    if first is None:
        return None
    frame = cohort.frame
    quarters = sorted(
        q for q in frame["quarter"].unique() if q >= first and cohort.matures_at(q, "primary") <= known_at
    )
    return first, cohort.clock.quarters.shift(first, max(len(quarters) // 2, 1))


def _choice(
    cohort: Cohort, half: tuple[str, str] | None, result: SweepResult, rivals: tuple[Rival, ...]
) -> tuple[Any, str, dict[str, Any]]:
    """The rule to propose, why, and what to expect of it out of sample."""
    rule = cohort.milestone.rule
    if result.operating_cut is not None:
        chosen = next((one.rule for one in rivals if one.name == result.best), rule)
        effect = result.effect("out_of_sample")
        expected: dict[str, Any] = {}
        if effect is not None:
            interval = (round(effect.lower, 4), round(effect.upper, 4))
            expected = {"expected_effect": round(effect.value, 4), "expected_interval": interval}
        cut = float(result.operating_cut.value)
        update = {"at_least": int(cut) if not isinstance(rule, CountRule) else cut}
        return chosen.model_copy(update=update), result.sentence, expected
    frame = cohort.frame
    seen = frame["alive"] & frame["score"].notna()
    if half is not None:
        seen &= frame["quarter"].isin(cohort.quarters_in(half))
    score = frame.loc[seen, "score"].to_numpy(np.float64)
    cut = convention(score, rule)
    reached = float((score >= cut).mean()) if len(score) else 0.0
    why = f"A convention that {reached:.0%} of accounts reach; {result.sentence}"
    return rule.model_copy(update={"at_least": cut}), why, {}


def convention(score: Floats, rule: Rule) -> float | int:
    """A round cut that 20 to 60 % of accounts reach, nearest to 40 %; where none does, the nearest to that band.

    score: (n,). Of steps and categories every number is round; of counts 1, 2, 5 x 10^k before others.
    """
    if not isinstance(rule, CountRule):
        parts = rule.steps if isinstance(rule, StepsRule) else tuple(rule.categories)
        return int(_nearest(score, range(1, len(parts) + 1))[0])
    whole = not rule.per_seat
    low, high = (score[score > 0].min(), score.max()) if (score > 0).any() else (1.0, 1.0)
    best = 1.0
    for digits in scales(whole=whole):
        best, distance = _nearest(score, round_numbers(0.1 * low, high, digits, whole=whole) or [1.0])
        if distance == 0:
            break
    return best


def _nearest(score: Floats, choices: Iterable[float]) -> tuple[float, float]:
    """The choice whose adoption is best, and how far that is from the band."""
    numbers = np.array(list(choices), dtype=np.float64)
    share = np.array([(score >= number).mean() if len(score) else 0.0 for number in numbers])
    distance = np.maximum(np.maximum(BAND[0] - share, share - BAND[1]), 0.0)
    best = int(np.lexsort((np.abs(share - USUAL_ADOPTION), distance))[0])
    return float(numbers[best]), float(distance[best])
