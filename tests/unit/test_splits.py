"""Who learns from whom: no account of the test fold, no label that was not known when the block began."""

from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from features.catalogue import RECENCY
from models import retention
from models.evaluation import evaluate
from models.retention import fit_final, learnable, predict_forward
from models.splits import FEWEST_DATES, FEWEST_OF_A_CLASS, QUARTERS_PER_REFIT, folds, forward_blocks

CLOSES = pd.date_range("2021-01-01", "2024-10-01", freq="QS")
HORIZON = pd.Timedelta(days=180)


def world(seed: int = 0, n_accounts: int = 200) -> pd.DataFrame:
    """Accounts that come and go at random, seen at the closes of four years; `row` numbers the observations."""
    rng = np.random.default_rng(seed)
    parts = []
    for account in range(n_accounts):
        first, n = int(rng.integers(0, 10)), int(rng.integers(1, 12))
        as_of = CLOSES[first : first + n]
        parts.append(pd.DataFrame({"account_id": f"A{account:04d}", "as_of": as_of}))
    frame = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=seed).reset_index(drop=True)
    frame["quarter"] = frame["as_of"].dt.to_period("Q").astype(str)
    frame["known_from"] = frame["as_of"] + HORIZON
    frame["retained"] = rng.random(len(frame)) < 0.6
    frame[RECENCY] = rng.exponential(10, len(frame))
    frame["usage"] = rng.random(len(frame))
    frame["row"] = np.arange(len(frame), dtype=float)
    return frame


