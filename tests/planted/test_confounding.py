"""Recovery bars 4 and 5: immortal time is labelled and gone at the landmark; size explains raw counts, not rates per seat."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.simulation.scenario import Scenario, load_scenario
from models.adjustment import Confounding, confounding
from models.cohorts import STRATUM
from models.comparison import Comparison
from models.covariates import known_before, strata_at_begin
from models.trial import build_trial, run_trial
from tests.planted.direct_cohort import cohort_of, framework_of

ACTIVATION = {"kind": "once", "rule": {"events": ["conversation_started"], "window_days": 90, "at_least": 5}}
STATE = {"kind": "state", "rule": {"events": ["conversation_resolved"], "window_days": 30, "at_least": 10}}
PER_SEAT = {**STATE, "rule": {**STATE["rule"], "per_seat": True, "at_least": 3}}  # type: ignore[dict-item]


def asked(scenario: Scenario, milestone: dict[str, Any], seed: int) -> tuple[Comparison, Confounding]:
    framework = framework_of(m=milestone)
    cohort, log = cohort_of(scenario, seed, framework, "m")
    seen = Comparison.of(cohort, framework, log, log.data_through)
    return seen, confounding(seen, np.random.default_rng(seed))


def at_least(count: int, milestone: dict[str, Any]) -> dict[str, Any]:
    return {**milestone, "rule": {**milestone["rule"], "at_least": count}}


def test_immortal_time_is_labelled_and_gone_at_the_landmark() -> None:
    # Bar 4. At a low cut hardly anybody who stays to day 90 fails to reach it: who fails has mostly left.
    scenario = load_scenario("immortal-time").sized(accounts=1500)
    naive, sure, held = [], 0, 0
    for seed in range(15):
        _, found = asked(scenario, ACTIVATION, seed)
        early, fair = found.effects["naive_ratio"], found.effects["crude_ratio"]
        assert (early.method, early.population, early.outcome) == ("naive", "every sign-up", "retained")
        assert early.n_observations > fair.n_observations
        assert found.remarks[0].kind == "naive"
        assert "immortal time" in found.remarks[0].sentence
        naive.append(early.value)
        sure += early.lower > 1
        held += fair.lower <= 1 <= fair.upper
    assert np.mean(naive) > 1.1
    assert sure >= 11
    assert held >= 13  # of 15 at 95 %


def test_a_raw_count_is_explained_by_size() -> None:
    # Bar 5: seats drive volume and staying, and reaching the cut does nothing.
    scenario = load_scenario("size-confounded").sized(accounts=2000)
    for seed in range(8):
        _, found = asked(scenario, at_least(20, ACTIVATION), seed)
        assert found.effects["crude"].lower > 0
        assert found.explained_by_size
        assert found.placebos[0].estimate.lower > 0.3
        assert abs(found.effects["stratified"].value) < 0.08


def test_a_raw_count_that_stands_for_size_alone_is_supported_but_not_within_sizes() -> None:
    scenario, framework = load_scenario("size-confounded").sized(accounts=2000), framework_of(m=ACTIVATION)
    supported = {"as it is": 0, "within": 0}
    for seed in range(12):
        cohort, log = cohort_of(scenario, seed, framework, "m")
        strata = strata_at_begin(cohort.frame, log, 90, "seats")
        within = replace(cohort, frame=cohort.frame.assign(**{STRATUM: strata}))
        for name, one in (("as it is", cohort), ("within", within)):
            rng = np.random.default_rng(seed)
            trial = build_trial(one, "primary", log.data_through, rng)
            result = run_trial(trial, one, rng, (0.2, 0.6), 200)
            supported[name] += result.operating_cut is not None
    assert supported["as it is"] >= 11
    assert supported["within"] <= 2  # 5 % of 12 is 0.6


def test_strata_are_tenths_of_a_number_and_the_values_of_a_text_as_the_window_began() -> None:
    framework = framework_of(m=ACTIVATION)
    cohort, log = cohort_of(load_scenario("size-confounded").sized(accounts=1000), 0, framework, "m")
    seats = strata_at_begin(cohort.frame, log, 90, "seats")
    known = seats[seats >= 0]
    assert 5 <= len(np.unique(known)) <= 10
    assert np.bincount(known).min() >= 20
    plans = strata_at_begin(cohort.frame, log, 90, "plan")
    assert set(plans) <= {-1, 0, 1, 2}
    trial = build_trial(
        replace(cohort, frame=cohort.frame.assign(**{STRATUM: plans})), "primary", log.data_through,
        np.random.default_rng(0),
    )  # fmt: skip
    quarters = cohort.frame.loc[trial.drawn, "quarter"].to_numpy()
    pairs = {*zip(quarters, plans[cohort.frame.index.get_indexer(trial.drawn)], trial.block, strict=True)}
    assert len(pairs) == len(np.unique(trial.block)) == len({pair[:2] for pair in pairs})
    assert known_before(log, framework.data, "once") == ("seats", "plan")
    assert known_before(log, framework.data, "state") == ("seats", "plan", "tenure")


def test_a_planted_effect_beside_size_is_not() -> None:
    # Seats drive volume, but not who stays; reaching 20 keeps fifteen points more.
    step = {"at_least": 20, "retained": {"step": {"below": 0.70, "above": 0.85}}}
    base = load_scenario("null")
    scenario = Scenario.model_validate(
        {
            **base.model_dump(),
            "accounts": 1500,
            "signup_quarters": 8,
            "activation": {**base.activation.model_dump(), **step},
            "leaving": {**base.leaving.model_dump(), "hazard": 0.01},
        }
    )
    for seed in range(8):
        _, found = asked(scenario, at_least(20, ACTIVATION), seed)
        assert not found.explained_by_size
        assert found.effects["stratified"].upper > 0.08
        assert found.placebos[0].estimate.lower > 0.3


@pytest.mark.parametrize(("milestone", "flagged"), [(STATE, True), (PER_SEAT, False)])
def test_of_a_state_the_raw_count_is_flagged_and_the_rate_per_seat_is_not(
    milestone: dict[str, Any], flagged: bool
) -> None:
    scenario = load_scenario("size-confounded").sized(accounts=700, quarters=8)
    for seed in range(3):
        seen, found = asked(scenario, milestone, seed)
        assert seen.rows["account"].duplicated().any()
        assert found.explained_by_size == flagged
        assert "naive" not in found.effects
        assert found.effects["crude"].as_of == "every quarter's close"
