"""AUC within quarters, against the definition by pairs and against simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.arrays import Flags, Floats, Integers
from models.discrimination import auc_interval, quarterly_auc


def _drawn(
    seed: int, n: int = 600, n_quarters: int = 4
) -> tuple[dict[str, Floats], Flags, Integers, Integers]:
    rng = np.random.default_rng(seed)
    outcome, quarter, account = (
        rng.random(n) < 0.3,
        rng.integers(0, n_quarters, n),
        rng.integers(0, n // 2, n),
    )
    scores = {
        "smooth": rng.normal(size=n) + outcome,
        "counts": (rng.poisson(2, n) + outcome).astype(float),  # many ties
        "noise": rng.normal(size=n),
    }
    return scores, outcome, quarter, account


def test_each_quarter_equals_the_library_and_the_average_is_weighted() -> None:
    scores, outcome, quarter, account = _drawn(0)
    result = quarterly_auc(scores, outcome, quarter, account, np.random.default_rng(0), n_resamples=20)
    for model, score in scores.items():
        by_quarter = result.by_quarter(model)
        expected, weight = [], []
        for one in by_quarter:
            rows = quarter == int(one.quarter)
            expected.append(roc_auc_score(outcome[rows], score[rows]))
            weight.append(one.n_positive * (one.n - one.n_positive) / (one.n + 1))
            assert one.lower < one.value < one.upper
        assert [one.value for one in by_quarter] == pytest.approx(expected)
        estimate = result.estimate(model)
        assert estimate is not None
        assert estimate.value == pytest.approx(np.average(expected, weights=weight))


def test_a_tie_is_half_a_win() -> None:
    # score    1 1 2 2      Pairs of a positive and a negative: (1,1) tie, (2,1) won, (1,2) lost, (2,2) tie:
    # outcome  n p n p      (0.5 + 1 + 0 + 0.5) / 4 = 0.5
    result = quarterly_auc(
        {"m": np.array([1.0, 1, 2, 2])},
        np.array([False, True, False, True]),
        ["2024Q3"] * 4,
        np.arange(4),
        np.random.default_rng(0),
    )
    (only,) = result.by_quarter("m")
    assert (only.quarter, only.value, only.n, only.n_positive) == ("2024Q3", 0.5, 4, 2)


def test_replicates_equal_the_auc_of_the_resampled_rows() -> None:
    scores, outcome, quarter, account = _drawn(1, n=80, n_quarters=2)
    result = quarterly_auc(scores, outcome, quarter, account, np.random.default_rng(5), n_resamples=3)
    codes = np.unique(account, return_inverse=True)[1]
    drawn = np.random.default_rng(5).integers(0, codes.max() + 1, size=(3, codes.max() + 1))
    for i in range(3):
        rows = np.concatenate([np.flatnonzero(codes == one) for one in drawn[i]])
        wins = weight = 0.0
        for one in np.unique(quarter):
            inside = rows[quarter[rows] == one]
            good = outcome[inside]
            share = good.sum() * (~good).sum() / (len(good) + 1)
            wins += share * roc_auc_score(good, scores["counts"][inside])
            weight += share
        assert result.replicates["counts"][i] == pytest.approx(wins / weight)


def test_drift_between_quarters_is_not_discrimination() -> None:
    rng = np.random.default_rng(2)
    quarter = np.repeat(np.arange(8), 300)
    outcome = rng.random(2400) < 0.1 + 0.1 * quarter
    score = quarter + rng.normal(size=2400)  # follows the quarter, not the account
    result = quarterly_auc({"m": score}, outcome, quarter, np.arange(2400), rng)
    estimate = result.estimate("m")
    assert estimate is not None
    assert roc_auc_score(outcome, score) > 0.7
    assert estimate.lower < 0.5 < estimate.upper


def test_quarters_with_one_class_are_skipped_and_named() -> None:
    scores, outcome, quarter, account = _drawn(3)
    outcome = outcome & (quarter != 2)
    result = quarterly_auc(scores, outcome, quarter, account, np.random.default_rng(0), n_resamples=10)
    assert result.skipped == ("2",)
    assert [one.quarter for one in result.by_quarter("smooth")] == ["0", "1", "3"]
    estimate = result.estimate("smooth")
    assert estimate is not None
    assert estimate.n_observations == int((quarter != 2).sum())


def test_one_class_everywhere_is_none() -> None:
    scores, outcome, quarter, account = _drawn(4)
    result = quarterly_auc(scores, outcome | True, quarter, account, np.random.default_rng(0))
    assert result.estimate("smooth") is None
    assert result.difference("smooth", "noise") is None
    assert result.by_quarter("smooth") == []


def test_the_difference_is_paired() -> None:
    scores, outcome, quarter, account = _drawn(5, n=1500)
    scores["twin"] = scores["smooth"] + 0.01 * scores["noise"]
    result = quarterly_auc(scores, outcome, quarter, account, np.random.default_rng(0))
    twin, better = result.difference("smooth", "twin"), result.difference("smooth", "noise")
    one = result.estimate("smooth")
    assert twin is not None
    assert better is not None
    assert one is not None
    assert twin.upper - twin.lower < (one.upper - one.lower) / 5  # they stumble over the same accounts
    assert better.lower > 0


def test_coverage_with_repeated_accounts() -> None:
    # An account has one label and nearly one score over six dates: rows say little more than accounts.
    rng = np.random.default_rng(6)
    truth, held, n_seeds = 0.7602, 0, 200  # normal scores one standard deviation apart
    for _ in range(n_seeds):
        account = np.repeat(np.arange(200), 6)
        outcome = (rng.random(200) < 0.3)[account]
        score = rng.normal(size=200)[account] + outcome
        quarter = np.tile(np.arange(6), 200)
        estimate = quarterly_auc({"m": score}, outcome, quarter, account, rng, n_resamples=200).estimate("m")
        assert estimate is not None
        held += estimate.lower <= truth <= estimate.upper
    assert 0.90 <= held / n_seeds <= 0.98


def test_a_perfect_ranking_keeps_an_interval() -> None:
    outcome = np.arange(30) < 10
    result = quarterly_auc(
        {"m": outcome.astype(float)}, outcome, ["2024Q3"] * 30, np.arange(30), np.random.default_rng(0)
    )
    estimate = result.estimate("m")
    assert estimate is not None
    assert estimate.value == 1.0
    assert estimate.lower < 0.95
    assert auc_interval(0.5, 10, 20)[0] == pytest.approx(1 - auc_interval(0.5, 10, 20)[1], abs=1e-6)


def test_a_score_with_a_hole_is_refused() -> None:
    scores, outcome, quarter, account = _drawn(7)
    scores["smooth"][3] = np.nan
    with pytest.raises(ValueError, match="scores of smooth"):
        quarterly_auc(scores, outcome, quarter, account, np.random.default_rng(0))
