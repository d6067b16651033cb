"""The retention model on companies whose truth is known, and the harness on a leak that was put there."""

import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from features.catalogue import RECENCY
from features.intake import open_log
from features.matrix import build_frame
from features.simulation.scenario import load_scenario
from features.simulation.simulator import columns_in, draw_company, simulate
from models import retention
from models.demonstration import adopted_framework
from models.estimators import logistic, random_forest
from models.evaluation import Evaluation, evaluate
from models.retention import Predictions, learnable, predict_forward

SETTINGS = {"n_estimators": 40, "n_jobs": 1}


@dataclass(frozen=True)
class World:
    """What a model may learn from: the learnable observations of a company, and the names of its features."""

    frame: pd.DataFrame
    features: list[str]


@cache
def world(scenario: str, n_accounts: int, seed: int) -> World:
    chosen = load_scenario(scenario).sized(accounts=n_accounts)
    with tempfile.TemporaryDirectory() as folder:
        simulate(chosen, seed, Path(folder) / "data")
        data = adopted_framework(chosen, columns_in(Path(folder) / "data")).data
        features = data.features.model_copy(update={"windows_days": (30, 90)})
        data = data.model_copy(update={"features": features})
        matrix = build_frame(open_log(data, Path(folder)), data, Path(folder))
    return World(learnable(matrix.frame), matrix.features)


def forest(seed: int) -> Any:
    """The forest of the platform with fewer trees."""
    model: Pipeline = random_forest(seed)
    return model.set_params(**{f"random_forest__{name}": value for name, value in SETTINGS.items()})


def judged(frame: pd.DataFrame, features: list[str], factory: Any) -> tuple[Predictions, Evaluation]:
    found = predict_forward(frame, features, "model", factory, seed=0)
    return found, evaluate(found.frame, "model", 0, n_resamples=300)


