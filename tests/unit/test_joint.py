"""Joint definitions scored: phi within quarters, balance, constraints, the front, and what chance would reach."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.document import parse_yaml
from features.quarters import Quarters
from models.cohorts import Cohort
from models.cutpoints import Candidate, CutFamily, association, minimum_support
from models.definitions import reached
from models.estimates import phi, stratified_phi, stratified_risk_difference
from models.framework import Framework
from models.front import Front, front_of, pareto
from models.joint import (
    Judge,
    Rows,
    Score,
    corrected_p,
    correlations,
    counted,
    drawn_rows,
    halves,
    refusals,
    rows_in,
)
from models.label_clock import LabelClock
from models.milestones import CountRule, Milestone, StepsRule
from models.spaces import StepsSpace

RULE = StepsRule(steps=("a", "b", "c"), window_days=30, at_least=2)


def _rows(n: int = 600, seed: int = 0, effect: float = 0.3) -> Rows:
    rng = np.random.default_rng(seed)
    parts = {
        f"carried:step|{step}": (rng.random(n) < share).astype(np.float64)
        for step, share in zip("abc", (0.5, 0.4, 0.97), strict=True)
    }
    both = (parts["carried:step|a"] > 0) & (parts["carried:step|b"] > 0)
    block = np.sort(rng.integers(0, 3, n))
    return Rows(
        parts, rng.random(n) < 0.3 + effect * both + 0.1 * block, block, ("2023Q1", "2023Q2", "2023Q3")
    )


def _judge(rows: Rows, **changed: Any) -> Judge:
    return Judge(
        **{"space": StepsSpace(RULE), "rows": rows, "band": (0.2, 0.6), "limits": (0.05, 0.95), **changed}
    )


def test_phi_of_a_definition_is_that_of_a_sweep_and_of_an_estimate() -> None:
    rows = _rows()
    judge = _judge(rows)
    score = judge.score((1, 1, 0, 1))  # a and b, both of them
    split = (rows.parts["carried:step|a"] > 0) & (rows.parts["carried:step|b"] > 0)
    swept = association(
        CutFamily.of([Candidate("x", ("x",), 30, False, split.astype(np.float64))], rows.block), rows.outcome
    )
    assert score.phi == pytest.approx(swept.phi[0], abs=1e-6)
    assert score.adoption == pytest.approx(split.mean())
    estimate = stratified_phi(split, rows.outcome, rows.block)
    assert estimate is not None
    assert estimate.value == pytest.approx(score.phi, abs=1e-6)
    assert estimate.lower < estimate.value < estimate.upper


def test_phi_within_one_stratum_is_phi() -> None:
    rows = _rows()
    split = rows.parts["carried:step|a"] > 0
    whole, within = (
        phi(split, rows.outcome),
        stratified_phi(split, rows.outcome, np.zeros(len(rows), np.int64)),
    )
    assert whole is not None
    assert within is not None
    assert within.value == pytest.approx(whole.value, abs=1e-9)
    # What weights leave of the accounts is told by their sum, all but equal to their number.
    assert within.brief() == pytest.approx(whole.brief(), abs=1e-3)
    assert stratified_phi(split, np.ones(len(rows), bool), rows.block) is None
    assert stratified_phi(np.ones(len(rows), bool), rows.outcome, rows.block) is None


def test_a_split_that_varies_in_no_quarter_has_no_correlation() -> None:
    block = np.array([0, 0, 1, 1])
    direction = np.array([[0.5], [-0.5], [0.5], [-0.5]], np.float32)
    splits = np.array([[False, False, True, True], [True, False, True, False]])
    assert correlations(splits, direction, block)[:, 0].tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("share", "balance"), [(0.4, 1.0), (0.2, 2 / 3), (0.6, 2 / 3), (1.0, 0.0), (0.0, 1 / 3)]
)
def test_balance_is_one_in_the_middle_of_the_band_and_falls_to_its_farther_end(
    share: float, balance: float
) -> None:
    assert _judge(_rows()).balance(share) == pytest.approx(balance)


def test_constraints_are_support_adoption_and_what_the_framework_refuses() -> None:
    rows = _rows()
    able = _judge(rows).score((1, 1, 0, 1))
    assert able.feasible
    # At least one of three, of which nearly everybody did the last.
    common = _judge(rows).score((1, 1, 1, 0))
    assert common.constraints["adoption"] > 0
    assert common.constraints["support"] > 0
    assert not common.feasible
    # Fewer than the framework lets a milestone be of are too few, though they are enough to be told apart.
    niche = _judge(rows, limits=(0.5, 0.95)).score((1, 1, 0, 1))
    assert niche.constraints["adoption"] == pytest.approx(0.5 - able.adoption)
    assert not niche.feasible
    refused = _judge(rows, refused=frozenset({counted(RULE.model_copy(update={"steps": ("a", "b")}))}))
    assert refused.score((1, 1, 0, 1)).constraints["refused"] > 0
    assert refused.score((0, 1, 1, 1)).constraints["refused"] <= 0
    # Exactly the support that a sweep asks for is enough.
    few = np.zeros(len(rows))
    few[: minimum_support(len(rows))] = 1
    parts = {**rows.parts, "carried:step|a": few, "carried:step|b": few}
    edge = _judge(Rows(parts, rows.outcome, rows.block, rows.quarters), limits=(0.0, 1.0)).score((1, 1, 0, 1))
    assert edge.constraints["support"] == 0
    assert edge.feasible
    # Fewer than two steps are no definition.
    assert not _judge(rows).score((1, 0, 0, 0)).feasible


def test_the_front_holds_what_no_other_beats_in_both() -> None:
    fine = {"support": -1.0}
    scores = [
        Score(0.3, 0.4, 0.5, fine),
        Score(0.2, 0.4, 0.9, fine),
        Score(0.2, 0.4, 0.8, fine),  # beaten by the one before
        Score(0.9, 0.4, 1.0, {"support": 0.1}),  # not feasible
        Score(0.3, 0.4, 0.5, fine),  # equal to the first
        Score(-0.1, 0.4, 1.0, fine),  # no rise
    ]
    assert pareto(scores) == [0, 1]


def test_the_corrected_p_answers_for_everything_that_was_tried() -> None:
    rows = _rows(effect=0.0)
    rng = np.random.default_rng(3)
    noise = {f"carried:step|{i}": (rng.random(len(rows)) < 0.4).astype(np.float64) for i in range(40)}
    many = Rows(noise, rows.outcome, rows.block, rows.quarters)
    rules = [
        StepsRule(steps=(str(i), str(j)), window_days=30, at_least=2) for i in range(40) for j in range(i)
    ]
    judge = _judge(many)
    best = max(rules, key=lambda rule: judge.score_of(rule).phi)
    alone = corrected_p([best], many, np.random.default_rng(0), 400)
    among = corrected_p(rules, many, np.random.default_rng(0), 400)
    assert alone < 0.05 < among
    assert corrected_p([RULE], _rows(effect=0.4), np.random.default_rng(0), 400) == pytest.approx(1 / 401)


def _set(*steps: str) -> StepsRule:
    return StepsRule(steps=steps, window_days=30, at_least=2)


def _front(fresh: Rows, current: StepsRule, *, adoption: float = 0.3) -> Front:
    """Of two definitions the one that says more is reached by nearly everybody, the other one by so many."""
    rows, fine = _rows(effect=0.4), {"support": -1.0}
    tried = [(_set("a", "c"), Score(0.5, 0.9, 0.2, fine)), (_set("a", "b"), Score(0.4, adoption, 0.9, fine))]
    return front_of(_judge(rows), tried, current, fresh, np.random.default_rng(0))


def test_of_the_front_the_best_within_the_band_is_recommended() -> None:
    fresh = _rows(seed=1, effect=0.4)
    found = _front(fresh, RULE)
    assert (found.verdict, found.recommended) == ("supported", 1)
    assert "useful adoption" not in found.sentence
    outside = _front(fresh, RULE, adoption=0.61)
    assert outside.recommended == 0
    assert "No definition on the front has useful adoption." in outside.sentence


def test_on_fresh_accounts_a_definition_is_measured_within_quarters_and_against_the_one_in_use() -> None:
    fresh = _rows(seed=1, effect=0.4)
    found = _front(fresh, _set("a", "c"))
    assert found.current is not None
    split = reached(_set("a", "b"), fresh.parts)
    assert found.placed[1].effect_fresh == stratified_risk_difference(split, fresh.outcome, fresh.block)
    assert found.gain is not None
    phis = [one.phi_fresh.value for one in (found.placed[1], found.current) if one.phi_fresh is not None]
    assert found.gain.value == pytest.approx(phis[0] - phis[1], abs=1e-6)
    assert found.gain.lower > 0
    assert found.sentence.endswith(": better.")


def test_a_gain_on_fresh_accounts_that_may_be_none_is_not_told_apart() -> None:
    found = _front(_rows(n=200, seed=5, effect=0.1), _set("a", "c"))
    assert found.gain is not None
    assert found.gain.lower < 0 < found.gain.value
    assert found.sentence.endswith(": not told apart.")


def test_the_best_of_many_definitions_is_not_supported_for_being_the_best() -> None:
    rows, rng = _rows(effect=0.0), np.random.default_rng(3)
    names = [str(i) for i in range(16)]
    noise = {f"carried:step|{i}": (rng.random(len(rows)) < 0.4).astype(np.float64) for i in names}
    many = Rows(noise, rows.outcome, rows.block, rows.quarters)
    judge = _judge(many, limits=(0.0, 1.0))
    tried = [(rule, judge.score_of(rule)) for rule in (_set(i, j) for i in names for j in names if i < j)]
    best = max(tried, key=lambda one: one[1].phi)[0]
    assert corrected_p([best], many, np.random.default_rng(0)) < 0.05
    found = front_of(judge, tried, best, many, np.random.default_rng(0))
    assert (found.verdict, found.recommended) == ("none", None)
    assert found.p_corrected is not None
    assert found.p_corrected > 0.05


def test_memory_changes_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows(effect=0.05)
    rules = [
        StepsRule(steps=pair, window_days=30, at_least=k) for pair in (("a", "b"), ("b", "c")) for k in (1, 2)
    ]
    whole = corrected_p(rules, rows, np.random.default_rng(0), 100)
    for limit in (
        "models.joint._SPLITS_AT_ONCE",
        "models.joint._SHUFFLES_AT_ONCE",
        "models.replicates._MOST_CELLS",
    ):
        monkeypatch.setattr(limit, 1)
        assert corrected_p(rules, rows, np.random.default_rng(0), 100) == whole
    assert 0.01 < whole < 0.99


def test_halves_are_cut_where_the_accounts_are() -> None:
    drawn = pd.DataFrame({"quarter": ["2023Q1"] * 10 + ["2023Q2"] * 10 + ["2023Q3"] * 30 + ["2023Q4"] * 10})
    assert halves(drawn) == (["2023Q1", "2023Q2"], ["2023Q3", "2023Q4"])
    assert halves(drawn[:5]) == (["2023Q1"], [])
    assert halves(drawn[:0]) == ([], [])


def test_what_lacks_is_said() -> None:
    assert "at least 60 are needed" in _rows(n=59).lacking
    rows = _rows(n=200)
    assert rows.lacking == ""
    assert "rarer outcome" in Rows(rows.parts, np.ones(200, bool), rows.block, rows.quarters).lacking
    empty = rows_in(pd.DataFrame({"quarter": [], "outcome": []}), [])
    assert "0 accounts" in empty.lacking


def test_what_counts_in_its_own_outcome_is_refused() -> None:
    framework = Framework.model_validate(
        parse_yaml(
            """
            schema: 1
            name: x
            version: 1
            data: {sources: {events: e.parquet, accounts: a.parquet}, mapping: {events: {account_id: a, event: e, occurred_at: t}, accounts: {account_id: a, signed_up_at: s}}, events: {core: [talk]}, outcomes: {kind: silent}}
            milestones:
              first: {kind: once, rule: {events: [install], window_days: 14, at_least: 1}, primary_outcome: second}
              second: {kind: once, rule: {events: [talk], window_days: 30, at_least: 5}}
            """
        )
    )
    talk = CountRule(events=("talk",), window_days=14, at_least=1)
    long = CountRule(events=("install",), window_days=30, at_least=1)
    fine = CountRule(events=("invite",), window_days=7, at_least=1)
    short = CountRule(events=("install",), window_days=14, at_least=1)
    found = refusals(framework, "first", [talk, long, short, fine])
    assert set(found) == {counted(talk), counted(long)}
    assert counted(short) not in found
    assert found[counted(talk)].startswith(
        "milestones.first: talk would be counted in its window and in the window of"
    )


def _seen(columns: dict[str, Any], n: int = 400) -> Cohort:
    """A state at one close, with some counts beside it."""
    as_of = pd.Timestamp("2024-04-01")
    frame = pd.DataFrame(
        {"account": np.arange(n), "as_of": as_of, "quarter": "2024Q1", "fold": 0, "score": 1.0}
    )
    frame = frame.assign(
        status="reached", alive=True, at_risk=True, retained=True, retained_known_from=as_of, **columns
    )
    milestone = Milestone.model_validate(
        {"kind": "state", "rule": {"events": ["use"], "window_days": 30, "at_least": 1}}
    )
    return Cohort("use", milestone, frame, LabelClock(Quarters(), {"retained": pd.Timedelta(0)}))


def test_an_account_gives_one_date_drawn_at_random() -> None:
    seen = _seen({"carried:own": 1.0})
    later = seen.frame.assign(as_of=pd.Timestamp("2024-07-01"), quarter="2024Q2")
    both = replace(seen, frame=pd.concat([seen.frame, later], ignore_index=True))
    drawn = drawn_rows(both, ["carried:own"], pd.Timestamp("2030-01-01"), np.random.default_rng(0))
    assert len(drawn.rows) == 400
    assert 150 < (drawn.rows["quarter"] == "2024Q1").sum() < 250
    assert drawn.excluded == {"another date of the same account was drawn": 400}


def test_counts_that_are_each_known_of_most_take_few_accounts_together() -> None:
    rng = np.random.default_rng(0)
    # Each is known of 96 of 100 accounts, all eight together of 72: the rule for one count at a time let them all in.
    names = [f"carried:{i}" for i in range(8)]
    columns = {name: np.where(rng.random(400) < 0.04, np.nan, 1.0) for name in names}
    seen = _seen({"carried:own": 1.0, **columns})
    drawn = drawn_rows(seen, ["carried:own", *names], pd.Timestamp("2030-01-01"), rng)
    assert len(drawn.rows) >= 360
    assert 0 < len(drawn.left_out) < 8
    assert "carried:own" in drawn.rows
    assert not set(drawn.left_out) & set(drawn.rows)
    assert all(0.9 < share < 1 for share in drawn.left_out.values())
    assert drawn.excluded == {"another count is not known": 400 - len(drawn.rows)}
