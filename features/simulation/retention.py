"""How activation keeps accounts: a step in the share retained, by plan or for all, or a smooth curve of the count."""

import numpy as np

from features.arrays import Floats, Integers
from features.simulation.plantings import MONTH_DAYS, PLANS, RETAINED_DAYS, Curve, Retained
from features.simulation.scenario import Scenario

MONTHS = RETAINED_DAYS // MONTH_DAYS


def loyalty(scenario: Scenario, started: Integers, gain: Floats, plan: Integers) -> Floats:
    """The chance to leave in a month from day 90 on, (n,), before anything else changes it.

    started: conversations by day 90. gain: share of activation's effects, 0 below the cut. plan: position in PLANS.
    """
    planted = scenario.activation.retained
    if planted is None:
        return np.full(len(started), scenario.leaving.hazard)
    if planted.curve is not None:
        return monthly(share_at(planted.curve, started))
    below, above = _by_plan(planted)[plan].T
    return monthly(below + (above - below) * gain)


def _by_plan(planted: Retained) -> Floats:
    """The share retained below the cut and from it on, (plans, 2), in the order of PLANS."""
    levels = [planted.by_plan.get(plan) or planted.step for plan in PLANS]
    return np.array([(step.below, step.above) for step in levels if step])


def monthly(retained: Floats) -> Floats:
    """The chance to leave in a month that leaves this share after 180 days: 0.70 is 0.0577 a month."""
    return np.asarray(1 - retained ** (1 / MONTHS))


def share_at(curve: Curve, count: Integers | Floats) -> Floats:
    """The share retained at each count: the logistic function of log(1 + count) through the two points."""
    ends = (curve.start, curve.end)
    x = np.log1p([point.count for point in ends])
    y = np.log([point.retained / (1 - point.retained) for point in ends])
    odds = y[0] + (np.log1p(count) - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
    return np.asarray(1 / (1 + np.exp(-odds)))
