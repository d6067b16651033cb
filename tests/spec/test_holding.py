"""Tests of states within a window, drawn as tables: in force at some instant of it, on every engine."""

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.attributes import Holding
from features.errors import DataError
from features.observations import Question, observe
from features.specs import Aggregation, FeatureSpec, Group, StateTest
from features.windows import EVER, Grid, Window, last
from tests.spec.drawn import draw, feature, table
from tests.spec.test_engine import (
    START,
    assert_equal_to_reference,
    assert_same_features,
    changed_from,
    random_log,
    random_tables,
    reopened,
)

ACCOUNTS = """
account_id | signed_up_at | industry
a          | 2024-01-01   | shop
b          | 2024-01-01   | bank
"""
EVENTS = """
account_id | event | occurred_at
a          | login | 2024-01-01
a          | login | 2024-03-15
b          | login | 2024-12-31T23:00
"""
STATES = """
account_id | attribute | value | valid_from | valid_to
a          | sso       | on    | 2024-02-01 | -
a          | sso       | off   | 2024-03-01 | -
a          | macros    | 5     | 2024-02-01 | 2024-04-01
a          | macros    | 2     | 2024-03-01 | 2024-03-10
b          | macros    | many  | 2024-02-01 | -
b          | sso       | -     | 2024-02-01 | -
"""
ON = StateTest("sso", equals="on")
FIVE = StateTest("macros", at_least=5)
MONTH = last(30)


def spec(*groups: Group, window: Window = MONTH) -> FeatureSpec:
    return FeatureSpec("x", "x", Aggregation.GROUPS, window, groups=groups)


def passes(*tests: StateTest, window: Window = MONTH) -> FeatureSpec:
    return spec(Group((), states=tests), window=window)


@pytest.mark.parametrize(
    ("test", "window", "as_of", "expected"),
    [
        (ON, last(30), "2024-02-01", 0),  # a change at the date itself belongs to the future
        (ON, last(30), "2024-02-02", 1),
        (ON, last(30), "2024-03-31", 0),  # [03-01, 03-31): at its first instant it is off already
        (ON, last(31), "2024-03-31", 1),  # [02-29, 03-31)
        (ON, EVER, "2024-12-01", 1),
        (StateTest("sso", equals="off"), last(30), "2024-03-01", 0),
        (StateTest("sso", equals="OFF "), last(1), "2024-12-01", 1),  # set long before, and in force still
        (StateTest("sso", equals=True), EVER, "2024-12-01", 0),  # true is said by yes, t, 1 and true alone
        (FIVE, last(30), "2024-03-31", 0),  # superseded by 2, and not back once that is over
        (FIVE, last(31), "2024-03-31", 1),
        (StateTest("macros", at_least=2), last(21), "2024-03-31", 0),  # [03-10, 03-31): over at its first instant
        (StateTest("macros", at_least=2), last(22), "2024-03-31", 1),
        (StateTest("macros", equals=2), last(22), "2024-03-31", 1),
        (StateTest("macros", at_least=5.5), EVER, "2024-12-01", 0),
    ],
)  # fmt: skip
def test_in_force_at_some_instant_of_the_window(
    tmp_path: Path, test: StateTest, window: Window, as_of: str, expected: float
) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES})
    found = feature(log, data, passes(test, window=window), as_of)
    assert found == {
        ("a", as_of): expected,
        ("b", as_of): 0,
    }  # no value and no number are no answer to a test


