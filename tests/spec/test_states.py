"""States drawn as tables: the value in force before a date, what becomes of bad rows, and which features they make."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from features.catalogue import catalogue_of
from features.doubts import doubts
from features.errors import DataError
from features.faults import explain
from features.intake import open_log
from features.specs import Aggregation, FeatureSpec, StateTest
from features.states import States, never_held
from features.windows import EVER, last
from tests.spec.drawn import NOW, draw, feature

ACCOUNTS = """
account_id | signed_up_at | industry | plan
a          | 2024-01-01   | shop     | free
b          | 2024-01-01   | bank     | pro
"""
EVENTS = """
account_id | event | occurred_at
a          | login | 2024-01-01
b          | login | 2024-12-31T23:00
"""
STATES = """
account_id | attribute | value | valid_from | valid_to
a          | sso       | on    | 2024-02-01 | -
a          | sso       | off   | 2024-04-01 | -
a          | macros    | 2     | 2024-02-01 | 2024-03-01
b          | macros    | many  | 2024-02-01 | -
b          | sso       | -     | 2024-02-01 | -
"""


def spec(attribute: str, equals: Any = None) -> FeatureSpec:
    return FeatureSpec("x", "x", Aggregation.STATE, EVER, attribute=attribute, equals=equals)


@pytest.mark.parametrize(
    ("account", "attribute", "equals", "as_of", "expected"),
    [
        ("a", "sso", "on", "2024-02-01", 0),  # a change at the date itself belongs to the future
        ("a", "sso", "on", "2024-02-02", 1),
        ("a", "sso", "ON ", "2024-02-02", 1),
        ("a", "sso", True, "2024-02-02", 0),  # true is said by yes, t, 1 and true alone
        ("a", "sso", "on", "2024-04-01", 1),
        ("a", "sso", "on", "2024-04-02", 0),
        ("a", "sso", "off", "2024-04-02", 1),
        ("a", "macros", None, "2024-02-01", math.nan),
        ("a", "macros", None, "2024-02-02", 2),
        ("a", "macros", 2, "2024-02-02", 1),
        ("a", "macros", None, "2024-03-01", 2),  # it ends at the very date: gone from there on
        ("a", "macros", None, "2024-03-02", math.nan),
        ("a", "macros", 2, "2024-03-02", 0),
        ("b", "macros", None, "2024-03-02", math.nan),  # no number
        ("b", "sso", "on", "2024-03-02", 0),  # a row without a value says that there is none
    ],
)
def test_the_state_in_force(
    tmp_path: Path, account: str, attribute: str, equals: Any, as_of: str, expected: float
) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES})
    found = feature(log, data, spec(attribute, equals), as_of)[(account, as_of)]
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_a_leap_day_is_a_day(tmp_path: Path) -> None:
    states = """
    account_id | attribute | value | valid_from | valid_to
    a          | sso       | on    | 2024-02-29 | 2024-02-29T12:00
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": states})
    found = feature(log, data, spec("sso", "on"), "2024-02-29", "2024-03-01")
    assert (found[("a", "2024-02-29")], found[("a", "2024-03-01")]) == (0, 0)
    events = EVENTS + "a | login | 2024-02-29T09:00\na | login | 2024-03-01T09:00"
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events})
    count = FeatureSpec("x", "x", Aggregation.COUNT, last(30))
    found = feature(log, data, count, "2024-02-29", "2024-03-01", "2024-03-30", "2024-03-31")
    # [01-30, 02-29), [01-31, 03-01), [02-29, 03-30), [03-01, 03-31)
    assert [found[("a", day)] for day in ("2024-02-29", "2024-03-01", "2024-03-30", "2024-03-31")] == [
        0,
        1,
        2,
        1,
    ]


