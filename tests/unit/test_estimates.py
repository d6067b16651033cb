"""Intervals that hold what they promise, also where an account appears more than once."""

import math

import numpy as np
import pytest

from features.arrays import Flags, Integers
from features.proportions import wilson
from models.effects import Effect
from models.estimates import (
    Estimate,
    mean_difference,
    phi,
    proportion,
    risk_difference,
    risk_ratio,
    stratified_risk_difference,
)


def _table(good1: int, n1: int, good0: int, n0: int) -> tuple[Flags, Flags]:
    """Reached and outcome of a two-by-two table."""
    reached = np.repeat([True, False], [n1, n0])
    outcome = np.repeat([True, False, True, False], [good1, n1 - good1, good0, n0 - good0])
    return reached, outcome


def _repeated(rng: np.random.Generator, n_accounts: int, n_dates: int) -> tuple[Flags, Flags, Integers]:
    """Accounts at several dates: 70 % of outcomes follow the account's own luck; 85 % against 70 % good."""
    account = np.repeat(np.arange(n_accounts), n_dates)
    own = rng.random(n_accounts) < 0.4
    changed = rng.random(len(account)) < 0.2
    reached = np.where(changed, rng.random(len(account)) < 0.4, own[account])
    luck = np.where(rng.random(len(account)) < 0.7, rng.random(n_accounts)[account], rng.random(len(account)))
    return reached, luck < np.where(reached, 0.85, 0.70), account


def test_wilson_interval_of_a_textbook_case() -> None:
    # 81 of 263, the worked example of Newcombe 1998
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_newcombe_interval_of_a_textbook_case() -> None:
    # 56/70 against 48/80 is the first example of Newcombe 1998: 0.2, score interval 0.0524 to 0.3339
    estimate = risk_difference(*_table(56, 70, 48, 80))
    assert estimate is not None
    assert (estimate.value, estimate.lower, estimate.upper) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_extreme_rates_keep_an_interval() -> None:
    estimate = risk_difference(*_table(10, 10, 0, 20))
    assert estimate is not None
    # Newcombe 1998, example 10/10 against 0/20: 0.6791 to 1
    assert (estimate.value, estimate.lower, estimate.upper) == pytest.approx((1.0, 0.6791, 1.0), abs=5e-5)


def test_accounts_not_rows_count_where_a_rate_is_extreme() -> None:
    reached, outcome = _table(40, 40, 0, 40)
    account = np.arange(80) // 4
    estimate, rows = risk_difference(reached, outcome, account), risk_difference(*_table(10, 10, 0, 10))
    assert estimate is not None
    assert rows is not None
    assert estimate.lower == pytest.approx(rows.lower)
    assert (estimate.n_observations, estimate.n_accounts) == (80, 20)


def test_copies_of_the_same_account_add_nothing() -> None:
    reached, outcome = _table(56, 70, 48, 80)
    once = risk_difference(reached, outcome)
    copied = risk_difference(np.repeat(reached, 5), np.repeat(outcome, 5), np.repeat(np.arange(150), 5))
    assert once is not None
    assert copied is not None
    assert copied.lower == pytest.approx(once.lower, abs=0.005)
    assert copied.upper == pytest.approx(once.upper, abs=0.005)


def test_an_account_in_both_groups_is_its_own_comparison() -> None:
    # 100 accounts, each seen once before and once after it reached; 5 of them turn good in between.
    reached = np.repeat([False, True], 100)
    outcome = np.concatenate([np.arange(100) < 60, np.arange(100) < 65])
    paired = risk_difference(reached, outcome, np.tile(np.arange(100), 2))
    apart = risk_difference(reached, outcome)
    assert paired is not None
    assert apart is not None
    assert paired.value == apart.value
    assert apart.lower < 0 < paired.lower


