"""The verdict table cell by cell, the two questions, and the sentences."""

import math
from itertools import product
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
import pytest

from models.estimates import risk_difference
from reports.budget import (
    Changed,
    Interval,
    Predicts,
    accounts_to_decide,
    changed,
    critical_value,
    difference,
    looks_a_year,
    power_to_see_total_loss,
    powered,
    predicts,
    shifted,
    smallest_detectable,
)
from reports.verdicts import RULES, Evidence, Verdict, reasons_to_watch, sentence, verdict
from tests.unit import sample_review

CAUSES: tuple[Literal["mix", "decay"] | None, ...] = ("mix", "decay", None)
CUTS: tuple[Literal["inside", "outside", "outside_twice", "unknown"], ...] = (
    "inside",
    "outside",
    "outside_twice",
    "unknown",
)
BOTH = (True, False)
ALL = [
    Evidence(*cell) for cell in product(get_args(Predicts), get_args(Changed), CAUSES, CUTS, BOTH, BOTH, BOTH)
]

GOOD = Evidence("yes", "not_shown", None, "inside", better_cut_supported=False, no_twice=False, powered=True)

# The table of the contract, drawn (too little data is the verdict only where nothing was called): what is known -> verdict. "*" is any value. Read from the top.
#  predicts   changed      cause    cut              better   no_twice  powered
DRAWN = """
   unknown    *            *        *                *        *         *        insufficient_data
   unclear    not_shown    *        outside_twice    True     *         *        re-tune
   unclear    unknown      *        outside_twice    True     *         *        re-tune
   unclear    not_shown    *        *                *        *         False    insufficient_data
   unclear    unknown      *        *                *        *         False    insufficient_data
   no         *            *        *                False    True      *        retire
   *          shown        decay    *                True     *         *        re-tune
   *          shown        None     *                True     *         *        re-tune
   *          *            *        outside_twice    True     *         *        re-tune
   unclear    *            *        *                *        *         *        watch
   no         *            *        *                *        *         *        watch
   yes        shown        *        *                *        *         *        watch
   yes        unknown      *        *                *        *         *        watch
   yes        not_shown    *        outside          *        *         *        watch
   yes        not_shown    *        outside_twice    False    *         *        watch
   yes        not_shown    *        unknown          *        *         *        watch
   yes        not_shown    *        inside           *        *         *        hold
"""


def drawn(evidence: Evidence) -> str:
    """The verdict that the drawn table gives, by comparing words."""
    told = [str(getattr(evidence, name)) for name in Evidence.__dataclass_fields__]
    for line in DRAWN.strip().splitlines():
        *cells, expected = line.split()
        if all(cell in ("*", value) for cell, value in zip(cells, told, strict=True)):
            return expected
    raise AssertionError(f"the drawn table has no line for {evidence}")


def test_every_cell_of_the_table_gives_the_drawn_verdict() -> None:
    assert len(ALL) == 4 * 3 * 3 * 4 * 2 * 2 * 2
    wrong = [(e, drawn(e), verdict(e)) for e in ALL if drawn(e) != verdict(e).value]
    assert wrong == []


def test_every_verdict_occurs_and_every_rule_is_needed() -> None:
    assert {verdict(e) for e in ALL} == set(Verdict)
    assert [word for word, _ in RULES] == list(dict.fromkeys(word for word, _ in RULES))
    assert {word for word, _ in RULES} == set(Verdict)


def test_the_words_of_the_file_are_exactly_five() -> None:
    assert [v.value for v in Verdict] == ["hold", "watch", "re-tune", "retire", "insufficient_data"]


def test_reasons_to_watch_are_empty_exactly_where_nothing_stands_against_hold() -> None:
    for evidence in ALL:
        calm = (evidence.predicts, evidence.changed, evidence.cut) == ("yes", "not_shown", "inside")
        assert (reasons_to_watch(evidence) == ()) is calm


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict.HOLD),
        ({"predicts": "no"}, Verdict.WATCH),  # once is not twice
        ({"predicts": "no", "no_twice": True}, Verdict.RETIRE),
        ({"predicts": "no", "no_twice": True, "better_cut_supported": True}, Verdict.WATCH),
        ({"changed": "shown", "cause": "decay"}, Verdict.WATCH),
        ({"changed": "shown", "cause": "decay", "better_cut_supported": True}, Verdict.RE_TUNE),
        ({"changed": "shown", "cause": "mix", "better_cut_supported": True}, Verdict.WATCH),
        ({"cut": "outside", "better_cut_supported": True}, Verdict.WATCH),
        ({"cut": "outside_twice", "better_cut_supported": True}, Verdict.RE_TUNE),
        ({"cut": "outside_twice"}, Verdict.WATCH),
        ({"powered": False, "predicts": "unclear"}, Verdict.INSUFFICIENT_DATA),
        ({"powered": False, "predicts": "unclear", "changed": "shown"}, Verdict.WATCH),  # a call is an answer
        ({"powered": False, "predicts": "no", "no_twice": True}, Verdict.RETIRE),
        (
            {
                "powered": False,
                "predicts": "unclear",
                "cut": "outside_twice",
                "better_cut_supported": True,
            },
            Verdict.RE_TUNE,
        ),
    ],
)
def test_one_step_away_from_good_health(changes: dict[str, object], expected: Verdict) -> None:
    told = {name: getattr(GOOD, name) for name in Evidence.__dataclass_fields__}
    assert verdict(Evidence(**(told | changes))) == expected


