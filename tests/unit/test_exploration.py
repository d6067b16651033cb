"""What is said of everything that a milestone could count besides."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.quarters import Quarters
from models.cohorts import Cohort
from models.exploration import Exploration, explore
from models.finding import SweepResult
from models.framework import Framework
from models.label_clock import LabelClock
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


@pytest.mark.parametrize(
    ("core", "shared"),
    [([], [["mail"], ["solve"]]), (["solve"], [[], ["solve"]])],  # without a core, silence counts everything
)
def test_what_a_candidate_shares_with_the_outcome_is_told_of_the_own_score_too(
    core: list[str], shared: list[list[str]]
) -> None:
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
        **{rivals[0].column: rng.poisson(3, 300).astype(float)},
    )
    cohort = Cohort("use", milestone, frame, LabelClock(Quarters(), {"retained": pd.Timedelta(0)}))
    found = explore(framework, cohort, as_of, Field(rivals, {}), 0, n_permutations=20).leading()
    assert sorted(found["same_behaviour"].tolist()) == shared
