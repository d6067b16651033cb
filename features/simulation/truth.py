"""The truth of a simulated company, in figures and words: what `truth.json` holds."""

from typing import Any

import numpy as np

from features.simulation.company import hazard
from features.simulation.history import Standing
from features.simulation.plantings import (
    ACTIVATION_DAYS,
    MATURITY_DAYS,
    MONTH_DAYS,
    RETAINED_DAYS,
    SETUP_DAYS,
    TERM_DAYS,
    TYPICAL_SEATS,
    UTILIZATION_DAYS,
)
from features.simulation.realised import Realised
from features.simulation.retention import monthly
from features.simulation.scenario import Scenario

CHAIN = ("setup", "activation", "utilization", "maturity", "retention")


def truth_of(scenario: Scenario, seed: int, realised: Realised) -> dict[str, Any]:
    """Everything that was planted, and what of it came out; JSON types only. `log.to` is the day after it.

    `planted` is the scenario itself, whole; the rest says it in the words of milestones, sweeps and reviews.
    """
    return {
        "schema_version": 2,
        "scenario": {"name": scenario.name, "words": " ".join(scenario.words.split()), "seed": seed},
        "planted": scenario.model_dump(mode="json", exclude={"name", "words"}),
        "log": {"from": str(scenario.start.date()), "to": str(scenario.end.date())},
        "events": list(scenario.logged),
        "chain": list(CHAIN),
        "milestones": {
            "setup": _setup(scenario),
            "activation": _activation(scenario),
            "utilization": _utilization(scenario),
            "maturity": _maturity(scenario),
        },
        "confounder": _confounder(scenario),
        "drift": _drift(scenario),
        "mix_shift": _mix_shift(scenario),
        "outage": _outage(scenario),
        "push": _push(scenario),
        "leaks": _leaks(scenario),
        "annotations": annotations(scenario),
        "features": _features(scenario),
        "leaving": _leaving(scenario),
        "realised": realised.as_dict(),
    }


def _setup(scenario: Scenario) -> dict[str, Any]:
    setup = scenario.setup
    return {
        "kind": "once",
        "steps": {
            name: {"share": step.share, **({"state": step.state, "value": step.value} if step.state else {})}
            for name, step in setup.steps.items()
        },
        "at_least": setup.at_least,
        "within_days": SETUP_DAYS,
        "raises": "activation",
        "works": setup.conversations_ratio != 1,
        "effect": {
            "measure": "ratio of conversations from day 30 to day 90",
            "value": setup.conversations_ratio,
        },
        "words": f"{setup.at_least} of {len(setup.steps)} steps, each done at least once "
        f"within {SETUP_DAYS} days of signup. A step at that number; no single step counts for more.",
    }


def _activation(scenario: Scenario) -> dict[str, Any]:
    activation, started = scenario.activation, scenario.conversations.started
    retained = activation.retained
    return {
        "kind": "once",
        "event": started,
        "cut": None if retained and retained.curve else activation.at_least,
        "within_days": ACTIVATION_DAYS,
        "shape": "smooth" if retained and retained.curve else "step",
        "raises": "utilization",
        "works": activation.works,
        "effect": {
            "measure": "chance of the state in which most months reach utilization, from day 90 on",
            "below": activation.busy.below,
            "above": activation.busy.above,
        },
        "dormancy_ratio": activation.dormancy_ratio,
        "retained": None if retained is None else {"days": RETAINED_DAYS, **retained.model_dump(mode="json")},
        "words": f"A smooth curve in `{started}` within {ACTIVATION_DAYS} days of signup: there is no cut."
        if retained and retained.curve
        else f"At least {activation.at_least} `{started}` within {ACTIVATION_DAYS} days of signup. A step exactly "
        "there, with no slope on either side.",
    }


