"""The denominator of adoption drawn: whose use is counted, and what all of them use by definition."""

from pathlib import Path
from typing import Any

import pytest

from features.catalogue import catalogue_of
from features.declaration import Data
from features.denominator import by_definition, population
from features.matrix import build_frame
from features.specs import Aggregation, FeatureSpec, Group, Per, StateTest
from features.windows import EVER, Window, last
from tests.spec.drawn import draw

ACCOUNTS = """
account_id | signed_up_at | seats
a          | 2024-01-05   | 2
b          | 2024-01-05   | 2
c          | 2024-01-05   | 2
d          | 2024-06-20   | 2
"""
# a and b did something of value within the 60 days before July; b and c opened the page as well.
EVENTS = """
account_id | event | occurred_at
a          | send  | 2024-05-10
b          | reply | 2024-06-30
b          | open  | 2024-06-30
c          | open  | 2024-06-30
c          | send  | 2024-02-01
b          | open  | 2024-07-02
"""
SILENT = {
    "outcomes": {"kind": "silent", "horizon_days": 60},
    "events": {"core": ["send", "reply"], "categories": {"mail": ["send", "reply"], "pages": ["open"]}},
    "features": {"windows_days": [30, 60, 90], "event_windows_days": [30, 90], "events": ["send", "open"]},
}


def drawn(folder: Path, **changes: Any) -> tuple[Any, Data]:
    tables = {"accounts": ACCOUNTS, "events": EVENTS} | changes.pop("tables", {})
    return draw(folder, tables, **{**SILENT, **changes})


def test_of_a_silent_outcome_those_count_who_were_active_and_of_others_those_who_were_customers(
    tmp_path: Path,
) -> None:
    _, data = drawn(tmp_path)
    assert population(data) == "accounts active in the last 60 days before each close (with a core event)"
    _, data = drawn(tmp_path, events={"core": []})
    assert population(data) == "accounts active in the last 60 days before each close (with an event)"
    spells = {"subscriptions": "account_id | started_at | ended_at\na | 2024-01-05 | -"}
    _, data = drawn(tmp_path, tables=spells, outcomes={"kind": "subscription_end"})
    assert population(data) == "accounts that were customers at each close"


def test_whoever_signed_up_is_told_apart_from_whoever_is_observed(tmp_path: Path) -> None:
    log, data = drawn(tmp_path)
    found = build_frame(log, data, tmp_path)
    newest = found.frame[found.frame["quarter"] == "2024Q2"]
    assert set(newest["account_id"]) == {"a", "b"}
    assert found.manifest["n_signed_up"] == 4


def test_what_is_used_by_definition_is_above_zero_for_everybody_and_the_rest_need_not_be(
    tmp_path: Path,
) -> None:
    log, data = drawn(tmp_path)
    made = build_frame(log, data, tmp_path)
    told = {f["name"] for f in made.manifest["features"] if f["by_definition"]}
    of_events = ("events_{}d", "active_days_{}d", "events_{}d_per_tenure", "core_events_{}d")
    of_days_and_kinds = ("core_active_days_{}d", "distinct_events_{}d", "distinct_categories_{}d")
    names = [*of_events, *of_days_and_kinds]
    expected = {name.format(days) for name in names for days in (60, 90)}
    assert told == expected | {"category_mail_90d"}
    values = made.frame.loc[made.frame["quarter"] == "2024Q2", sorted(told)]
    assert len(values) == 2
    assert (values > 0).all(axis=None)


def test_with_another_outcome_nothing_is_used_by_definition(tmp_path: Path) -> None:
    spells = {"subscriptions": "account_id | started_at | ended_at\na | 2024-01-05 | -"}
    log, data = drawn(tmp_path, tables=spells, outcomes={"kind": "subscription_end", "horizon_days": 60})
    assert not any(by_definition(spec, data) for spec in catalogue_of(log, data))


CORE = ("send", "reply")


