"""The truth of a simulated company, in figures and words: what `truth.json` holds."""

from typing import Any

import numpy as np

from features import planted
from features.arrays import Flags, Floats, Integers
from features.company import COLUMN, RETURN_CHANCE, History, Standing, hazard, standing
from features.planted import MONTH_DAYS, TERM_DAYS, Effects, Scenario
from features.windows import DAY_US, microseconds


def truth_of(scenario: Scenario, history: History) -> dict[str, Any]:
    """Everything that was planted, and what of it came out; JSON types only. `log.to` is the day after it."""
    effects = scenario.effects
    return {
        "schema_version": 1,
        "scenario": {
            "name": scenario.name,
            "n_accounts": scenario.n_accounts,
            "n_quarters": scenario.n_quarters,
            "first_quarter": scenario.first_quarter,
            "seed": scenario.seed,
        },
        "log": {"from": str(scenario.start.date()), "to": str(scenario.end.date())},
        "events": list(planted.EVENTS),
        "chain": ["setup", "activation", "utilization", "maturity", "retention"],
        "milestones": {
            "setup": _setup(effects),
            "activation": _activation(effects),
            "utilization": _utilization(effects),
            "maturity": _maturity(effects),
        },
        "confounder": _confounder(effects),
        "drift": _drift(scenario),
        "annotations": [
            {
                "date": str(scenario.pricing_at.date()),
                "text": "Prices rise by 8 % for subscriptions opened, changed or renewed from here on",
                "affects": ["mrr"],
            }
        ],
        "features": _features(),
        "leaving": _leaving(effects),
        "realised": _realised(scenario, history),
    }


def _setup(effects: Effects) -> dict[str, Any]:
    return {
        "kind": "once",
        "events": list(planted.SETUP_STEPS),
        "at_least": planted.SETUP_AT_LEAST,
        "within_days": planted.SETUP_DAYS,
        "raises": "activation",
        "works": effects.setup_lift != 1,
        "effect": {"measure": "ratio of conversations from day 30 to day 90", "value": effects.setup_lift},
        "words": f"{planted.SETUP_AT_LEAST} of {len(planted.SETUP_STEPS)} steps, each done at least once "
        f"within {planted.SETUP_DAYS} days of signup. A step at that number; no single step counts for more.",
    }


def _activation(effects: Effects) -> dict[str, Any]:
    return {
        "kind": "once",
        "event": planted.STARTED,
        "cut": planted.ACTIVATION_CUT,
        "within_days": planted.ACTIVATION_DAYS,
        "raises": "utilization",
        "works": effects.utilization_above != effects.utilization_below,
        "effect": {
            "measure": "chance of the state in which most months reach utilization, from day 90 on",
            "below": effects.utilization_below,
            "above": effects.utilization_above,
        },
        "words": f"At least {planted.ACTIVATION_CUT} `{planted.STARTED}` within {planted.ACTIVATION_DAYS} "
        "days of signup. A step exactly there, with no slope on either side.",
    }


def _utilization(effects: Effects) -> dict[str, Any]:
    return {
        "kind": "state",
        "event": planted.RESOLVED,
        "cut": planted.UTILIZATION_CUT,
        "window_days": planted.UTILIZATION_DAYS,
        "per_seat": True,
        "raises": "maturity",
        "works": effects.maturing_lift != 1,
        "effect": {
            "measure": "chance a month that a category goes from basic to mature; hazard to leave",
            "below": effects.maturing_chance,
            "above": round(effects.maturing_chance * effects.maturing_lift, 4),
            "hazard_ratio": effects.utilization_hazard_ratio,
            "expansion_ratio": effects.expansion_lift,
        },
        "words": f"At least {planted.UTILIZATION_CUT:g} `{planted.RESOLVED}` in {planted.UTILIZATION_DAYS} "
        "days per seat held at the start of those days. A step in each month of tenure; a window across two "
        "months sees it a little blurred.",
    }


def _maturity(effects: Effects) -> dict[str, Any]:
    return {
        "kind": "state",
        "window_days": planted.MATURITY_DAYS,
        "at_least": planted.MATURITY_AT_LEAST,
        "categories": {
            name: {"events": list(events), "basic": planted.BASIC_CUT, "mature": planted.MATURE_CUT}
            for name, events in planted.CATEGORIES.items()
        },
        "raises": "retention",
        "works": effects.maturity_hazard_ratio != 1,
        "effect": {
            "measure": "ratio of the hazard to leave; share that stays a year at three seats",
            "hazard_ratio": effects.maturity_hazard_ratio,
            "yearly_retention": _yearly_retention(effects),
        },
        "words": f"{planted.MATURITY_AT_LEAST} of {len(planted.CATEGORIES)} categories with at least "
        f"{planted.MATURE_CUT} events each in {planted.MATURITY_DAYS} days. A step at that number.",
    }


def _yearly_retention(effects: Effects) -> dict[str, float]:
    """The share that stays a year at typical size, by maturity and utilization held all that year."""
    shares = {}
    for mature in (False, True):
        for utilized in (False, True):
            reached = Standing(*(np.array([flag]) for flag in (True, True, utilized, mature)))
            monthly = float(hazard(effects, reached, np.array([planted.TYPICAL_SEATS]))[0])
            name = f"{'mature' if mature else 'not_mature'}_{'utilized' if utilized else 'not_utilized'}"
            shares[name] = round((1 - monthly) ** (TERM_DAYS / MONTH_DAYS), 3)
    return shares