def test_a_word_that_is_not_in_the_list_cannot_be_evidence() -> None:
    with pytest.raises(ValueError, match=r"predicts 'perhaps' is none of yes, no, unclear, unknown"):
        Evidence("perhaps", "shown", None, "inside", False, False, True)  # type: ignore[arg-type]


# Does it still predict?


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.10, 0.0303, "yes"),  # 0.10 - 1.645 * 0.0303 = 0.0502; two-sided, 1.96 errors, it would be 0.0406
        (0.10, 0.0305, "unclear"),
        (0.05, 0.0100, "unclear"),
        (0.00, 0.0305, "unclear"),
        (0.00, 0.0303, "no"),
        (float("nan"), 0.01, "unknown"),
    ],
)
def test_predicts_holds_the_effect_against_the_minimum_with_certainty(
    value: float, error: float, expected: str
) -> None:
    assert predicts(around(value, error), 0.05) == expected


def test_predicts_is_wrong_in_one_of_twenty_at_the_minimum_itself() -> None:
    rng = np.random.default_rng(0)
    said = [predicts(around(value, 0.02), 0.05) for value in rng.normal(0.05, 0.02, 4000)]
    assert said.count("yes") / 4000 == pytest.approx(0.05, abs=0.012)
    assert said.count("no") / 4000 == pytest.approx(0.05, abs=0.012)


def test_predicts_is_unknown_without_an_estimate_or_a_minimum() -> None:
    assert predicts(None, 0.05) == "unknown"
    assert predicts(Interval(0.1, 0.05, 0.15), None) == "unknown"


# Has it changed?


def around(value: float, error: float) -> Interval:
    """An estimate with this standard error and its 95 % interval."""
    return Interval(value, value - 1.959964 * error, value + 1.959964 * error)


def test_the_bar_spends_five_per_cent_over_a_year_and_rises_with_the_looks() -> None:
    assert critical_value(1) == pytest.approx(1.95996, abs=1e-4)
    assert looks_a_year(4) == 16
    assert critical_value(looks_a_year(4)) == pytest.approx(2.9478, abs=1e-3)
    with pytest.raises(ValueError, match="below 1"):
        critical_value(0)


def test_the_worked_example_is_shown_for_four_milestones() -> None:
    recent, baseline = Interval(0.02, -0.04, 0.08), Interval(0.15, 0.11, 0.19)
    between = difference(recent, baseline, 16)
    assert between.value == pytest.approx(-0.13)
    assert between.upper == pytest.approx(-0.13 + 2.9478 * np.hypot(0.12, 0.08) / (2 * 1.959964), abs=1e-4)
    assert changed(recent, baseline, 16) == "shown"
    assert changed(Interval(0.06, 0.0, 0.12), baseline, 16) == "not_shown"
    assert changed(None, baseline, 16) == "unknown"
    assert changed(recent, None, 16) == "unknown"


def test_a_difference_of_two_standard_errors_is_shown_for_one_look_and_not_for_sixteen() -> None:
    recent, baseline = around(0.05, 0.03), around(0.15, 0.03)  # 2.36 standard errors apart
    assert changed(recent, baseline, 1) == "shown"
    assert changed(recent, baseline, 16) == "not_shown"


def test_an_interval_of_another_level_says_the_same() -> None:
    baseline = around(0.15, 0.02)
    wide = Interval(0.02, 0.02 - 2.575829 * 0.03, 0.02 + 2.575829 * 0.03)
    wide_baseline = Interval(0.15, 0.15 - 2.575829 * 0.02, 0.15 + 2.575829 * 0.02)
    plain = difference(around(0.02, 0.03), baseline, 16)
    assert difference(wide, wide_baseline, 16, level=0.99).upper == pytest.approx(plain.upper, abs=1e-5)


