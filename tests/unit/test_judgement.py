"""What a milestone is judged on: never the quarters it was chosen on, wherever in time they lie."""

import numpy as np
import pandas as pd
import pytest

from reports.effects import effects
from reports.judgement import Judgement, Settings
from tests.unit.test_trial import LATE, STATE, cohort, world


def judgement(rows: pd.DataFrame, defined_on: tuple[str, str] | None, at_least: float = 3.0) -> Judgement:
    rule = STATE.rule.model_copy(update={"at_least": at_least})
    milestone = STATE.model_copy(update={"defined_on": defined_on, "rule": rule})
    return Judgement(cohort(rows, milestone), LATE, Settings((0.2, 0.6), 1, 0, LATE))


@pytest.mark.parametrize(
    ("defined_on", "judged"),
    [
        (None, {"2024Q1", "2024Q2", "2024Q3"}),
        (("2024Q1", "2024Q2"), {"2024Q2", "2024Q3"}),
        (("2024Q2", "2024Q3"), {"2024Q1", "2024Q3"}),
    ],
)
def test_neither_effect_nor_sweep_sees_a_quarter_it_was_chosen_on(
    defined_on: tuple[str, str] | None, judged: set[str]
) -> None:
    # A rise of 60 points, and no rise at all in the quarters it was chosen on.
    rows = world(400)
    rng = np.random.default_rng(1)
    quarter = "2024Q" + rows["as_of"].str[5:7].map({"04": "1", "07": "2", "10": "3"})
    share = np.where((rows["score"] >= 3) & quarter.isin(judged), 0.9, 0.3)
    rows["retained"] = rng.random(len(rows)) < share
    found = judgement(rows, defined_on)
    assert set(found.held_out["quarter"]) == judged
    effect = found.recent_effect
    assert effect is not None
    assert effect.value == pytest.approx(0.6, abs=0.08)
    chosen_at = found.sweep.effect("out_of_sample")
    assert chosen_at is not None
    assert chosen_at.value == pytest.approx(0.6, abs=0.12)


def test_a_cut_that_splits_as_the_plateau_does_is_inside_it() -> None:
    # Nobody has 3, 4 or 5: a cut of 4 makes the same two groups as the best cut, 6.
    rng = np.random.default_rng(0)
    rows = world(400)
    rows["score"] = rng.choice([0.0, 1.0, 2.0, 6.0, 7.0, 8.0], len(rows))
    rows["retained"] = rng.random(len(rows)) < np.where(rows["score"] >= 6, 0.9, 0.5)
    found = judgement(rows, None, at_least=4)
    assert found.sweep.plateau == (6, 6)
    assert found.plateau == (4, 6)
    assert found.cut == "inside"
    assert judgement(rows, None, at_least=2).cut == "outside"
    assert judgement(rows, None, at_least=7).cut == "outside"


@pytest.mark.parametrize(
    ("at_least", "more", "better"), [(30, False, False), (50, True, False), (70, True, True)]
)
def test_a_better_cut_says_more_than_slightly_more_out_of_sample(
    at_least: float, *, more: bool, better: bool
) -> None:
    # A gradual rise, of which every cut has an effect: beside the plateau a cut is as good for any purpose.
    rng = np.random.default_rng(8)
    rows = world(600, 8)
    rows["score"] = np.floor(rng.lognormal(2.5, 1, len(rows)))
    rows["retained"] = rng.random(len(rows)) < 1 / (1 + np.exp(1 - 0.5 * np.log1p(rows["score"])))
    found = judgement(rows, None, at_least)
    assert found.cut == "outside"
    effect, gain = found.sweep.effect("out_of_sample"), found.sweep.gain_over_current
    assert effect is not None
    assert effect.lower > 0
    assert gain is not None
    assert (gain.lower > 0) is more
    assert found.better_cut_supported is better


def test_the_fair_difference_stands_a_second_time_by_revenue() -> None:
    rows = world(400)
    rows["mrr"] = 10.0
    alike, weighted = (
        [e for e in effects(judgement(frame, None)) if e.get("weighted_by") == "revenue"]
        for frame in (rows.drop(columns="mrr"), rows)
    )
    assert alike == []
    (found,) = weighted
    plain = effects(judgement(rows, None))[0]
    apart = {"weighted_by": "revenue", "population": f"{plain['population']}, with a known revenue"}
    assert found == {**plain, **apart}


@pytest.mark.parametrize(("lost", "judged"), [(29, False), (30, True)])
def test_too_few_of_a_class_are_no_basis_for_a_verdict(lost: int, *, judged: bool) -> None:
    rows = world(400)
    rows["retained"] = rows["account"] >= lost
    found = judgement(rows, None)
    assert (found.recent_effect is not None) is judged
    assert (found.predicts != "unknown") is judged


def test_without_quarters_of_its_own_a_cut_is_neither_inside_nor_outside() -> None:
    rows = world(400)
    rows["retained"] = rows["score"] >= 6
    assert judgement(rows, None, at_least=2).cut == "outside"
    assert judgement(rows, ("2024Q1", "2025Q1"), at_least=2).cut == "unknown"


@pytest.mark.parametrize(("within", "cause"), [(0.0, "mix"), (0.3, "decay")])
def test_a_change_is_mix_where_the_customers_make_it_and_decay_where_they_do_not(
    within: float, cause: str
) -> None:
    # 60 points for the small and none for the large; few are small in the newest two quarters, or 30 points go.
    rng = np.random.default_rng(2)
    rows = world(2400)
    late = rows["as_of"].gt("2024-05").to_numpy()
    small = rng.random(len(rows)) < np.where(late & (cause == "mix"), 0.1, 0.7)
    effect = np.where(small, 0.6 - within * late, 0.0 - within * late)
    rows["retained"] = rng.random(len(rows)) < 0.35 + effect * (rows["score"] >= 3)
    found = judgement(rows, None)
    found.traits = pd.DataFrame({"plan": np.where(small, "small", "large")}, index=rows.index)
    evidence = found.evidence(None)
    assert (evidence.changed, evidence.cause) == ("shown", cause)
    found = judgement(rows, None)
    assert found.evidence(None).cause is None  # nothing is known of the customers
