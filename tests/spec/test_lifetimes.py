"""Lifetimes, drawn: when accounts begin, reach and leave, in days from signup; and who is looked at again later."""

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
"""
# A stays. B leaves on day 20 and comes back. C is on trial for ten days, then leaves on day 100. D never buys. E leaves
# between the landmark, day 30, and the one 90 days later.
SPELLS = """
account_id | started_at | ended_at   | trial
A          | 2024-01-01 | -          | false
B          | 2024-01-01 | 2024-01-21 | false
B          | 2024-02-20 | -          | false
C          | 2024-01-01 | 2024-01-11 | true
C          | 2024-01-11 | 2024-04-10 | false
D          | 2024-01-01 | 2024-01-11 | true
E          | 2024-01-01 | 2024-03-01 | false
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
    rows = pd.DataFrame({"account": range(5), "quarter": "2024Q1"})
    seen = lifetimes_of(rows, by_one, log, framework.data, 120)
    assert seen.begins.tolist() == [0.0, 0.0, 10.0, 0.0]  # A, B, C, E: D never bought
    assert seen.ends.tolist() == [np.inf, 20.0, 100.0, 60.0]
    assert seen.reached.tolist() == [2.5, 4.0, 3.0, np.inf]


def test_a_comparison_knows_them_and_the_later_landmark(tmp_path: Path) -> None:
    framework, log = drawn(tmp_path)
    cohort = build_cohorts(framework, log).by_name["m"]
    assert cohort.later is not None
    assert list(cohort.later) == LATER
    seen = Comparison.of(cohort, framework, log, log.data_through)
    assert isinstance(seen.lifetimes, Lifetimes)
    assert seen.lifetimes.follow_up_days == 30 + framework.data.outcomes.horizon_days
    assert seen.at_landmark is not None
    assert seen.later_landmark is not None
    # On day 30 A, C and E are there, B is not yet back; on day 120 of these A alone.
    assert seen.at_landmark["account"].tolist() == [0, 2, 4]
    assert seen.at_landmark["outcome"].tolist() == [True, False, False]
    assert seen.later_landmark[["account", "reached", "outcome"]].to_numpy().tolist() == [[0, True, True]]
    # As known the day before the last account of the quarter could be judged from the later landmark, of nobody.
    quarter_end, horizon = pd.Timestamp("2024-04-01"), framework.data.outcomes.horizon_days
    matures = quarter_end + pd.Timedelta(days=90 + horizon)
    for known_at, n in ((matures, 3), (matures - pd.Timedelta(days=1), 0)):
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
