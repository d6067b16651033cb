"""A comparison to be questioned: who reached a cut, what became of them, and what was known of them before."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats, Integers
from features.log import Log
from models.cohorts import Asked, Cohort
from models.covariates import at_begin, prior_use, seats_at_begin
from models.effects import Effect, Method, occasion, population
from models.estimates import Estimate
from models.framework import Framework
from models.lifetimes import Lifetimes, days_to_reach, lifetimes_of
from models.milestones import LINK_DAYS, RETAINED, LevelsRule

LATER_BY = pd.Timedelta(days=LINK_DAYS)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The judged rows of a cohort at one cut; all frames and arrays have one row an observation, (n,).

    rows: account, as_of, quarter, score, reached, outcome. seats: when the window began, NaN where unknown. adjust_for:
    the declared adjustment set at that moment. prior: recency and volume, None where they were not looked up. naive:
    account, reached, outcome of everybody who signed up, None of a state. at_landmark, later_landmark: the same of who was
    there at the landmark, and LINK_DAYS later, of the cohort quarters that can be judged by both; None of a state.
    lifetimes: when these accounts reached it and left, or why that is not known; None of a state. shared: what the milestone
    and its outcome both count. context: what an effect record says; contexts: of single effects, by name.
    """

    cut: float
    rows: pd.DataFrame
    seats: Floats
    adjust_for: pd.DataFrame
    prior: pd.DataFrame | None
    naive: pd.DataFrame | None
    shared: tuple[str, ...]
    context: dict[str, Any]
    contexts: dict[str, dict[str, Any]]
    at_landmark: pd.DataFrame | None = None
    later_landmark: pd.DataFrame | None = None
    lifetimes: Lifetimes | str | None = None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        framework: Framework,
        log: Log,
        known_at: pd.Timestamp,
        *,
        cut: float | None = None,
    ) -> "Comparison":
        """At any cut, by default the one in use; against the primary outcome.

        Prior use is taken from what `covariates.prior_use_specs` had looked up.
        """
        milestone = cohort.milestone
        cut = float(milestone.rule.at_least) if cut is None else cut
        days = milestone.rule.window_days
        rows = _at_cut(cohort.judged("primary", known_at), cut)
        naive = naive_rows(cohort, known_at) if milestone.kind == "once" else None
        landmarks = _landmarks(cohort, known_at, cut)
        return cls(
            cut=cut,
            rows=rows,
            seats=seats_at_begin(rows, log, days),
            adjust_for=at_begin(rows, log, days, framework.data.adjust_for),
            prior=prior_use(rows, cohort.name),
            naive=None if naive is None else _at_cut(naive, cut),
            shared=framework.shares_behaviour(cohort.name),
            context=_context(cohort, "primary", milestone.primary_outcome),
            contexts=_contexts(cohort),
            at_landmark=landmarks and landmarks[0],
            later_landmark=landmarks and landmarks[1],
            lifetimes=None if naive is None else _lifetimes(cohort, framework, log, known_at, cut),
        )

    @property
    def reached(self) -> Flags:
        """Who reached the cut, (n,)."""
        return self.rows["reached"].to_numpy(bool)

    @property
    def outcome(self) -> Flags:
        """Who had the good outcome, (n,)."""
        return self.rows["outcome"].to_numpy(bool)

    @property
    def account(self) -> Integers:
        """Whose row it is, (n,)."""
        return self.rows["account"].to_numpy(np.int64)

    def recorded(self, estimate: Estimate, name: str, method: Method, *, in_definition: bool) -> Effect:
        """The record of an effect in every file."""
        context = self.contexts.get(name, self.context)
        return Effect.of(estimate, method=method, in_definition=in_definition, **context)


def naive_rows(cohort: Cohort, known_at: pd.Timestamp) -> pd.DataFrame:
    """The comparison without a landmark: everybody who signed up, so that an early end counts as not reached.

    The rows of the cohort's frame with `reached` and `outcome` (retained). It flatters the milestone, because only who
    stayed long enough could reach it (immortal time); it is shown beside the fair number, never used.
    """
    frame = cohort.frame
    rows = frame[
        (frame["retained_known_from"] <= known_at) & frame["status"].isin(("reached", "not_reached"))
    ]
    rows = rows[rows["at_risk"] | ~rows["alive"]]
    rows = rows[rows["retained"].notna() | ~rows["alive"]]
    return rows.assign(
        reached=rows["status"] == "reached", outcome=rows["retained"].fillna(False).astype(bool)
    )


def _at_cut(rows: pd.DataFrame, cut: float) -> pd.DataFrame:
    return rows.assign(reached=rows["score"] >= cut)


def _landmarks(
    cohort: Cohort, known_at: pd.Timestamp, cut: float
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Who is retained from the landmark on, and from LINK_DAYS later on: the rows of both, of the same cohort quarters."""
    if cohort.later is None:
        return None
    again = (
        cohort.frame[["account"]].merge(cohort.later, on="account", how="left").set_axis(cohort.frame.index)
    )
    quarters = cohort.frame["quarter"].unique()
    mature = [q for q in quarters if cohort.matures_at(q, "retained") + LATER_BY <= known_at]
    asked = _at_cut(cohort.frame[cohort.asked & cohort.frame["quarter"].isin(mature)], cut)
    now, later = (
        asked.assign(outcome=seen["retained"])[
            seen["alive"].eq(True) & seen["at_risk"].eq(True) & seen["retained"].notna()
        ]
        for seen in (asked, again.loc[asked.index])
    )
    return now, later


def _lifetimes(
    cohort: Cohort, framework: Framework, log: Log, known_at: pd.Timestamp, cut: float
) -> Lifetimes | str:
    frame = cohort.frame
    if framework.data.outcomes.kind == "silent":
        return "only silence says who left, and nobody reaches anything in silence"
    if isinstance(cohort.milestone.rule, LevelsRule):
        return "categories have no day on which they are reached"
    if log.events is None:
        return "the log has no events"
    if (~frame["alive"] & (frame["status"] == "not_eligible")).any():
        return "of who left it is not known whether they could use it, because they have no plan any more"
    # Of everybody, whatever became of them by the landmark: who is followed from signup on is chosen by nothing later.
    known = (frame["retained_known_from"] <= known_at) & frame["status"].isin(("reached", "not_reached"))
    days = cohort.milestone.rule.window_days + framework.data.outcomes.horizon_days
    reached = days_to_reach(framework.data, log, cohort.milestone, cut)
    return lifetimes_of(frame[known], reached, log, framework.data, days)


def _contexts(cohort: Cohort) -> dict[str, dict[str, Any]]:
    """What is said of the effects that are not of the primary outcome at the landmark, by name."""
    retained = _context(cohort, "retained", RETAINED)
    naive = retained | {"population": "every sign-up"}
    days = cohort.milestone.rule.window_days
    over_time = {
        "landmark_day": None,
        "as_of": "every day from signup on",
        "horizon_days": days + cohort.horizon_days("retained"),
        "population": "every sign-up that became a customer, as long as it could leave any month",
    }
    return {
        "naive": naive,
        "naive_ratio": naive,
        "at_landmark": retained,
        "later_landmark": retained | {"landmark_day": days + LINK_DAYS},
        "over_time": naive | over_time,
    }


def _context(cohort: Cohort, outcome: Asked, of: str) -> dict[str, Any]:
    return {
        "outcome": of,
        "horizon_days": cohort.horizon_days(outcome),
        "population": population(cohort.milestone, of),
        "primary": of == cohort.milestone.primary_outcome,
        **occasion(cohort.milestone),
    }