class Remembering:
    """An estimator that records which observations it learned from, and which it was asked about."""

    def __init__(self, seed: int, record: list["Remembering"]) -> None:
        self.seed, self.learned, self.asked = seed, np.array([], dtype=int), np.array([], dtype=int)
        record.append(self)

    def fit(self, X: Any, y: Any) -> Self:
        self.learned = X[:, -1].astype(int)
        return self

    def predict_proba(self, X: Any) -> Any:
        self.asked = np.union1d(self.asked, X[:, -1].astype(int))
        good = np.full(len(X), 0.5)
        return np.column_stack([1 - good, good])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_model_saw_the_accounts_or_the_future_of_what_it_predicts(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, made = world(seed), []  # type: ignore[var-annotated]
    baselines: list[Remembering] = []
    monkeypatch.setattr(retention, "logistic", lambda seed: Remembering(seed, baselines))
    found = predict_forward(
        frame, [RECENCY, "usage", "row"], "fake", lambda seed: Remembering(seed, made), seed
    )
    used = [m for m in [*made, *baselines] if len(m.asked)]
    crossed = 0
    for model in used:
        learned, asked = frame.iloc[model.learned], frame.iloc[model.asked]
        # Of every block: what it learned from was known on the first day it predicts.
        assert learned["known_from"].max() <= asked["as_of"].min()
        assert learned["as_of"].nunique() >= FEWEST_DATES
        assert asked["as_of"].nunique() <= QUARTERS_PER_REFIT
        crossed += not set(learned["account_id"]) & set(asked["account_id"])
    blocks = list(forward_blocks(frame["as_of"], frame["known_from"], frame["retained"].to_numpy(bool)))
    assert len(blocks) >= 2
    # Five models without the fold they predict, twice; only the plain forward one of each block shares accounts.
    assert (len(used), crossed) == (len(blocks) * 11, len(blocks) * 10)
    asked_of_main = np.concatenate([m.asked for m in made])
    assert set(asked_of_main) == set(np.concatenate([b.rows for b in blocks]).tolist())
    assert len(found.frame) == len(np.unique(asked_of_main))
    assert np.isfinite(found.frame[["fake", "logistic", "recency", "base_rate", "plain_forward"]]).all(
        axis=None
    )


def test_blocks_are_years_that_follow_each_other() -> None:
    frame = world()
    outcome = frame["retained"].to_numpy(bool)
    blocks = list(forward_blocks(frame["as_of"], frame["known_from"], outcome))
    predicted = np.concatenate([b.rows for b in blocks])
    assert len(np.unique(predicted)) == len(predicted)
    assert set(predicted) == set(np.flatnonzero(frame["as_of"] >= blocks[0].first))
    for block in blocks:
        training = frame.iloc[block.training]
        assert (training["known_from"] <= block.first).all()
        # Everything that was known is used, and both classes are there to learn from.
        assert len(training) == (frame["known_from"] <= block.first).sum()
        assert min(outcome[block.training].sum(), (~outcome[block.training]).sum()) >= FEWEST_OF_A_CLASS
    before = CLOSES[list(CLOSES).index(blocks[0].first) - 1]
    known = frame[frame["known_from"] <= before]
    kept = int(known["retained"].sum())
    assert min(kept, len(known) - kept) < FEWEST_OF_A_CLASS or known["as_of"].nunique() < FEWEST_DATES


def test_a_label_known_on_the_first_day_of_a_block_may_teach() -> None:
    frame = world()
    outcome = frame["retained"].to_numpy(bool)
    first = next(forward_blocks(frame["as_of"], frame["known_from"], outcome)).first
    known_from = frame["known_from"].where(frame["known_from"] > first, first)
    at_once = next(forward_blocks(frame["as_of"], known_from, outcome))
    assert at_once.first == first
    late = known_from.where(known_from != first, first + pd.Timedelta(seconds=1))
    assert all(b.first > first for b in forward_blocks(frame["as_of"], late, outcome))


def test_the_base_rate_ranks_nobody() -> None:
    frame = world(3)
    found = predict_forward(
        frame, [RECENCY, "usage", "row"], "plain", lambda seed: LogisticRegression(max_iter=500), 0
    )
    evaluation = evaluate(found.frame, "plain", 0, n_resamples=50)
    base = evaluation.discrimination.estimate("base_rate")
    assert base is not None
    assert base.value == 0.5
    for quarter in evaluation.discrimination.by_quarter("base_rate"):
        assert quarter.value == 0.5


@pytest.mark.parametrize(("lower", "said"), [(0.01, "does as well: 0.700"), (-0.01, "has 0.700")])
def test_as_well_as_what_beats_nothing_is_no_praise(lower: float, said: str) -> None:
    predictions = world(3)[["account_id", "quarter", "known_from", "retained"]]
    names = ("plain", "logistic", "recency", "base_rate", "plain_forward")
    found = evaluate(predictions.assign(**dict.fromkeys(names, 0.5)), "plain", 0, n_resamples=50)
    assert found.gain is not None
    estimates = {**found.discrimination.estimates, "logistic": replace(found.gain, value=0.7)}
    made = replace(
        found,
        discrimination=replace(found.discrimination, estimates=estimates),
        gain=replace(found.gain, lower=lower, upper=0.02),
    )
    assert made.sentence.endswith(f" The logistic regression {said}.")


def test_folds_do_not_depend_on_who_else_is_there() -> None:
    ids = pd.Series([f"A{i:05d}" for i in range(5000)])
    all_folds = folds(ids)
    assert np.bincount(all_folds, minlength=5).min() > 900
    assert all_folds.max() == 4
    chosen = ids.sample(frac=0.3, random_state=1)
    assert (folds(chosen) == all_folds[chosen.index]).all()
    more = pd.concat([pd.Series(["new", "newer"]), ids, ids])
    assert (folds(more)[2:] == np.tile(all_folds, 2)).all()
    assert folds(pd.Series(["A00000", "A00001", "A00002", "A00003"])).tolist() == all_folds[:4].tolist()


def test_a_model_learns_from_accounts_alive_at_risk_and_known() -> None:
    frame = pd.DataFrame(
        {
            "alive": [True, False, True, True],
            "at_risk": [True, False, False, True],
            "retained": pd.array([True, None, True, None], dtype="boolean"),
        }
    )
    assert learnable(frame).equals(frame.iloc[[0]])


def test_the_model_to_use_is_fitted_by_name_on_everything() -> None:
    frame = world()
    model = fit_final(
        frame, ["usage", RECENCY], lambda seed: LogisticRegression(max_iter=500, random_state=seed), 5
    )
    assert list(model.feature_names_in_) == ["usage", RECENCY]
    assert model.random_state == 5
