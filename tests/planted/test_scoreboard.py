"""The scoreboard measures what it says: its arithmetic, that every bar holds, and that each fails without what it rests on."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import ibis
import numpy as np
import pytest

from features import observations
from features.declaration import Features
from features.errors import UsageError
from features.intake import open_log
from features.log import Log
from features.scan import scan
from models import importance
from models.cutpoints import Association
from models.finding import SweepResult
from models.finding import Verdict as SweepVerdict
from models.late_leaks import late_records
from models.leak_audit import CHECKS
from models.shape import Shape
from reports import edition, restatement, scoreboard
from reports.bars import audits, rankings, reviews, thresholds
from reports.bars.bar import Bar, Experiment, Score, Target, score
from reports.bars.catalogue import BARS, STATIONARY, SWEPT_NULL, SWEPT_STATIONARY, TABLE
from reports.bars.confounding import covers_one, naive_is_labelled
from reports.bars.reviews import History, Reviewed
from reports.budget import Interval
from reports.judgement import Judgement
from reports.scoreboard import Scoreboard
from reports.verdicts import Evidence, Verdict
from tests.unit.small_log import run

FEW = range(40, 44)


def bar(name: str) -> Bar:
    return next(one for one in BARS if one.name == name)


def trials(*seeds: Sequence[bool], target: Target = Target("at least", 0.5)) -> Score:  # noqa: B008
    """The score of a bar that was judged so, seed by seed."""
    return score(Bar(1, "any", "any", target, int, list), seeds)


# --- the arithmetic ---


@pytest.mark.parametrize(
    ("target", "lower", "upper", "outcome"),
    [
        (Target("at least", 0.9), 0.90, 0.99, "pass"),
        (Target("at least", 0.9), 0.89, 0.99, "undecided"),
        (Target("at least", 0.9), 0.70, 0.90, "undecided"),
        (Target("at least", 0.9), 0.70, 0.89, "fail"),
        (Target("at most", 0.05), 0.00, 0.05, "pass"),
        (Target("at most", 0.05), 0.00, 0.06, "undecided"),
        (Target("at most", 0.05), 0.05, 0.20, "undecided"),
        (Target("at most", 0.05), 0.06, 0.20, "fail"),
    ],
)
def test_the_whole_interval_decides(target: Target, lower: float, upper: float, outcome: str) -> None:
    assert target.judged(lower, upper) == outcome


def test_the_interval_is_wilsons() -> None:
    # 10 of 10: 10 / (10 + 1.96^2) = .722; 18 of 20: .699 to .972
    whole, most = trials(*[[True]] * 10).rate, trials(*[[True]] * 18, *[[False]] * 2).rate
    assert whole is not None
    assert most is not None
    assert [whole.lower, whole.upper] == pytest.approx([0.7225, 1], abs=1e-4)
    assert [most.lower, most.upper] == pytest.approx([0.6990, 0.9721], abs=1e-4)


def test_trials_of_one_seed_are_not_as_many_seeds() -> None:
    alike = trials(*[[True] * 8] * 15, *[[False] * 8] * 5).rate
    apart = trials(*[[True]] * 120, *[[False]] * 40).rate
    assert alike is not None
    assert apart is not None
    assert alike.value == apart.value == 0.75
    assert alike.upper - alike.lower > 2 * (apart.upper - apart.lower)


def run_bar(bar: Bar, seeds: range) -> Score:
    return score(bar, [bar.experiment(seed) for seed in seeds])


def test_no_trial_decides_nothing() -> None:
    assert trials([], []).outcome == "undecided"


# --- how one trial is judged ---


def noticed(changed: Sequence[int], n: int = 8, **of: Any) -> History:
    """So many reviews, a quarter each; some show a change, which is one of mix in the first half of them."""
    quarters = [f"{2023 + i // 4}Q{1 + i % 4}" for i in range(n)]
    made = [
        Evidence("yes", "shown" if i in changed else "not_shown", "mix" if 2 * i < n else "decay", "inside",
                 better_cut_supported=False, no_twice=False, powered=True)
        for i in range(n)
    ]  # fmt: skip
    reviewed = zip(quarters, made, strict=True)
    return History(tuple(Reviewed(q, q, one, Verdict.HOLD) for q, one in reviewed), **of)


@pytest.mark.parametrize(
    ("best", "cut", "found"),
    [("activation", 7.0, True), ("activation", 5.0, True), ("activation", 8.0, False), ("other", 6.0, False)],
)
def test_a_cut_is_found_at_most_one_beside_the_planted_one(best: str, cut: float, found: bool) -> None:
    result = SweepResult("threshold", 2000, {}, best=best, best_cut=cut)
    assert thresholds.found_within_one(6.0, result) == [found]


def test_a_curve_needs_a_plateau_of_more_than_one_cut() -> None:
    result = SweepResult("gradual", 2000, {}, plateau=(4.0, 9.0))
    assert thresholds.is_gradual_with_plateau(result) == [True]
    assert thresholds.is_gradual_with_plateau(replace(result, plateau=(4.0, 4.0))) == [False]
    assert thresholds.is_gradual_with_plateau(replace(result, verdict="threshold")) == [False]


def test_what_is_just_below_one_in_twenty_is_supported() -> None:
    result = SweepResult("threshold", 2000, {}, p_corrected=0.049)
    assert thresholds.significant(result) == [True]
    assert thresholds.significant(replace(result, p_corrected=0.05)) == [False]


def test_that_nothing_is_supported_is_not_enough_without_what_could_have_been_seen() -> None:
    nothing = SweepResult("none", 500, {})
    assert thresholds.says_what_could_be_seen(nothing) == [False]
    assert thresholds.says_what_could_be_seen(replace(nothing, smallest_detectable=0.2)) == [True]
    lacking = SweepResult("insufficient_data", 50, {})
    assert thresholds.says_what_could_be_seen(lacking) == [False]
    assert thresholds.says_what_could_be_seen(replace(lacking, lacking="accounts")) == [True]


@pytest.mark.parametrize(("changed", "within"), [([0], True), ([3], True), ([4], False), ([], False)])
def test_a_year_is_four_reviews(changed: list[int], within: bool) -> None:
    assert reviews.changed_within_a_year(noticed(changed)) == [within]


@pytest.mark.parametrize(
    ("changed", "in_time"), [([4], True), ([5, 6], True), ([6, 7], False), ([3], False), ([], False)]
)
def test_a_change_is_shown_in_time_in_the_first_two_quarters_in_which_it_is_true(
    changed: list[int], in_time: bool
) -> None:
    history = noticed(changed, changed_from="2024Q1")
    assert reviews.shown_by_the_second_quarter(history) == [in_time]


def test_only_a_change_that_is_shown_can_be_called_one_of_mix() -> None:
    assert reviews.called_mix(noticed([3, 4])) == [True, False]
    assert reviews.called_mix(noticed([])) == []


@pytest.mark.parametrize(
    ("lower", "upper", "alike"), [(-0.1, 0.1, True), (0.01, 0.1, False), (-0.2, -0.1, False)]
)
def test_more_than_was_expected_is_not_as_expected_either(lower: float, upper: float, alike: bool) -> None:
    gap = Interval((lower + upper) / 2, lower, upper)
    assert reviews.as_expected(noticed([], gap=gap)) == [alike]
    assert reviews.as_expected(noticed([])) == []


def test_a_replay_is_the_same_then_and_another_now() -> None:
    pairs = [(then, now) for then in (True, False) for now in (True, False)]
    assert [audits.replays(audits.Replay(*one)) for one in pairs] == [[False], [True], [False], [False]]
    made = audits.Restated(then=True, frozen=True, now=False, accounts=20, late=20, moved=("activation",))
    assert audits.same_as_then(made) == audits.says_what_moved(made) == [True]
    assert audits.same_as_then(replace(made, then=False)) == [False]
    assert audits.same_as_then(replace(made, frozen=False)) == [False]
    for other in (replace(made, now=True), replace(made, accounts=19), replace(made, moved=())):
        assert audits.says_what_moved(other) == [False]


def test_two_leaks_of_three_are_not_all() -> None:
    planted = sorted(audits.PLANTED)
    assert audits.all_found((*planted, "another")) == [True]
    assert audits.all_found((*planted[:2], "another")) == [False]


def test_time_must_flatter_and_the_fair_ratio_hold_one() -> None:
    def shown(naive: float, lower: float, upper: float) -> list[dict[str, Any]]:
        early = {"method": "naive", "population": "every sign-up", "value": naive}
        fair = {"method": "crude", "population": "alive at the landmark", "value": 0.1}
        ratio = {**fair, "measure": "risk_ratio", "lower": lower, "upper": upper}
        return [{**one, "measure": "risk_difference"} for one in (early, fair)] + [ratio]

    assert [naive_is_labelled(shown(value, 0.9, 1.1)) for value in (0.2, 0.05)] == [[True], [False]]
    ends = ((0.9, 1.1), (1.01, 1.1), (0.8, 0.99))
    assert [covers_one(shown(0.2, *one)) for one in ends] == [[True], [False], [False]]


def test_a_driver_leads_among_the_first_three_and_is_no_feature_of_a_few() -> None:
    names, classes = ("a", "b", rankings.DRIVER, "c"), {rankings.DRIVER: "representative"}
    assert rankings.driver_leads(rankings.Ranked(names, classes)) == [True]
    assert rankings.driver_leads(rankings.Ranked(("z", *names), classes)) == [False]
    assert rankings.driver_leads(rankings.Ranked(names, {rankings.DRIVER: "niche"})) == [False]


# --- the command ---


def few_bars(monkeypatch: pytest.MonkeyPatch, *, good: bool) -> None:
    """Two bars that cost nothing: one that is right on every seed or on none, one that gives no trial."""
    made = (
        Bar(1, "even", "seeds", Target("at least", 0.5), int, lambda seed: [good]),
        Bar(2, "odd", "seeds", Target("at most", 0.5), int, lambda seed: []),
    )
    monkeypatch.setattr(scoreboard, "BARS", made)


@pytest.mark.parametrize(("good", "code", "outcome"), [(True, 0, "pass"), (False, 1, "fail")])
def test_only_a_bar_that_fails_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, good: bool, code: int, outcome: str
) -> None:
    few_bars(monkeypatch, good=good)
    said = run("scoreboard", "--seeds", 8, "--start", 70, "--json", "--out", tmp_path / "board.json")
    assert said.code == code
    again = "milestones scoreboard --bars 1 --seeds 200 --start 78"
    assert (again in run("scoreboard", "--seeds", 8, "--start", 70).out) is (not good)
    found = json.loads(said.out)
    assert found == json.loads((tmp_path / "board.json").read_text())
    assert (found["first_seed"], found["n_seeds"]) == (70, 8)
    even, odd = found["bars"]
    assert (even["outcome"], even["n_trials"], even["target"]) == (outcome, 8, {"at_least": 0.5})
    assert (odd["outcome"], odd["rate"], odd["n_seeds"]) == ("undecided", None, 8)


def test_undecided_is_no_failure_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    few_bars(monkeypatch, good=False)
    said = run("scoreboard", "--seeds", 1, "--bars", "2,1", "--out", tmp_path / "board.md")
    assert said.code == 0
    page = (tmp_path / "board.md").read_text()
    assert "| 1 even | seeds | at least 50 % | 0.0 % | 0.0 to 79.3 % | 1 | undecided |" in page
    assert "| 2 odd | seeds | at most 50 % | - | - | 1 | undecided |" in page
    assert "0 pass, 0 fail, 2 undecided on 1 seed." in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bars", "1,12"), "--bars 1,12: '12' is no bar: name some of 1 to 11"),
        (("--bars", "step"), "'step' is no bar"),
        (("--out", "board.xls"), "--out board.xls: end it with .md"),
    ],
)
def test_what_has_no_meaning_is_refused_before_anything_runs(options: tuple[str, ...], words: str) -> None:
    said = run("scoreboard", *options)
    assert said.code == UsageError.exit_code
    assert words in said.words


def test_the_table_counts_verdicts_by_truth_and_size() -> None:
    board = Scoreboard(range(4), (), {("step", 500): Counter({"threshold": 3, "none": 1})}, 1.0)
    (row,) = scoreboard.table_rows(board)
    assert list(row) == ["truth", "n", *get_args(SweepVerdict)]
    assert (row["threshold"], row["none"], row["gradual"]) == ("75 %", "25 %", "-")
    assert scoreboard.as_dict(board)["verdicts"][0]["none"] == 1
    assert "| step | 500 | 75 % | - | 25 % | - | - |" in scoreboard.as_markdown(board)


def test_every_number_has_bars_and_lines_have_names_of_their_own() -> None:
    assert {one.number for one in BARS} == set(range(1, 12))
    assert len({one.name for one in BARS}) == len(BARS)
    assert set(TABLE) == {(truth, n) for truth in ("step", "smooth", "null") for n in (500, 2000, 20_000)}


# --- every bar holds ---


@cache
def seen(experiment: Experiment, seeds: range) -> tuple[Any, ...]:
    return tuple(map(experiment, seeds))


def cheap_seeds(one: Bar) -> range:
    """What takes seconds a company is looked at once or twice."""
    experiment: Any = one.experiment
    name, arguments = getattr(experiment, "func", experiment).__name__, getattr(experiment, "args", ())
    if name in ("alarms", "replayed", "reviewed_again") or 20_000 in arguments:
        return FEW[:1]
    return FEW[:1] if name == "ranked" else FEW[:3]


@pytest.mark.parametrize("one", BARS, ids=lambda one: one.name)
def test_a_bar_does_not_fail(one: Bar) -> None:
    found = score(one, seen(one.experiment, cheap_seeds(one)))
    assert found.outcome != "fail", found.rate
    assert found.rate is not None


@pytest.mark.parametrize(
    ("experiment", "n_reviews"), [(STATIONARY, 8), (SWEPT_STATIONARY, 9), (SWEPT_NULL, 9)]
)
def test_a_company_is_reviewed_every_quarter_after_it_adopted(experiment: Experiment, n_reviews: int) -> None:
    for history in seen(experiment, FEW[:3]):
        assert len(history.reviews) == n_reviews
        newest = [one.newest for one in history.reviews]
        assert newest == sorted(set(newest))


# --- and fails without what it rests on ---


def fails(name: str, seeds: range = FEW) -> bool:
    return run_bar(bar(name), seeds).outcome == "fail"


def test_a_cut_that_is_chosen_by_its_lift_is_not_the_planted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def best(self: Association) -> int:
        rate = self.good_reached / np.maximum(self.n_reached, 1)
        return int(np.argmax(np.where(self.allowed, rate, -np.inf)))

    monkeypatch.setattr(Association, "best", property(best))
    assert fails("common step", FEW[:2])
    assert fails("rare step", range(40, 50))


def test_noise_is_supported_without_the_permutation_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.sweep.permutation_maxima", lambda *a: np.zeros(a[-1]))
    for name in ("noise, n = 200", "noise, n = 1,000", "noise, n = 5,000"):
        assert fails(name, FEW[:1])
    assert fails("null, n = 500", FEW[:2])
    assert fails("null is none", FEW[:2])


def test_of_a_few_accounts_something_is_said_without_a_least_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.sweep.permutation_maxima", lambda *a: np.zeros(a[-1]))
    monkeypatch.setattr("models.effects.FEWEST_OF_A_CLASS", 1)
    assert fails("tiny")


def test_no_size_is_excluded_without_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.sweep._excluded_above", lambda *a: None)
    assert fails("null, n = 20,000", FEW[:1])


@pytest.mark.parametrize(
    ("shape", "wrong"), [("threshold", "smooth is gradual"), ("gradual", "step is a threshold")]
)
def test_a_shape_is_taken_for_another_without_its_test(
    monkeypatch: pytest.MonkeyPatch, shape: Any, wrong: str
) -> None:
    monkeypatch.setattr("models.sweep.step_or_smooth", lambda *a, **k: Shape(shape, 0.0, 0.0, 0.0))
    assert fails(wrong, FEW[:1])
    assert fails("smooth", FEW[:1]) is (shape == "threshold")


def test_time_is_an_effect_without_the_landmark(monkeypatch: pytest.MonkeyPatch) -> None:
    fair = Judgement.held_out
    monkeypatch.setattr(Judgement, "held_out", property(lambda self: self.naive()))
    assert fails("immortal time, fair", range(40, 48))
    monkeypatch.setattr(Judgement, "held_out", fair)
    monkeypatch.setattr(Judgement, "naive", lambda self: self.held_out)
    assert fails("immortal time, naive", FEW[:1])


def test_a_leak_is_missed_without_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "CHECKS", tuple(one for one in CHECKS if one is not late_records))
    assert fails("leaks", FEW[:1])


def test_an_engine_that_takes_in_its_cutoff_is_an_alarm_on_the_clean_twin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def inclusive(log: Log, *rest: Any) -> Any:
        later = log.events.occurred_at - ibis.interval(microseconds=1)
        return scan(replace(log, events=log.events.mutate(occurred_at=later)), *rest)

    monkeypatch.setattr(observations, "scan", inclusive)
    assert fails("clean twin", FEW[:1])


def test_a_backfill_moves_the_past_where_it_is_read_as_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "open_log", lambda data, folder, known_at=None: open_log(data, folder))
    assert fails("matrix as known then", FEW[:1])


def test_a_review_is_not_what_it_was_where_late_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edition, "open_log", lambda data, folder, known_at=None: open_log(data, folder))
    assert fails("review as known then", FEW[:1])


def test_nothing_moved_where_rows_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restatement, "_differing", lambda then, now: then.iloc[:0])
    assert fails("what moved", FEW[:1])


def test_everything_moved_where_what_matured_since_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restatement, "_reaching", lambda reviewer, *rest: reviewer)
    assert fails("what moved", FEW[:1])


def test_quiet_quarters_are_no_hold_without_an_error_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.budget.critical_value", lambda n_tests: 0.3)
    assert fails("stationary, HOLD")
    assert fails("swept, changed", FEW[:1])
    assert fails("swept null, changed", FEW[:1])
    monkeypatch.setattr(Judgement, "better_cut_supported", True)
    for name in ("stationary, RE-TUNE", "swept, RE-TUNE", "swept null, RE-TUNE"):
        assert fails(name, FEW[:1])


def test_a_decay_is_not_seen_where_everything_is_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.judgement.RECENT_QUARTERS", 40)
    assert fails("decay", FEW[:2])


def test_other_customers_are_a_decay_where_nobody_looks_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judgement, "mix", None)
    assert fails("mix shift", FEW[:2])
    monkeypatch.setattr(Judgement, "_cause", lambda *a: "mix")
    assert fails("decay is no mix", FEW[:2])


def test_too_little_data_is_judged_all_the_same_where_nobody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.judgement.enough", lambda rows: True)
    monkeypatch.setattr("reports.judgement.powered", lambda power: True)
    assert fails("too small", FEW[:2])


def test_what_was_chosen_disappoints_where_it_is_expected_to_do_what_it_did_when_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reviews, "EXPECTED", "best")
    assert fails("swept null, expected")


def test_size_explains_nothing_where_its_strata_are_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.adjustment.in_parts", lambda values, *rest: np.zeros(len(values), np.int64))
    assert fails("size, raw count", FEW[:2])


def test_size_explains_everything_where_nobody_looks_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.adjustment._explained", lambda *a: True)
    assert fails("size, per seat", FEW[:1])


@pytest.mark.parametrize("always", list(Verdict))
def test_a_review_that_always_says_one_thing_fails(monkeypatch: pytest.MonkeyPatch, always: Verdict) -> None:
    of_verdicts = (reviews.each_hold, reviews.ever_re_tune, reviews.each_insufficient)
    asked = [one for one in BARS if one.number == 8 and one.judge in of_verdicts]
    found = []
    for one in asked:
        histories = seen(one.experiment, cheap_seeds(one))
        said = [replace(h, reviews=tuple(replace(r, verdict=always) for r in h.reviews)) for h in histories]
        found.append(score(one, said).outcome)
    assert "fail" in found


@pytest.mark.parametrize("always", get_args(SweepVerdict))
def test_a_sweep_that_always_says_one_thing_fails(always: SweepVerdict) -> None:
    results = [SweepResult(always, 2000, {})] * 4
    assert "fail" in [score(one, results).outcome for one in BARS if one.number == 11]


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [({"ubiquitous_above": 1.0}, "ubiquitous"), ({"niche_below": 0.0}, "niche")],
)
def test_everybody_and_a_few_are_taken_for_the_rest_without_the_rule(
    monkeypatch: pytest.MonkeyPatch, rule: dict[str, float], wrong: str
) -> None:
    monkeypatch.setattr(rankings, "Features", lambda: Features(**rule))  # type: ignore[arg-type]
    monkeypatch.setattr(rankings, "permutation_importance", lambda *a: ())
    assert fails(wrong, FEW[:1])


def test_a_twin_pushes_the_driver_out_where_each_is_shuffled_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "NEAR_TWINS", 2.0)
    assert fails("twin")
