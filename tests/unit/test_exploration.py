"""What is said of everything that a milestone could count besides."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.arrays import Floats
from features.quarters import Quarters
from models.cohorts import Cohort
from models.cutpoints import COARSE_CUTS, CutFamily
from models.estimates import Estimate
from models.exploration import Exploration, explore
from models.finding import SweepResult
from models.framework import Framework
from models.held_out import HeldOut
from models.label_clock import LabelClock
from models.plateau import OperatingCut
from models.rivals import Field, rivals_by_event

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "name": "n",
    "version": 1,
    "data": {
        "sources": {"events": "events.csv", "accounts": "accounts.csv"},
        "mapping": {
            "events": {"account_id": "a", "event": "e", "occurred_at": "t"},
            "accounts": {"account_id": "a", "signed_up_at": "s"},
        },
        "outcomes": {"kind": "silent", "horizon_days": 90},
    },
    "milestones": {"use": {"kind": "state", "rule": {"events": ["solve"], "window_days": 30, "at_least": 2}}},
}


def test_with_too_few_accounts_nothing_is_said_to_have_been_tried() -> None:
    lacking = "8 accounts, at least 60 are needed"
    counted = {"candidates": 103, "cuts": 0, "windows": 3}
    result = SweepResult("insufficient_data", 8, counted, lacking=lacking)
    trial: Any = SimpleNamespace(candidates=[], left_out={"a": 0.1})
    found = Exploration(trial, result, frozenset(), {})
    assert found.sentence == f"Beside its own score nothing could be explored. Insufficient data: {lacking}."


def explored(core: list[str], mail: Floats | None = None, seed: int = 0) -> Exploration:
    """The own score and that of one rival, of 300 accounts that are seen once; neither says anything."""
    data = {**DOCUMENT["data"], "events": {"core": core}}
    framework = Framework.model_validate({**DOCUMENT, "data": data})
    milestone = framework.milestones["use"]
    rivals = rivals_by_event(milestone, ["mail"])
    rng, as_of = np.random.default_rng(0), pd.Timestamp("2024-04-01")
    frame = pd.DataFrame({"account": np.arange(300), "as_of": as_of, "quarter": "2024Q1"}).assign(
        fold=np.arange(300) % 5,
        score=rng.poisson(3, 300).astype(float),
        status="reached",
        alive=True,
        at_risk=True,
        retained=pd.array(rng.random(300) < 0.6, dtype="boolean"),
        retained_known_from=as_of,
        **{rivals[0].column: rng.poisson(3, 300).astype(float) if mail is None else mail},
    )
    cohort = Cohort("use", milestone, frame, LabelClock(Quarters(), {"retained": pd.Timedelta(0)}))
    return explore(framework, cohort, as_of, Field(rivals, {}), seed, n_permutations=20)


@pytest.mark.parametrize(
    ("core", "shared"),
    [([], [["mail"], ["solve"]]), (["solve"], [[], ["solve"]])],  # without a core, silence counts everything
)
def test_what_a_candidate_shares_with_the_outcome_is_told_of_the_own_score_too(
    core: list[str], shared: list[list[str]]
) -> None:
    assert sorted(explored(core).leading()["same_behaviour"].tolist()) == shared


def test_what_leads_is_corrected_for_everything_that_was_tried() -> None:
    found = explored([])
    leading = found.leading()
    assert found.result.null is not None
    as_often = [(1 + (found.result.null >= phi - 1e-6).sum()) / 21 for phi in leading["phi"]]
    assert leading["p_corrected"].tolist() == pytest.approx(as_often)
    assert found.sentence.startswith("Beside its own score 1 other candidates with ")


def test_an_account_is_held_out_with_its_own_fold() -> None:
    found = explored([])
    trial = found.trial
    family = CutFamily.of(trial.candidates, trial.block, COARSE_CUTS)
    by_hand = HeldOut.of(family, trial.outcome, trial.fold).effects(clear=False)[0].estimate
    assert found.result.effect("out_of_sample") == by_hand


def test_of_a_rate_no_more_cuts_are_tried_than_tell_the_accounts_apart() -> None:
    rate = explored([], np.random.default_rng(1).lognormal(size=300)).result.grid
    assert (rate["candidate"] == "mail in 30 days").sum() <= COARSE_CUTS


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [(0.01, 0.1, "says more"), (-0.1, -0.01, "says less"), (-0.01, 0.1, "says no more for certain")],
)
def test_a_gain_that_may_be_none_is_not_said_to_be_one(lower: float, upper: float, words: str) -> None:
    counted = {"candidates": 2, "cuts": 9, "windows": 1}
    gain = Estimate("phi_difference", (lower + upper) / 2, lower, upper, 300, 300)
    result = SweepResult(
        "threshold", 300, counted, best="mail", best_cut=3.0, p_corrected=0.01, gain_over_current=gain,
        operating_cut=OperatingCut(3.0, ""),
    )  # fmt: skip
    trial: Any = SimpleNamespace(own=SimpleNamespace(name="use"), left_out={})
    assert f"it {words} than the cut in use" in Exploration(trial, result, frozenset(), {}).sentence
