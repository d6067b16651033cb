"""The clock of the proven: what each milestone does, over every cohort whose outcome was known when a review was due."""

from dataclasses import asdict, replace
from functools import cache
from itertools import count
from typing import Any

import pandas as pd

from features.outcomes import EXPANDED
from models.chain import basis, link
from models.cohorts import Asked, Cohort
from models.effects import Effect, difference_in
from models.estimates import Estimate
from models.framework import Framework
from models.milestones import DORMANT, RETAINED, Milestone
from reports.budget import accounts_to_decide, looks_a_year, smallest_detectable
from reports.effects import effects, history
from reports.grounds import Grounds
from reports.judgement import Judgement, Settings
from reports.verdicts import sentence, verdict


class Proven:
    """Judgements of the milestones of one framework, each made once.

    at: a quarter that is asked for as known at another instant than when its review is due, and that instant.
    """

    def __init__(
        self, framework: Framework, grounds: Grounds, seed: int, at: tuple[str, pd.Timestamp] | None = None
    ) -> None:
        self.framework, self.grounds, self.cohorts, self.at = framework, grounds, grounds.cohorts, at
        self.quarters = framework.data.calendar.quarters
        self.settings = Settings(
            band=framework.review.adoption_band,
            n_milestones=max(len(framework.milestones), 1),
            seed=seed,
            data_through=grounds.data_through,
        )
        self.judgement = cache(self._judge)

    def known_at(self, quarter: str) -> pd.Timestamp:
        """The instant a review of a quarter knows of: when it is due, or when it is asked for; no other knows more."""
        due = self.framework.review_due(quarter)
        if self.at is None:
            return due
        asked, instant = self.at
        return instant if quarter == asked else min(due, instant)

    def closed(self) -> list[str]:
        """Every quarter of the log that has closed."""
        return self.quarters.closed(self.grounds.data_from, self.grounds.data_through)

    def reviewable(self) -> list[str]:
        """The closed quarters from the first with a mature cohort on; the last two where none ever matured."""
        closed = self.closed()
        for i, quarter in enumerate(closed):
            if any(len(self.judgement(name, quarter).judged) for name in self.cohorts.by_name):
                return closed[i:]
        return closed[-2:]

    def _judge(self, name: str, quarter: str) -> Judgement:
        cohort = self._cohort(name, quarter)
        return Judgement(cohort, self.known_at(quarter), self.settings, self.grounds.traits[name])

    def _cohort(self, name: str, quarter: str) -> Cohort:
        """The cohort up to a quarter: of one that is asked for late, later ones are mature by then, and no part of it."""
        cohort, following = self.cohorts.by_name[name], self.quarters.shift(quarter, 1)
        asked: tuple[Asked, ...] = ("primary", "retained")
        if all(cohort.matures_at(following, one) > self.known_at(quarter) for one in asked):
            return cohort
        return replace(cohort, frame=cohort.frame[cohort.frame["quarter"] <= quarter])

    def milestone(self, name: str, quarter: str) -> dict[str, Any]:
        """What is proven of a milestone when the review of a quarter is due, and the verdict on it."""
        cohort, now = self.cohorts.by_name[name], self.judgement(name, quarter)
        before = self.judgement(name, self.quarters.shift(quarter, -1))
        milestone, n_tests = cohort.milestone, looks_a_year(self.settings.n_milestones)
        evidence = now.evidence(before)
        newest = max(now.judged["quarter"], default=None)
        realised, recent = difference_in(now.held_out), now.recent_effect
        found = {
            "name": name,
            "kind": milestone.kind,
            "rule": milestone.rule.words,
            "proposed": milestone.proposed,
            "why": milestone.why,
            "outcome": _outcome_words(milestone, self.framework.data.outcomes.horizon_days),
            "same_behaviour": list(self.framework.shares_behaviour(name)),
            "verdict": verdict(evidence).value,
            "evidence": {
                key: getattr(evidence, key)
                for key in ("predicts", "changed", "cause", "cut", "better_cut_supported", "no_twice", "powered")
            },
            "expected": _expected(milestone),
            "realised": _counted(realised) if realised else None,
            "recent": None if recent is None else {**_counted(recent), "quarters": sorted(now.recent["quarter"].unique())},
            "baseline": None if now.baseline is None else asdict(now.baseline),
            "mix": None if now.mix is None else {**now.mix.change.brief(), "dimensions": list(now.mix.dimensions)},
            "minimum_effect": now.minimum_effect,
            "newest_mature_cohort": newest,
            "next_matures": self._next_matures(cohort, quarter),
            "matured_since_last": newest is not None and newest != max(before.judged["quarter"], default=None),
            "threshold": _threshold(now, milestone),
            "curve": _curve(now),
            "smallest_detectable": smallest_detectable(recent, now.baseline, n_tests),
            "accounts_to_decide": accounts_to_decide(recent, now.baseline, recent.n_accounts, n_tests) if recent else None,
            "defined_on": list(milestone.defined_on) if milestone.defined_on else None,
            "effects": effects(now),
            "history": history(now, self._quarters_until(quarter)),
        }  # fmt: skip
        found["sentence"] = sentence(found)
        return found

    def link(self, name: str, quarter: str) -> dict[str, Any] | None:
        """The rates of the next link among accounts that reached a milestone and those that did not, and what else it does.

        `by_revenue` holds the same differences with accounts weighted by what they paid.
        """
        known_at, cohort = self.judgement(name, quarter).known_at, self.judgement(name, quarter).cohort
        milestone = cohort.milestone
        found, (rows, in_definition) = (
            link(self.framework, cohort, known_at),
            basis(cohort, "primary", known_at),
        )
        if found.effect(milestone.primary_outcome) is None:
            return None
        reached = rows["reached"].to_numpy(bool)
        outcome = rows["outcome"].to_numpy(bool)
        asked = {
            "difference": milestone.primary_outcome,
            **{f"on_{o}": o for o in (RETAINED, EXPANDED, DORMANT)},
        }
        return {
            "from": name,
            "to": milestone.primary_outcome,
            "outcome": _outcome_words(milestone, self.framework.data.outcomes.horizon_days),
            "in_definition": in_definition,
            "rate_reached": float(outcome[reached].mean()),
            "rate_not": float(outcome[~reached].mean()),
            "n_reached": int(reached.sum()),
            "n_not": int((~reached).sum()),
            **{key: _of_link(found.effect(o)) for key, o in asked.items()},
            "by_revenue": {key: _of_link(found.effect(o, weighted=True)) for key, o in asked.items()},
        }

    def _quarters_until(self, quarter: str) -> list[str]:
        first = self.quarters.containing(self.grounds.data_from)
        return [self.quarters.shift(first, i) for i in range(self.quarters.distance(first, quarter) + 1)]

    def _next_matures(self, cohort: Cohort, quarter: str) -> str:
        """The date on which the next cohort quarter is known as a whole."""
        known_at = self.known_at(quarter)
        first = self.quarters.containing(self.grounds.data_from)
        dates = (cohort.matures_at(self.quarters.shift(first, i), "primary") for i in count())
        return next(date for date in dates if date > known_at).date().isoformat()


