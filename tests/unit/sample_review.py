"""Reviews to render: a rich one, one without enough data, and one whose every text is hostile."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from reports.verdicts import sentence

HOSTILE = (
    "\"><script>alert('x')</script>\n<img src=x onerror=alert(1)> & "
    "$\\frac{1}{2}$ {{ 7 * 7 }} \u2028\x07 🦄 漢字 " + "w" * 200
)


def quarters(first: str, n: int) -> list[str]:
    """`n` quarters from `first` on: quarters("2023Q4", 2) == ["2023Q4", "2024Q1"]."""
    start = 4 * int(first[:4]) + int(first[5]) - 1
    return [f"{(start + i) // 4}Q{(start + i) % 4 + 1}" for i in range(n)]


def interval(value: float, half: float) -> dict[str, float]:
    return {"value": value, "lower": value - half, "upper": value + half}


def on(value: float, half: float, *, in_definition: bool = False) -> dict[str, Any]:
    """An effect as a row of the chain has it."""
    return {**interval(value, half), "n_accounts": 2310, "in_definition": in_definition}


def history(first: str, effects: list[float], chosen: int, *, waiting: int = 2) -> list[dict[str, Any]]:
    """Cohort quarters with these effects; the first `chosen` in the definition, `waiting` more not mature."""
    rows = []
    for i, quarter in enumerate(quarters(first, len(effects) + waiting)):
        n = 380 + 17 * i
        mature = i < len(effects)
        rows.append(
            {
                "quarter": quarter,
                "n_observations": n + 40,
                "n_accounts": n,
                "n_mature": n if mature else 0,
                "adoption": 0.36 + 0.006 * i,
                "effect": interval(effects[i], 0.07) if mature else None,
                "retained_effect": interval(0.6 * effects[i], 0.06)
                if mature and i < len(effects) - 1
                else None,
                "in_definition": i < chosen,
            }
        )
    return rows


def curve(bounds: list[int], low: float, high: float, middle: float) -> list[dict[str, Any]]:
    rows = []
    for start, end in pairwise(bounds):
        rate = low + (high - low) / (1 + math.exp(-1.6 * (start - middle)))
        half = 0.02 + 0.004 * start
        n = round(900 / (start + 1))
        bin_ = {
            "value_from": start,
            "value_to": end - 1,
            "rate": rate,
            "lower": rate - half,
            "upper": rate + half,
            "n": n,
        }
        rows.append(bin_)
    return rows


def effects(outcome: str, value: float) -> list[dict[str, Any]]:
    """The naive number, the fair ones, and the same on other scales."""
    rows: list[tuple[str, str, str, float, float, str]] = [
        (outcome, "naive", "risk_difference", value + 0.09, 0.03, "every signup"),
        (outcome, "crude", "risk_difference", value + 0.02, 0.035, "alive at the landmark"),
        (outcome, "stratified", "risk_difference", value, 0.037, "alive at the landmark"),
        (outcome, "after_prior_use", "risk_difference", value - 0.04, 0.04, "alive at the landmark"),
        (outcome, "out_of_sample", "risk_difference", value - 0.01, 0.05, "held-out quarters"),
        (outcome, "crude", "risk_ratio", 1.42, 0.14, "alive at the landmark"),
        (outcome, "crude", "phi", 0.17, 0.05, "alive at the landmark"),
        ("retained", "naive", "risk_difference", value * 0.6 + 0.11, 0.03, "every signup"),
        ("retained", "crude", "risk_difference", value * 0.6, 0.04, "alive and at risk at the landmark"),
    ]
    return [
        {
            "outcome": of,
            "horizon_days": 180,
            "landmark_day": 90,
            "population": population,
            "method": method,
            "measure": measure,
            **interval(centre, half),
            "level": 0.95,
            "n_observations": 2310,
            "n_accounts": 2310,
            "in_definition": False,
            "primary": of == outcome and method == "stratified",
        }
        for of, method, measure, centre, half, population in rows
    ]


def milestone(name: str, verdict: str, **changes: Any) -> dict[str, Any]:
    """A milestone in good health, with `changes` laid over it and its sentence written last."""
    made: dict[str, Any] = {
        "name": name,
        "kind": "once",
        "rule": "at least 5 conversations within the first 90 days",
        "outcome": "utilization within the next 180 days",
        "verdict": verdict,
        "evidence": {"predicts": "yes", "changed": "not_shown", "cause": None, "cut": "inside"},
        "adoption": {"value": 0.412, "lower": 0.371, "upper": 0.454, "n": 561},
        "statuses": {"reached": 231, "not_reached": 330, "not_eligible": 14, "not_knowable": 8},
        "time_to_days": {"median": 23.0, "lower_quartile": 9.0, "upper_quartile": 51.0, "n": 231},
        "movement": None,
        "expected": interval(0.13, 0.04),
        "realised": {**interval(0.119, 0.0375), "n_observations": 2310, "n_accounts": 2310},
        "mix": {**interval(-0.012, 0.009), "dimensions": ["plan", "seats"]},
        "minimum_effect": 0.065,
        "newest_mature_cohort": "2023Q4",
        "next_matures": "2024-11-14",
        "matured_since_last": True,
        "threshold": {
            "current": 5,
            "plateau": [4, 7],
            "operating_cut": {"value": 5, "reason": "a round number inside the plateau, reached by 41 %"},
            "verdict": "threshold",
            "sentence": "A step is supported between 4 and 7 conversations.",
            "unit": "conversations in the first 90 days",
        },
        "curve": curve([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 25], 0.31, 0.47, 4.0),
        "smallest_detectable": 0.092,
        "defined_on": ["2021Q1", "2022Q1"],
        "history": history(
            "2021Q1", [0.17, 0.15, 0.16, 0.14, 0.10, 0.13, 0.12, 0.09, 0.13, 0.12, 0.11, 0.13], 4
        ),
    }
    made |= changes
    judged = [row["quarter"] for row in made["history"] if row["effect"] and not row["in_definition"]]
    made.setdefault("recent", {**made["realised"], "quarters": judged[-2:]})
    made.setdefault("effects", effects("the next milestone", made["realised"]["value"]))
    return made | {"sentence": sentence(made)}


def _milestones() -> list[dict[str, Any]]:
    decay = [0.2, 0.17, 0.19, 0.18, 0.17, 0.15, 0.12, 0.1, 0.06, 0.05, 0.03, 0.02]
    none = [0.09, 0.11, 0.08, 0.1, 0.02, 0.01, -0.01, 0.02, 0.0, -0.02, 0.01, -0.01]
    return [
        milestone(
            "Setup",
            "watch",
            rule="at least 5 of the 7 setup steps within the first 30 days",
            outcome="activation",
            evidence={"predicts": "unclear", "changed": "shown", "cause": "mix", "cut": "outside"},
            realised={**interval(0.071, 0.039), "n_observations": 2600, "n_accounts": 2600},
            expected=interval(0.14, 0.035),
            minimum_effect=0.07,
            threshold={
                "current": 5,
                "plateau": [2, 4],
                "operating_cut": {"value": 3, "reason": "inside the plateau, reached by 48 %"},
                "verdict": "gradual",
                "sentence": "The rate rises gradually from 2 steps on: a convention, not a jump.",
                "unit": "setup steps done in the first 30 days",
            },
            curve=curve([0, 1, 2, 3, 4, 5, 6, 7, 8], 0.3, 0.46, 2.2),
        ),
        milestone("Activation", "hold"),
        milestone(
            "Utilization",
            "re-tune",
            kind="state",
            rule="at least 2 conversations resolved per seat and month",
            outcome="maturity next quarter",
            evidence={"predicts": "no", "changed": "shown", "cause": "decay", "cut": "outside_twice"},
            realised={**interval(0.041, 0.019), "n_observations": 9840, "n_accounts": 1733},
            expected=interval(0.18, 0.04),
            minimum_effect=0.09,
            time_to_days=None,
            movement={"entered": 83, "left": 61, "net": 22},
            newest_mature_cohort="2024Q2",
            next_matures="2025-01-14",
            matured_since_last=False,
            threshold={
                "current": 2,
                "plateau": [3.5, 6],
                "operating_cut": {"value": 4, "reason": "a round number inside the plateau, reached by 31 %"},
                "verdict": "threshold",
                "sentence": "A step is supported between 3.5 and 6 conversations per seat.",
                "unit": "conversations resolved per seat and month",
            },
            curve=curve([0, 1, 2, 3, 4, 5, 6, 8, 12], 0.2, 0.52, 4.2),
            history=history("2021Q1", decay, 4),
        ),
        milestone(
            "Maturity",
            "retire",
            kind="state",
            rule="mature in at least 3 of 5 categories",
            outcome="retained 180 days later",
            evidence={
                "predicts": "no",
                "changed": "shown",
                "cause": "decay",
                "cut": "unknown",
                "no_twice": True,
            },
            realised={**interval(0.002, 0.021), "n_observations": 8120, "n_accounts": 1640},
            expected=interval(0.08, 0.03),
            minimum_effect=0.04,
            time_to_days=None,
            movement={"entered": 12, "left": 30, "net": -18},
            threshold={
                "current": 3,
                "plateau": None,
                "operating_cut": None,
                "verdict": "none",
                "sentence": None,
                "unit": "categories at the mature level",
            },
            curve=curve([0, 1, 2, 3, 4, 5], 0.8, 0.81, 2.0),
            history=history("2021Q1", none, 4),
        ),
        milestone(
            "Expansion",
            "insufficient_data",
            kind="state",
            rule="a second inbox is in use at the close",
            outcome="more seats at renewal",
            evidence={"predicts": "unclear", "changed": "not_shown", "cause": None, "cut": "unknown"},
            adoption={"value": 0.06, "lower": 0.04, "upper": 0.09, "n": 561},
            realised={**interval(0.05, 0.16), "n_observations": 210, "n_accounts": 96},
            expected=None,
            minimum_effect=0.04,
            time_to_days=None,
            movement={"entered": 3, "left": 1, "net": 2},
            threshold={
                "current": None,
                "plateau": None,
                "operating_cut": None,
                "verdict": "insufficient_data",
                "sentence": "Too few accounts have a second inbox.",
                "unit": None,
            },
            curve=None,
            smallest_detectable=0.21,
            effects=[],
            history=history("2024Q1", [0.05], 0, waiting=2),
        ),
    ]


def _ranking() -> list[dict[str, Any]]:
    rng = np.random.default_rng(4)
    known = [
        ("recency_days", "Days since the last event", "days", "activity", 0.062, 0.99, "ubiquitous"),
        (
            "resolved_per_seat_30d",
            "Conversations resolved per seat, 30 days",
            "conversations",
            "support channels",
            0.041,
            0.55,
            "representative",
        ),
        (
            "integrations_90d",
            "Integrations in use, 90 days",
            "integrations",
            "interoperability",
            0.034,
            0.37,
            "representative",
        ),
        (
            "macros_90d",
            "Macros applied, 90 days",
            "events",
            "automation",
            0.031,
            0.42,
            "representative",
        ),
        (
            "sla_rules_90d",
            "Custom SLA rules, 90 days",
            "rules",
            "support operations",
            0.029,
            0.03,
            "niche",
        ),
        (
            "reports_90d",
            "Reports opened, 90 days",
            "events",
            "reporting",
            0.022,
            0.48,
            "representative",
        ),
        (
            "home_styling",
            "Home screen styled",
            "yes or no",
            "support channels",
            0.004,
            0.97,
            "ubiquitous",
        ),
        (
            "audit_log_30d",
            "Audit log read, 30 days",
            "events",
            "support operations",
            0.011,
            0.04,
            "niche",
        ),
    ]
    rows = [
        {
            "feature": feature,
            "description": words,
            "unit": unit,
            "category": category,
            "importance": importance,
            "lower": importance - 0.006,
            "upper": importance + 0.006,
            "adoption": adoption,
            "class": word,
        }
        for feature, words, unit, category, importance, adoption, word in known
    ]
    for i in range(24):
        importance, adoption = float(rng.exponential(0.004)) - 0.001, float(rng.uniform(0.01, 0.99))
        word = "niche" if adoption < 0.05 else "ubiquitous" if adoption > 0.95 else "representative"
        rows.append(
            {
                "feature": f"event_{i}_90d",
                "description": f"Events of kind {i}, 90 days",
                "unit": "events",
                "category": "activity",
                "importance": importance,
                "lower": importance - 0.003,
                "upper": importance + 0.003,
                "adoption": adoption,
                "class": word,
            }
        )
    return sorted(rows, key=lambda row: -float(str(row["importance"])))


def _model() -> dict[str, Any]:
    forest = [0.74, 0.76, 0.75, 0.77, 0.74, 0.76, 0.75, 0.76]
    recency = [0.70, 0.71, 0.69, 0.72, 0.71, 0.70, 0.71, 0.72]
    return {
        "sentence": "The random forest ranks departures better than recency alone, by 0.046 of AUC.",
        "overall": {
            "random_forest": {**interval(0.756, 0.013), "n": 9840},
            "recency": {**interval(0.71, 0.014), "n": 9840},
            "logistic": {**interval(0.744, 0.013), "n": 9840},
            "base_rate": {**interval(0.5, 0.0), "n": 9840},
        },
        "difference": interval(0.046, 0.009),
        "plain_forward": interval(0.768, 0.012),
        "history": [
            {
                "quarter": quarter,
                "n_observations": 1100 + 40 * i,
                "random_forest": interval(forest[i], 0.03),
                "recency": interval(recency[i], 0.033),
            }
            for i, quarter in enumerate(quarters("2022Q1", 8))
        ],
    }


def rich() -> dict[str, Any]:
    """Everything there is: five milestones with one verdict each, three years of history."""
    chain = [("Setup", "Activation", 0.46, 0.35), ("Activation", "Utilization", 0.47, 0.35)]
    chain += [("Utilization", "Maturity", 0.29, 0.25), ("Maturity", "retained", 0.81, 0.81)]
    past = quarters("2022Q1", 11)
    return {
        "schema_version": 1,
        "product": "Northwind Inbox",
        "quarter": "2024Q3",
        "known_at": "2024-10-15",
        "data_through": "2024-10-14",
        "framework": {
            "name": "Northwind customer milestones",
            "version": 3,
            "hash": "9f2c41d8aa03be77",
            "proposed": False,
        },
        "outcome": {
            "name": "silent",
            "sentence": "silent: no core event for 90 days",
            "horizon_days": 180,
            "rate": 0.187,
            "n_observations": 9840,
        },
        "milestones": _milestones(),
        "not_defined": [{"name": "Referral", "reason": "the log holds no event that could mean a referral"}],
        "chain": [
            {
                "from": a,
                "to": b,
                "outcome": b.lower(),
                "rate_reached": hit,
                "rate_not": miss,
                "n_reached": 980,
                "n_not": 1330,
                "in_definition": False,
                "difference": on(hit - miss, 0.04),
                "on_retained": on(0.09, 0.03),
                "on_expanded": on(0.05, 0.03),
                "on_dormant": on(-0.07, 0.03) if a in ("Setup", "Activation") else None,
                "by_revenue": {
                    "difference": on(hit - miss + 0.01, 0.09),
                    "on_retained": on(0.04, 0.07),
                    "on_expanded": None,
                    "on_dormant": None,
                },
            }
            for a, b, hit, miss in chain
        ],
        "maturity": {
            "categories": [
                {"name": "support channels", "basic": 0.81, "mature": 0.44},
                {"name": "automation", "basic": 0.52, "mature": 0.21},
                {"name": "support operations", "basic": 0.47, "mature": 0.18},
                {"name": "interoperability", "basic": 0.39, "mature": 0.16},
                {"name": "reporting", "basic": 0.61, "mature": 0.27},
            ],
            "share_mature_3": 0.173,
        },
        "funnel": {
            "cohort_quarter": "2024Q3",
            "steps": [
                {"name": "signed up", "n": 583, "share": 1.0},
                {"name": "Setup", "n": 361, "share": 0.619},
                {"name": "Activation", "n": 231, "share": 0.396},
                {"name": "Utilization", "n": 164, "share": 0.281},
                {"name": "Maturity", "n": 41, "share": 0.07},
            ],
        },
        "volumes": {"events": 1284031, "active_accounts": 1962, "alive_accounts": 2140, "signups": 583},
        "volumes_history": [
            {
                "quarter": quarter,
                "events": 700_000 + 58_403 * i,
                "active_accounts": 1200 + 76 * i,
                "signups": 470 + 11 * i,
            }
            for i, quarter in enumerate(past)
        ],
        "model": _model(),
        "ranking": _ranking(),
        "annotations": [
            {
                "date": "2023-02-01",
                "quarter": "2023Q1",
                "share": 0.34,
                "text": "Pricing moved from seats to conversations",
                "affects": None,
            },
            {
                "date": "2023-09-12",
                "quarter": "2023Q3",
                "share": 0.79,
                "text": "Self-serve onboarding launched",
                "affects": ["Setup", "Activation"],
            },
        ],
        "caveats": [
            "1,204 of 14,310,991 events (0.0 %) could not be used, most of them: before signup.",
            "Nobody records who was lost: silence stands for it, and an account may come back.",
        ],
        "restated": {
            "accounts": 1204,
            "moved": [
                {"milestone": "Setup", "what": "verdict", "was": "hold", "is": "watch"},
                {"milestone": "Setup", "what": "realised effect", "was": 0.1187, "is": None},
                {"milestone": "Setup", "what": "adoption", "was": 0.621, "is": 0.624},
                {"milestone": "Activation", "what": "plateau", "was": [4.0, 7.0], "is": [6.0, 6.0]},
                {"milestone": "Activation", "what": "operating cut", "was": None, "is": 6.0},
            ],
        },
        "headline": "Of 5 milestones: 1 hold, 1 to watch, 1 to re-tune, 1 to retire, 1 without enough data.",
    }


def bare() -> dict[str, Any]:
    """A young product: one proposed milestone, nothing mature, most keys null or absent."""
    return {
        "schema_version": 1,
        "product": "Lean",
        "quarter": "2024Q3",
        "known_at": "2024-10-15",
        "framework": {"name": "lean", "version": 1, "hash": "00ff", "proposed": True},
        "milestones": [
            {
                "name": "activation",
                "kind": "once",
                "verdict": "insufficient_data",
                "sentence": sentence({"verdict": "insufficient_data", "next_matures": "2024-12-30"}),
                "adoption": None,
                "realised": {"value": float("nan"), "lower": None, "upper": None, "n_observations": 0},
                "next_matures": "2024-12-30",
                "curve": None,
                "history": [{"quarter": "2024Q3", "n_observations": 12, "effect": None}],
            }
        ],
        "not_defined": [{"name": "setup", "reason": "no setup steps in the log"}],
        "model": None,
        "maturity": None,
        "headline": "Insufficient data: no milestone can be judged yet.",
    }


def hostile() -> dict[str, Any]:
    """The rich review with every text replaced by markup, quotes, newlines and 300 characters."""
    keep = {
        "quarter",
        "verdict",
        "kind",
        "date",
        "known_at",
        "data_through",
        "next_matures",
        "newest_mature_cohort",
    }
    keep |= {"predicts", "changed", "cause", "cut", "class", "method", "measure", "cohort_quarter"}

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [spoil(item, key) for item in value]
        return HOSTILE if isinstance(value, str) and key not in keep and key != "defined_on" else value

    spoilt: dict[str, Any] = spoil(rich())
    for row in spoilt["annotations"]:
        row["affects"] = None
    return spoilt
