"""Milestones on worlds whose truth is known: what time alone makes of a comparison, and what is really planted."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.intake import open_log
from features.simulation.scenario import load_scenario
from features.simulation.simulator import columns_in, simulate
from models.cohorts import Cohorts, build_cohorts
from models.demonstration import adopted_framework
from models.estimates import Estimate, risk_difference, risk_ratio
from models.framework import Framework
from models.trial import build_trial, run_trial
from reports.effects import effects, estimate_in
from reports.judgement import Judgement, Settings
from tests.spec.drawn import data_for

START = pd.Timestamp("2022-01-01")
HORIZON = 90


def immortal(folder: Path, seed: int, n: int = 2000, leave_by_day_180: float = 0.2) -> Judgement:
    """Accounts that leave at a constant rate and activate on any of 90 days, if they are still there: no effect.

    A fifth has left by day 180. Activation, one event within 90 days, takes a day drawn at random.
    """
    rng = np.random.default_rng(seed)
    signed_up = START + pd.to_timedelta(np.sort(rng.uniform(0, 365, n)), unit="D")
    left = rng.exponential(-180 / np.log(1 - leave_by_day_180), n)
    # Half of them would never do it; the others on any day up to 90, unless they are gone by then.
    day = np.where(rng.random(n) < 0.5, rng.uniform(0, 90, n), np.inf)
    done = day < left
    ids = np.array([f"A{i:04d}" for i in range(n)])
    through = START + pd.Timedelta(days=365 + 90 + HORIZON + 5)
    ends = signed_up + pd.to_timedelta(left, unit="D")
    tables = {
        "accounts": pd.DataFrame({"account_id": ids, "signed_up_at": signed_up}),
        "events": pd.DataFrame(
            {
                "account_id": [*ids[done], *ids],
                "event": ["go"] * int(done.sum()) + ["signup"] * n,
                "occurred_at": [*(signed_up[done] + pd.to_timedelta(day[done], unit="D")), *signed_up],
            }
        ),
        "subscriptions": pd.DataFrame(
            {"account_id": ids, "started_at": signed_up, "ended_at": pd.Series(ends).where(ends < through)}
        ),
    }
    clock = pd.DataFrame({"account_id": ["clock"], "signed_up_at": [START]})
    tables["accounts"] = pd.concat([tables["accounts"], clock], ignore_index=True)
    ticks = pd.DataFrame({"account_id": "clock", "event": "tick", "occurred_at": [START, through]})
    tables["events"] = pd.concat([tables["events"], ticks], ignore_index=True)
    data = data_for(folder, tables, outcomes={"kind": "subscription_end", "horizon_days": HORIZON})
    activation = {"kind": "once", "rule": {"events": ["go"], "window_days": 90, "at_least": 1}}
    framework = Framework.model_validate(
        {
            "schema": 1,
            "name": "immortal",
            "version": 1,
            "data": data.model_dump(),
            "milestones": {"activation": activation},
        }
    )
    log = open_log(data, folder, now=through + pd.Timedelta(days=1))
    cohort = build_cohorts(framework, log).by_name["activation"]
    settings = Settings((0.2, 0.6), 1, seed, log.data_through)
    return Judgement(cohort, log.data_through, settings)


def named(judgement: Judgement, method: str) -> dict[str, Any]:
    """The risk difference on retention by a method, as the review writes it."""
    found = [e for e in effects(judgement) if e["method"] == method and e["measure"] == "risk_difference"]
    assert len(found) == 1
    return found[0]


def test_time_alone_makes_a_naive_effect_and_no_effect_at_the_landmark(tmp_path: Path) -> None:
    # One in twenty intervals may miss zero by right: of six, at most one.
    missed = 0
    for seed in range(6):
        judgement = immortal(tmp_path / str(seed), seed)
        fair, naive = named(judgement, "crude"), named(judgement, "naive")
        assert naive["lower"] > 0  # sure of itself, and wrong
        assert naive["value"] > 0.05
        assert naive["population"] == "every sign-up"
        assert fair["landmark_day"] == 90
        missed += not fair["lower"] <= 0 <= fair["upper"]
        assert abs(fair["value"]) < naive["value"]
        assert naive["n_observations"] > fair["n_observations"]
    assert missed <= 1


@pytest.mark.slow
def test_the_landmark_interval_covers_no_effect_in_93_of_100_worlds(tmp_path: Path) -> None:
    held, ratios, naive_ratios = 0, [], []
    for seed in range(100):
        judgement = immortal(tmp_path / str(seed), seed + 100, n=600)
        fair = named(judgement, "crude")
        held += fair["lower"] <= 0 <= fair["upper"]
        one, other = estimate_in(risk_ratio, judgement.judged), estimate_in(risk_ratio, judgement.naive())
        assert one is not None
        assert other is not None
        ratios.append(one.value)
        naive_ratios.append(other.value)
    assert held >= 93
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)
    assert np.mean(naive_ratios) > 1.1


# --- the planted chain ---


@cache
def planted(
    scenario: str, n_accounts: int, seed: int, folder: Path
) -> tuple[Framework, Cohorts, dict[str, Any], pd.Timestamp]:
    chosen = load_scenario(scenario).sized(accounts=n_accounts)
    truth = simulate(chosen, seed, folder / "data")
    framework = adopted_framework(chosen, columns_in(folder / "data"))
    log = open_log(framework.data, folder)
    return framework, build_cohorts(framework, log), truth, log.data_through


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Framework, Cohorts, dict[str, Any], pd.Timestamp]:
    return planted("default", 2000, 1, tmp_path_factory.mktemp("default"))


def effect_at(cohorts: Cohorts, name: str, known_at: pd.Timestamp) -> Estimate:
    rows = cohorts.by_name[name].judged("primary", known_at)
    found = risk_difference(
        rows["reached"].to_numpy(bool), rows["outcome"].to_numpy(bool), rows["account"].to_numpy(np.int64)
    )
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["setup", "activation", "utilization", "maturity"])
def test_every_planted_link_shows(
    name: str, company: tuple[Framework, Cohorts, dict[str, Any], pd.Timestamp]
) -> None:
    _, cohorts, _, known_at = company
    assert effect_at(cohorts, name, known_at).lower > 0


def test_the_cohorts_count_what_the_truth_counted(
    company: tuple[Framework, Cohorts, dict[str, Any], pd.Timestamp],
) -> None:
    # The simulator counts who reached what from its own history, the cohorts from the event log.
    _, cohorts, truth, _ = company
    for name in ("setup", "activation"):
        frame = cohorts.by_name[name].frame
        there = frame[frame["alive"]]
        counted = {"reached": int((there["status"] == "reached").sum()), "of": len(there)}
        assert counted == {key: truth["realised"][name][key] for key in counted}


def test_the_planted_cut_of_activation_is_found(
    company: tuple[Framework, Cohorts, dict[str, Any], pd.Timestamp],
) -> None:
    framework, cohorts, truth, known_at = company
    rng = np.random.default_rng(0)
    trial = build_trial(cohorts.by_name["activation"], "primary", known_at, rng)
    result = run_trial(trial, cohorts.by_name["activation"], rng, framework.review.adoption_band, 200)
    assert result.verdict in ("threshold", "cannot_tell")
    assert result.best_cut == pytest.approx(truth["milestones"]["activation"]["cut"], abs=2)
    held_out = result.effect("out_of_sample")
    assert held_out is not None
    assert held_out.lower > 0.1


def test_nothing_shows_where_nothing_is_planted(tmp_path: Path) -> None:
    _, cohorts, _, known_at = planted("null", 1500, 5, tmp_path)
    for name in ("setup", "activation", "utilization", "maturity"):
        found = effect_at(cohorts, name, known_at)
        assert found.lower < 0.03
        assert abs(found.value) < 0.06, name