def test_false_alarms_stay_inside_the_budget_over_a_year_of_stationary_reviews() -> None:
    rng = np.random.default_rng(7)
    years, looks, alarms = 4000, looks_a_year(4), 0
    for _ in range(years):
        baselines = np.repeat(rng.normal(0.15, 0.02, 4), 4)  # a milestone keeps its baseline all year
        recents = rng.normal(0.15, 0.03, looks)
        shown = [
            changed(around(r, 0.03), around(b, 0.02), looks) == "shown"
            for r, b in zip(recents, baselines, strict=True)
        ]
        alarms += any(shown)
    assert alarms / years <= 0.055
    assert alarms / years >= 0.03  # a bar that never rings would pass the first line as well


@pytest.mark.parametrize("stay", [0.75, 0.85])
def test_false_alarms_stay_inside_the_budget_where_few_reach_and_nearly_all_of_them_stay(stay: float) -> None:
    # The interval of a rate of few that is near 1 is long downwards and short upwards, where chance puts it.
    rng = np.random.default_rng(5)
    expected, looks, n, years = Interval(0.0, 0.0, 0.0), looks_a_year(1), 800, 2000
    alarms = 0
    for _ in range(years):
        recent = risk_difference(rng.random(n) < 0.03, rng.random(n) < stay)
        alarms += changed(recent, expected, looks) == "shown"
    assert alarms / years <= 0.02  # of 1.3 %; as if the two sides were alike it is 3.7 %


def test_of_an_interval_the_side_counts_that_faces_the_other() -> None:
    recent, baseline, z = Interval(0.0, -0.06, 0.03), Interval(0.15, 0.11, 0.25), NormalDist().inv_cdf(0.975)
    bar = critical_value(16)
    between = difference(recent, baseline, 16)
    assert between.value - between.lower == pytest.approx(bar * math.hypot(0.06, 0.10) / z)
    assert between.upper - between.value == pytest.approx(bar * math.hypot(0.03, 0.04) / z)
    both = shifted(baseline, recent)
    assert both.value - both.lower == pytest.approx(math.hypot(0.06, 0.04))
    assert both.upper - both.value == pytest.approx(math.hypot(0.03, 0.10))
    assert smallest_detectable(recent, baseline, 16) == pytest.approx(bar * math.hypot(0.03, 0.04) / z)
    needed = 200 * (0.03 / z) ** 2 / ((0.15 / bar) ** 2 - (0.04 / z) ** 2)
    assert accounts_to_decide(recent, baseline, 200, 16) == math.ceil(needed)
    by_minimum = NormalDist().cdf(0.04 / (0.03 / z) - NormalDist().inv_cdf(0.95))
    assert power_to_see_total_loss(recent, None, 16, 0.04) == pytest.approx(by_minimum)
    assert powered(0.5)


def test_power_is_the_share_of_simulated_losses_that_are_called() -> None:
    rng = np.random.default_rng(3)
    baseline = around(0.10, 0.02)
    recents = rng.normal(0.0, 0.03, 4000)
    called = np.mean([changed(around(r, 0.03), around(0.10 + e, 0.02), 16) == "shown"
                      for r, e in zip(recents, rng.normal(0, 0.02, 4000), strict=True)])  # fmt: skip
    assert power_to_see_total_loss(around(0.0, 0.03), baseline, 16) == pytest.approx(float(called), abs=0.03)


def test_power_counts_the_minimum_effect_as_a_way_to_call_a_loss() -> None:
    recent = around(0.0, 0.02)
    by_minimum = power_to_see_total_loss(recent, None, 16, 0.05)
    assert by_minimum == pytest.approx(0.8037, abs=1e-3)  # P(estimate + 1.645 errors < 0.05)
    assert powered(by_minimum)
    assert not powered(power_to_see_total_loss(recent, None, 16, 0.03))
    assert power_to_see_total_loss(None, recent, 16, 0.05) == 0.0
    assert power_to_see_total_loss(recent, None, 16) == 0.0


def test_the_smallest_detectable_change_is_where_the_power_is_one_half() -> None:
    recent, baseline = around(0.0, 0.03), around(0.10, 0.02)
    smallest = smallest_detectable(recent, baseline, 16)
    assert smallest is not None
    assert power_to_see_total_loss(recent, around(smallest, 0.02), 16) == pytest.approx(0.5, abs=1e-4)
    surer = smallest_detectable(recent, baseline, 16, power=0.8)
    assert surer is not None
    assert surer > smallest
    assert smallest_detectable(recent, None, 16) is None


