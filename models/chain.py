"""The chain worked backwards: what reaching each milestone goes with, from retention back to the first of them.

Every milestone is asked for its next link, for going dormant, for staying and for growing; each effect a second time
with accounts weighted by the revenue they paid at the landmark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from features.arrays import Floats
from features.outcomes import EXPANDED, MRR
from models.cohorts import Asked, Cohort, chosen_on
from models.effects import FEWEST_OF_A_CLASS, Effect, difference_in, enough, occasion, population, rarer
from models.framework import Framework
from models.milestones import DORMANT, RETAINED, Milestone

NOT_BOUGHT = "no subscription says how many seats an account has, or what it pays"


@dataclass(frozen=True)
class Link:
    """What one milestone does, and why it says nothing of an outcome: `missing` holds a sentence by outcome.

    same_behaviour: by outcome the events that the milestone counts too, in a window apart; outcomes without are left out.
    """

    milestone: str
    kind: str
    rule: str
    effects: tuple[Effect, ...]
    missing: dict[str, str]
    same_behaviour: dict[str, tuple[str, ...]]

    def effect(self, outcome: str, *, weighted: bool = False) -> Effect | None:
        """The effect on an outcome, None where there is none."""
        found = (e for e in self.effects if e.outcome == outcome and bool(e.weighted_by) is weighted)
        return next(found, None)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return {
            "milestone": self.milestone,
            "kind": self.kind,
            "rule": self.rule,
            "effects": [effect.as_dict() for effect in self.effects],
            "missing": self.missing,
            "same_behaviour": {outcome: list(events) for outcome, events in self.same_behaviour.items()},
        }


class Basis(NamedTuple):
    """The rows an effect is computed from (as `Cohort.judged`), and whether the milestone was chosen on them."""

    rows: pd.DataFrame
    in_definition: bool


def backwards(framework: Framework) -> list[str]:
    """The milestones from the one nearest to retention to the first; of those as near the last of the file comes first."""
    targets = {name: m.primary_outcome for name, m in framework.milestones.items()}

    def links_to_go(name: str) -> int:
        n = 0
        while name in targets and n < len(targets):  # two states may lead to each other
            name, n = targets[name], n + 1
        return n

    order = list(targets)[::-1]
    order.sort(key=links_to_go)
    return order


def chain(framework: Framework, cohorts: Mapping[str, Cohort], known_at: pd.Timestamp) -> tuple[Link, ...]:
    """Every milestone of a framework, backwards, as known at a date."""
    return tuple(link(framework, cohorts[name], known_at) for name in backwards(framework))


def link(framework: Framework, cohort: Cohort, known_at: pd.Timestamp) -> Link:
    """What is known at a date of one milestone's effects, on the mature quarters outside those it was chosen on.

    Where there are no others, on these, marked `in_definition`.
    """
    effects: list[Effect] = []
    missing: dict[str, str] = {}
    outcomes = asked_of(cohort)
    for outcome, asked in outcomes.items():
        if asked == EXPANDED and EXPANDED not in cohort.frame:
            missing[outcome] = NOT_BOUGHT
            continue
        found = basis(cohort, asked, known_at)
        weights = (False, True) if enough(found.rows) else ()
        made = [_effect(cohort, outcome, found, weighted=weighted) for weighted in weights]
        effects += [effect for effect in made if effect is not None]
        if not made or made[0] is None:
            missing[outcome] = _reason(cohort, asked, found.rows, known_at)
    shared = {outcome: framework.shares_behaviour(cohort.name, outcome) for outcome in outcomes}
    milestone = cohort.milestone
    return Link(
        cohort.name, milestone.kind, milestone.rule.words, tuple(effects), missing,
        {outcome: events for outcome, events in shared.items() if events},
    )  # fmt: skip


def asked_of(cohort: Cohort) -> dict[str, Asked]:
    """The outcomes a milestone is asked for, each once: how an effect names it, and how the cohort does."""
    found: dict[str, Asked] = {cohort.milestone.primary_outcome: "primary"}
    if cohort.milestone.kind == "once":
        found[DORMANT] = "dormant"
    found.setdefault(RETAINED, "retained")
    found[EXPANDED] = "expanded"
    return found


def basis(cohort: Cohort, asked: Asked, known_at: pd.Timestamp) -> Basis:
    """The judged rows of a milestone that count for an outcome at a date."""
    return held_out(cohort.milestone, cohort.judged(asked, known_at))


def held_out(milestone: Milestone, rows: pd.DataFrame) -> Basis:
    """The rows (with their quarter) outside those a milestone was chosen on, or all of them where none are left."""
    inside = chosen_on(milestone, rows)
    return Basis(rows, bool(len(rows))) if inside.all() else Basis(rows[~inside], in_definition=False)


def revenue_of(rows: pd.DataFrame) -> Floats | None:
    """What each row's account paid, (rows,), NaN where it is not known; None where no subscription says."""
    return rows[MRR].to_numpy(np.float64) if MRR in rows else None


def _effect(cohort: Cohort, outcome: str, found: Basis, *, weighted: bool) -> Effect | None:
    weight = revenue_of(found.rows) if weighted else None
    estimate = None if weighted and weight is None else difference_in(found.rows, weight)
    if estimate is None:
        return None
    milestone = cohort.milestone
    asked = asked_of(cohort)[outcome]
    of_whom = population(milestone, outcome, by_revenue=weighted)
    return Effect.of(
        estimate, outcome=outcome, horizon_days=cohort.horizon_days(asked), population=of_whom, method="crude",
        in_definition=found.in_definition, primary=asked == "primary",
        weighted_by="revenue" if weighted else None, **occasion(milestone),
    )  # fmt: skip


def _reason(cohort: Cohort, asked: Asked, rows: pd.DataFrame, known_at: pd.Timestamp) -> str:
    """Why no effect can be told."""
    if len(rows):
        n = rows["account"].nunique()
        said = f"all {n:,} accounts" if rows["reached"].all() else f"none of {n:,} accounts"
        if rows["reached"].all() or not rows["reached"].any():
            return f"{said} of which it is known reached {cohort.name}: there is nobody to compare them with"
        return f"{rarer(rows):,} of {n:,} accounts had the rarer outcome, at least {FEWEST_OF_A_CLASS} are needed"
    quarters = sorted(cohort.frame["quarter"].unique())
    if not quarters:
        return f"no account has come to where {cohort.name} is looked at"
    first = min(cohort.matures_at(quarter, asked) for quarter in quarters)
    if first > known_at:
        return f"no quarter is mature yet: the first will be on {first.date()}"
    return (
        f"of {len(cohort.frame):,} observations none can be judged: gone, not at risk, or not to be measured"
    )
