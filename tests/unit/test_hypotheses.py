"""Beliefs held against the data: supported, refuted or undecided, and wrong about any of them in one world of twenty."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.specs import Aggregation, FeatureSpec
from features.windows import last
from models.framework import Framework
from models.hypotheses import AnsweredHypothesis, answer_hypotheses, believed_specs
from tests.unit.test_rivals import DATA, MILESTONES

FEATURES = ("apps", "bots", "noise", "flat")


def framework(*hypotheses: dict[str, Any]) -> Framework:
    return Framework.model_validate(
        {
            "schema": 1, "name": "n", "version": 1, "data": DATA, "milestones": MILESTONES,
            "review": {"hypotheses": list(hypotheses)},
        }
    )  # fmt: skip


def belief(*features: str, direction: str = "positive") -> dict[str, Any]:
    return {"claim": "they help", "by": "Product", "features": list(features), "direction": direction}


def catalogue(*names: str) -> list[FeatureSpec]:
    return [FeatureSpec(n, n, Aggregation.COUNT, last(30), events=("bot",)) for n in names]


def world(seed: int, n: int = 1500) -> pd.DataFrame:
    """Accounts at two closes: apps keep them, bots lose them, noise and flat do nothing."""
    rng = np.random.default_rng(seed)
    account = np.repeat(np.arange(n), 2)
    of = {name: rng.poisson(2, n)[account].astype(float) for name in ("apps", "bots", "noise")}
    chance = 0.6 + 0.2 * (of["apps"] >= 2) - 0.2 * (of["bots"] >= 2)
    return pd.DataFrame(
        {
            "account": account,
            "quarter": np.tile(["2024Q1", "2024Q2"], n),
            "outcome": rng.random(2 * n) < chance,
            **{f"carried:{name}": values for name, values in of.items()},
            "carried:flat": 1.0,
        }
    )


def held(
    rows: pd.DataFrame, *hypotheses: dict[str, Any], of: str = "use", minimum: float = 0.05
) -> tuple[AnsweredHypothesis, ...]:
    made = framework(*hypotheses)
    return answer_hypotheses(made, of, rows, believed_specs(made, catalogue(*FEATURES)), minimum)


def test_each_belief_gets_the_answer_that_its_direction_asks_for() -> None:
    said = held(
        world(0), belief("apps"), belief("bots"), belief("bots", direction="negative"),
        belief("apps", direction="negative"), belief("noise"),
    )  # fmt: skip
    assert [one.answer for one in said] == ["supported", "refuted", "supported", "refuted", "refuted"]
    # What is surely smaller than anything worth having is refuted too; with few accounts nothing is sure.
    assert held(world(0, 150), belief("noise"))[0].answer == "undecided"
    assert held(world(0), belief("noise"), minimum=0.0001)[0].answer == "undecided"


def test_a_belief_about_several_features_needs_all_of_them_to_be_refuted() -> None:
    said = held(world(0), belief("apps", "noise"), belief("bots", "noise"), belief("apps", "bots"))
    assert [one.answer for one in said] == ["undecided", "refuted", "undecided"]
    assert "apps supported" in said[0].sentence
    assert "noise refuted" in said[0].sentence


def test_what_cannot_be_asked_keeps_a_belief_from_being_refuted() -> None:
    refuted, undecided = held(world(0), belief("bots"), belief("bots", "flat"))
    assert (refuted.answer, undecided.answer) == ("refuted", "undecided")


def test_more_of_it_is_more_than_half_of_the_same_quarter() -> None:
    rows = world(0)
    grown = rows.assign(
        **{"carried:apps": rows["carried:apps"] * np.where(rows["quarter"] == "2024Q2", 10, 1)}
    )
    (before,), (after,) = held(rows, belief("apps")), held(grown, belief("apps"))
    assert before.asked == after.asked


def test_a_pattern_means_every_feature_that_it_matches_and_each_once() -> None:
    by_pattern, by_name, again = held(world(0), belief("ap*", "*ps"), belief("apps"), belief("zz*"))
    assert [one.feature for one in by_pattern.asked] == ["apps"]
    assert by_pattern.asked == by_name.asked
    assert "zz* cannot be asked: there is no such feature" in again.sentence
    # The same question asked fifty times widens no interval.
    assert held(world(0), *[belief("apps")] * 50)[0].asked == held(world(0), belief("apps"))[0].asked


def test_a_sentence_about_many_features_is_short_and_begins_with_what_decides() -> None:
    (said,) = held(world(0, 150), belief("z1", "noise", "z2", "z3", "z4", "bots"))
    assert 0 < said.sentence.index("bots refuted") < said.sentence.index("noise undecided")
    assert said.sentence.endswith("of 2 more, 2 undecided.")


def test_what_cannot_be_asked_says_why() -> None:
    unknown, flat, none = held(world(0), belief("appz"), belief("flat"), belief())
    assert (unknown.answer, flat.answer, none.answer) == ("undecided",) * 3
    assert "appz cannot be asked: there is no such feature" in unknown.sentence
    assert "flat cannot be asked: all accounts are alike in it" in flat.sentence
    assert "it names no feature" in none.sentence
    one_class = held(world(0).assign(outcome=True), belief("apps"))[0]
    assert "too few accounts of one outcome" in one_class.sentence


def test_what_the_outcome_counts_over_the_same_days_cannot_be_asked() -> None:
    made = framework(belief("apps"), belief("bots"))
    specs = [
        FeatureSpec("apps", "", Aggregation.COUNT, last(30), events=("talk",)),
        FeatureSpec("bots", "", Aggregation.COUNT, last(30)),  # every event, talk among them
    ]
    said = answer_hypotheses(made, "setup", world(0), believed_specs(made, specs), 0.05)
    assert all("the outcome counts talk over the same days" in one.sentence for one in said)
    # The same features of a state, whose outcome lies in days of its own, can be asked.
    assert (
        answer_hypotheses(made, "use", world(0), believed_specs(made, specs), 0.05)[0].answer == "supported"
    )


def test_missing_values_are_left_out_and_repeated_accounts_count_once() -> None:
    rows = world(0)
    gone = rows.assign(**{"carried:apps": rows["carried:apps"].where(rows["account"] < 700)})
    asked = held(gone, belief("apps"))[0].asked[0]
    assert asked.auc is not None
    assert (asked.auc.n_observations, asked.auc.n_accounts) == (1400, 700)
    twice = pd.concat([rows, rows], ignore_index=True)  # the same again tells nothing new
    once, again = (held(r, belief("apps"))[0].asked[0].auc for r in (rows, twice))
    assert once is not None
    assert again is not None
    assert again.upper - again.lower == pytest.approx(once.upper - once.lower, rel=1e-6)


def test_no_belief_of_a_family_is_wrongly_supported_in_more_than_one_world_of_twenty() -> None:
    beliefs = [
        belief(name, direction=d) for name in ("apps", "bots", "noise") for d in ("positive", "negative")
    ]
    wrong = 0
    for seed in range(150):
        rows = world(seed, 300).assign(outcome=np.random.default_rng(seed + 999).random(600) < 0.7)
        wrong += any(one.answer == "supported" for one in held(rows, *beliefs))
    assert wrong <= 14  # 5 % of 150 is 7.5, two standard errors more 12.8


def test_a_drift_of_usage_and_of_the_outcome_refutes_nothing() -> None:
    # Usage doubles and staying falls from quarter to quarter; within each, eight points go with more of it.
    refuted = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        account, quarter = np.repeat(np.arange(200), 6), np.tile(np.arange(6), 200)
        apps = rng.poisson(np.exp(1 + 0.5 * rng.normal(size=200))[account] * 1.4**quarter).astype(float)
        middle = np.array([np.median(apps[quarter == one]) for one in range(6)])
        chance = 0.75 - 0.05 * quarter + 0.08 * (apps >= middle[quarter])
        rows = {"account": account, "quarter": quarter, "outcome": rng.random(1200) < chance}
        refuted += held(pd.DataFrame({**rows, "carried:apps": apps}), belief("apps"))[0].answer == "refuted"
    assert refuted <= 2


def test_what_is_supported_and_hardly_worth_having_says_so() -> None:
    rows = world(0)
    assert (
        "apps supported, but less than 30 points for certain"
        in held(rows, belief("apps"), minimum=0.3)[0].sentence
    )
    assert "but less" not in held(rows, belief("apps"))[0].sentence
