"""Ranks, shares and rates of lost against kept accounts: drawn by hand, and against the slower ways to say the same."""

import numpy as np
import pytest

from models.contrast import Strata, rates, share_of, shares
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
    assert both.compared.tolist() == [True, True, False, False]
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
    one, by_row = np.zeros(100, np.int64), np.arange(100)
    same = rates(rows / 10, rows, lost, one, by_row, times=1)
    assert same.z == pytest.approx(0, abs=1e-9)
    assert same.lost == pytest.approx(0.1)
    assert same.kept == pytest.approx(0.1)
    assert same.n_accounts == 100
    late = rates(np.where(lost, 5.0, 0.0), rows, lost, one, by_row, times=1)
    assert late.z > 5
    assert (late.lost, late.kept, late.n_accounts) == (0.5, 0, 50)
    # All late in one stratum, none in the other: nothing differs inside either.
    apart = rates(np.where(lost, rows, 0.0), rows, lost, lost.astype(np.int64), by_row, times=1)
    assert apart.z == 0


def test_rates_that_differ_by_so_many_times_are_not_above_them() -> None:
    rows, lost = np.full(100, 10.0), np.repeat([True, False], 50)
    hits = np.where(lost, 6.0, 3.0)
    seen = [rates(hits, rows, lost, np.arange(100) % 5, np.arange(100), times=t).z for t in (1, 2, 3)]
    assert seen[0] > 3
    assert seen[1] == pytest.approx(0, abs=1e-9)
    assert seen[2] < -3


def test_rates_are_compared_within_strata() -> None:
    # Two in three lost rows lie where half of all rows are late, one in ten of the kept: pooled they differ 4.6 times.
    rows = np.ones(2200)
    stratum = np.repeat([0, 1, 0, 1], [800, 400, 100, 900])
    lost = np.arange(2200) < 1200
    hits = np.where(stratum == 0, np.arange(2200) % 2 == 0, np.arange(2200) % 50 == 0).astype(float)
    seen = rates(hits, rows, lost, stratum, np.arange(2200), times=2)
    assert hits[lost].mean() > 4 * hits[~lost].mean()
    assert seen.lost == pytest.approx(seen.kept, rel=0.05)
    assert seen.z < 0


def test_the_ratio_of_rates_is_called_above_two_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(0)
    account, stratum = np.repeat(np.arange(300), 4), np.tile(np.arange(4), 300)
    lost = np.repeat(rng.random(300) < 0.3, 4)
    called = 0
    for _ in range(400):
        own = np.repeat(rng.gamma(4, 0.25, 300), 4)  # accounts differ, and an account's rows go together
        rows = rng.poisson(20, 1200).astype(float)
        hits = rng.poisson(rows * 0.05 * own * np.where(lost, 2, 1) * (1 + stratum)).astype(float)
        called += rates(hits, rows, lost, stratum, account, times=2).z > 1.645
    assert called / 400 == pytest.approx(0.05, abs=0.03)


def test_a_share_of_rows_is_as_sure_as_there_are_accounts() -> None:
    # 90 of 100 rows: at least 0.826 by Wilson where each is an account, 0.596 where ten have ten each.
    hits = (np.arange(100) < 90).astype(float)
    assert share_of(hits, np.ones(100), np.arange(100), z=1.96) == pytest.approx((0.9, 0.8256), abs=1e-4)
    assert share_of(hits, np.ones(100), np.arange(100) // 10, z=1.96) == pytest.approx((0.9, 0.596), abs=1e-3)


def test_the_error_of_an_auc_holds_where_strata_have_a_single_loss() -> None:
    # 4 quarters of 8 lost and 200 kept in 20 groups each; true AUC 0.8.
    rng = np.random.default_rng(0)
    stratum = np.repeat(np.arange(4), 208) * 20 + np.tile(np.arange(208) * 20 // 208, 4)
    found = []
    for _ in range(300):
        good = np.concatenate([rng.permutation(208) >= 8 for _ in range(4)])
        score = rng.normal(size=832) + 1.19 * good
        found.append(Strata(good, stratum, np.arange(832)).auc(score))
    value, error = np.array([one.value for one in found]), np.array([one.error for one in found])
    assert value.mean() == pytest.approx(0.8, abs=0.01)
    assert 0.9 < error.mean() / value.std() < 1.3
    assert (
        value - 2.326 * error > 0.8
    ).mean() < 0.04  # nominally 0.01; away from their own strata it is above 0.1
