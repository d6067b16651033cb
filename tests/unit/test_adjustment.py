"""Other explanations of an effect, on rows that are made for each."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.arrays import Flags, Floats
from models.adjustment import METHODS, confounding
from models.comparison import Comparison
from models.estimates import Estimate
from models.lifetimes import Lifetimes
from models.sensitivity import e_value, placebos
from models.strata import UNKNOWN, in_parts

CONTEXT = {
    "outcome": "retained",
    "horizon_days": 180,
    "population": "alive at the landmark",
    "primary": True,
    "landmark_day": 90,
}


def compared(reached: Flags, outcome: Flags, **changes: Any) -> Comparison:
    """A comparison of accounts that are seen once, of which nothing else is known."""
    n = len(reached)
    rows = pd.DataFrame(
        {"account": np.arange(n), "quarter": "2024Q1", "score": 1.0, "reached": reached, "outcome": outcome}
    )
    parts: dict[str, Any] = {
        "seats": np.full(n, np.nan),
        "adjust_for": pd.DataFrame(index=rows.index),
        "prior": None,
        "naive": None,
        "shared": (),
    }
    return Comparison(1.0, rows, **{**parts, **changes}, context=CONTEXT, contexts={})


def by_size(rng: np.random.Generator, n: int, effect: float = 0.0) -> tuple[Flags, Flags, Floats]:
    """Seats work on both, reaching and staying."""
    seats = np.ceil(np.exp(rng.normal(1.5, 0.8, n)))
    reached = rng.random(n) < np.clip(0.15 + 0.2 * np.log(seats), 0.05, 0.95)
    outcome = rng.random(n) < np.clip(0.5 + 0.15 * np.log(seats) + effect * reached, 0, 0.98)
    return reached, outcome, seats


def ratio(value: float, lower: float, upper: float) -> Estimate:
    return Estimate("risk_ratio", value, lower, upper, 100, 100)


def test_the_e_value_of_the_published_example() -> None:
    # VanderWeele & Ding 2017: risk ratio 3.9 (1.8 to 8.7) has the E-values 7.26 and 3.0
    found = e_value(ratio(3.9, 1.8, 8.7))
    assert (found.value, found.limit) == pytest.approx((7.26, 3.0), abs=0.005)
    # of a protective ratio it is that of the inverse
    turned = e_value(ratio(1 / 3.9, 1 / 8.7, 1 / 1.8))
    assert (turned.value, turned.limit) == pytest.approx((found.value, found.limit))
    assert e_value(ratio(1.2, 0.9, 1.5)).limit == 1.0


def test_parts_keep_equal_values_together_and_hold_enough() -> None:
    values = np.array([1.0] * 50 + [2.0] * 3 + [3.0] * 40 + [9.0] * 7 + [np.nan] * 5)
    parts = in_parts(values, 10, 20)
    # 2 is too small a part, and so is 9: it joins the one before
    assert parts[:50].tolist() == [0] * 50
    assert parts[50:100].tolist() == [1] * 50
    assert parts[100:].tolist() == [UNKNOWN] * 5
    assert len(np.unique(in_parts(np.arange(1000.0), 10, 20))) == 10
    assert in_parts(np.arange(30.0), 10, 20).tolist() == [0] * 30
    assert in_parts(np.full(3, np.nan), 10, 20).tolist() == [UNKNOWN] * 3


def test_an_effect_of_size_alone_is_explained_by_size() -> None:
    reached, outcome, seats = by_size(np.random.default_rng(0), 2000)
    found = confounding(compared(reached, outcome, seats=seats), np.random.default_rng(0))
    assert found.effects["crude"].lower > 0
    assert found.effects["stratified"].lower <= 0
    assert found.explained_by_size
    # Size is known: nothing unknown is needed.
    said = {one.kind: one.sentence for one in found.remarks}
    assert "what goes with both, known or not, needs a risk ratio of" in said["e_value"]
    assert "size explains most of it, and may explain all" in said["explained_by_size"]
    assert "stratified" not in said


def test_an_effect_beside_size_is_not() -> None:
    reached, outcome, seats = by_size(np.random.default_rng(0), 2000, effect=0.15)
    found = confounding(compared(reached, outcome, seats=seats), np.random.default_rng(0))
    assert found.effects["stratified"].lower > 0
    assert found.effects["stratified"].value < found.effects["crude"].value
    assert not found.explained_by_size


def test_an_effect_of_which_less_than_half_but_surely_some_is_left_is_not() -> None:
    reached, outcome, seats = by_size(np.random.default_rng(0), 20_000, effect=0.03)
    found = confounding(compared(reached, outcome, seats=seats), np.random.default_rng(0))
    assert found.effects["stratified"].lower > 0
    assert found.effects["stratified"].value < found.effects["crude"].value / 2
    assert not found.explained_by_size


def test_a_small_effect_that_strata_halve_by_chance_is_not_explained() -> None:
    # Seats tell nearly who reaches it, and have nothing to do with staying: strata lose most of what is known.
    halved = called = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        seats = np.ceil(np.exp(rng.normal(1.5, 0.8, 400)))
        reached = rng.random(400) < 1 / (1 + np.exp(5 * (1.6 - np.log(seats))))
        outcome = rng.random(400) < 0.5 + 0.12 * reached
        found = confounding(compared(reached, outcome, seats=seats), rng)
        crude, within = found.effects["crude"], found.effects["stratified"]
        halved += crude.lower > 0 >= within.lower and within.value < crude.value / 2
        called += found.explained_by_size
    assert halved >= 6
    assert called <= 2


def test_many_rows_of_one_account_do_not_make_size_explain_more() -> None:
    rng = np.random.default_rng(5)
    seats = np.ceil(np.exp(rng.normal(1.5, 0.8, 400)))
    reached = rng.random(400) < 1 / (1 + np.exp(5 * (1.6 - np.log(seats))))
    outcome = rng.random(400) < 0.5 + 0.12 * reached
    seen = compared(np.tile(reached, 9), np.tile(outcome, 9), seats=np.tile(seats, 9))
    of_few = replace(seen, rows=seen.rows.assign(account=np.tile(np.arange(400), 9)))
    found = confounding(of_few, np.random.default_rng(0))
    assert found.effects["crude"].lower > 0 >= found.effects["stratified"].lower
    assert found.effects["stratified"].value < found.effects["crude"].value / 2
    assert not found.explained_by_size


def test_size_explains_what_is_seen_among_accounts_of_a_known_size() -> None:
    rng = np.random.default_rng(0)
    reached, outcome, seats = by_size(rng, 2000)
    others = rng.random(1500) < 0.5  # of a size that nobody knows: whoever reached it leaves
    found = confounding(
        compared(
            np.append(reached, others),
            np.append(outcome, rng.random(1500) < 0.8 - 0.6 * others),
            seats=np.append(seats, np.full(1500, np.nan)),
        ),
        rng,
    )
    assert found.effects["crude"].upper < 0
    assert found.explained_by_size


def test_an_effect_that_may_be_none_needs_nothing_to_explain_it_away() -> None:
    rng = np.random.default_rng(0)
    found = confounding(compared(rng.random(300) < 0.4, rng.random(300) < 0.6), rng)
    assert found.e_value is not None
    assert found.e_value.value > found.e_value.limit == 1
    assert "e_value" not in {one.kind for one in found.remarks}


def test_what_cannot_be_had_has_a_reason() -> None:
    rng = np.random.default_rng(0)
    reached, outcome = rng.random(300) < 0.4, rng.random(300) < 0.6
    found = confounding(compared(reached, outcome), rng)
    assert set(found.effects) == {"crude", "crude_ratio"}
    assert found.not_given == {
        "stratified": "no seats are known when the window begins",
        "weighted": "no adjustment set is declared: name one under data.adjust_for",
        "after_prior_use": "prior use was not looked up",
    }
    same = confounding(compared(reached, outcome, seats=np.full(300, 3.0)), rng)
    assert same.not_given["stratified"] == "the seats tell nobody apart"


@pytest.mark.parametrize("reached", [np.arange(300) < 300, np.arange(300) < 0])
def test_nothing_is_said_without_two_groups_or_two_outcomes(reached: Flags) -> None:
    rng = np.random.default_rng(0)
    few = compared(rng.random(300) < 0.5, np.arange(300) < 29)
    for seen in (compared(reached, rng.random(300) < 0.5), few):
        found = confounding(seen, rng)
        assert (found.effects, found.e_value, found.placebos) == ({}, None, ())
        assert set(found.not_given) == {"crude"}
        assert [one["kind"] for one in found.as_dict()["remarks"]] == ["nothing"]


def test_an_adjustment_set_that_tells_nobody_apart_adjusts_nothing() -> None:
    reached, outcome, _ = by_size(np.random.default_rng(0), 400)
    alike = pd.DataFrame({"plan": "one", "industry": [None] * 400, "mrr": 5.0})
    found = confounding(compared(reached, outcome, adjust_for=alike), np.random.default_rng(0))
    assert found.not_given["weighted"] == "data.adjust_for (plan, industry, mrr) tells nobody apart"


def test_accounts_are_adjusted_within_their_cohort_quarter() -> None:
    # In the second quarter three in four reach it and four in five stay, in the first one in four and two in five.
    i = np.arange(800)
    later = i >= 400
    reached = np.where(later, i % 4 > 0, i % 4 == 0)
    outcome = i // 4 % 5 < np.where(later, 4, 2)
    seen = compared(reached, outcome, adjust_for=pd.DataFrame({"plan": np.where(i // 20 % 2, "a", "b")}))
    rows = seen.rows.assign(quarter=np.where(later, "2024Q2", "2024Q1"))
    found = confounding(replace(seen, rows=rows), np.random.default_rng(0))
    assert found.effects["crude"].value == pytest.approx(0.2)
    assert found.effects["weighted"].value == pytest.approx(0, abs=0.01)


def test_every_effect_is_told_apart_by_its_method() -> None:
    reached, outcome, seats = by_size(np.random.default_rng(0), 1000, 0.1)
    prior = pd.DataFrame({"recency": np.arange(1000) % 30, "volume": np.arange(1000) % 7})
    rows = pd.DataFrame({"account": np.arange(1000), "reached": reached, "outcome": outcome})
    ends = np.where(outcome, np.inf, np.arange(1000) % 200)
    over_time = Lifetimes(
        np.zeros(1000),
        np.where(reached, 10.0, np.inf),
        ends,
        np.full(1000, np.inf),
        np.zeros(1000, np.int64),
        270,
    )
    seen = compared(
        reached, outcome, seats=seats, adjust_for=pd.DataFrame({"seats": seats}), prior=prior, naive=rows,
        at_landmark=rows, later_landmark=rows, lifetimes=over_time,
    )  # fmt: skip
    found = confounding(seen, np.random.default_rng(0), in_definition=True)
    assert {name: effect.method for name, effect in found.effects.items()} == METHODS
    assert all(effect.in_definition for effect in found.effects.values())
    record = found.as_dict()
    assert [one["name"] for one in record["effects"]] == list(METHODS)
    assert record["overlap"]["kept"] > 0.5
    assert record["e_value"]["value"] >= record["e_value"]["limit"] >= 1
    assert record["not_given"] == {}


def habits(rng: np.random.Generator, n: int, effect: float) -> tuple[Flags, Flags, pd.DataFrame]:
    """Whoever used it much before uses it now, and stays; reaching the cut adds an effect of its own, or none."""
    volume = rng.poisson(rng.gamma(2.0, 2.0, n)).astype(float)
    reached = rng.random(n) < np.clip(0.1 + 0.08 * volume, 0, 0.9)
    outcome = rng.random(n) < np.clip(0.4 + 0.05 * volume + effect * reached, 0, 0.97)
    return reached, outcome, pd.DataFrame({"recency": rng.integers(0, 30, n), "volume": volume})


def test_what_prior_use_leaves_nothing_of_is_persistence_where_behaviour_is_shared() -> None:
    rng = np.random.default_rng(1)
    reached, outcome, prior = habits(rng, 3000, 0.0)
    found = confounding(compared(reached, outcome, prior=prior, shared=("used",)), rng)
    assert found.effects["crude"].lower > 0.05
    assert found.effects["after_prior_use"].value < 0.4 * found.effects["crude"].value
    assert found.persistence
    said = {one.kind: one.sentence for one in found.remarks}
    assert "persistence of the same behaviour" in said["persistence"]
    apart = confounding(compared(reached, outcome, prior=prior), rng)
    assert not apart.persistence
    assert {"persistence", "after_prior_use"} & {one.kind for one in apart.remarks} == {"after_prior_use"}


def test_what_prior_use_leaves_less_than_a_tenth_of_is_persistence_though_that_is_sure() -> None:
    # One in ten of those who did little before reaches it, nine in ten of the others: four points are left of 52.
    i = np.arange(8000)
    much = i >= 4000
    reached = np.where(much, i % 10 > 0, i % 10 == 0)
    outcome = i // 10 % 100 < 20 + 60 * much + 4 * reached
    prior = pd.DataFrame({"recency": np.zeros(8000), "volume": 10.0 * much})
    seen = compared(reached, outcome, prior=prior, shared=("used",))
    found = confounding(seen, np.random.default_rng(0))
    assert found.effects["crude"].value == pytest.approx(0.52)
    assert found.effects["after_prior_use"].value == pytest.approx(0.04)
    assert found.effects["after_prior_use"].lower > 0
    assert found.persistence


def test_what_prior_use_leaves_much_of_is_none() -> None:
    rng = np.random.default_rng(1)
    reached, outcome, prior = habits(rng, 3000, 0.2)
    found = confounding(compared(reached, outcome, prior=prior, shared=("used",)), rng)
    assert found.effects["after_prior_use"].lower > 0.1
    assert not found.persistence


def test_an_effect_that_strata_only_make_unsure_is_no_persistence() -> None:
    # Prior use has nothing to do with staying: strata of it take nothing but precision.
    crude, called = 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reached, _, prior = habits(rng, 300, 0.0)
        outcome = rng.random(300) < 0.5 + 0.15 * reached
        found = confounding(compared(reached, outcome, prior=prior, shared=("used",)), rng)
        crude += found.effects["crude"].lower > 0
        called += found.persistence
    assert crude > 25
    assert called <= 1


def test_a_placebo_shows_how_unlike_the_groups_were() -> None:
    rng = np.random.default_rng(0)
    reached, outcome, seats = by_size(rng, 1000)
    plan = np.where(rng.random(1000) < 0.7, "essential", "professional")
    seen = compared(
        reached,
        outcome,
        seats=seats,
        adjust_for=pd.DataFrame({"plan": plan, "all alike": np.full(1000, "a")}),
    )
    by_what = {placebo.what: placebo for placebo in placebos(seen)}
    assert list(by_what) == ["more than 5 seats", "plan essential"]
    assert by_what["more than 5 seats"].estimate.lower > 0.1
    assert "unlike from the start" in by_what["more than 5 seats"].sentence
    assert by_what["plan essential"].estimate.lower <= 0 <= by_what["plan essential"].estimate.upper
    assert "no difference from the start is shown" in by_what["plan essential"].sentence