def _utilization(scenario: Scenario) -> dict[str, Any]:
    state = scenario.utilization
    return {
        "kind": "state",
        "event": scenario.conversations.resolved,
        "cut": state.at_least,
        "window_days": UTILIZATION_DAYS,
        "per_seat": True,
        "raises": "maturity",
        "works": state.maturing.works or state.expanding.works or state.hazard_ratio != 1,
        "effect": {
            "measure": "chance a month that a category goes from basic to mature; that seats are added; hazard to leave",
            "below": state.maturing.below,
            "above": state.maturing.above,
            "expanding": state.expanding.model_dump(),
            "hazard_ratio": state.hazard_ratio,
        },
        "words": f"At least {state.at_least:g} `{scenario.conversations.resolved}` in {UTILIZATION_DAYS} "
        "days per seat held at the start of those days. A step in each month of tenure; a window across two "
        "months sees it a little blurred.",
    }


def _maturity(scenario: Scenario) -> dict[str, Any]:
    state = scenario.maturity
    return {
        "kind": "state",
        "window_days": MATURITY_DAYS,
        "at_least": state.at_least,
        "categories": {
            name: {"events": list(events), "basic": state.basic, "mature": state.mature}
            for name, events in state.categories.items()
        },
        "raises": "retention",
        "works": state.hazard_ratio != 1,
        "effect": {
            "measure": "ratio of the hazard to leave; share that stays a year at three seats",
            "hazard_ratio": state.hazard_ratio,
            "yearly_retention": _yearly_retention(scenario),
        },
        "words": f"{state.at_least} of {len(state.categories)} categories with at least "
        f"{state.mature} events each in {MATURITY_DAYS} days. A step at that number.",
    }


def _yearly_retention(scenario: Scenario) -> dict[str, float]:
    """The share that stays a year at typical size, by maturity and utilization held all that year, not activated."""
    retained = scenario.activation.retained
    chance = scenario.leaving.hazard
    if retained and retained.step:
        chance = float(monthly(np.array(retained.step.below)))
    shares = {}
    for mature in (False, True):
        for utilized in (False, True):
            reached = Standing(*(np.array([flag]) for flag in (True, True, utilized, mature)))
            a_month = float(hazard(scenario, chance, reached, np.array([TYPICAL_SEATS]))[0])
            name = f"{'mature' if mature else 'not_mature'}_{'utilized' if utilized else 'not_utilized'}"
            shares[name] = round((1 - a_month) ** (TERM_DAYS / MONTH_DAYS), 3)
    return shares


def _confounder(scenario: Scenario) -> dict[str, Any] | None:
    """Size: raw counts and retention have it in common. None where it keeps nobody."""
    if not scenario.leaving.size_exponent:
        return None
    return {
        "column": "seats",
        "raises": ["event counts", "retention"],
        "hazard_ratio_per_doubling": round(2.0**scenario.leaving.size_exponent, 3),
        "words": "Seats drive raw volume and retention. They have no part in what is used per seat.",
    }


def _drift(scenario: Scenario) -> dict[str, Any] | None:
    """From some quarter on activation works less; None where it never worked, or always as much."""
    drift, busy = scenario.changes.drift, scenario.activation.busy
    if (
        drift is None
        or not scenario.within(drift.quarter)
        or drift.left == 1
        or not scenario.activation.works
    ):
        return None
    before = busy.above - busy.below
    retained = scenario.activation.retained
    step = retained.step if retained else None
    return {
        "milestone": "activation",
        "from": str(scenario.quarter_start(drift.quarter).date()),
        "left": drift.left,
        "effect_before": round(before, 4),
        "effect_after": round(before * drift.left, 4),
        "retained_before": None if step is None else round(step.above - step.below, 4),
        "retained_after": None if step is None else round((step.above - step.below) * drift.left, 4),
        "words": "Whoever passes day 90 from this day on gains less from activation, in everything it does. "
        "Accounts that passed it before keep what they gained.",
    }


def _mix_shift(scenario: Scenario) -> dict[str, Any] | None:
    mix = scenario.changes.mix
    if mix is None or not scenario.within(mix.quarter):
        return None
    return {
        "from": str(scenario.quarter_start(mix.quarter).date()),
        "before": dict(scenario.population.plans),
        "after": dict(mix.plans),
        "words": "Other customers sign up from this day on. Within a plan nothing changes.",
    }


