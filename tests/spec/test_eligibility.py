"""Who could use what, drawn as tables: "could not" and "cannot know" are missing, never zero."""

import math
from pathlib import Path

import pytest

from features.declaration import Data
from features.errors import DataError
from features.log import Log
from features.specs import Aggregation, FeatureSpec, Group, Per
from features.windows import EVER, Window, following, last
from tests.spec.drawn import draw, feature

ACCOUNTS = """
account_id | signed_up_at | plan
a          | 2024-01-01   | free
b          | 2024-01-01   | pro
"""
EVENTS = """
account_id | event    | occurred_at
a          | login    | 2024-01-01
a          | workflow | 2024-03-20
b          | workflow | 2024-03-20
b          | login    | 2024-03-21
b          | bot      | 2024-04-01
b          | login    | 2024-12-31T23:00
"""
SPELLS = """
account_id | started_at | plan
a          | 2024-01-01 | free
a          | 2024-04-10 | pro
b          | 2024-01-01 | Pro
"""
DAY = "2024-04-01"


def drawn(tmp_path: Path, eligibility: str, spells: str | None = SPELLS) -> tuple[Log, Data]:
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "eligibility": eligibility}
    if spells is not None:
        tables["subscriptions"] = spells
    return draw(
        tmp_path, tables, events={"core": ["login"], "categories": {"automation": ["workflow", "bot"]}}
    )


def spec(aggregation: Aggregation, window: Window, *events: str, **more: object) -> FeatureSpec:
    return FeatureSpec("x", "x", aggregation, window, events=events or None, **more)  # type: ignore[arg-type]


def at(log: Log, data: Data, asked: FeatureSpec, day: str = DAY) -> tuple[float | None, float | None]:
    """The feature of a and of b, None where it is missing."""
    found = feature(log, data, asked, day)
    a, b = (found[(name, day)] for name in ("a", "b"))
    return None if math.isnan(a) else a, None if math.isnan(b) else b


COUNT = spec(Aggregation.COUNT, last(30), "workflow")


@pytest.mark.parametrize(
    ("row", "day", "expected"),
    [
        ("workflow | PRO | - | -", DAY, (None, 1)),  # a used it, and yet its plan now does not have it
        ("workflow | PRO | - | -", "2024-04-10", (None, 1)),  # a change of plan at the date is the future
        ("workflow | PRO | - | -", "2024-04-11", (1, 1)),
        ("workflow | - | 2024-04-01 | -", DAY, (None, None)),  # a launch at the date is the future
        ("workflow | - | 2024-04-01 | -", "2024-04-02", (1, 1)),
        ("workflow | pro | 2024-04-05 | -", DAY, (None, None)),
        ("automation | pro | - | -", DAY, (None, 1)),  # a category stands for its events
        ("workflow | pro | - | -\nworkflow | free | - | -", DAY, (1, 1)),  # any row allows
        ("login | enterprise | - | -", DAY, (1, 1)),  # an event without rows is there for everybody
    ],
)
def test_a_count_of_what_could_not_be_used_is_missing(
    tmp_path: Path, row: str, day: str, expected: tuple[float | None, float | None]
) -> None:
    log, data = drawn(tmp_path, f"feature | plan | launched_at | tracked_from\n{row}")
    assert at(log, data, COUNT, day) == expected


@pytest.mark.parametrize(
    "asked",
    [
        COUNT,
        spec(Aggregation.COUNT, EVER, "workflow", per=Per.EVENTS),
        spec(Aggregation.COUNT, last(10), "workflow", trend=True),
        spec(Aggregation.ACTIVE_DAYS, last(30), "workflow"),
        spec(Aggregation.ACTIVE_WEEKS, last(30), "workflow"),
        spec(Aggregation.STREAK, EVER, "workflow"),
        spec(Aggregation.DAYS_SINCE, EVER, "workflow"),
        spec(Aggregation.DAYS_TO_FIRST, EVER, "workflow"),
        FeatureSpec("x", "x", Aggregation.GROUPS, last(30), groups=(Group(("workflow",)),)),
    ],
)
def test_every_look_at_events_needs_eligibility(tmp_path: Path, asked: FeatureSpec) -> None:
    log, data = drawn(tmp_path, "feature | plan\nworkflow | pro")
    a, b = at(log, data, asked)
    assert a is None
    assert b is not None


