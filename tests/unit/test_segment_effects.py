"""Effects by segment: an interaction is a difference of effects with an interval of its own."""

import math

import numpy as np
import pandas as pd
import pytest

from features.arrays import Flags
from models.comparison import Comparison
from models.estimates import risk_difference
from models.segment_effects import SegmentEffect, by_segment, one_cut_for_all
from tests.unit.test_adjustment import compared

SEATS = np.array([1.0, 5.0, 20.0])


def company(seed: int, n: int, effects: tuple[float, float, float], cuts: tuple[int, int, int]) -> Comparison:
    """Three sizes, each with a step of its own at a cut of its own, seen at the cut 10."""
    rng = np.random.default_rng(seed)
    size = rng.choice(3, n, p=[0.4, 0.32, 0.28])
    score = rng.integers(0, 30, n).astype(float)
    steps = np.array(effects)[size] * (score >= np.array(cuts)[size])
    outcome = rng.random(n) < 0.5 + steps
    return seen_at(10, score, outcome, size)


def seen_at(cut: float, score: "np.ndarray", outcome: Flags, size: "np.ndarray") -> Comparison:
    plan = pd.DataFrame({"plan": np.where(size == 0, "small", "large")})
    seen = compared(score >= cut, outcome, seats=SEATS[size], adjust_for=plan)
    return Comparison(**{**seen.__dict__, "cut": float(cut), "rows": seen.rows.assign(score=score)})


def found_in(seen: Comparison, seed: int = 0) -> dict[str, SegmentEffect]:
    return {one.segment: one for one in by_segment(seen, seen.rows.index, np.random.default_rng(seed))}


def test_segments_are_sizes_and_plans_as_the_window_began() -> None:
    seen = company(0, 900, (0.2, 0.2, 0.2), (10, 10, 10))
    found = by_segment(seen, seen.rows.index, np.random.default_rng(0))
    assert [(one.dimension, one.segment) for one in found] == [
        ("size", "up to 1 seat"),
        ("size", "over 1 to 5 seats"),
        ("size", "over 5 seats"),
        ("plan", "large"),
        ("plan", "small"),
    ]
    assert sum(one.n_accounts for one in found[:3]) == 900
    small = seen.rows[seen.seats == 1]
    assert found[0].adoption == pytest.approx(small["reached"].mean())
    assert set(found[0].as_dict()) >= {"segment", "effect", "interaction", "own_cut", "own_plateau"}


def test_a_difference_between_sizes_is_found_and_told() -> None:
    found = found_in(company(1, 3000, (0.0, 0.4, 0.4), (10, 10, 10)))
    small = found["up to 1 seat"]
    assert small.interaction is not None
    assert small.interaction.upper < 0
    assert small.own_cut is None
    sentence = one_cut_for_all(list(found.values()), 10)
    assert "what it goes with differs (up to 1 seat: " in sentence
    assert "points less" in sentence


def test_a_difference_allows_for_every_look_and_for_the_longer_side_of_either_effect() -> None:
    # Nearly everybody stays: an effect can be too high by more than it can be too low, or the other way round.
    i = np.arange(600)
    score, size = 10.0 + 10 * (i % 3 == 0), np.where(i < 200, 0, np.where(i < 400, 1, 2))
    seen = seen_at(20, score, i % 200 >= np.where(i % 3 == 0, 6, 60), size)
    small = found_in(seen)["up to 1 seat"]
    level = 1 - 0.05 / 3
    one, other = (
        risk_difference(seen.reached[of], seen.outcome[of], seen.account[of], level)
        for of in (i < 200, i >= 200)
    )
    assert one is not None
    assert other is not None
    below = math.hypot(one.value - one.lower, other.upper - other.value)
    above = math.hypot(one.upper - one.value, other.value - other.lower)
    assert below != pytest.approx(above, rel=0.02)
    assert small.interaction is not None
    value = one.value - other.value
    assert (small.interaction.lower, small.interaction.upper) == pytest.approx((value - below, value + above))
    assert small.interaction.level == pytest.approx(level)
    plan = found_in(seen)["small"].interaction
    assert plan is not None
    assert plan.level == pytest.approx(0.95)  # of two parts the one comparison is made twice


def test_a_cut_of_its_own_is_looked_for_where_accounts_are_seen_once() -> None:
    seen = company(2, 1200, (0.4, 0.4, 0.4), (10, 10, 22))
    assert found_in(seen)["over 5 seats"].own_cut is not None
    few = by_segment(seen, seen.rows.index[:60], np.random.default_rng(0))
    assert all(one.own_cut is None for one in few)


