"""Who signs up at a simulated company, and with which temperament: drawn once, before any month is lived."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.arrays import Flags, Floats, Integers
from features.simulation.plantings import PLANS, TYPICAL_SEATS, Plan
from features.simulation.scenario import Scenario
from features.windows import microseconds

READINESS = 1.1  # spread of the log-odds that an account does setup steps


@dataclass(frozen=True)
class Population:
    """Accounts before their first month. One entry an account; (n, 5) has one a category too."""

    signed_up: Integers  # microseconds since 1970
    seats: Integers
    plan: Integers  # position in PLANS
    annual: Flags
    is_test: Flags
    trial: Flags  # begins with a trial
    trial_lost: Flags  # and is no customer after it
    temperament: Floats  # ratio of conversations before day 90
    pace: Floats  # ratio of conversations after it
    trend: Floats  # growth of usage a month, in logarithms
    devotion: Floats  # (n, categories) ratio of a category's usage
    shares: Floats  # (n, category events) how usage splits within a category; sums to 1 in each
    readiness: Floats  # log-odds of doing setup steps
    twin_ratio: Floats
    uses: Flags  # (n, other events) would use it at all

    def __len__(self) -> int:
        return len(self.signed_up)


def draw_population(scenario: Scenario, signed_up: Integers, rng: np.random.Generator) -> Population:
    """Accounts for signup instants in microseconds, shape (n,)."""
    n, who = len(signed_up), scenario.population
    seats = np.rint(rng.lognormal(np.log(who.median_seats), who.seats_spread, n))
    seats = np.clip(seats, 1, who.most_seats).astype(np.int64)
    annual, is_test = rng.random(n) < who.annual_share, rng.random(n) < who.test_share
    trial = (rng.random(n) < who.trial_share) & ~annual & ~is_test
    return Population(
        signed_up=signed_up,
        seats=seats,
        plan=_plans(scenario, signed_up, seats, rng),
        annual=annual,
        is_test=is_test,
        trial=trial,
        trial_lost=trial & (rng.random(n) < who.trial_lost_share),
        temperament=rng.lognormal(0.0, 0.7, n),
        pace=rng.lognormal(0.0, 0.33, n),
        trend=rng.normal(0.0, who.trend_spread, n),
        devotion=rng.lognormal(0.0, 0.35, (n, len(scenario.maturity.categories))),
        shares=_shares(scenario, n, rng),
        readiness=rng.normal(0.0, READINESS, n),
        twin_ratio=rng.lognormal(-0.1, 0.15, n),
        uses=rng.random((n, len(scenario.events))) < [usage.users for usage in scenario.events.values()],
    )


def _plans(scenario: Scenario, signed_up: Integers, seats: Integers, rng: np.random.Generator) -> Integers:
    """The plan each account signs up for, (n,): by the mix of its day, enterprise by size too."""
    who, mix = scenario.population, scenario.changes.mix
    shares = in_order(who.plans)
    chance = np.broadcast_to(shares, (len(signed_up), len(PLANS)))
    if mix:
        after = signed_up >= microseconds(scenario.quarter_start(mix.quarter))
        chance = np.where(after[:, None], in_order(mix.plans), chance)
    size = (seats / TYPICAL_SEATS) ** who.enterprise_size_exponent
    enterprise = rng.random(len(seats)) < chance[:, 2] * size
    rest = np.maximum(chance[:, 0] + chance[:, 1], 1e-12)
    return np.where(enterprise, 2, rng.random(len(seats)) < chance[:, 1] / rest).astype(np.int64)


def log_odds(share: Floats) -> Floats:
    """The log-odds, of an account of middling readiness, at which this share of all accounts does a step, (steps,).

    Readiness draws shares towards one half, so that they lie farther out than those of the share itself.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(64)
    weight /= weight.sum()
    low, high = np.full(len(share), -30.0), np.full(len(share), 30.0)
    for _ in range(60):  # halved each time, to rounding
        middle = (low + high) / 2
        done = (weight / (1 + np.exp(-(middle[:, None] + READINESS * node)))).sum(axis=1)
        low, high = np.where(done < share, middle, low), np.where(done < share, high, middle)
    return np.asarray((low + high) / 2)


def in_order(plans: Mapping[Plan, float]) -> Floats:
    """What there is for each plan, in the order of PLANS."""
    return np.array([plans[plan] for plan in PLANS])


def category_sizes(scenario: Scenario) -> list[int]:
    """How many events each category has."""
    return [len(events) for events in scenario.maturity.categories.values()]


def category_starts(scenario: Scenario) -> Integers:
    """Where each category's events start among the category events: np.add.reduceat sums by it."""
    return np.cumsum([0, *category_sizes(scenario)])[:-1]


def _shares(scenario: Scenario, n: int, rng: np.random.Generator) -> Floats:
    """How each account splits a category's usage over its events, (n, category events)."""
    uptake = [share for events in scenario.maturity.categories.values() for share in events.values()]
    weight = (rng.random((n, len(uptake))) < uptake) * rng.lognormal(0.0, 0.5, (n, len(uptake)))
    starts = category_starts(scenario)
    weight[:, starts] += 1e-9  # who took up none of a category's events uses its first
    total = np.add.reduceat(weight, starts, axis=1)
    return np.asarray(weight / np.repeat(total, category_sizes(scenario), axis=1))
