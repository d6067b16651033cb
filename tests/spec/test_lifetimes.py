"""Lifetimes, drawn: when accounts begin, reach and leave, in days from signup; and who is looked at again later."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.adjustment import confounding
from models.cohorts import LATER, Cohort, build_cohorts
from models.comparison import Comparison
from models.framework import Framework
from models.lifetimes import Lifetimes, days_to_reach, lifetimes_of
from tests.spec.drawn import draw

ACCOUNTS = """
account_id | signed_up_at
A          | 2024-01-01
B          | 2024-01-01
C          | 2024-01-01
D          | 2024-01-01
E          | 2024-01-01
F          | 2024-01-01
G          | 2024-01-01
"""
# A stays. B leaves on day 20 and comes back. C is on trial for ten days, then leaves on day 100. D never buys. E leaves
# between the landmark, day 30, and the one 90 days later. F was a customer before, and comes back on day 5. G buys a year
# on day 50.
SPELLS = """
account_id | started_at | ended_at   | trial | term_months
A          | 2024-01-01 | -          | false | 1
B          | 2024-01-01 | 2024-01-21 | false | 1
B          | 2024-02-20 | -          | false | 12
C          | 2024-01-01 | 2024-01-11 | true  | 1
C          | 2024-01-11 | 2024-04-10 | false | 1
D          | 2024-01-01 | 2024-01-11 | true  | 1
E          | 2024-01-01 | 2024-03-01 | false | 1
F          | 2023-05-01 | 2023-11-01 | false | 1
F          | 2024-01-06 | 2024-01-26 | false | 1
G          | 2024-01-01 | 2024-02-20 | false | 1
G          | 2024-02-20 | -          | false | 12
"""
EVENTS = """
account_id | event | occurred_at
A          | other | 2024-01-01
A          | use   | 2024-01-03 12:00
A          | use   | 2024-01-10
B          | use   | 2024-01-05
B          | use   | 2024-03-05
C          | use   | 2024-01-04
C          | use   | 2024-01-25
D          | use   | 2024-01-02
E          | use   | 2024-02-15
E          | other | 2025-06-01
"""
RULE = {"events": ["use"], "window_days": 30, "at_least": 1}


def drawn(folder: Path, **changes: Any) -> tuple[Framework, Any]:
    declared = {"outcomes": {"kind": "subscription_end", "horizon_days": 180}, **changes}
    log, data = draw(folder, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": SPELLS}, **declared)
    content = {"m": {"kind": "once", "rule": RULE, "primary_outcome": "retained"}}
    framework = {"schema": 1, "name": "x", "version": 1, "data": data, "milestones": content}
    return Framework.model_validate(framework), log


def test_accounts_are_followed_through_their_first_life_as_customers(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path)
    milestone = framework.milestones["m"]
    by_one, by_two = (days_to_reach(framework.data, log, milestone, cut) for cut in (1, 2))
    assert by_one.to_dict() == {0: 2.5, 1: 4.0, 2: 3.0, 3: 1.0}  # E used it after the window
    assert by_two.to_dict() == {0: 9.0, 2: 24.0}
    rows = pd.DataFrame({"account": range(7), "quarter": "2024Q1"})
    seen = lifetimes_of(rows, by_one, log, framework.data, 120)
    assert seen.begins.tolist() == [0.0, 0.0, 10.0, 0.0, 5.0, 0.0]  # D never bought
    assert seen.ends.tolist() == [np.inf, 20.0, 100.0, 60.0, 25.0, np.inf]
    assert seen.reached.tolist() == [2.5, 4.0, 3.0, np.inf, np.inf, np.inf]
    assert seen.until.tolist() == [np.inf, 50.0, np.inf, np.inf, np.inf, 50.0]


def test_a_comparison_knows_them_and_the_later_landmark(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path)
    cohort = build_cohorts(framework, log).by_name["m"]
    assert cohort.later is not None
    assert list(cohort.later) == LATER
    seen = Comparison.of(cohort, framework, log, log.data_through)
    assert isinstance(seen.lifetimes, Lifetimes)
    assert seen.lifetimes.follow_up_days == 30 + framework.data.outcomes.horizon_days
    assert len(seen.lifetimes.ends) == 6  # whoever left before the landmark as well
    assert seen.at_landmark is not None
    assert seen.later_landmark is not None
    # On day 30 A, C, E and G are there, B is not yet back; on day 120 A and G, who cannot leave within 180 days.
    assert seen.at_landmark["account"].tolist() == [0, 2, 4, 6]
    assert seen.at_landmark["outcome"].tolist() == [True, False, False, True]
    assert seen.later_landmark[["account", "reached", "outcome"]].to_numpy().tolist() == [[0, True, True]]
    # As known the day before the last account of the quarter could be judged from the later landmark, of nobody.
    quarter_end, horizon = pd.Timestamp("2024-04-01"), framework.data.outcomes.horizon_days
    matures = quarter_end + pd.Timedelta(days=90 + horizon)
    for known_at, n in ((matures, 4), (matures - pd.Timedelta(days=1), 0)):
        found = Comparison.of(cohort, framework, log, known_at).at_landmark
        assert found is not None
        assert len(found) == n


def test_of_a_silent_outcome_there_is_no_effect_over_time(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path, outcomes={"kind": "silent", "horizon_days": 30})
    cohort = build_cohorts(framework, log).by_name["m"]
    seen = Comparison.of(cohort, framework, log, log.data_through)
    assert seen.lifetimes == "only silence says who left, and nobody reaches anything in silence"


def test_a_cohort_that_was_not_looked_at_again_has_no_later_landmark(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path)
    cohort = build_cohorts(framework, log).by_name["m"]
    alone = Cohort(cohort.name, cohort.milestone, cohort.frame, cohort.clock)
    seen = Comparison.of(alone, framework, log, log.data_through)
    assert seen.at_landmark is None
    assert "later_landmark" not in confounding(seen, np.random.default_rng(0)).effects


def test_who_has_left_has_no_plan_to_tell_whether_they_could_use_it(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path)
    cohort = build_cohorts(framework, log).by_name["m"]
    status = cohort.frame["status"].mask(~cohort.frame["alive"], "not_eligible")
    seen = Comparison.of(
        replace(cohort, frame=cohort.frame.assign(status=status)), framework, log, log.data_through
    )
    assert isinstance(seen.lifetimes, str)
    assert seen.lifetimes.startswith("of who left it is not known whether they could use it")


def test_a_log_too_young_for_any_landmark_compares_nothing(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path)
    cohort = build_cohorts(framework, log).by_name["m"]
    assert cohort.later is not None
    young = replace(cohort, frame=cohort.frame[:0], later=cohort.later[:0])
    seen = Comparison.of(young, framework, log, log.data_through)
    assert confounding(seen, np.random.default_rng(0)).effects == {}
    early = Comparison.of(cohort, framework, log, pd.Timestamp("2024-02-01"))
    assert early.at_landmark is not None
    assert len(early.at_landmark) == 0
