"""Ranks, shares and rates of lost against kept accounts: drawn by hand, and against the slower ways to say the same."""

import numpy as np
import pytest

from models.contrast import Strata, rates, shares
from models.discrimination import quarterly_auc


def drawn(seed: int) -> tuple[np.ndarray, ...]:
    """good, stratum, account, score of 2,000 rows of 500 accounts; stratum 3 is empty, scores have ties."""
    rng = np.random.default_rng(seed)
    good = rng.random(2000) < 0.4
    stratum = rng.choice([0, 1, 2, 4, 5], 2000)
    account = rng.integers(0, 500, 2000)
    return good, stratum, account, rng.integers(0, 6, 2000) + good.astype(float)


def test_the_auc_is_that_of_every_other_table_and_its_error_that_of_resampled_accounts() -> None:
    good, stratum, account, score = drawn(0)
    found = Strata(good, stratum, account).auc(score)
    slow = quarterly_auc({"x": score}, good, stratum, account, np.random.default_rng(1), n_resamples=2000)
    expected = slow.estimate("x")
    assert expected is not None
    assert found.value == pytest.approx(expected.value, abs=1e-12)
    assert found.error == pytest.approx((expected.upper - expected.lower) / 3.92, rel=0.1)
    assert found.turned().value == pytest.approx(Strata(good, stratum, account).auc(-score).value)


def test_repeated_rows_of_an_account_make_nothing_surer() -> None:
    good, stratum, account, score = drawn(1)
    once = Strata(good, stratum, account).auc(score)
    twice = Strata(*(np.repeat(x, 2) for x in (good, stratum, account))).auc(np.repeat(score, 2))
    assert twice.error == pytest.approx(once.error, rel=0.02)


def test_a_stratum_of_one_class_says_nothing_and_missing_scores_rank_lowest() -> None:
    good = np.array([True, False, True, True])
    stratum = np.array([0, 0, 1, 1])
    both = Strata(good, stratum, np.arange(4))
    assert both.auc(np.array([1.0, np.nan, 0.0, 9.0])).value == 1.0
    assert both.auc(np.array([np.nan, 1.0, 0.0, 9.0])).value == 0.0
    assert both.auc(np.array([1.0, 1.0, 0.0, 9.0])).value == 0.5
    assert not Strata(good[2:], np.array([0, 0]), np.arange(2)).comparable


def test_shares_compare_within_strata_only() -> None:
    # In stratum 0 everybody has it, in stratum 1 nobody: the lost are mostly of stratum 0, and yet nothing differs.
    stratum = np.repeat([0, 0, 1, 1], [30, 10, 10, 30])
    lost = np.repeat([True, False, True, False], [30, 10, 10, 30])
    flag = stratum == 0
    found = shares(flag, lost, stratum, np.arange(80), z=1.96)
    assert found is not None
    assert found.lost == pytest.approx(0.75)
    assert found.kept == pytest.approx(0.75)
    assert found.of_lost == (30, 40)
    assert found.of_kept == (10, 40)
    assert found.times_more_lost < 1
    assert found.times_more_kept < 1


def test_shares_bound_how_many_times_more_frequent() -> None:
    lost = np.repeat([True, False], 100)
    flag = np.r_[np.ones(90, bool), np.zeros(110, bool)]
    stratum = np.zeros(200, np.int64)
    found = shares(flag, lost, stratum, np.arange(200), z=1.96)
    assert found is not None
    # Wilson's bounds: 90 of 100 is at least 0.826, 0 of 100 at most 0.037.
    assert found.lost_bounds[0] == pytest.approx(0.8256, abs=1e-4)
    assert found.kept_bounds[1] == pytest.approx(0.0370, abs=1e-4)
    assert found.times_more_lost == pytest.approx(22.3, abs=0.1)
    assert found.times_more_kept == 0
    # A hundred rows of ten accounts are ten.
    few = shares(flag, lost, stratum, np.arange(200) // 10, z=1.96)
    assert few is not None
    assert few.lost_bounds[0] == pytest.approx(0.596, abs=0.001)
    assert shares(flag[:100], lost[:100], stratum[:100], np.arange(100), z=1.96) is None


def test_rates_compare_rows_of_a_stratum_and_not_how_many_there_are() -> None:
    # The kept have ten times the rows; of everybody's rows one in ten is late.
    rows = np.r_[np.full(50, 10.0), np.full(50, 100.0)]
    lost = np.repeat([True, False], 50)
    same = rates(rows / 10, rows, lost, np.zeros(100, np.int64), np.arange(100))
    assert same.z == pytest.approx(0, abs=1e-9)
    assert same.lost == pytest.approx(0.1)
    assert same.kept == pytest.approx(0.1)
    assert same.n_accounts == 100
    late = rates(np.where(lost, 5.0, 0.0), rows, lost, np.zeros(100, np.int64), np.arange(100))
    assert late.z > 5
    assert (late.lost, late.kept, late.n_accounts) == (0.5, 0, 50)
    # All late in one stratum, none in the other: nothing differs inside either.
    apart = rates(np.where(lost, rows, 0.0), rows, lost, lost.astype(np.int64), np.arange(100))
    assert apart.z == 0