def test_of_a_set_one_event_that_could_be_used_is_enough(tmp_path: Path) -> None:
    log, data = drawn(tmp_path, "feature | plan\nworkflow | enterprise\nbot | pro")
    assert at(log, data, spec(Aggregation.COUNT, last(30), "workflow", "bot")) == (None, 1)
    assert at(log, data, spec(Aggregation.COUNT, last(30), "workflow", "login")) == (1, 2)
    assert at(log, data, spec(Aggregation.COUNT, last(30))) == (1, 2)  # all events together: always


def test_a_group_that_could_not_be_used_is_not_counted(tmp_path: Path) -> None:
    log, data = drawn(tmp_path, "feature | plan\nworkflow | pro")
    groups = (Group(("workflow",)), Group(("login",)))
    assert at(log, data, FeatureSpec("x", "x", Aggregation.GROUPS, last(365), groups=groups)) == (1, 2)


@pytest.mark.parametrize(
    ("row", "window", "expected"),
    [
        (
            "workflow | - | - | 2024-03-02",
            last(30),
            (1, 1),
        ),  # [03-02, 04-01) is tracked from its first instant
        ("workflow | - | - | 2024-03-02T00:00:01", last(30), (None, None)),
        ("workflow | - | - | 2024-01-01", EVER, (1, 1)),  # since signup
        ("workflow | - | - | 2024-01-02", EVER, (None, None)),
        (
            "workflow | - | 2024-02-01 | 2024-02-01",
            EVER,
            (1, 1),
        ),  # there was nothing to see before the launch
        ("workflow | - | 2024-02-01 | 2024-02-02", EVER, (None, None)),
        ("workflow | pro | - | 2024-06-01", last(30), (None, None)),
        ("workflow | free | - | 2024-06-01\nworkflow | pro | - | -", last(30), (None, 1)),  # of its own row
    ],
)
def test_a_window_that_began_before_tracking_is_not_knowable(
    tmp_path: Path, row: str, window: Window, expected: tuple[float | None, float | None]
) -> None:
    log, data = drawn(tmp_path, f"feature | plan | launched_at | tracked_from\n{row}")
    assert at(log, data, spec(Aggregation.COUNT, window, "workflow")) == expected


def test_the_absence_of_an_event_is_known_since_its_tracking_began(tmp_path: Path) -> None:
    log, data = drawn(tmp_path, "feature | tracked_from\nbot | 2024-03-12\nworkflow | 2024-03-12")
    assert at(log, data, spec(Aggregation.DAYS_SINCE, EVER, "bot")) == (20, 20)
    assert at(log, data, spec(Aggregation.DAYS_SINCE, EVER, "workflow")) == (12, 12)  # what was seen was seen
    assert at(log, data, spec(Aggregation.DAYS_SINCE, EVER, "bot"), "2024-03-12") == (None, None)
    assert at(log, data, spec(Aggregation.DAYS_TO_FIRST, EVER, "workflow")) == (None, None)


def test_an_outcome_is_no_question_of_eligibility(tmp_path: Path) -> None:
    log, data = drawn(tmp_path, "feature | plan\nbot | enterprise")
    assert at(log, data, spec(Aggregation.COUNT, following(10), "bot")) == (0, 1)


def test_a_plan_that_signup_fixed_serves_where_none_is_dated(tmp_path: Path) -> None:
    eligibility = "feature | plan\nworkflow | pro"
    log, data = drawn(tmp_path, eligibility, spells=None)
    with pytest.raises(
        DataError, match=r"eligibility: it names plans.*subscriptions with a plan, or .*fixed_at_signup"
    ):
        at(log, data, COUNT)
    fixed = data.model_copy(update={"fixed_at_signup": ("plan",)})
    assert at(log, fixed, COUNT) == (None, 1)


def test_rows_that_name_nothing_are_set_aside(tmp_path: Path) -> None:
    eligibility = """
    feature    | launched_at
    workflow   | 2024-01-01
    automation | 2024-01-01
    login      | -
    wrokflow   | 2024-01-01
    -          | 2024-01-01
    """
    log, _ = drawn(tmp_path, eligibility)
    assert log.quarantined["eligibility"] == {
        "names no event, category or attribute of the states": 1,
        "no feature": 1,
    }
    assert log.eligibility is not None
    assert len(log.eligibility) == 3
    with pytest.raises(
        DataError, match=r"names no event.*has feature 'wrokflow'; write `feature` as the events"
    ):
        drawn(tmp_path, "feature\nwrokflow")