@pytest.mark.parametrize(("n_accounts", "n_dates"), [(300, 1), (300, 6)])
def test_coverage_by_simulation(n_accounts: int, n_dates: int) -> None:
    rng = np.random.default_rng(7)
    held = {"clustered": 0, "as if rows were accounts": 0, "ratio": 0, "stratified": 0}
    n_seeds = 600
    for _ in range(n_seeds):
        reached, outcome, account = _repeated(rng, n_accounts, n_dates)
        ratio = risk_ratio(reached, outcome, account)
        for name, estimate, truth in (
            ("clustered", risk_difference(reached, outcome, account), 0.15),
            ("as if rows were accounts", risk_difference(reached, outcome), 0.15),
            ("ratio", ratio, 0.85 / 0.70),
            ("stratified", stratified_risk_difference(reached, outcome, account * 0, account), 0.15),
        ):
            assert estimate is not None
            held[name] += estimate.lower <= truth <= estimate.upper
    coverage = {name: count / n_seeds for name, count in held.items()}
    assert 0.93 <= coverage["clustered"] <= 0.97
    assert 0.92 <= coverage["ratio"] <= 0.975
    assert 0.92 <= coverage["stratified"] <= 0.975
    if n_dates > 1:
        assert coverage["as if rows were accounts"] < 0.85


def test_phi_is_the_correlation_and_the_ratio_the_ratio() -> None:
    reached, outcome = _table(56, 70, 48, 80)
    correlation, ratio = phi(reached, outcome), risk_ratio(reached, outcome)
    assert correlation is not None
    assert ratio is not None
    assert correlation.value == pytest.approx(np.corrcoef(reached, outcome)[0, 1])
    assert correlation.lower > 0
    assert ratio.value == pytest.approx(0.8 / 0.6)
    assert 1 < ratio.lower < ratio.value < ratio.upper


def test_what_cannot_be_estimated_is_none() -> None:
    nobody, some = np.zeros(20, bool), np.arange(20) < 7
    assert risk_difference(nobody, some) is None
    assert risk_ratio(some, nobody) is None
    assert phi(some, nobody) is None
    assert proportion(np.zeros(0, bool)) is None
    assert stratified_risk_difference(some, some, some.astype(np.int64)) is None


def test_strata_are_compared_within() -> None:
    # Good everywhere in stratum 1, nowhere in 0, and reaching is common in 1: the crude gap is all stratum.
    stratum = np.repeat([0, 1], 100)
    reached = np.concatenate([np.arange(100) < 20, np.arange(100) < 80])
    outcome = stratum == 1
    crude, within = risk_difference(reached, outcome), stratified_risk_difference(reached, outcome, stratum)
    assert crude is not None
    assert within is not None
    assert crude.value == pytest.approx(0.6)
    assert within.value == pytest.approx(0.0)


def test_estimate_refuses_a_hole_and_crossed_limits() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Estimate("phi", math.nan, 0.0, 1.0, 10, 10)
    with pytest.raises(ValueError, match="must not be above"):
        Estimate("phi", 0.5, 0.6, 0.4, 10, 10)


def test_effect_has_the_written_form_of_the_contract() -> None:
    estimate = Estimate("risk_difference", 0.12, 0.08, 0.16, 412, 400)
    context = {"outcome": "retained", "horizon_days": 180, "population": "all", "method": "crude"}
    effect = Effect.of(estimate, **context, landmark_day=90, in_definition=False, primary=True)
    record = effect.as_dict()
    assert set(record) == {
        *(
            "outcome",
            "horizon_days",
            "landmark_day",
            "population",
            "method",
            "measure",
            "value",
            "lower",
            "upper",
        ),
        *("level", "n_observations", "n_accounts", "in_definition", "primary"),
    }
    weighted = Effect.of(
        estimate, **context, landmark_day=90, in_definition=False, primary=True, weighted_by="revenue"
    )
    assert weighted.as_dict() == {**record, "weighted_by": "revenue"}
    with pytest.raises(ValueError, match="one of the two"):
        Effect.of(estimate, **context, in_definition=False, primary=True)
    with pytest.raises(ValueError, match="'guess'"):
        Effect.of(
            estimate, **{**context, "method": "guess"}, as_of="2024Q3", in_definition=False, primary=True
        )


def test_equal_weights_change_nothing() -> None:
    rng = np.random.default_rng(2)
    for n_accounts, n_dates in ((80, 1), (60, 5)):
        reached, outcome, account = _repeated(rng, n_accounts, n_dates)
        plain = risk_difference(reached, outcome, account)
        weighted = risk_difference(reached, outcome, account, weight=np.full(len(outcome), 0.1))
        assert plain == weighted


