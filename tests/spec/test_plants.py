"""Changing everything at and after an as-of date moves no feature, and one that looks there is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features import observations
from features.attributes import Holding, Level, State
from features.catalogue import catalogue_of
from features.plants import movements
from features.specs import Aggregation, FeatureSpec, Group, Per, StateTest
from features.subset import subset
from features.windows import EVER, Grid, following, last
from tests.spec.drawn import draw

ACCOUNTS = "account_id | signed_up_at\na | 2024-01-01\nb | 2024-01-01T12:00\nc | 2024-02-01"
EVENTS = """
account_id | event | occurred_at         | user_id
a          | login | 2024-01-01          | u1
b          | login | 2024-03-31T23:59:59 | u2
b          | send  | 2024-04-01          | u2
c          | send  | 2024-04-01T00:00:01 | u3
a          | login | 2024-06-30          | u1
"""
SPELLS = """
account_id | started_at | ended_at   | seats | plan
a          | 2024-01-01 | 2024-04-01 | 2     | basic
a          | 2024-04-01 | -          | 5     | pro
b          | 2024-01-02 | 2024-05-01 | 3     | basic
"""
STATES = """
account_id | attribute | value | valid_from | valid_to
a          | sso       | on    | 2024-01-02 | -
b          | sso       | on    | 2024-01-02 | 2024-04-01
c          | macros    | 3     | 2024-04-01 | -
"""
CLOSE = Grid("calendar", (19_814,))  # 2024-04-01
SPECS = (
    FeatureSpec("count", "", Aggregation.COUNT, last(30)),
    FeatureSpec("sends", "", Aggregation.COUNT, last(30), events=("send",)),
    FeatureSpec("since", "", Aggregation.DAYS_SINCE, EVER),
    FeatureSpec("users", "", Aggregation.DISTINCT_USERS, EVER),
    FeatureSpec("groups", "", Aggregation.GROUPS, last(30), groups=(Group(("send",)), Group(("call",)))),
    FeatureSpec("seats", "", Aggregation.SEATS, EVER),
    FeatureSpec("grown", "", Aggregation.SEATS, last(30)),
    FeatureSpec("sso", "", Aggregation.STATE, EVER, attribute="sso", equals="on"),
    FeatureSpec("macros", "", Aggregation.STATE, EVER, attribute="macros"),
    FeatureSpec("per_seat", "", Aggregation.COUNT, last(30), per=Per.SEAT),
)

TESTING = (
    FeatureSpec("on", "", Aggregation.GROUPS, last(30), groups=(Group((), states=(StateTest("sso", "on"),)),)),
    FeatureSpec("four", "", Aggregation.GROUPS, EVER, groups=(Group((), states=(StateTest("macros", at_least=4),)),)),
)  # fmt: skip


def tables(spells: str | None) -> dict[str, str]:
    return {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES} | (
        {"subscriptions": spells} if spells else {}
    )


@pytest.mark.parametrize(
    "spells", [SPELLS, "account_id | started_at | seats\nb | 2024-01-02 | 3\nc | 2024-05-02 | 1", None]
)
@pytest.mark.parametrize("grid", [CLOSE, Grid("tenure", (90,)), Grid("calendar", (19_724,))])
def test_nothing_moves_where_windows_end_before_the_date(
    tmp_path: Path, spells: str | None, grid: Grid
) -> None:
    log, data = draw(tmp_path, tables(spells))
    assert movements(log, data, (*SPECS, *TESTING), grid) == []


def test_a_window_that_looks_ahead_moves(tmp_path: Path) -> None:
    log, data = draw(tmp_path, tables(SPELLS))
    ahead = FeatureSpec("ahead", "", Aggregation.COUNT, following(1), events=("send",))
    found = movements(log, data, (*SPECS, ahead), CLOSE)
    # b and c send on that day: without it they do not. Planted, everybody does, a too.
    assert [(m.feature, m.change, m.n_moved, m.n) for m in found] == [
        ("ahead", "removed", 2, 3),
        ("ahead", "planted", 3, 3),
    ]


def test_seats_and_plan_of_the_date_itself_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, data = draw(tmp_path, tables(SPELLS))
    at = Level.at
    monkeypatch.setattr(
        Level, "at", lambda self, who, time, *, inclusive: at(self, who, time, inclusive=True)
    )
    found = {(m.feature, m.change): m.n_moved for m in movements(log, data, SPECS, CLOSE)}
    # Of a, 5 seats begin and 2 end at the date; planted, a thousand begin for everybody, and b's three end.
    assert found == {
        ("seats", "removed"): 1,
        ("grown", "removed"): 1,
        ("seats", "planted"): 3,
        ("grown", "planted"): 2,
    }


def test_a_state_of_the_date_itself_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, data = draw(tmp_path, tables(SPELLS))
    instant = np.timedelta64(1, "us")
    at = State.at
    monkeypatch.setattr(State, "at", lambda self, who, time: at(self, who, time + instant))
    found = {(m.feature, m.change): m.n_moved for m in movements(log, data, SPECS, CLOSE)}
    # b's sso ends at the date and c's macros begin; planted, everybody has another value of both.
    assert found == {
        ("sso", "removed"): 1,
        ("macros", "removed"): 1,
        ("sso", "planted"): 1,
        ("macros", "planted"): 1,
    }


def test_a_test_of_a_state_that_takes_in_its_date_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, data = draw(tmp_path, tables(SPELLS))
    instant = np.timedelta64(1, "us")
    within = Holding.within
    monkeypatch.setattr(
        Holding, "within", lambda self, who, time, window: within(self, who, time + instant, window)
    )
    found = {(m.feature, m.change): m.n_moved for m in movements(log, data, TESTING, CLOSE)}
    # Planted is what the tests ask for: c has no sso yet, and nobody has four macros.
    assert found == {("on", "planted"): 1, ("four", "planted"): 3}


def test_a_subset_has_the_attributes_of_the_whole(tmp_path: Path) -> None:
    log, data = draw(tmp_path, tables(SPELLS), features={"states": ["sso", "macros"]})
    few = subset(log, np.array([1]))  # b has no macros
    specs = catalogue_of(log, data)
    frame = observations.observe(few, data, observations.Question(specs, CLOSE))
    assert frame["state_macros"].isna().all()
    assert frame["state_sso_on"].tolist() == [1.0]


@pytest.mark.usefixtures("engine")
def test_a_subset_is_the_log_of_some_accounts(tmp_path: Path) -> None:
    log, data = draw(tmp_path, tables(SPELLS))
    for copied in (False, True):
        few = subset(log, np.array([1, 2]), copied=copied)
        assert few.accounts["account_id"].tolist() == ["b", "c"]
        assert few.subscriptions is not None
        assert few.subscriptions[["account", "seats"]].to_numpy().tolist() == [[0, 3]]
        whole = asked(log, data)
        assert asked(few, data) == {k - 1: v for k, v in whole.items() if k > 0}


def asked(log: Any, data: Any) -> dict[int, list[float]]:
    frame = observations.observe(log, data, observations.Question(SPECS[:5], CLOSE))
    return {int(row[0]): list(row[1:]) for row in frame[["account", *(s.name for s in SPECS[:5])]].to_numpy()}
