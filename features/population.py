"""Who signs up at a simulated company, and with which temperament: drawn once, before any month is lived."""

from dataclasses import dataclass

import numpy as np

from features import planted
from features.arrays import Flags, Floats, Integers

# Where each category's events start among the category events: np.add.reduceat sums by it.
CATEGORY_SIZES = [len(events) for events in planted.CATEGORIES.values()]
CATEGORY_STARTS = np.cumsum([0, *CATEGORY_SIZES])[:-1]

# Log-normal: a tenth of the accounts buys more than ten seats, one in a hundred more than forty.
MEDIAN_SEATS, SEATS_SPREAD, MOST_SEATS = 2.2, 1.24, 500
PROFESSIONAL_SHARE, ENTERPRISE_SHARE = 0.33, 0.05
ANNUAL_SHARE = 0.25
TEST_SHARE = 0.01


@dataclass(frozen=True)
class Population:
    """Accounts before their first month. One entry an account; (n, 5) has one a category too."""

    signed_up: Integers  # microseconds since 1970
    seats: Integers
    plan: Integers  # position in planted.PLANS
    annual: Flags
    is_test: Flags
    temperament: Floats  # ratio of conversations before day 90
    pace: Floats  # ratio of conversations after it
    trend: Floats  # growth of usage a month, in logarithms
    devotion: Floats  # (n, 5) ratio of a category's usage
    shares: Floats  # (n, category events) how usage splits within a category; sums to 1 in each
    readiness: Floats  # log-odds of doing setup steps
    twin_ratio: Floats
    noise: Flags  # (n, noise events) uses it at all
    styles: Flags  # uses the ubiquitous feature
    tunes: Flags  # would use the niche feature, on the plan that has it


def draw_population(signed_up: Integers, rng: np.random.Generator) -> Population:
    """Accounts for signup instants in microseconds, shape (n,)."""
    n = len(signed_up)
    seats = np.rint(rng.lognormal(np.log(MEDIAN_SEATS), SEATS_SPREAD, n))
    seats = np.clip(seats, 1, MOST_SEATS).astype(np.int64)
    large = rng.random(n) < ENTERPRISE_SHARE * np.sqrt(seats / planted.TYPICAL_SEATS)
    return Population(
        signed_up=signed_up,
        seats=seats,
        plan=np.where(large, 2, rng.random(n) < PROFESSIONAL_SHARE).astype(np.int64),
        annual=rng.random(n) < ANNUAL_SHARE,
        is_test=rng.random(n) < TEST_SHARE,
        temperament=rng.lognormal(0.0, 0.7, n),
        pace=rng.lognormal(0.0, 0.33, n),
        trend=rng.normal(0.0, 0.008, n),
        devotion=rng.lognormal(0.0, 0.35, (n, len(planted.CATEGORIES))),
        shares=_shares(n, rng),
        readiness=rng.normal(0.0, 1.1, n),
        twin_ratio=rng.lognormal(-0.1, 0.15, n),
        noise=rng.random((n, len(planted.NOISE))) < [share for share, _ in planted.NOISE.values()],
        styles=rng.random(n) < 0.985,
        tunes=rng.random(n) < 0.45,
    )


def _shares(n: int, rng: np.random.Generator) -> Floats:
    """How each account splits a category's usage over its events, (n, category events)."""
    uptake = [share for events in planted.CATEGORIES.values() for share in events.values()]
    weight = (rng.random((n, len(uptake))) < uptake) * rng.lognormal(0.0, 0.5, (n, len(uptake)))
    weight[:, CATEGORY_STARTS] += 1e-9  # who took up none of a category's events uses its first
    total = np.add.reduceat(weight, CATEGORY_STARTS, axis=1)
    return np.asarray(weight / np.repeat(total, CATEGORY_SIZES, axis=1))