def _outcome_words(milestone: Milestone, horizon_days: int) -> str:
    target = milestone.primary_outcome
    return f"retained {horizon_days} days later" if target == RETAINED else f"{target} next"


def _of_link(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    record = effect.as_dict()
    return {key: record[key] for key in ("value", "lower", "upper", "n_accounts", "in_definition")}


def _counted(estimate: Estimate) -> dict[str, Any]:
    return {**estimate.brief(), "n_observations": estimate.n_observations, "n_accounts": estimate.n_accounts}


def _expected(milestone: Milestone) -> dict[str, float | None] | None:
    if milestone.expected_effect is None:
        return None
    lower, upper = milestone.expected_interval or (None, None)
    return {"value": milestone.expected_effect, "lower": lower, "upper": upper}


def _threshold(now: Judgement, milestone: Milestone) -> dict[str, Any]:
    sweep, current = now.sweep, float(milestone.rule.at_least)
    cut = sweep.operating_cut
    return {
        "current": current,
        "plateau": None if now.plateau is None else list(now.plateau),
        "operating_cut": None if cut is None else {"value": cut.value, "reason": cut.reason},
        "verdict": sweep.verdict,
        "sentence": sweep.sentence,
        "unit": milestone.rule.unit,
    }


def _curve(now: Judgement) -> list[dict[str, Any]] | None:
    points = now.sweep.curves.get(now.cohort.name, ())
    return [
        {
            "value_from": p.lower,
            "value_to": p.upper,
            "rate": p.rate,
            "lower": p.rate_lower,
            "upper": p.rate_upper,
            "n": p.n,
        }
        for p in points
    ] or None