@pytest.fixture
def _no_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes most of the time and decides nothing here."""
    monkeypatch.setattr(retention, "permutation_importance", lambda *_: ())


def auc(evaluation: Evaluation, name: str = "model") -> float:
    found = evaluation.discrimination.estimate(name)
    assert found is not None
    return found.value


def test_on_the_planted_company_the_model_beats_the_base_rate() -> None:
    planted = world("default", 1000, 3)
    found, evaluation = judged(planted.frame, planted.features, forest)
    gain = evaluation.discrimination.difference("model", "base_rate")
    assert gain is not None
    assert gain.lower > 0
    assert auc(evaluation) > 0.55
    assert auc(evaluation, "base_rate") == 0.5
    # Importance is of every block, of every feature, and says when its outcomes were known.
    assert len(found.importance) >= 1
    for block in found.importance:
        assert {i.feature for i in block.features} == set(planted.features)
        assert block.known_from <= found.frame["known_from"].max()
        assert all(i.lower <= i.value <= i.upper for i in block.features)


def gates_open(seeds: range) -> list[int]:
    opened = []
    for seed in seeds:
        nothing = world("null", 700, seed)
        _, evaluation = judged(nothing.frame, nothing.features, forest)
        assert evaluation.gain is not None
        if evaluation.beats_rival:
            opened.append(seed)
    return opened


@pytest.mark.usefixtures("_no_importance")
def test_the_champion_gate_stays_shut_on_the_null_company() -> None:
    assert gates_open(range(3)) == []


@pytest.mark.slow
@pytest.mark.usefixtures("_no_importance")
def test_the_champion_gate_opens_on_the_null_company_once_in_ten_at_most() -> None:
    assert len(gates_open(range(10))) <= 1


# --- a leak ---


@pytest.mark.usefixtures("_no_importance")
def test_a_label_among_the_features_shows_as_a_perfect_ranking() -> None:
    nothing = world("null", 700, 0)
    rng = np.random.default_rng(0)
    leaked = nothing.frame.assign(
        leak=nothing.frame["retained"].astype(float) + rng.normal(0, 0.01, len(nothing.frame))
    )
    _, honest = judged(nothing.frame, nothing.features, logistic)
    _, told = judged(leaked, [RECENCY, "leak"], logistic)
    assert auc(told) > 0.99
    assert told.beats_rival
    assert auc(honest) < 0.6
    # The forest finds it among all the others.
    _, shown = judged(leaked, [*nothing.features, "leak"], forest)
    assert auc(shown) > 0.95


def test_importance_points_at_the_leak() -> None:
    nothing = world("null", 700, 0)
    leaked = nothing.frame.assign(leak=nothing.frame["retained"].astype(float))
    found, _ = judged(leaked, [RECENCY, "tenure_days", "events_30d", "leak"], forest)
    for block in found.importance:
        assert block.features[0].feature == "leak"
        assert block.features[0].lower > 0.2
        assert max(i.value for i in block.features[1:]) < 0.1


def test_the_feature_engine_cannot_make_such_a_column() -> None:
    # Everything that happens from the middle close on is turned upside down, and no feature at it or before it moves.
    chosen = load_scenario("default").sized(accounts=150, quarters=8)
    company = draw_company(chosen, 0)
    data = adopted_framework(chosen, company.columns).data
    middle = chosen.quarter_start(4)
    events = company.events.to_pandas()
    early, late = events[events["occurred_at"] < middle], events[events["occurred_at"] >= middle]
    rng = np.random.default_rng(1)
    last = late.tail(1)  # so that the log ends when it did
    turned = late.sample(frac=0.4, random_state=2).assign(
        event=lambda f: rng.permutation(f["event"].astype(str)),
        account_id=lambda f: rng.permutation(f["account_id"].astype(str)),
    )
    changed = pd.concat(
        [
            early.astype({"event": str, "account_id": str}),
            turned,
            last.astype({"event": str, "account_id": str}),
        ]
    )
    frames = []
    for content in (events, changed):
        with tempfile.TemporaryDirectory() as folder:
            simulate(chosen, 0, Path(folder) / "data")
            content.to_parquet(Path(folder) / "data" / "events.parquet", index=False)
            matrix = build_frame(open_log(data, Path(folder)), data, Path(folder))
        frame = matrix.frame[matrix.frame["as_of"] <= middle]
        frames.append(
            frame[["account_id", "as_of", *matrix.features]].sort_values(
                ["account_id", "as_of"], ignore_index=True
            )
        )
    assert len(frames[0]) > 100
    pd.testing.assert_frame_equal(frames[0], frames[1])


# --- what the evaluation says ---


@pytest.mark.usefixtures("_no_importance")
def test_the_evaluation_at_a_date_knows_what_was_known_then() -> None:
    planted = world("default", 1000, 3)
    found = predict_forward(planted.frame, [RECENCY, "events_30d"], "logistic", logistic, seed=0)
    known_at = found.frame["known_from"].sort_values().iloc[len(found.frame) // 2]
    then = evaluate(found.frame, "logistic", 0, known_at, 50)
    assert then.n_observations == (found.frame["known_from"] <= known_at).sum()
    assert then.n_observations < len(found.frame)
    later = found.frame.assign(
        retained=np.where(
            found.frame["known_from"] > known_at, ~found.frame["retained"], found.frame["retained"]
        )
    )
    again = evaluate(later, "logistic", 0, known_at, 50)
    assert again.as_dict() == then.as_dict()


@pytest.mark.usefixtures("_no_importance")
def test_the_rival_is_the_better_baseline_and_the_sentence_says_who_won() -> None:
    nothing = world("null", 700, 0)
    leaked = nothing.frame.assign(leak=nothing.frame["retained"].astype(float))
    _, told = judged(leaked, [RECENCY, "leak"], logistic)
    recency = auc(told, "recency")
    assert told.rival == ("recency" if recency >= 0.5 else "base_rate")
    assert f"beats {'days since' if recency >= 0.5 else 'the base rate'}" in told.sentence
    worst = told.discrimination.difference("base_rate", "model")
    assert worst is not None
    lost = replace(told, gain=worst)
    assert "is beaten by" in lost.sentence
    assert not lost.beats_rival