def spec(aggregation: Aggregation, window: Window, **changes: Any) -> FeatureSpec:
    return FeatureSpec("x", "x", aggregation, window, **changes)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (spec(Aggregation.COUNT, last(60), events=CORE), True),
        (spec(Aggregation.COUNT, last(59), events=CORE), False),
        (spec(Aggregation.COUNT, EVER, events=CORE), True),
        (spec(Aggregation.COUNT, Window(-90, -1), events=CORE), False),
        (spec(Aggregation.COUNT, last(60), events=(*CORE, "open")), True),
        (spec(Aggregation.COUNT, last(60), events=("send",)), False),
        (spec(Aggregation.COUNT, last(60)), True),
        (spec(Aggregation.COUNT, last(60), per=Per.SEAT), True),
        (spec(Aggregation.COUNT, last(60), events=CORE, per=Per.EVENTS), True),
        (spec(Aggregation.COUNT, last(60), trend=True), False),
        (spec(Aggregation.ACTIVE_DAYS, last(60), events=CORE), True),
        (spec(Aggregation.ACTIVE_WEEKS, last(60)), True),
        (spec(Aggregation.STREAK, last(60)), False),  # the newest week may be empty
        (spec(Aggregation.DISTINCT_USERS, last(60)), False),  # an event need not name a user
        (spec(Aggregation.TENURE, EVER), False),
        (spec(Aggregation.STATE, EVER, attribute="sso", equals="on"), False),
        (spec(Aggregation.GROUPS, last(60), groups=(Group(("send",)), Group(("reply",)))), True),
        (spec(Aggregation.GROUPS, last(60), groups=(Group(("send",)), Group(("reply",), 2))), False),
        (spec(Aggregation.GROUPS, last(60), groups=(Group(("send",)),)), False),
        (spec(Aggregation.GROUPS, last(60), groups=(Group(CORE, states=(StateTest("sso", "on"),)),)), False),
        (
            spec(
                Aggregation.GROUPS,
                last(60),
                groups=(Group(CORE), Group((), states=(StateTest("sso", "on"),))),
            ),
            True,
        ),
    ],
)
def test_what_the_population_implies(tmp_path: Path, asked: FeatureSpec, expected: bool) -> None:
    _, data = drawn(tmp_path)
    assert by_definition(asked, data) is expected


def test_where_every_event_is_core_only_every_event_is_implied(tmp_path: Path) -> None:
    _, data = drawn(tmp_path, events={"core": []})
    assert by_definition(spec(Aggregation.COUNT, last(60)), data)
    assert not by_definition(spec(Aggregation.COUNT, last(60), events=(*CORE, "open")), data)


def test_an_event_that_could_not_be_used_is_no_kind_of_event_so_that_kinds_are_not_implied(
    tmp_path: Path,
) -> None:
    # a sent something although, as the table has it, nobody could yet: it counts as an event, and as no kind of event.
    rules = "feature | plan | launched_at | tracked_from\nsend | - | 2024-08-01 | -"
    log, data = drawn(tmp_path, tables={"eligibility": rules})
    made = build_frame(log, data, tmp_path)
    a = made.frame[(made.frame["quarter"] == "2024Q2") & (made.frame["account_id"] == "a")].iloc[0]
    assert (a["events_60d"], a["core_events_60d"], a["distinct_events_60d"]) == (1, 1, 0)
    told = {f["name"] for f in made.manifest["features"] if f["by_definition"]}
    assert {"events_60d", "core_events_60d", "distinct_categories_60d"} <= told
    assert "distinct_events_60d" not in told


def test_half_an_event_is_use_and_no_kind_of_event(tmp_path: Path) -> None:
    events = "account_id | event | occurred_at | quantity\nb | open | 2024-01-06 | 1\na | send | 2024-06-10 | 0.5\na | open | 2024-07-02 | 1"
    log, data = drawn(tmp_path, tables={"events": events})
    made = build_frame(log, data, tmp_path)
    (a,) = made.frame[made.frame["quarter"] == "2024Q2"].to_dict("records")
    assert (a["core_events_60d"], a["distinct_events_60d"]) == (0.5, 0)
    told = {f["name"] for f in made.manifest["features"] if f["by_definition"]}
    assert "core_events_60d" in told
    assert "distinct_events_60d" not in told
