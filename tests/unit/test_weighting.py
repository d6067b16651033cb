"""The adjusted effect: right under a known confounder, as wide as statsmodels says, and absent without overlap."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from features.arrays import Flags
from models.estimates import risk_difference
from models.weighting import (
    FEWEST_EACH,
    could_go_either_way,
    design,
    weighted_risk_difference,
)

EFFECT = 0.1


def world(rng: np.random.Generator, n: int) -> tuple[Flags, Flags, pd.DataFrame]:
    """Seats and plan work on both; reaching adds ten points."""
    seats = np.round(np.exp(rng.normal(1.5, 0.9, n)))
    plan = rng.choice(["essential", "professional", "enterprise"], n, p=[0.6, 0.3, 0.1])
    professional = plan == "professional"
    reached = rng.random(n) < 1 / (1 + np.exp(2 - np.log1p(seats) - 0.8 * professional))
    rate = 0.4 + 0.12 * np.log1p(seats) + EFFECT * reached + 0.05 * professional
    return reached, rng.random(n) < np.clip(rate, 0, 1), pd.DataFrame({"seats": seats, "plan": plan})


def test_a_planted_effect_is_recovered_under_a_planted_confounder() -> None:
    held, values, crude_held = 0, [], 0
    for seed in range(60):
        reached, outcome, covariates = world(np.random.default_rng(seed), 1000)
        found = weighted_risk_difference(reached, outcome, covariates, np.arange(1000)).estimate
        crude = risk_difference(reached, outcome)
        assert found is not None
        assert crude is not None
        held += found.lower <= EFFECT <= found.upper
        crude_held += crude.lower <= EFFECT <= crude.upper
        values.append(found.value)
    assert held >= 53  # of 60 draws at 95 %, fewer in one of a thousand
    assert crude_held < 40
    assert np.mean(values) == pytest.approx(EFFECT, abs=0.015)


def test_the_interval_is_that_of_statsmodels_where_no_account_repeats() -> None:
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.regression.linear_model import OLS
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    rng = np.random.default_rng(3)
    reached, outcome, _ = world(rng, 800)
    covariates = pd.DataFrame({"x": rng.normal(3, 0.5, 800)})
    found = weighted_risk_difference(reached, outcome, covariates, np.arange(800))
    assert found.overlap is not None
    assert found.overlap.kept == 1.0
    columns = design(covariates)
    selection = Logit(reached.astype(float), columns).fit(disp=0)
    model = TreatmentEffect(
        OLS(outcome.astype(float), columns), reached.astype(int), results_select=selection
    )
    theirs = model.aipw()
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(float(theirs.effect[0]), abs=1e-4)
    half = (found.estimate.upper - found.estimate.lower) / 2
    assert half == pytest.approx(1.96 * float(np.asarray(theirs.results_gmm.bse)[0]), rel=0.02)


def test_rows_of_one_account_are_one_draw() -> None:
    reached, outcome, covariates = world(np.random.default_rng(5), 700)
    account = np.arange(700)
    once = weighted_risk_difference(reached, outcome, covariates, account).estimate
    twice = weighted_risk_difference(
        np.tile(reached, 2), np.tile(outcome, 2), pd.concat([covariates, covariates]), np.tile(account, 2)
    ).estimate
    assert once is not None
    assert twice is not None
    assert twice.value == pytest.approx(once.value, abs=1e-6)
    assert (twice.lower, twice.upper) == pytest.approx((once.lower, once.upper), abs=1e-3)
    assert (twice.n_observations, twice.n_accounts) == (2 * once.n_observations, once.n_accounts)


def test_of_groups_that_are_alike_the_interval_is_that_of_the_smaller_one() -> None:
    # 15 of 21 who reached it and 9 of 30 others, whom nothing tells apart: a difference of two rates.
    reached, outcome = np.arange(51) < 21, np.isin(np.arange(51), [*range(15), *range(21, 30)])
    found = weighted_risk_difference(reached, outcome, pd.DataFrame({"x": np.ones(51)}), np.arange(51))
    variance = (15 * 6 / 21) / 21**2 + (9 * 21 / 30) / 30**2
    half = t.ppf(0.975, 20) * np.sqrt(variance * 51 / 50)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(15 / 21 - 0.3, abs=1e-4)
    assert found.estimate.upper - found.estimate.value == pytest.approx(half, rel=1e-3)


def test_accounts_that_had_hardly_a_chance_to_be_where_they_are_count_for_more() -> None:
    # 60 of 200 small and 210 of 300 large accounts reached it: each small one of them stands for 1 / 0.3 accounts.
    large = np.arange(500) >= 200
    reached = np.where(large, np.arange(500) < 410, np.arange(500) < 60)
    found = weighted_risk_difference(
        reached, np.arange(500) % 2 == 0, pd.DataFrame({"large": large}), np.arange(500)
    )
    assert found.overlap is not None
    assert found.overlap.effective_reached == pytest.approx(500**2 / (60 / 0.09 + 210 / 0.49), rel=0.01)
    assert found.overlap.effective_others == pytest.approx(500**2 / (140 / 0.49 + 90 / 0.09), rel=0.01)


def test_without_overlap_there_is_no_figure_but_a_reason() -> None:
    rng = np.random.default_rng(1)
    size = rng.normal(0, 1, 600)
    found = weighted_risk_difference(
        size > 0, rng.random(600) < 0.5, pd.DataFrame({"size": size + 9}), np.arange(600)
    )
    assert found.estimate is None
    assert found.reason == "only 2% of the observations could have gone either way"
    assert found.overlap is not None
    assert found.overlap.extreme > 0.9


def test_a_side_of_a_few_accounts_has_no_figure() -> None:
    rng = np.random.default_rng(1)
    reached = np.arange(300) < FEWEST_EACH - 1
    covariates = pd.DataFrame({"x": rng.normal(size=300)})
    found = weighted_risk_difference(reached, rng.random(300) < 0.5, covariates, np.arange(300))
    assert found.estimate is None
    assert "fewer than 20 accounts on one side" in found.reason
    # Many rows of few accounts are not many accounts.
    found = weighted_risk_difference(
        np.arange(300) < 150, rng.random(300) < 0.5, covariates, np.arange(300) // 10
    )
    assert found.estimate is None


def test_a_milestone_that_few_reach_loses_nobody() -> None:
    # Crump et al. 2009, corollary 1: it is the spread of the propensities that matters, not their level.
    assert could_go_either_way(np.full(100, 0.03)).all()
    mixed = np.concatenate([np.full(90, 0.5), np.full(10, 0.015)])
    assert could_go_either_way(mixed).tolist() == [True] * 90 + [False] * 10
    assert not could_go_either_way(np.array([0.001, 0.999])).any()


DEGENERATE: dict[str, Callable[[int], Any]] = {
    "constant": lambda n: np.ones(n),
    "one level": lambda n: np.full(n, "a"),
    "never known": lambda n: np.full(n, np.nan),
    "a level for each": lambda n: np.arange(n).astype(str),
    "very large": lambda n: 10.0 ** (np.arange(n) % 300),
    "not finite": lambda n: np.where(np.arange(n) < 5, np.inf, 1.0),
    "yes or no": lambda n: np.arange(n) % 3 == 0,
    "times": lambda n: pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), unit="D"),
    "text, some missing": lambda n: pd.Series(["a", None] * (n // 2)),
}


@pytest.mark.parametrize("what", DEGENERATE)
def test_degenerate_covariates_neither_raise_nor_warn(what: str) -> None:
    rng = np.random.default_rng(2)
    reached, outcome = rng.random(500) < 0.4, rng.random(500) < 0.7
    # Twice the same column: collinear too.
    column = DEGENERATE[what](500)
    found = weighted_risk_difference(
        reached, outcome, pd.DataFrame({"x": column, "again": column}), np.arange(500)
    )
    crude = risk_difference(reached, outcome)
    assert found.estimate is not None
    assert crude is not None
    assert found.estimate.value == pytest.approx(crude.value, abs=0.02)


def test_a_level_that_one_group_alone_has_neither_raises_nor_warns() -> None:
    # 40 of 2,000 accounts are on a plan from which nobody reached it: they are left out, and two of a plan of their own.
    rng = np.random.default_rng(4)
    n = 2000
    plan = np.where(np.arange(n) < 40, "closed", np.where(np.arange(n) < 42, "pilot", "open"))
    reached = (rng.random(n) < 0.4) & (plan != "closed")
    reached[40:42] = False
    covariates = pd.DataFrame({"plan": plan, "x": rng.normal(size=n)})
    found = weighted_risk_difference(reached, rng.random(n) < 0.6, covariates, np.arange(n))
    assert found.estimate is not None
    assert found.overlap is not None
    assert n - 60 <= found.estimate.n_observations <= n - 40
    assert found.overlap.reached[0] > 0.1
    assert found.overlap.others[0] < 0.01


def test_what_cannot_be_told_apart_in_one_group_neither_raises_nor_warns() -> None:
    # Of those who reached it everybody in retail is on the small plan, and nobody else is; of the others any.
    rng = np.random.default_rng(6)
    n = 1200
    reached, retail = rng.random(n) < 0.4, rng.random(n) < 0.5
    small = np.where(reached, retail, rng.random(n) < 0.5)
    covariates = pd.DataFrame({"retail": retail, "small": small})
    found = weighted_risk_difference(reached, rng.random(n) < 0.6, covariates, np.arange(n))
    assert found.estimate is not None
    assert found.estimate.lower < 0 < found.estimate.upper


@pytest.mark.parametrize("text", [True, False])
def test_a_covariate_that_tells_who_reached_it_gives_a_reason(text: bool) -> None:
    rng = np.random.default_rng(2)
    reached = rng.random(500) < 0.4
    told = np.where(reached, "yes", "no") if text else reached * 7.0
    found = weighted_risk_difference(
        reached, rng.random(500) < 0.7, pd.DataFrame({"x": told}), np.arange(500)
    )
    assert found.estimate is None
    assert "could have gone either way" in found.reason