def test_a_drift_of_usage_and_of_the_outcome_supports_no_cut_of_a_segment() -> None:
    i = np.arange(1200)
    later = i >= 600
    seen = seen_at(10, i % 10 + 10.0 * later, i // 10 % 10 < np.where(later, 8, 4), i // 100 % 2)
    rows = seen.rows.assign(quarter=np.where(later, "2024Q2", "2024Q1"))
    drifted = found_in(Comparison(**{**seen.__dict__, "rows": rows}))
    assert all(one.own_cut is not None for one in found_in(seen).values())
    assert all(one.own_cut is None for one in drifted.values())


def test_no_difference_is_called_one_in_few_worlds() -> None:
    called = 0
    for seed in range(40):
        found = by_segment(
            company(seed, 900, (0.25, 0.25, 0.25), (10, 10, 10)), pd.Index([]), np.random.default_rng(0)
        )
        sizes = [one for one in found if one.dimension == "size"]
        assert all(one.interaction is not None for one in sizes)
        called += "differs" in one_cut_for_all(sizes, 10)
    assert called <= 6  # of 40 at 5 % for all three together; more in one of a hundred


def test_a_segment_has_a_cut_of_its_own_where_its_accounts_support_one() -> None:
    found = found_in(company(2, 4000, (0.4, 0.4, 0.4), (10, 10, 22)))
    large, small = found["over 5 seats"], found["up to 1 seat"]
    assert small.own_plateau is not None
    assert small.own_plateau[0] <= 10 <= small.own_plateau[1]
    assert large.own_cut == pytest.approx(22, abs=2)
    sentence = one_cut_for_all([one for one in found.values() if one.dimension == "size"], 10)
    assert sentence.startswith("One cut at 10 does not serve every size (over 5 seats: 2")
    assert large.needs_another
    assert not small.needs_another
    assert large.as_dict()["needs_another"]


def test_one_cut_that_serves_all_is_told_so_in_most_worlds() -> None:
    refused = 0
    for seed in range(40):
        seen = company(seed, 1500, (0.3, 0.3, 0.3), (10, 10, 10))
        sizes = by_segment(seen, seen.rows.index, np.random.default_rng(seed))[:3]
        refused += any(one.needs_another for one in sizes)
    assert refused <= 5  # of 40, at 5 % for all three together


def test_on_a_smooth_curve_a_cut_that_is_nearly_as_good_is_seldom_refused() -> None:
    refused = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size, score = rng.choice(3, 1500, p=[0.4, 0.32, 0.28]), rng.integers(0, 30, 1500).astype(float)
        seen = seen_at(12, score, rng.random(1500) < 0.35 + 0.4 * np.clip((score - 4) / 12, 0, 1), size)
        refused += any(one.needs_another for one in by_segment(seen, seen.rows.index, rng)[:3])
    assert refused <= 11  # of 40; beside a plateau alone, 17


def test_a_cut_between_two_that_are_as_good_is_not_refused() -> None:
    # From 12 on it goes better than below, at 8 and 9 well and at 10 and 11 badly: 8 and 12 are as good, 10 falls out.
    score = np.tile(np.arange(1.0, 31.0), 120)
    rate = np.select([score >= 12, np.isin(score, (8, 9)), np.isin(score, (10, 11))], [0.6, 0.9, 0.1], 0.4)
    outcome = np.arange(len(score)) // 30 % 10 < 10 * rate  # exactly so often at each value
    found = found_in(seen_at(10, score, outcome, np.repeat([0, 1], len(score) // 2)))
    small = found["up to 1 seat"]
    assert small.own_plateau is not None
    assert small.own_plateau[0] < 10 < small.own_plateau[1]
    assert not small.needs_another


def test_accounts_that_were_in_both_segments_do_not_widen_their_difference() -> None:
    # Everybody is seen in either segment, and did the same in both: what differs between accounts differs in neither.
    rng = np.random.default_rng(0)
    score, good = rng.integers(0, 30, 200).astype(float), rng.random(200) < 0.5
    seen = seen_at(15, np.tile(score, 2), np.tile(good, 2), np.repeat([0, 1], 200))
    apart = found_in(seen)["up to 1 seat"].interaction
    rows = seen.rows.assign(account=np.tile(np.arange(200), 2))
    together = found_in(Comparison(**{**seen.__dict__, "rows": rows}))["up to 1 seat"].interaction
    assert apart is not None
    assert together is not None
    assert apart.value == together.value == pytest.approx(0.0)
    assert together.upper - together.lower < 0.2 * (apart.upper - apart.lower)


def test_too_few_accounts_are_told_and_not_judged() -> None:
    found = by_segment(company(3, 90, (0.2, 0.2, 0.2), (10, 10, 10)), pd.Index([]), np.random.default_rng(0))
    assert all(one.effect is None and one.interaction is None and one.own_cut is None for one in found[:3])
    assert "cannot be told: too few accounts" in one_cut_for_all(found, 10)


def test_nothing_is_compared_with_the_others_where_they_are_too_few() -> None:
    i = np.arange(340)
    seen = seen_at(10, i % 20.0, i // 2 % 2 == 0, (i >= 300).astype(int))
    many = found_in(seen)["up to 1 seat"]
    assert many.effect is not None
    assert many.interaction is None


def test_one_size_and_one_plan_are_no_segments() -> None:
    seen = compared(np.arange(100) < 50, np.arange(100) % 2 == 0, seats=np.full(100, 2.0))
    assert by_segment(seen, seen.rows.index, np.random.default_rng(0)) == []
    assert one_cut_for_all([], 10) == ""
    empty = Comparison(**{**seen.__dict__, "rows": seen.rows.head(0), "seats": np.empty(0)})
    assert by_segment(empty, empty.rows.index, np.random.default_rng(0)) == []
