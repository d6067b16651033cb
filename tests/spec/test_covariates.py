"""Covariates are of the moment at which a milestone's window begins: nothing later is among them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.log import Log
from features.observations import Question, observe
from features.windows import Grid, day_number
from models.cohorts import build_cohorts
from models.comparison import Comparison
from models.covariates import at_begin, prior_use, prior_use_specs, seats_at_begin
from models.framework import Framework
from models.milestones import Milestone
from tests.spec.drawn import draw

ACCOUNTS = """
account_id | signed_up_at     | industry
A          | 2024-01-01 09:00 | retail
B          | 2024-01-10 12:00 | health
"""
# A buys 3 seats at signup, 10 on the very day the window of 2024-05-01 begins, 50 within it, and changes its plan.
SPELLS = """
account_id | started_at       | ended_at         | seats | plan | mrr
A          | 2024-01-01 09:00 | 2024-04-01 00:00 | 3     | free | 0
A          | 2024-04-01 00:00 | 2024-04-10 00:00 | 10    | pro  | 90
A          | 2024-04-10 00:00 | -                | 50    | max  | 900
B          | 2024-04-15 00:00 | -                | 2     | pro  | 20
"""
EVENTS = """
account_id | event | occurred_at
A          | use   | 2024-01-01 10:00
A          | other | 2024-01-05
A          | use   | 2024-03-01
A          | use   | 2024-03-31 23:59
A          | other | 2024-03-15
A          | use   | 2024-04-01
A          | use   | 2024-04-20
A          | use   | 2024-05-01
B          | use   | 2024-01-12
B          | other | 2024-07-30
"""
STATE = {"kind": "state", "rule": {"events": ["use"], "window_days": 30, "at_least": 1}}
ONCE = {"kind": "once", "rule": {"events": ["use"], "window_days": 30, "at_least": 1}}
NAMES = ("seats", "plan", "mrr", "tenure", "industry")


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[Log, Any]:
    return draw(
        tmp_path,
        {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": SPELLS},
        fixed_at_signup=["industry"],
        adjust_for=list(NAMES),
    )


def rows(account: int, *as_of: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"account": account, "as_of": pd.to_datetime(list(as_of)).as_unit("us")}, index=[7, 9][: len(as_of)]
    )


def test_everything_is_as_it_was_when_the_window_began(drawn: tuple[Log, Any]) -> None:
    log, _ = drawn
    found = at_begin(rows(0, "2024-05-01", "2024-04-30"), log, 30, NAMES)
    assert found.index.tolist() == [7, 9]
    # What changes at the very beginning of the window is so when it begins; a day before it was not yet.
    assert found["seats"].tolist() == [10.0, 3.0]
    assert found["plan"].tolist() == ["pro", "free"]
    assert found["mrr"].tolist() == [90.0, 0.0]
    assert found["tenure"].tolist() == pytest.approx([90 + 15 / 24, 89 + 15 / 24])
    assert found["industry"].tolist() == ["retail", "retail"]


def test_of_a_milestone_reached_once_it_is_as_it_was_at_signup(drawn: tuple[Log, Any]) -> None:
    log, _ = drawn
    found = at_begin(rows(0, "2024-01-31 09:00"), log, 30, NAMES)
    assert (found["seats"].item(), found["plan"].item(), found["tenure"].item()) == (3.0, "free", 0.0)


def test_what_was_not_known_yet_is_missing(drawn: tuple[Log, Any]) -> None:
    log, _ = drawn
    found = at_begin(rows(1, "2024-05-01"), log, 30, NAMES)
    assert found[["seats", "plan", "mrr"]].isna().to_numpy().all()
    assert found["industry"].tolist() == ["health"]
    ended = log.subscriptions.assign(ended_at=pd.Timestamp("2024-03-01"))  # type: ignore[union-attr]
    gone = at_begin(rows(0, "2024-05-01"), with_spells(log, ended), 30, ("seats", "plan"))
    assert gone.isna().to_numpy().all()
    assert np.isnan(seats_at_begin(rows(0, "2024-05-01"), with_spells(log, None), 30)).all()


def test_what_only_signup_fixed_is_taken_from_the_accounts(drawn: tuple[Log, Any]) -> None:
    log, _ = drawn
    at_signup = replace(log, subscriptions=None, accounts=log.accounts.assign(seats=[4, 6]))
    assert at_begin(rows(1, "2024-05-01"), at_signup, 30, ["seats"])["seats"].tolist() == [6]


def with_spells(log: Log, spells: pd.DataFrame | None) -> Log:
    return replace(log, subscriptions=spells)


def looked_up(log: Log, data: Any, milestone: dict[str, Any], grid: Grid) -> pd.DataFrame:
    specs = prior_use_specs("m", Milestone.model_validate(milestone))
    frame = observe(log, data, Question(specs, grid))
    found = prior_use(frame, "m")
    assert found is not None
    return found.set_index(frame["account"])


def test_prior_use_of_a_state_is_its_own_events_before_its_window(drawn: tuple[Log, Any]) -> None:
    log, data = drawn
    found = looked_up(log, data, STATE, Grid("calendar", (day_number(pd.Timestamp("2024-05-01")),)))
    # Of [2024-03-02, 2024-04-01) only the use of 03-31; the last event before 05-01 is of 04-20.
    assert found.loc[[0]].to_numpy().tolist() == [[11.0, 1.0]]


def test_prior_use_of_a_milestone_reached_once_is_everything_else_in_its_window(
    drawn: tuple[Log, Any],
) -> None:
    log, data = drawn
    found = looked_up(log, data, ONCE, Grid("tenure", (30,)))
    assert found["volume"].to_dict() == {0: 1.0, 1: 0.0}
    assert found["recency"].to_dict() == pytest.approx({0: 26 + 9 / 24, 1: 28.5}, abs=1)


def test_steps_without_an_event_of_their_own_leave_all_events() -> None:
    steps = [{"state": "sso", "equals": "on"}, {"state": "macros", "equals": "on"}]
    rule = {"steps": steps, "window_days": 30, "at_least": 1}
    for kind, columns in (("once", ["recency", "all"]), ("state", ["recency", "before"])):
        specs = prior_use_specs("m", Milestone.model_validate({"kind": kind, "rule": rule}))
        assert [spec.name for spec in specs] == [f"carried:prior:m:{column}" for column in columns]
        assert specs[1].events is None


def test_a_cohort_carries_them_into_a_comparison(drawn: tuple[Log, Any]) -> None:
    log, data = drawn
    content = {"schema": 1, "name": "x", "version": 1, "data": data, "milestones": {"m": STATE, "n": STATE}}
    framework = Framework.model_validate(content)
    specs = {"m": prior_use_specs("m", framework.milestones["m"])}
    cohort = build_cohorts(framework, log, specs).by_name["m"]
    at = Comparison.of(cohort, framework, log, log.data_through, cut=1)
    assert at.prior is not None
    assert list(at.adjust_for) == list(NAMES)
    assert at.naive is None
    assert len(at.rows) == len(at.seats) == len(at.prior) == len(at.adjust_for)
    assert (at.rows["score"] == 1).any()
    assert at.rows["reached"].tolist() == (at.rows["score"] >= 1).tolist()
    other = build_cohorts(framework, log).by_name["n"]
    assert Comparison.of(other, framework, log, log.data_through).prior is None
    nobody_yet = Comparison.of(cohort, framework, log, log.data_from)
    assert len(nobody_yet.rows) == len(nobody_yet.seats) == 0
