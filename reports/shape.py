"""The shape of a review: every key of review.json, and a review made complete so that a page can ask for any.

The page must cope with a review in which anything is absent or null. Instead of a test at every place that
prints a number, `complete` lays the review over the shape below once: absent keys become None (a value), an
empty list, or a record of Nones, and a number that is not finite becomes None.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

Shape: TypeAlias = "dict[str, Any] | list[Any] | None"
Parts: TypeAlias = dict[str, Any]

_INTERVAL: Parts = {"value": None, "lower": None, "upper": None}
_ON: Parts = {**_INTERVAL, "n_accounts": None, "in_definition": None}
_LINK: Parts = {"difference": _ON, "on_retained": _ON, "on_expanded": _ON, "on_dormant": _ON}
_WITH_N: Parts = {**_INTERVAL, "n": None}

MILESTONE: Parts = {
    "name": None,
    "kind": None,
    "rule": None,
    "proposed": None,
    "why": None,
    "outcome": None,
    "same_behaviour": [None],
    "verdict": None,
    "sentence": None,
    "evidence": {
        "predicts": None,
        "changed": None,
        "cause": None,
        "cut": None,
        "better_cut_supported": None,
        "no_twice": None,
        "powered": None,
    },
    "adoption": _WITH_N,
    "statuses": {"reached": None, "not_reached": None, "not_eligible": None, "not_knowable": None},
    "time_to_days": {"median": None, "lower_quartile": None, "upper_quartile": None, "n": None},
    "movement": {"entered": None, "left": None, "net": None},
    "expected": _INTERVAL,
    "realised": {**_INTERVAL, "n_observations": None, "n_accounts": None},
    "recent": {**_INTERVAL, "n_observations": None, "n_accounts": None, "quarters": [None]},
    "baseline": _INTERVAL,
    "mix": {**_INTERVAL, "dimensions": [None]},
    "minimum_effect": None,
    "newest_mature_cohort": None,
    "next_matures": None,
    "matured_since_last": None,
    "threshold": {
        "current": None,
        "plateau": [None],
        "operating_cut": {"value": None, "reason": None},
        "verdict": None,
        "sentence": None,
        "unit": None,
    },
    "curve": [{"value_from": None, "value_to": None, "rate": None, "lower": None, "upper": None, "n": None}],
    "smallest_detectable": None,
    "accounts_to_decide": None,
    "defined_on": [None],
    "effects": [
        {
            "outcome": None,
            "horizon_days": None,
            "landmark_day": None,
            "as_of": None,
            "population": None,
            "method": None,
            "measure": None,
            **_INTERVAL,
            "level": None,
            "n_observations": None,
            "n_accounts": None,
            "in_definition": None,
            "primary": None,
            "weighted_by": None,
        }
    ],
    "history": [
        {
            "quarter": None,
            "n_observations": None,
            "n_accounts": None,
            "n_mature": None,
            "adoption": None,
            "effect": _INTERVAL,
            "retained_effect": _INTERVAL,
            "in_definition": None,
        }
    ],
}

REVIEW: Parts = {
    "schema_version": None,
    "product": None,
    "quarter": None,
    "known_at": None,
    "data_through": None,
    "framework": {"name": None, "version": None, "hash": None, "proposed": None},
    "outcome": {"name": None, "sentence": None, "horizon_days": None, "rate": None, "n_observations": None},
    "milestones": [MILESTONE],
    "not_defined": [{"name": None, "reason": None}],
    "chain": [
        {
            "from": None,
            "to": None,
            "outcome": None,
            "rate_reached": None,
            "rate_not": None,
            "n_reached": None,
            "n_not": None,
            "in_definition": None,
            **_LINK,
            "by_revenue": _LINK,
        }
    ],
    "maturity": {"categories": [{"name": None, "basic": None, "mature": None}], "share_mature_3": None},
    "funnel": {"cohort_quarter": None, "steps": [{"name": None, "n": None, "share": None}]},
    "volumes": {"events": None, "active_accounts": None, "alive_accounts": None, "signups": None},
    "volumes_history": [{"quarter": None, "events": None, "active_accounts": None, "signups": None}],
    "model": {
        "name": None,
        "sentence": None,
        "rival": None,
        "overall": {"random_forest": _WITH_N, "recency": _WITH_N, "logistic": _WITH_N, "base_rate": _WITH_N},
        "difference": _WITH_N,
        "plain_forward": _WITH_N,
        "n_accounts": None,
        "history": [
            {"quarter": None, "n_observations": None, "random_forest": _INTERVAL, "recency": _INTERVAL}
        ],
    },
    "ranking": [
        {
            "feature": None,
            "description": None,
            "unit": None,
            "category": None,
            "importance": None,
            "lower": None,
            "upper": None,
            "adoption": None,
            "class": None,
        }
    ],
    "segments": [None],
    "annotations": [{"date": None, "quarter": None, "share": None, "text": None, "affects": None}],
    "caveats": [None],
    "restated": {"accounts": None, "moved": [{"milestone": None, "what": None, "was": None, "is": None}]},
    "headline": None,
}


def complete(review: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `review` with every key of `REVIEW`; keys that the shape does not name are kept."""
    filled: dict[str, Any] = _laid_over(REVIEW, review)
    return filled


def complete_milestone(milestone: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of one milestone with every key of `MILESTONE`."""
    filled: dict[str, Any] = _laid_over(MILESTONE, milestone)
    return filled


def _laid_over(shape: Shape, value: Any) -> Any:
    """`value` with the holes of `shape` filled; a value of another kind than the shape asks for is a hole."""
    if isinstance(shape, dict):
        given = value if isinstance(value, Mapping) else {}
        named = {key: _laid_over(part, given.get(key)) for key, part in shape.items()}
        return named | {key: _finite(given[key]) for key in given if key not in shape}
    if isinstance(shape, list):
        return [_laid_over(shape[0], item) for item in value] if isinstance(value, (list, tuple)) else []
    return _finite(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