def _confounder(effects: Effects) -> dict[str, Any] | None:
    """Size: raw counts and retention have it in common. None where it keeps nobody."""
    if not effects.size_exponent:
        return None
    return {
        "column": "seats",
        "raises": ["event counts", "retention"],
        "hazard_ratio_per_doubling": round(2.0**effects.size_exponent, 3),
        "words": "Seats drive raw volume and retention. They have no part in what is used per seat.",
    }


def _drift(scenario: Scenario) -> dict[str, Any] | None:
    """Late in the log activation works less; None where it never worked."""
    effects = scenario.effects
    before = effects.utilization_above - effects.utilization_below
    if not before or effects.drift_left == 1:
        return None
    return {
        "milestone": "activation",
        "from": str(scenario.drift_at.date()),
        "effect_before": round(before, 4),
        "effect_after": round(before * effects.drift_left, 4),
        "words": "Whoever passes day 90 from this day on gains less from activation. Older accounts keep "
        "their state until it is next redrawn, 6 % a month.",
    }


def _features() -> dict[str, Any]:
    """Events that a ranking should treat in a known way."""
    return {
        "ubiquitous": planted.UBIQUITOUS,
        "niche_premium": {"event": planted.NICHE, "plan": planted.PLANS[-1]},
        "driver": planted.DRIVER,
        "twin": {"event": planted.TWIN, "of": planted.DRIVER},
        "noise": list(planted.NOISE),
        "words": "The ubiquitous, the niche and the noise events change nothing. The twin follows its driver "
        "and counts in no category.",
    }


def _leaving(effects: Effects) -> dict[str, Any]:
    """How accounts leave."""
    return {
        "monthly_hazard": effects.hazard,
        "use_left_before_leaving": effects.leaving_use,
        "share_returning": RETURN_CHANCE,
        "words": "Monthly accounts leave on any day and use less only within that month of tenure. Annual "
        "ones decide 35 to 60 days before a renewal, use less from then on and leave at it. Who returns "
        "after a gap pays by the month. Test accounts never leave.",
    }


def _realised(scenario: Scenario, history: History) -> dict[str, Any]:
    """Counts in the log as it came out. Rates and milestones are of customers, test accounts left out."""
    customer = ~history.population.is_test
    log_days = (microseconds(scenario.end) - history.population.signed_up) / DAY_US
    left = history.first_end < log_days
    years = np.minimum(history.first_end, log_days)[customer].sum() / TERM_DAYS
    return {
        "n_events": int(history.counts.sum(dtype=np.int64)),
        "n_accounts": len(customer),
        "n_test_accounts": int((~customer).sum()),
        "n_left": int(left.sum()),
        "n_returned": int((left & (history.return_day < log_days)).sum()),
        "yearly_leaving_rate": round(float(1 - np.exp(-(left & customer).sum() / years)), 4)
        if years
        else None,
        **_once_reached(history, customer, log_days),
        **_state_reached(history, customer),
        "twin_correlation": _twin_correlation(history),
    }


def _once_reached(history: History, customer: Flags, log_days: Floats) -> dict[str, Any]:
    """Setup and activation among accounts alive at the landmark, as {reached, of}."""
    months = history.spans.shape[1]
    reached = {}
    for name, day in (("setup", planted.SETUP_DAYS), ("activation", planted.ACTIVATION_DAYS)):
        month = day // MONTH_DAYS
        first = standing(history.counts, history.seats, min(month, months))
        alive = customer & (history.first_end >= day) & (log_days >= day)
        reached[name] = _pair(_tally(first.setup if name == "setup" else first.activated, alive))
    return reached


def _state_reached(history: History, customer: Flags) -> dict[str, Any]:
    """Utilization after day 90 and maturity after day 180, in windows lived in full, as {reached, of}."""
    full = (history.spans == MONTH_DAYS) & customer[:, None]
    utilization, maturity = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for month in range(4, history.spans.shape[1] + 1):
        by_now = standing(history.counts, history.seats, month)
        utilization += _tally(by_now.utilized, full[:, month - 1])
        if month >= 6:
            maturity += _tally(by_now.mature, full[:, month - 3 : month].all(axis=1))
    return {"utilization": _pair(utilization), "maturity": _pair(maturity)}


def _tally(reached: Flags, among: Flags) -> Integers:
    """(reached, all) among the flagged."""
    return np.array([(reached & among).sum(), among.sum()], dtype=np.int64)


def _pair(tally: Integers) -> dict[str, int]:
    return {"reached": int(tally[0]), "of": int(tally[1])}


def _twin_correlation(history: History) -> float | None:
    """Pearson's r of log(1 + count) of driver and twin, over months lived in full."""
    full = history.spans == MONTH_DAYS
    pair = [np.log1p(history.counts[:, :, COLUMN[event]][full]) for event in (planted.DRIVER, planted.TWIN)]
    if not full.any() or min(values.std() for values in pair) == 0:
        return None
    return round(float(np.corrcoef(pair[0], pair[1])[0, 1]), 4)