def test_of_two_states_from_the_same_instant_the_longer_one_stands(tmp_path: Path) -> None:
    states = """
    account_id | attribute | value | valid_from | valid_to
    a          | sso       | on    | 2024-02-01 | -
    a          | sso       | off   | 2024-02-01 | 2024-02-01
    b          | sso       | off   | 2024-02-01 | 2024-06-01
    b          | sso       | on    | 2024-02-01 | 2024-08-01
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": states})
    assert feature(log, data, spec("sso", "on"), "2024-03-01") == {
        ("a", "2024-03-01"): 1,
        ("b", "2024-03-01"): 1,
    }


def test_bad_states_are_set_aside(tmp_path: Path) -> None:
    states = """
    account_id | attribute | value | valid_from | valid_to
    zoe        | sso       | on    | 2024-02-01 | -
    a          | -         | on    | 2024-02-01 | -
    a          | sso       | on    | -          | -
    a          | sso       | on    | 2024-02-02 | 2024-02-01
    a          | plan      | free  | 2024-02-01 | -
    a          | plan      | pro   | 2024-02-01 | -
    a          | plan      | pro   | 2024-02-01 | -
    b          | plan      | pro   | 2024-02-01 | -
    b          | plan      | pro   | 2024-02-01 | -
    """
    log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": states})
    assert log.quarantined["states"] == {
        "another value from the same time on": 3,
        "ends before it starts": 1,
        "no attribute": 1,
        "start missing or unreadable": 1,
        "unknown account": 1,
    }
    assert log.read["states"] == 9
    assert log.states is not None
    assert len(log.states) == 2


def test_states_of_accounts_left_out_by_rule_are_counted(tmp_path: Path) -> None:
    rules = [{"column": "plan", "equals": "free", "reason": "trial"}]
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES}
    log, _ = draw(tmp_path, tables, exclusions=rules)
    assert log.excluded["states"] == {"its account is left out by rule": 3}
    assert (
        "states: 5 rows read, 2 used, 3 left out by rule (its account is left out by rule: 3)" in log.books()
    )


def test_a_template_makes_a_number_or_a_flag_for_each_of_the_commonest_values(tmp_path: Path) -> None:
    rows = [f"a | tier | t{i} | 2024-02-{i + 1:02d} | -" for i in range(7)] + [
        "b | tier | t6 | 2024-02-01 | -"
    ]
    numbers = ["a | macros | 2 | 2024-02-01 | -", "b | macros | 7.5 | 2024-02-01 | -"]
    head = "account_id | attribute | value | valid_from | valid_to"
    states = "\n".join([head, *rows, *numbers, "b | macros | - | 2024-03-01 | -"])
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "states": states}
    log, data = draw(tmp_path, tables, features={"states": ["tier", "macros"]})
    made = {
        s.name: (s.attribute, s.equals, s.unit) for s in catalogue_of(log, data) if s.category == "states"
    }
    assert made == {
        "state_tier_t6": ("tier", "t6", "0 or 1"),
        "state_tier_t0": ("tier", "t0", "0 or 1"),
        "state_tier_t1": ("tier", "t1", "0 or 1"),
        "state_tier_t2": ("tier", "t2", "0 or 1"),
        "state_tier_t3": ("tier", "t3", "0 or 1"),
        "state_macros": ("macros", None, "value"),
    }


def test_names_that_differ_by_their_marks_alone_stay_apart(tmp_path: Path) -> None:
    states = """
    account_id | attribute | value | valid_from
    a          | a b       | 3     | 2024-02-01
    a          | a         | b     | 2024-02-01
    a          | A         | b     | 2024-02-01
    """
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "states": states}
    log, data = draw(tmp_path, tables, features={"states": ["a b", "a", "A"]})
    found = [s.name for s in catalogue_of(log, data) if s.category == "states"]
    assert found == ["state_a_b", "state_a_b_2", "state_a_b_3"]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"aggregation": "state"}, "say which attribute of the states table"),
        ({"aggregation": "state", "attribute": "sso", "window_days": 30}, "leave out the window"),
        ({"aggregation": "state", "attribute": "sso", "events": ["login"]}, "leave out 'events'"),
        ({"aggregation": "state", "attribute": "sso", "category": "one"}, "leave out the category"),
        ({"aggregation": "state", "attribute": "sso", "per": "seat"}, "only a count can be a rate"),
        ({"aggregation": "state", "attribute": "sso", "trend": True}, "a trend compares counts"),
        ({"aggregation": "count", "attribute": "sso"}, "belong to the aggregation 'state', and only there"),
        ({"aggregation": "seats", "equals": "on"}, "belong to the aggregation 'state', and only there"),
    ],
)
def test_a_state_without_meaning_is_refused_in_words(
    tmp_path: Path, extra: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        draw(
            tmp_path,
            {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES},
            events={"categories": {"one": ["login"]}},
            features={"extras": [{"name": "x", **extra}]},
        )
    assert words in explain(refused.value)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (
            {"states": ["ssso"]},
            r"data.features.states: the states have no attribute 'ssso' \(did you mean 'sso'\?\); there are macros, sso",
        ),
        (
            {"extras": [{"name": "x", "aggregation": "state", "attribute": "makros"}]},
            r"data.features.extras: 'x': the states have no attribute 'makros' \(did you mean 'macros'\?\)",
        ),
        (
            {"extras": [{"name": "x", "aggregation": "state", "attribute": "industry", "equals": "shop"}]},
            "'x': 'industry' is a column of the accounts table and has no dates.*data.fixed_at_signup",
        ),
        (
            {"extras": [{"name": "x", "aggregation": "state", "attribute": "sso"}]},
            "data.features.extras: 'x': the values of 'sso' are texts, .* as in equals: 'off'; there are 'off', 'on'$",
        ),
    ],
)
def test_an_attribute_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, features: dict[str, Any], words: str
) -> None:
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES}
    log, data = draw(tmp_path, tables, features=features)
    with pytest.raises(DataError, match=words):
        catalogue_of(log, data)
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS}, features={"states": ["sso"]})
    with pytest.raises(DataError, match="'sso' is asked for, and there is no table of states"):
        catalogue_of(log, data)


def test_a_text_fixed_at_signup_needs_a_value_to_be_asked_for(tmp_path: Path) -> None:
    extra = {"name": "x", "aggregation": "state", "attribute": "industry"}
    accounts = ACCOUNTS + "".join(f"c{i} | 2024-01-01 | kind {i} | pro\n" for i in range(6))
    log, data = draw(
        tmp_path,
        {"accounts": accounts, "events": EVENTS},
        fixed_at_signup=["industry"],
        features={"extras": [extra]},
    )
    with pytest.raises(DataError, match=r"equals: 'bank'; there are 'bank', 'kind 0', .*'kind 3' and 3 more"):
        catalogue_of(log, data)


def test_one_number_among_texts_is_enough_for_a_number_and_nothing_at_all_is_no_text(tmp_path: Path) -> None:
    extras = [{"name": name, "aggregation": "state", "attribute": name} for name in ("macros", "unset")]
    states = STATES + "a | unset | - | 2024-02-01 | -\n"
    log, data = draw(
        tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": states}, features={"extras": extras}
    )
    assert {"macros", "unset"} <= {spec.name for spec in catalogue_of(log, data)}


@pytest.mark.parametrize(
    ("attribute", "equals", "said"),
    [
        ("sso", "On ", ""),
        ("sso", True, "no row has 'sso' equal to True: check the spelling; there are 'off', 'on'"),
        ("sso", "onn", "no row has 'sso' equal to 'onn': check the spelling; there are 'off', 'on'"),
        ("macros", 2.0, ""),
        ("macros", 3, "no row has 'macros' equal to 3: check the spelling; there are '2', 'many'"),
    ],
)
def test_a_value_that_no_row_has_is_named(tmp_path: Path, attribute: str, equals: Any, said: str) -> None:
    extra = {"name": "x", "aggregation": "state", "attribute": attribute, "equals": equals}
    log, data = draw(
        tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES}, features={"extras": [extra]}
    )
    expected = [f"data.features.extras: 'x': {said}"] if said else []
    assert [line for line in doubts(log, data) if "check the spelling" in line] == expected


def test_a_number_that_no_row_reaches_is_named(tmp_path: Path) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES})
    tests = [StateTest("macros", at_least=n) for n in (2, 2.5)]
    assert never_held(States.of(log, data), tests, "here") == [
        "here: no row has 'macros' of at least 2.5: ask for less; there are '2', 'many'"
    ]
    with pytest.raises(DataError, match=r"here: the values of 'sso' are texts, .* as in equals: 'off'"):
        never_held(States.of(log, data), [StateTest("sso", at_least=1)], "here")


def test_what_signup_fixed_is_a_state_from_signup_on(tmp_path: Path) -> None:
    tables = {"accounts": ACCOUNTS, "events": EVENTS}
    extra = {"name": "shop", "aggregation": "state", "attribute": "industry", "equals": "shop"}
    log, data = draw(tmp_path, tables, fixed_at_signup=["industry"], features={"extras": [extra]})
    (asked,) = [s for s in catalogue_of(log, data) if s.name == "shop"]
    assert feature(log, data, asked, "2024-01-02") == {("a", "2024-01-02"): 1, ("b", "2024-01-02"): 0}


def test_an_attribute_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="each attribute once"):
        draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS}, features={"states": ["sso", "sso"]})


def test_an_empty_table_of_states_says_that_nothing_was_set(tmp_path: Path) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "states": STATES})
    pd.read_parquet(tmp_path / "states.parquet").head(0).to_parquet(tmp_path / "states.parquet")
    log = open_log(data, tmp_path, now=NOW)
    assert log.states is not None
    assert log.states.empty
