"""Effects over time and from a later landmark: immortal time, Cox's model, and who is asked."""

from typing import Any

import numpy as np
import pytest
from statsmodels.duration.hazard_regression import PHReg

from features.arrays import Floats, Integers
from models.estimates import risk_ratio
from models.lifetimes import Lifetimes, hazard_ratio

DAYS = 270


def lived(rng: np.random.Generator, n: int, ratio: float) -> Lifetimes:
    """A fifth leaves in half a year, `ratio` times as often once they have reached, which may be on any of 90 days."""
    reached = np.where(rng.random(n) < 0.7, rng.uniform(0, 90, n), np.inf)
    life = rng.exponential(800, n)
    turn = np.minimum(reached, life)
    ends = turn + (life - turn) / ratio
    return followed(np.where(reached < ends, reached, np.inf), ends, rng.integers(0, 3, n))


def followed(reached: Floats, ends: Floats, stratum: Integers) -> Lifetimes:
    """Customers from signup on who may leave at any time."""
    n = len(ends)
    return Lifetimes(np.zeros(n), reached, ends, np.full(n, np.inf), stratum, DAYS)


def changed(seen: Lifetimes, **parts: Any) -> Lifetimes:
    return Lifetimes(**{**seen.__dict__, **parts})


def by_library(seen: Lifetimes) -> tuple[float, float]:
    """The logarithm of the ratio and its standard error, of episodes of whole days."""
    first, ends = np.floor(seen.begins), np.floor(seen.ends)
    last = np.minimum(ends, DAYS - 1)
    turn = np.maximum(np.minimum(np.floor(seen.reached), last), first - 1)
    left = seen.ends < DAYS
    parts = [(first, turn, left & (last == turn), 0.0), (turn + 1, last, left & (last > turn), 1.0)]
    kept = [(a <= b, a, b, d, x) for a, b, d, x in parts]
    entry, until, died, exposed, stratum = (
        np.concatenate(columns)
        for columns in (
            [a[k] + 0.5 for k, a, *_ in kept],
            [b[k] + 1.25 for k, _, b, *_ in kept],
            [d[k].astype(int) for k, _, _, d, _ in kept],
            [np.full(k.sum(), x) for k, *_, x in kept],
            [seen.stratum[k] for k, *_ in kept],
        )
    )
    model = PHReg(until, exposed[:, None], status=died, entry=entry, strata=stratum, ties="breslow").fit()
    return float(model.params[0]), float(model.bse[0])


def test_it_is_the_estimate_of_the_library() -> None:
    rng = np.random.default_rng(1)
    seen = lived(rng, 700, 0.6)
    begins: Floats = np.where(rng.random(700) < 0.3, rng.uniform(0, 30, 700), 0.0)
    seen = changed(seen, begins=np.minimum(begins, seen.ends))
    found = hazard_ratio(seen)
    assert found is not None
    value, error = by_library(seen)
    assert np.log(found.value) == pytest.approx(value, abs=1e-6)
    assert (np.log(found.upper) - np.log(found.lower)) / (2 * 1.959964) == pytest.approx(error, rel=1e-4)
    assert found.n_accounts == found.n_observations == 700


def test_its_interval_holds_the_truth_where_the_naive_ratio_is_far_from_it() -> None:
    held, naive_held = {1.0: 0, 0.6: 0}, 0
    for seed in range(60):
        for ratio in held:
            seen = lived(np.random.default_rng([seed, int(10 * ratio)]), 1500, ratio)
            found = hazard_ratio(seen)
            assert found is not None
            held[ratio] += found.lower <= ratio <= found.upper
            if ratio == 1.0:
                naive = risk_ratio(np.isfinite(seen.reached), seen.ends < DAYS)
                assert naive is not None
                naive_held += naive.lower <= 1 <= naive.upper
    assert min(held.values()) >= 53  # of 60 at 95 %
    assert naive_held <= 30


