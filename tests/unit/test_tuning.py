"""What a search looks at before it is over: every definition or a sample, with thresholds that fresh accounts never moved."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import tuning
from features.quarters import Quarters
from models.cohorts import Cohort
from models.definitions import parts_of
from models.framework import Framework
from models.label_clock import LabelClock
from models.milestones import StepsRule
from models.spaces import CountSpace, StepsSpace, measures
from tests.unit.test_exploration import DOCUMENT

LATE = pd.Timestamp("2030-01-01")


def launched() -> Any:
    framework = Framework.model_validate(DOCUMENT)
    log = SimpleNamespace(has_seats=False, data_through=LATE)
    return SimpleNamespace(
        framework=framework,
        log=lambda: log,
        workspace=SimpleNamespace(root=None),
        variation=SimpleNamespace(seed=0),
    )


def test_thresholds_lie_where_the_accounts_that_choose_are(monkeypatch: pytest.MonkeyPatch) -> None:
    launch, rng = launched(), np.random.default_rng(0)
    milestone = launch.framework.milestones["use"]
    columns = [column for rule in measures(milestone, (), has_seats=False) for column in parts_of(rule)]
    later = np.arange(600) >= 300
    as_of = pd.Series(pd.to_datetime(np.where(later, "2024-07-01", "2024-04-01")))
    # Everybody does a hundred times as much in the fresh quarter.
    counts = {column: rng.poisson(5, 600) * np.where(later, 100.0, 1.0) for column in columns}
    frame = pd.DataFrame({"account": np.arange(600), "as_of": as_of, "quarter": Quarters().closed_by(as_of)}).assign(
        fold=0, score=1.0, status="reached", alive=True, at_risk=True, retained=rng.random(600) < 0.5,
        retained_known_from=as_of, **counts,
    )  # fmt: skip
    cohort = Cohort("use", milestone, frame, LabelClock(Quarters(), {"retained": pd.Timedelta(0)}))
    monkeypatch.setattr(tuning, "build_cohorts", lambda *_: SimpleNamespace(by_name={"use": cohort}))
    monkeypatch.setattr(tuning, "rule_doubts", lambda *_: {"use": []})
    material = tuning._look(launch, "use", rng)
    assert (material.choosing.quarters, material.fresh.quarters) == (("2024Q1",), ("2024Q2",))
    assert isinstance(material.space, CountSpace)
    assert 0 < max(cut for cuts in material.space.cuts.values() for cut in cuts) < 20


@pytest.mark.parametrize(("trials", "sampler"), [(None, "exhaustive"), (28, "exhaustive"), (27, "TPE")])
def test_every_definition_is_tried_where_there_are_no_more_than_trials(
    trials: int | None, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "of_inputs", lambda *_: "the same")
    steps = StepsRule(steps=("a", "b", "c", "d"), window_days=30, at_least=2)
    material: Any = SimpleNamespace(space=StepsSpace(steps))
    plan, size = tuning._plan(launched(), "use", material, trials)
    assert (plan.sampler, plan.n_trials, size) == (sampler, trials or 28, 28)
