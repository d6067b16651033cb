"""What a review shows of a judgement: its effects measured in several ways, and its history by quarter."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.chain import revenue_of
from models.effects import Effect, difference_in, occasion, population
from models.estimates import Estimate, phi, risk_difference, risk_ratio
from models.milestones import RETAINED
from reports.judgement import Judgement


def effects(now: Judgement) -> list[dict[str, Any]]:
    """Effect records: the primary outcome (also by revenue) and retention, held out, and the naive number beside."""
    primary = now.milestone.primary_outcome
    found: list[Effect | None] = [
        _effect(now, risk_difference, now.held_out, primary, "crude", primary=True),
        _effect(now, risk_ratio, now.held_out, primary, "crude", primary=True),
        _effect(now, phi, now.held_out, primary, "crude", primary=True),
        _by_revenue(now, now.held_out, primary, primary=True),
    ]
    if primary != RETAINED:
        found.append(_effect(now, risk_difference, now.retained_held_out, RETAINED, "crude", primary=False))
    if now.milestone.kind == "once":
        found.append(_effect(now, risk_difference, now.naive(), RETAINED, "naive", primary=False))
    return [effect.as_dict() for effect in found if effect is not None]


def history(now: Judgement, quarters: Sequence[str]) -> list[dict[str, Any]]:
    """One row per cohort quarter that had begun by then: adoption of all, effects of the mature."""
    frame = now.cohort.frame
    seen = frame[now.cohort.asked & (frame["as_of"] <= now.known_at)]
    known = now.cohort.known("primary", now.known_at)
    judged, retained = (
        dict(list(now.judged.groupby("quarter"))),
        dict(list(now.retained.groupby("quarter"))),
    )
    rows = []
    for quarter, group in seen.groupby("quarter"):
        if quarter not in quarters:
            continue
        rows.append(
            {
                "quarter": quarter,
                "n_observations": len(group),
                "n_accounts": int(group["account"].nunique()),
                "n_mature": int(known[group.index].sum()),
                "adoption": float((group["status"] == "reached").mean()),
                "effect": _brief(judged.get(quarter)),
                "retained_effect": _brief(retained.get(quarter)),
                "in_definition": now.milestone.defined_in(str(quarter)),
            }
        )
    return rows


def _effect(
    now: Judgement, measure: Any, rows: pd.DataFrame, outcome: str, method: str, *, primary: bool
) -> Effect | None:
    estimate = estimate_in(measure, rows)
    return None if estimate is None else _recorded(now, estimate, outcome, method, primary=primary)


def _by_revenue(now: Judgement, rows: pd.DataFrame, outcome: str, *, primary: bool) -> Effect | None:
    """The fair difference with accounts weighted by what they paid; None where no subscription says."""
    weight = revenue_of(rows)
    estimate = None if weight is None else difference_in(rows, weight)
    if estimate is None:
        return None
    return _recorded(now, estimate, outcome, "crude", primary=primary, weighted_by="revenue")


def _recorded(
    now: Judgement,
    estimate: Estimate,
    outcome: str,
    method: str,
    *,
    primary: bool,
    weighted_by: Literal["revenue"] | None = None,
) -> Effect:
    of_whom = population(now.milestone, outcome, by_revenue=weighted_by is not None)
    return Effect.of(
        estimate,
        outcome=outcome,
        horizon_days=now.cohort.horizon_days("primary" if primary else "retained"),
        population="every sign-up" if method == "naive" else of_whom,
        method=method,
        in_definition=False,
        primary=primary,
        **occasion(now.milestone),
        weighted_by=weighted_by,
    )


def estimate_in(measure: Any, rows: pd.DataFrame) -> Estimate | None:
    """A measure of association between reaching and the outcome in rows with account, reached, outcome."""
    if not len(rows):
        return None
    found: Estimate | None = measure(
        rows["reached"].to_numpy(bool), rows["outcome"].to_numpy(bool), rows["account"].to_numpy(np.int64)
    )
    return found


def _brief(rows: pd.DataFrame | None) -> dict[str, float] | None:
    estimate = None if rows is None else difference_in(rows)
    return None if estimate is None else estimate.brief()