def _outage(scenario: Scenario) -> dict[str, Any] | None:
    outage = scenario.changes.outage
    if outage is None:
        return None
    start = scenario.quarter_start(outage.quarter) + np.timedelta64(outage.day, "D")
    if not scenario.start <= start < scenario.end:
        return None
    return {
        "from": str(start.date()),
        "to": str((start + np.timedelta64(outage.days, "D")).date()),
        "events": list(outage.events) or "all",
        "words": "What accounts did in these days is not in the log. What they gained by it is real, and "
        "truth.parquet counts it.",
    }


def _push(scenario: Scenario) -> dict[str, Any] | None:
    push = scenario.changes.push
    if push is None or not scenario.within(push.quarter):
        return None
    return {
        "milestone": "activation",
        "from": str(scenario.quarter_start(push.quarter).date()),
        "attribute": "activation_push",
        "values": {
            "contacted": "a team contacted it at day 60",
            "held_out": "short of the cut, left alone by lot",
        },
        **push.model_dump(exclude={"quarter"}),
        "words": f"Of the contacted who would have fallen short {push.complies:.0%} are over the cut by day 90, and gain "
        f"{push.works:.0%} of what reaching it by themselves would have given. Who gets there alone gains all of it.",
    }


def _leaks(scenario: Scenario) -> list[dict[str, str]]:
    known = {
        "weekly_sums": ("event weekly_usage", "A week's use is dated at the start of its week."),
        "backfilled_rows": (
            f"event {scenario.conversations.started}",
            "Rows of accounts that left, written a month after with times before.",
        ),
        "set_after_churn": ("accounts.churn_reason", "A column that is filled in when an account leaves."),
    }
    return [{"leak": leak, "where": known[leak][0], "words": known[leak][1]} for leak in scenario.leaks]


def annotations(scenario: Scenario) -> list[dict[str, Any]]:
    """What the company's team would have written down at the time."""
    found: list[tuple[int, str, list[str]]] = []
    changes = scenario.changes
    if changes.pricing:
        points = round(100 * (changes.pricing.ratio - 1))
        words = f"Prices change by {points} % for subscriptions opened, changed or renewed from here on"
        found.append((changes.pricing.quarter, words, ["mrr"]))
    if changes.push:
        found.append(
            (changes.push.quarter, "Teams contact new accounts that are short of activation", ["activation"])
        )
    for name, usage in scenario.events.items():
        if usage.launched_quarter is not None:
            found.append((usage.launched_quarter, f"Launch of {name}", [name]))
    dated = sorted((scenario.quarter_start(quarter), words, affects) for quarter, words, affects in found)
    return [
        {"date": str(day.date()), "text": text, "affects": affects}
        for day, text, affects in dated
        if scenario.start <= day < scenario.end
    ]


def _features(scenario: Scenario) -> dict[str, Any]:
    """Events that a ranking should treat in a known way."""
    events = scenario.events

    def named(role: str) -> list[str]:
        return [name for name, usage in events.items() if usage.role == role]

    drivers = {
        name: {"at_least": usage.at_least, "days": MONTH_DAYS, "hazard_ratio": usage.hazard_ratio}
        for name, usage in events.items()
        if usage.hazard_ratio != 1
    }
    return {
        "ubiquitous": named("ubiquitous"),
        "niche": {name: events[name].plan for name in named("niche")},
        "twins": {name: events[name].follows for name in named("twin")},
        "drivers": drivers,
        "null": [name for name in events if name not in drivers],
        "launched": {
            name: str(scenario.quarter_start(usage.launched_quarter).date())
            for name, usage in events.items()
            if usage.launched_quarter is not None
        },
        "words": "What is listed under null changes nothing. A twin follows its event and counts in no category.",
    }


def _leaving(scenario: Scenario) -> dict[str, Any]:
    """How accounts leave."""
    leaving = scenario.leaving
    return {
        "monthly_hazard": leaving.hazard,
        "use_left_before_leaving": leaving.use_left,
        "share_returning": leaving.return_share,
        "dormancy": leaving.dormancy,
        "words": "Monthly accounts leave on any day and use less only within that month of tenure. Annual "
        "ones decide 35 to 60 days before a renewal, with the chance of twelve months at once, use less from then on and "
        "leave at it. Who returns "
        "after a gap pays by the month. Test accounts never leave. Lost trials end with the trial.",
    }