def test_of_two_from_the_same_instant_the_longer_one_was_in_force(tmp_path: Path) -> None:
    states = """
    account_id | attribute | value | valid_from | valid_to
    a          | sso       | on    | 2024-02-01 | 2024-02-20
    a          | sso       | off   | 2024-02-01 | -
    b          | sso       | on    | 2024-02-01 | 2024-02-01
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": states})
    assert set(feature(log, data, passes(ON, window=EVER), "2024-03-01").values()) == {0}


def test_on_the_tenure_axis_the_window_begins_with_the_second_of_signup(tmp_path: Path) -> None:
    accounts = "account_id | signed_up_at\n" + "\n".join(f"{name} | 2024-01-01T12:00" for name in "abcd")
    states = """
    account_id | attribute | value | valid_from       | valid_to
    a          | sso       | on    | 2023-12-01       | 2024-01-01T12:00
    b          | sso       | on    | 2023-12-01       | 2024-01-01T12:00:01
    c          | sso       | on    | 2024-01-31T11:59 | -
    d          | sso       | on    | 2024-01-31T12:00 | -
    """
    log, data = draw(tmp_path, {"accounts": accounts, "events": EVENTS, "states": states})
    found = feature(log, data, passes(ON), "30", origin="tenure")
    assert {name: value for (name, _), value in found.items()} == {"a": 0, "b": 1, "c": 1, "d": 0}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group(("login",), states=(ON,)), 1),
        (Group(("login",), 2, (ON,)), 0),  # one login within 60 days
        (Group(("login",), states=(ON, FIVE)), 1),
        (Group(("login",), states=(ON, StateTest("macros", at_least=6))), 0),
        (Group(("gone",), states=(ON,)), 0),
        (Group((), states=(ON, StateTest("sso", equals="off"))), 1),  # each at an instant of its own
    ],
)
def test_of_a_group_the_count_and_every_test_must_hold(tmp_path: Path, group: Group, expected: float) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES})
    found = feature(log, data, spec(group, Group(("login",), 9), window=last(60)), "2024-03-20")
    assert found[("a", "2024-03-20")] == expected


def test_one_and_true_are_two_tests_and_1_and_1_point_0_are_one(tmp_path: Path) -> None:
    states = "account_id | attribute | value | valid_from\na | flag | yes | 2024-02-01\nb | flag | 1.0 | 2024-02-01"
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": states})
    both = [StateTest("flag", equals=value) for value in (1, True)]
    found = feature(log, data, spec(*(Group((), states=(test,)) for test in both)), "2024-03-01")
    assert found == {("a", "2024-03-01"): 1, ("b", "2024-03-01"): 2}
    assert both[0].meaning != both[1].meaning
    assert StateTest("flag", equals=1.0).meaning == both[0].meaning
    assert StateTest("flag", equals="On").meaning == StateTest("flag", equals=" on").meaning


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (True, "true", True),
        (True, "T ", True),
        (True, "yes", True),
        (True, 1, True),
        (False, "no", True),
        (1, "1", True),
        (1.0, "1", True),
        (2, 2.0, True),
        ("On", "on ", True),
        (True, "on", False),
        (True, False, False),
        (True, "no", False),
        (1, 2, False),
        ("n", "no", False),  # north, and north-east in German: no source writes one for the other
    ],
)
def test_tests_meet_where_a_value_passes_both(one: Any, other: Any, meet: bool) -> None:
    tests = StateTest("bot", equals=one), StateTest("bot", equals=other)
    assert tests[0].meets(tests[1]) is tests[1].meets(tests[0]) is meet
    assert not tests[0].meets(StateTest("sso", equals=other))
    assert not tests[0].meets(StateTest("bot", at_least=1))


def test_what_signup_fixed_is_in_force_from_signup_on(tmp_path: Path) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS}, fixed_at_signup=["industry"])
    shop = passes(StateTest("industry", equals="Shop"))
    assert feature(log, data, shop, "2024-06-01") == {("a", "2024-06-01"): 1, ("b", "2024-06-01"): 0}


def test_an_attribute_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES})
    with pytest.raises(
        DataError, match=r"no attribute 'ssso' \(did you mean 'sso'\?\); there are macros, sso"
    ):
        feature(log, data, passes(StateTest("ssso", equals="on")), "2024-06-01")


@pytest.mark.parametrize("log_begins", ["2024-01-01", "2024-03-20"])
def test_states_are_no_matter_of_when_the_events_began(tmp_path: Path, log_begins: str) -> None:
    events = f"account_id | event | occurred_at\na | login | {log_begins}\nb | login | 2024-12-31T23:00"
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events, "states": STATES})
    day = "2024-04-01"
    assert feature(log, data, passes(ON, window=last(60)), day)[("a", day)] == 1
    mixed = feature(log, data, spec(Group((), states=(ON,)), Group(("login",)), window=last(60)), day)
    assert (mixed[("a", day)] == 1) if log_begins == "2024-01-01" else math.isnan(mixed[("a", day)])


@pytest.mark.parametrize(
    ("rows", "expected", "of_state"),
    [
        ("sso | pro | - | -", (None, 0), (None, 0)),  # a is on free
        ("sso | - | 2024-04-01 | -", (None, None), (None, None)),  # launched at the very date
        ("sso | - | - | 2024-02-01", (1, 0), (0, 0)),  # the window of 60 days begins on 02-01
        ("sso | - | - | 2024-02-02", (None, None), (0, 0)),
        ("sso | - | - | 2024-04-01", (None, None), (None, None)),
        ("sso | pro | - | 2024-02-02\nsso | free | - | -", (1, None), (0, 0)),
        ("apps | pro | - | -", (1, 0), (0, 0)),
    ],
)
def test_an_attribute_that_could_not_be_used_is_missing(
    tmp_path: Path, rows: str, expected: tuple[Any, Any], of_state: tuple[Any, Any]
) -> None:
    tables = {
        "accounts": ACCOUNTS,
        "events": EVENTS,
        "states": STATES + "a | apps | 1 | 2024-02-01 | -\n",
        "subscriptions": "account_id | started_at | plan\na | 2024-01-01 | free\nb | 2024-01-01 | pro",
        "eligibility": f"feature | plan | launched_at | tracked_from\n{rows}",
    }
    log, data = draw(tmp_path, tables)
    assert not log.quarantined.get("eligibility")
    state = FeatureSpec("x", "x", Aggregation.STATE, EVER, attribute="sso", equals="on")
    for asked, wanted in ((passes(ON, window=last(60)), expected), (state, of_state)):
        found = feature(log, data, asked, "2024-04-01")
        values = [found[(name, "2024-04-01")] for name in ("a", "b")]
        assert tuple(None if math.isnan(value) else value for value in values) == wanted


def test_a_group_of_which_one_part_could_not_be_used_is_not_counted(tmp_path: Path) -> None:
    # Of login nothing was seen before 03-25, which says nothing of a group that nobody could reach.
    tables = {
        "accounts": ACCOUNTS,
        "events": EVENTS,
        "states": STATES,
        "eligibility": "feature | launched_at | tracked_from\nsso | 2024-08-01 | -\nlogin | - | 2024-03-25",
    }
    log, data = draw(tmp_path, tables)
    groups = (Group(("login",), states=(ON,)), Group((), states=(FIVE,)))
    found = feature(log, data, spec(*groups, window=last(60)), "2024-04-01")
    assert found == {("a", "2024-04-01"): 1, ("b", "2024-04-01"): 0}
    alone = feature(log, data, spec(groups[0], window=last(60)), "2024-04-01")
    assert all(math.isnan(value) for value in alone.values())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"state": ""}, "name an attribute"),
        ({"state": "sso"}, "either equals, a value, or at_least, a number"),
        ({"state": "sso", "equals": "on", "at_least": 3}, "give one of the two"),
    ],
)
def test_a_test_without_meaning_cannot_be_built(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StateTest(**given)
    with pytest.raises(ValueError, match="name some"):
        Group(())


def test_nobody_holds_what_no_row_has() -> None:
    rows = table("account | value | valid_from | valid_to\n0 | on | 2024-02-01 | -").head(0)
    rows = rows.astype({"valid_from": "datetime64[us]", "valid_to": "datetime64[us]"})
    nobody = Holding.of(rows, ON)
    time = np.array(["2024-03-01"], dtype="datetime64[us]")
    assert not nobody.within(np.array([0]), time, last(30)).any()


# --- as the slow reference has it, on every engine ---

TESTS = (
    StateTest("sso", equals="On"),
    StateTest("sso", equals="off"),
    StateTest("macros", equals="2"),
    StateTest("macros", at_least=2),
)
GROUPS = (
    *(Group((), states=(test,)) for test in TESTS),
    Group(("send",), 2, (TESTS[0],)),
    Group(("send", "read"), states=TESTS[1:]),
    Group(("read",), 3),
)
ELIGIBILITY = """
feature | plan  | launched_at | tracked_from
sso     | pro   | 2023-12-15  | 2023-12-20
macros  | -     | -           | 2024-01-05
send    | basic | 2023-12-10  | -
"""


def asked() -> tuple[FeatureSpec, ...]:
    windows = {"7": last(7), "30": last(30), "100": last(100), "ever": EVER, "before": Window(-60, -30)}
    one_by_one = [
        FeatureSpec(f"group_{i}_{name}", "x", Aggregation.GROUPS, window, groups=(group,))
        for i, group in enumerate(GROUPS)
        for name, window in windows.items()
    ]
    together = [
        FeatureSpec(f"all_{name}", "x", Aggregation.GROUPS, window, groups=GROUPS)
        for name, window in windows.items()
    ]
    flag = FeatureSpec("flag", "x", Aggregation.STATE, EVER, attribute="sso", equals="on")
    return (*one_by_one, *together, flag)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("seed", "eligibility"), [(11, None), (12, ELIGIBILITY)])
@pytest.mark.parametrize("origin", ["calendar", "tenure"])
def test_tests_of_states_are_those_of_the_reference(
    tmp_path: Path, seed: int, eligibility: str | None, origin: str
) -> None:
    log, data = random_log(tmp_path, seed, eligibility=eligibility)
    days = (START - datetime(1970, 1, 1)).days
    grid = Grid("calendar", (days + 40, days + 90, days + 200))
    if origin == "tenure":
        grid = Grid("tenure", (30, 60, 97))
    assert_equal_to_reference(log, data, asked(), grid)


@pytest.mark.usefixtures("quick_engine")
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_no_change_at_or_after_the_date_and_no_order_of_rows_moves_a_test(tmp_path: Path, seed: int) -> None:
    log, data = random_log(tmp_path, seed, n_accounts=6, n_events=200, eligibility=ELIGIBILITY)
    as_of = pd.Timestamp(START + timedelta(days=100))
    grid = Grid("calendar", (int(as_of.timestamp() // 86_400),))
    before = observe(log, data, Question(asked(), grid))
    shuffled = {
        name: frame.sample(frac=1, random_state=seed) for name, frame in random_tables(seed, 6, 200).items()
    }
    for tables in (changed_from(random_tables(seed, 6, 200), as_of, seed), shuffled):
        tables["eligibility"] = table(ELIGIBILITY)
        if tables is shuffled:  # of accounts the order is that of their codes
            tables["accounts"] = random_tables(seed, 6, 200)["accounts"]
        after = observe(*reopened(tmp_path, data, tables), Question(asked(), grid))
        assert_same_features(before, after, asked())