def test_the_accounts_that_would_decide_bring_the_power_to_one_half() -> None:
    baseline, n = around(0.15, 0.03), 200
    needed = accounts_to_decide(around(0.0, 0.06), baseline, n, 16)
    assert needed == 427
    then = around(0.0, 0.06 * (n / needed) ** 0.5)
    assert power_to_see_total_loss(then, baseline, 16) == pytest.approx(0.5, abs=0.01)
    assert (
        accounts_to_decide(around(0.0, 0.06), around(0.15, 0.08), n, 16) is None
    )  # the baseline is too loose


# The sentences.


def test_a_hold_says_what_it_rests_on() -> None:
    assert sample_review.milestone("Activation", "hold")["sentence"] == (
        "Still predicts utilization within the next 180 days: +11.9 points (8.1 to 15.7) "
        "in 2023Q3 and 2023Q4, n = 2,310 accounts; +13.0 points were expected at adoption. "
        "No change is shown, and the cut of 5 is inside the plateau (4 to 7)."
    )


def test_a_watch_names_every_reason_that_was_recorded() -> None:
    said = sample_review.rich()["milestones"][0]["sentence"]
    assert said.startswith(
        "Whether it still predicts is unclear, its effect has changed with the mix of customers, "
        "and the cut is outside the plateau: +7.1 points (3.2 to 11.0)"
    )


@pytest.mark.parametrize(
    ("now", "then", "word"), [(0.3, 0.2, "grown"), (0.1, 0.2, "fallen"), (0.1, None, "changed")]
)
def test_a_change_says_which_way(now: float, then: float | None, word: str) -> None:
    record = {
        "verdict": "watch",
        "evidence": {"predicts": "yes", "changed": "shown", "cut": "inside"},
        "recent": {"value": now, "lower": now - 0.05, "upper": now + 0.05},
        "baseline": None if then is None else {"value": then, "lower": then - 0.05, "upper": then + 0.05},
    }
    assert sentence(record).startswith(f"Its effect has {word}: +{100 * now:.1f} points")


def test_a_re_tune_names_the_other_cut_and_the_reason() -> None:
    made = sample_review.rich()["milestones"][2]
    assert made["sentence"].startswith("Its effect has changed: +4.1 points")
    assert made["sentence"].endswith("A cut of 4 is supported out of sample.")
    steady = made | {"evidence": {"predicts": "yes", "changed": "not_shown", "cut": "outside_twice"}}
    assert sentence(steady).startswith("Its cut is outside the plateau for the second review running")


def test_a_change_says_what_other_customers_alone_would_have_moved() -> None:
    shown = {"predicts": "yes", "changed": "shown", "cause": "mix", "cut": "inside"}
    mix = {"value": -0.072, "lower": -0.1, "upper": -0.044, "dimensions": ["plan"]}
    words = "Other customers alone would have moved it by -7.2 points (-10.0 to -4.4)."
    for word in ("watch", "re-tune"):
        milestone = sample_review.milestone("activation", word) | {"mix": mix, "evidence": shown}
        assert words.replace("-", chr(0x2212)) in sentence(milestone)
        quiet = milestone | {"evidence": shown | {"changed": "not_shown", "cause": None}}
        assert "Other customers" not in sentence(quiet)
        assert "Other customers" not in sentence(milestone | {"mix": None})


def test_a_retirement_says_twice_and_how_little_is_left() -> None:
    assert sample_review.rich()["milestones"][3]["sentence"] == (
        "In two reviews running its effect was below 4.0 points: now +0.2 points (−1.9 to 2.3) "
        "in 2023Q3 and 2023Q4, n = 1,640 accounts. No other cut says clearly more."
    )


def test_insufficient_data_says_what_would_decide() -> None:
    told = {
        "verdict": "insufficient_data",
        "recent": {"value": 0.05, "lower": -0.1, "upper": 0.2, "n_accounts": 96},
        "minimum_effect": 0.04,
        "smallest_detectable": 0.21,
        "accounts_to_decide": 640,
        "next_matures": "2024-11-14",
    }
    assert sentence(told) == (
        "Too little is mature to judge it: even a total loss would more likely be missed than seen. "
        "The smallest change that had an even chance of being seen is 21.0 points. "
        "About 640 accounts would decide. The next cohort matures on 14 Nov 2024."
    )
    assert "No cohort has matured" in sentence({"verdict": "insufficient_data"})
    rare = {"verdict": "insufficient_data", "recent": None, "realised": {"value": 0.02}}
    assert "oo few accounts had the rarer outcome to judge it: at least 30 are needed" in sentence(rare)
    assert "No minimum effect is defined" in sentence(told | {"minimum_effect": None})


@pytest.mark.parametrize("word", [*Verdict, None, "nonsense"])
def test_a_sentence_copes_with_nothing_but_the_verdict(word: str | None) -> None:
    said = sentence({"verdict": word})
    assert said
    assert "None" not in said
    assert "nan" not in said
