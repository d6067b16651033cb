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
from models.milestones import RETAINED


@dataclass(frozen=True, eq=False)
class Comparison:
    """The judged rows of a cohort at one cut; all frames and arrays have one row an observation, (n,).

    rows: account, as_of, quarter, score, reached, outcome. seats: when the window began, NaN where unknown. adjust_for:
    the declared adjustment set at that moment. prior: recency and volume, None where they were not looked up. naive:
    account, reached, outcome of everybody who signed up, None of a state. shared: what the milestone and its outcome both
    count. context: what an effect record says of all of them.
    """

    cut: float
    rows: pd.DataFrame
    seats: Floats
    adjust_for: pd.DataFrame
    prior: pd.DataFrame | None
    naive: pd.DataFrame | None
    shared: tuple[str, ...]
    context: dict[str, Any]
    naive_context: dict[str, Any]

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
        once = milestone.kind == "once"
        return cls(
            cut=cut,
            rows=rows,
            seats=seats_at_begin(rows, log, days),
            adjust_for=at_begin(rows, log, days, framework.data.adjust_for),
            prior=prior_use(rows, cohort.name),
            naive=_at_cut(naive_rows(cohort, known_at), cut) if once else None,
            shared=framework.shares_behaviour(cohort.name),
            context=_context(cohort, "primary", milestone.primary_outcome),
            naive_context=_context(cohort, "retained", RETAINED) | {"population": "every sign-up"},
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

    def recorded(self, estimate: Estimate, method: Method, *, in_definition: bool) -> Effect:
        """The record of an effect in every file."""
        context = self.naive_context if method == "naive" else self.context
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


def _context(cohort: Cohort, outcome: Asked, of: str) -> dict[str, Any]:
    return {
        "outcome": of,
        "horizon_days": cohort.horizon_days(outcome),
        "population": population(cohort.milestone, of),
        "primary": of == cohort.milestone.primary_outcome,
        **occasion(cohort.milestone),
    }