def test_a_weight_of_two_is_the_row_twice_in_the_rates() -> None:
    rng = np.random.default_rng(3)
    reached, outcome, account = _repeated(rng, 60, 3)
    weight = rng.integers(0, 4, len(outcome))
    weighted = risk_difference(reached, outcome, account, weight=weight.astype(float))
    repeated = risk_difference(
        np.repeat(reached, weight), np.repeat(outcome, weight), np.repeat(account, weight)
    )
    assert weighted is not None
    assert repeated is not None
    assert weighted.value == pytest.approx(repeated.value)
    assert (weighted.n_observations, weighted.n_accounts) == (180, 60)


@pytest.mark.parametrize("n_dates", [1, 8])
@pytest.mark.parametrize("good", [True, False])
def test_one_account_that_outweighs_all_others_widens_the_interval(n_dates: int, good: bool) -> None:
    rng = np.random.default_rng(4)
    reached, outcome, account = _repeated(rng, 200, n_dates)
    reached[account == 0], outcome[account == 0] = True, good
    plain = risk_difference(reached, outcome, account)
    huge = risk_difference(reached, outcome, account, weight=np.where(account == 0, 5000.0, 1.0))
    assert plain is not None
    assert huge is not None
    assert huge.upper - huge.lower > 3 * (plain.upper - plain.lower)


def test_where_all_are_good_the_weights_still_leave_fewer_accounts() -> None:
    # Ten of 80 hold nearly all the weight: 1,070² / 100,070 = 11.4 accounts, and none of them says anything of a spread.
    reached, outcome = _table(80, 80, 40, 80)
    weight = np.where(reached & (np.arange(160) < 10), 100.0, 1.0)
    plain, weighted = risk_difference(reached, outcome), risk_difference(reached, outcome, weight=weight)
    assert plain is not None
    assert weighted is not None
    assert (plain.value, weighted.value) == pytest.approx((0.5, 0.5))
    assert 0.5 - weighted.lower > 1.3 * (0.5 - plain.lower)


def test_a_group_without_weight_has_no_difference_and_a_weight_is_a_number() -> None:
    reached, outcome = _table(56, 70, 48, 80)
    assert risk_difference(reached, outcome, weight=reached.astype(float)) is None
    assert risk_difference(reached, outcome, weight=np.zeros(150)) is None
    for wrong in (np.full(150, -1.0), np.full(150, math.nan), np.ones(149)):
        with pytest.raises(ValueError, match="numbers from 0 on"):
            risk_difference(reached, outcome, weight=wrong)


@pytest.mark.parametrize("n_dates", [1, 6])
@pytest.mark.parametrize("unsteady", [False, True])
def test_coverage_of_the_weighted_difference_by_simulation(n_dates: int, unsteady: bool) -> None:
    """Weights as revenue has them; `unsteady`: large accounts are at 50 %, the others nearly all good."""
    rng = np.random.default_rng(9)
    held, n_seeds, n_accounts = 0, 500, 400
    for _ in range(n_seeds):
        size = rng.lognormal(0.0, 0.8, n_accounts)
        own = rng.random(n_accounts) < 0.4
        chance = np.where(own, 0.85, 0.70)
        if unsteady:
            chance = np.where(size > 2, 0.5, 0.97)
        account = np.repeat(np.arange(n_accounts), n_dates)
        luck = np.where(
            rng.random(len(account)) < 0.7, rng.random(n_accounts)[account], rng.random(len(account))
        )
        found = risk_difference(own[account], luck < chance[account], account, weight=size[account])
        assert found is not None
        held += found.lower <= (0.0 if unsteady else 0.15) <= found.upper
    assert 0.93 <= held / n_seeds <= 0.985


def test_the_difference_of_means_is_by_account() -> None:
    rng = np.random.default_rng(6)
    held, n_seeds = {"by account": 0, "by row": 0}, 400
    for _ in range(n_seeds):
        account = np.repeat(np.arange(60), 6)
        reached = rng.random(60)[account] < 0.4
        value = rng.normal(0, 2, 60)[account] + rng.normal(0, 1, 360) + 3.0 * reached
        for name, found in (
            ("by account", mean_difference(reached, value, account)),
            ("by row", mean_difference(reached, value)),
        ):
            assert found is not None
            held[name] += found.lower <= 3.0 <= found.upper
    assert 0.92 <= held["by account"] / n_seeds <= 0.98
    assert held["by row"] / n_seeds < 0.75
    one = mean_difference(np.array([True, False, False]), np.array([1.0, 2.0, 3.0]))
    assert one is None