def test_who_reaches_on_the_last_day_has_not_reached_in_time() -> None:
    n = 400
    seen = lived(np.random.default_rng(3), n, 1.0)
    same_day = changed(seen, reached=np.where(np.isfinite(seen.reached), np.minimum(seen.ends, 89.0), np.inf))
    later = changed(same_day, reached=np.where(same_day.reached == seen.ends, np.inf, same_day.reached))
    assert hazard_ratio(same_day) == hazard_ratio(later)


def test_nobody_counts_before_becoming_a_customer() -> None:
    # Who becomes a customer on day 60 having reached on day 10 has reached on each of their days.
    rng = np.random.default_rng(4)
    seen = lived(rng, 900, 1.0)
    late = rng.random(900) < 0.4
    begins = np.where(late & (seen.ends > 60), 60.0, 0.0)
    early = changed(seen, begins=begins, reached=np.where(late, 10.0, seen.reached))
    value, _ = by_library(early)
    found = hazard_ratio(early)
    assert found is not None
    assert np.log(found.value) == pytest.approx(value, abs=1e-6)


def test_strata_are_compared_within() -> None:
    # In one quarter most reach and many leave, in the other few reach and few leave.
    rng = np.random.default_rng(5)
    n = 4000
    stratum = np.repeat([0, 1], n // 2)
    reached = np.where(rng.random(n) < np.where(stratum == 0, 0.8, 0.2), 0.0, np.inf)
    ends = rng.exponential(np.where(stratum == 0, 200, 2000))
    within = hazard_ratio(followed(reached, ends, stratum.astype(np.int64)))
    pooled = hazard_ratio(followed(reached, ends, np.zeros(n, np.int64)))
    assert within is not None
    assert pooled is not None
    assert within.lower <= 1 <= within.upper
    assert pooled.lower > 1.5


@pytest.mark.parametrize("ends", [np.full(100, np.inf), np.where(np.arange(100) < 29, 100.0, np.inf)])
def test_nothing_is_said_of_few_who_leave(ends: Floats) -> None:
    reached = np.where(np.arange(100) % 2, 5.0, np.inf)
    assert hazard_ratio(followed(reached, ends, np.zeros(100, np.int64))) is None


def test_nothing_is_said_where_all_who_leave_are_of_one_kind() -> None:
    ends = np.where(np.arange(200) < 60, 100.0, np.inf)
    for reached in (np.where(ends < 200, 5.0, np.inf), np.where(ends < 200, np.inf, 5.0), np.full(200, 5.0)):
        assert hazard_ratio(followed(reached, ends, np.zeros(200, np.int64))) is None


def test_a_contract_that_holds_whoever_has_reached_is_no_effect() -> None:
    # Most of those who reach buy a year soon afterwards, and cannot leave before it is over.
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        seen = lived(rng, 2000, 1.0)
        buys = np.isfinite(seen.reached) & (rng.random(2000) < 0.8)
        until = np.where(buys, seen.reached + rng.uniform(0, 60, 2000), np.inf)
        ends = np.where(until < seen.ends, np.maximum(seen.ends, 365.0), seen.ends)
        found = hazard_ratio(changed(seen, ends=ends, until=until))
        assert found is not None
        held += found.lower <= 1 <= found.upper
    assert held >= 35  # of 40 at 95 %


def test_nobody_is_followed_beyond_what_holds_them() -> None:
    rng = np.random.default_rng(6)
    seen = lived(rng, 900, 0.6)
    until = np.where(rng.random(900) < 0.3, 40.0, np.inf)
    stopped = changed(seen, until=until)
    # Who left on day 40 or later under such a contract is there to the end of day 39, and has not left.
    gone = changed(seen, ends=np.where(until < seen.ends, 1e6, seen.ends), until=until)
    assert hazard_ratio(stopped) == hazard_ratio(gone)
    at_once = changed(seen, until=np.where(np.isfinite(until), 0.0, np.inf))
    never = {
        name: value[~np.isfinite(until)] for name, value in seen.__dict__.items() if name != "follow_up_days"
    }
    assert hazard_ratio(at_once) == hazard_ratio(Lifetimes(**never, follow_up_days=DAYS))
