"""What each aggregation means, drawn as tables. One account `a` signs up on 1 January; dates are half-open."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.declaration import Data
from features.log import Log
from features.observations import Question, observe
from features.specs import Aggregation, FeatureSpec, Group, Per
from features.windows import EVER, Grid, Window, following, last
from tests.spec.drawn import draw, feature

# Spark needs a second for each question; test_engine.py asks it all features of the catalogue at once.
ENGINES = ["duckdb", "postgres", pytest.param("spark", marks=pytest.mark.slow)]
pytestmark = [
    pytest.mark.usefixtures("engine"),
    pytest.mark.parametrize("engine", ENGINES, indirect=True),
]

ACCOUNTS = """
account_id | signed_up_at
a          | 2024-01-01
b          | 2024-01-01
"""
EVENTS = """
account_id | event | occurred_at         | user_id
a          | login | 2024-01-01T00:00:00 | u1
a          | login | 2024-03-01T23:59:59 | u1
a          | login | 2024-03-02T00:00:00 | u1
a          | login | 2024-03-02T09:00:00 | u2
a          | send  | 2024-03-20T12:00:00 | u2
a          | send  | 2024-03-31T23:59:59 | u3
a          | login | 2024-04-01T00:00:00 | u4
b          | send  | 2024-06-30T10:00:00 | u9
"""
# The window of 30 days before 2024-04-01 is [2024-03-02, 2024-04-01).


def spec(aggregation: Aggregation, window: Window, **more: object) -> FeatureSpec:
    return FeatureSpec("x", "x", aggregation, window, **more)  # type: ignore[arg-type]


CASES = [
    (spec(Aggregation.COUNT, last(30)), 4),  # from 03-02 00:00:00 on, up to but without 04-01 00:00:00
    (spec(Aggregation.COUNT, last(31)), 5),
    (spec(Aggregation.COUNT, last(30), events=("login",)), 2),
    (spec(Aggregation.COUNT, last(30), events=("login", "send")), 4),
    (spec(Aggregation.COUNT, EVER), 6),
    (spec(Aggregation.COUNT, following(1)), 1),  # the instant of the as-of date belongs to the future
    (spec(Aggregation.ACTIVE_DAYS, last(30)), 3),
    (spec(Aggregation.ACTIVE_DAYS, last(30), events=("login",)), 1),
    (spec(Aggregation.DISTINCT_USERS, last(30)), 3),
    (spec(Aggregation.DISTINCT_USERS, last(30), events=("login",)), 2),
    (spec(Aggregation.DISTINCT_USERS, EVER), 3),  # u4 came at the very as-of date
    (spec(Aggregation.DAYS_SINCE, EVER, events=("send",)), 1 / 86_400),
    (spec(Aggregation.DAYS_SINCE, EVER, events=("never",)), 91.0),  # for as long as it has been there
    (spec(Aggregation.TENURE, EVER), 91.0),
    (spec(Aggregation.GROUPS, last(30), groups=(Group(("login",)), Group(("send",)), Group(("x",)))), 2),
    (spec(Aggregation.GROUPS, last(30), groups=(Group(("login",), 2), Group(("send",), 3))), 1),
    (spec(Aggregation.COUNT, last(30), per=Per.USER), 4 / 3),
    (spec(Aggregation.COUNT, last(365), per=Per.TENURE), 6 / (91 / 30)),
    (spec(Aggregation.COUNT, last(30), trend=True), 3 / 5),  # before: [02-01, 03-02) holds 03-01
]


def test_each_aggregation_at_the_as_of_date(tmp_path: Path) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS})
    asked = tuple(replace(case, name=f"case_{i}") for i, (case, _) in enumerate(CASES))
    frame = observe(log, data, Question(asked, Grid("calendar", (19_814,))))  # 2024-04-01
    found = frame.loc[frame["account"] == 0, [case.name for case in asked]]
    expected = [value for _, value in CASES]
    assert len(found) == 1
    assert found.iloc[0].tolist() == pytest.approx(expected, abs=1e-9)


def test_tenure_windows_count_from_the_second_of_signup(tmp_path: Path) -> None:
    accounts = "account_id | signed_up_at\na | 2024-01-01T12:00:00"
    events = """
    account_id | event | occurred_at
    a          | login | 2024-01-01T12:00:00
    a          | login | 2024-01-31T11:59:59
    a          | login | 2024-01-31T12:00:00
    a          | login | 2024-06-01T00:00:00
    """
    log, data = draw(tmp_path, {"accounts": accounts, "events": events})
    found = feature(log, data, spec(Aggregation.COUNT, last(30)), "30", origin="tenure")
    assert found == {("a", "2024-01-31"): 2}


def test_rates_per_seat_use_the_seats_at_the_start_of_the_window(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at   | seats
    a          | 2024-01-01 | 2024-03-02 | 2
    a          | 2024-03-02 | -          | 4
    b          | 2024-03-20 | -          | 5
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": subscriptions})
    found = feature(log, data, spec(Aggregation.COUNT, last(30), per=Per.SEAT), "2024-04-01")
    # A change at the very start of the window is in force in it; b had no seat then, so it has no rate.
    assert found[("a", "2024-04-01")] == 4 / 4
    assert math.isnan(found[("b", "2024-04-01")])
    seats = feature(log, data, spec(Aggregation.SEATS, EVER), "2024-03-02", "2024-03-03")
    # A change at the as-of date itself belongs to the future.
    assert (seats[("a", "2024-03-02")], seats[("a", "2024-03-03")]) == (2, 4)


def test_no_seats_are_no_rate(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | seats
    a          | 2024-01-01 | 0
    b          | 2024-01-01 | -
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": subscriptions})
    found = feature(log, data, spec(Aggregation.COUNT, last(30), per=Per.SEAT), "2024-04-01")
    assert all(math.isnan(rate) for rate in found.values())
    assert feature(log, data, spec(Aggregation.SEATS, EVER), "2024-04-01")[("a", "2024-04-01")] == 0


def test_a_gap_between_subscriptions_has_no_seats(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at   | seats
    a          | 2024-01-01 | 2024-02-01 | 2
    a          | 2024-03-15 | -          | 3
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": subscriptions})
    seats = feature(log, data, spec(Aggregation.SEATS, EVER), "2024-02-15", "2024-04-01")
    assert [seats[("a", day)] for day in ("2024-02-15", "2024-04-01")] == [0, 3]
    # The window opens in the gap, with no seat to divide by.
    rate = feature(log, data, spec(Aggregation.COUNT, last(30), per=Per.SEAT), "2024-04-01")
    assert math.isnan(rate[("a", "2024-04-01")])


def test_overlapping_subscriptions_add_their_seats(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at   | seats
    a          | 2024-01-01 | 2024-03-01 | 2
    a          | 2024-02-01 | -          | 3
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": subscriptions})
    seats = feature(log, data, spec(Aggregation.SEATS, EVER), "2024-01-15", "2024-02-15", "2024-04-01")
    assert [seats[("a", day)] for day in ("2024-01-15", "2024-02-15", "2024-04-01")] == [2, 5, 3]


def test_a_window_that_began_before_tracking_is_not_knowable(tmp_path: Path) -> None:
    accounts = "account_id | signed_up_at\nold | 2023-01-01\nnew | 2024-01-10"
    events = """
    account_id | event | occurred_at
    old        | login | 2024-01-05
    new        | login | 2024-01-20
    old        | login | 2024-06-30
    """
    log, data = draw(tmp_path, {"accounts": accounts, "events": events})
    found = feature(log, data, spec(Aggregation.COUNT, last(90)), "2024-04-01", "2024-07-01")
    assert math.isnan(
        found[("old", "2024-04-01")]
    )  # [2024-01-02, ...) starts before the first event of the log
    assert found[("new", "2024-04-01")] == 1
    # A window that opens with the first day of the log, [2024-01-05, ...), is covered.
    covered = feature(log, data, spec(Aggregation.COUNT, last(87)), "2024-04-01")
    assert covered[("old", "2024-04-01")] == 1
    recency = feature(log, data, spec(Aggregation.DAYS_SINCE, EVER), "2024-04-01")
    assert recency[("old", "2024-04-01")] == 87


def test_the_first_use_is_counted_in_days_from_signup(tmp_path: Path) -> None:
    # Signup on 2024-01-01 at midnight; the first login after two and a half days. Tracking began with the log.
    accounts = "account_id | signed_up_at\na | 2024-01-01\nb | 2024-01-01\nold | 2023-06-01"
    events = """
    account_id | event | occurred_at
    b          | other | 2024-01-01
    a          | login | 2024-01-03T12:00
    a          | login | 2024-02-01
    old        | login | 2024-02-01
    b          | login | 2024-04-01
    b          | other | 2024-06-30
    """
    log, data = draw(tmp_path, {"accounts": accounts, "events": events})
    first = spec(Aggregation.DAYS_TO_FIRST, EVER, events=("login",))
    found = feature(log, data, first, "2024-01-03", "2024-04-01", "2024-04-02")
    assert math.isnan(found[("a", "2024-01-03")])  # it comes half a day later
    assert found[("a", "2024-04-01")] == 2.5
    assert math.isnan(found[("b", "2024-04-01")])  # at the very date: that is the future
    assert found[("b", "2024-04-02")] == 91
    assert math.isnan(found[("old", "2024-04-02")])  # may have done it before anybody looked


@pytest.mark.parametrize("origin", ["calendar", "tenure"])
def test_the_first_use_is_as_long_after_signup_as_it_was(tmp_path: Path, origin: str) -> None:
    """Exactly: who did it seven days after signup is no later than that, whatever the second of signup."""
    # The longer ago, the more are off where the signup is a rounded number of days.
    since = np.random.default_rng(0).integers(0, 900 * 86_400_000_000, 300)
    signups = pd.Timestamp("2018-01-01") + pd.to_timedelta(since, unit="us")
    times = {f"s{i}": time for i, time in enumerate(signups)}
    accounts = [f"{who} | {time.isoformat()}" for who, time in times.items()]
    events = [
        f"{who} | {event} | {(time + pd.Timedelta(days=days)).isoformat()}"
        for who, time in times.items()
        for event, days in (("at signup", 0), ("a week later", 7))
    ]
    accounts = ["account_id | signed_up_at", "clock | 2018-01-01", *accounts]
    events = ["account_id | event | occurred_at", "clock | x | 2018-01-01", "clock | x | 2024-06-30", *events]
    log, data = draw(tmp_path, {"accounts": "\n".join(accounts), "events": "\n".join(events)})
    as_of = "2024-04-01" if origin == "calendar" else "30"
    for event, days in (("at signup", 0.0), ("a week later", 7.0)):
        first = spec(Aggregation.DAYS_TO_FIRST, EVER, events=(event,))
        found = feature(log, data, first, as_of, origin=origin)
        assert [value for (who, _), value in found.items() if who != "clock"] == [days] * len(times)


def active_on(folder: Path, days: list[str]) -> tuple[Log, Data]:
    """A log in which `a` is active on some days, `b` only at the end, and `c` says when tracking began."""
    rows = [f"a | login | {day}" for day in days] + ["b | login | 2024-06-30", "c | login | 2024-01-01"]
    accounts = f"{ACCOUNTS.rstrip()}\nc | 2024-01-01"
    return draw(
        folder, {"accounts": accounts, "events": "account_id | event | occurred_at\n" + "\n".join(rows)}
    )


def test_the_order_of_active_days(tmp_path: Path) -> None:
    # Looked at on day 100, 2024-04-10: weeks [93, 100), [86, 93) and [79, 86) saw something, in a row; [72, 79)
    # did not. The gaps of days 80, 85, 86 and 99 are 5, 1 and 13: mean 19/3, variance 224/9.
    days = [
        pd.Timestamp("2024-01-01") + pd.Timedelta(days=d, hours=23) for d in (50, 80, 85, 85, 86, 99, 100)
    ]
    log, data = active_on(tmp_path, [day.isoformat() for day in days])

    def at(aggregation: Aggregation, window: Window, day: str = "2024-04-10", who: str = "a") -> float:
        return feature(log, data, spec(aggregation, window), day)[(who, day)]

    assert at(Aggregation.ACTIVE_WEEKS, last(40)) == 3
    assert at(Aggregation.ACTIVE_WEEKS, EVER) == 4
    assert at(Aggregation.ACTIVE_WEEKS, last(14)) == 2
    assert at(Aggregation.STREAK, EVER) == 3
    assert at(Aggregation.STREAK, last(10)) == 1  # of the second week only [90, 93) is in the window
    assert at(Aggregation.STREAK, EVER, "2024-04-17") == 4  # day 100 begins a new week
    assert at(Aggregation.STREAK, EVER, "2024-04-25") == 0  # the last seven days saw nothing
    assert at(Aggregation.IRREGULARITY, last(40)) == pytest.approx(math.sqrt(224 / 9) / (19 / 3))
    assert math.isnan(at(Aggregation.IRREGULARITY, last(14)))  # two days are one gap
    assert at(Aggregation.ACTIVE_WEEKS, EVER, who="b") == 0
    assert at(Aggregation.STREAK, EVER, who="b") == 0
    assert math.isnan(at(Aggregation.IRREGULARITY, EVER, who="b"))


def test_gaps_that_are_all_equal_are_not_irregular_at_all(tmp_path: Path) -> None:
    log, data = active_on(tmp_path, [f"2024-01-{day:02d}" for day in range(2, 31, 7)])
    assert feature(log, data, spec(Aggregation.IRREGULARITY, EVER), "2024-04-01")[("a", "2024-04-01")] == 0.0


def test_a_share_is_of_all_events_of_the_window(tmp_path: Path) -> None:
    events = """
    account_id | event | occurred_at
    a          | login | 2024-01-05
    a          | login | 2024-03-10
    a          | other | 2024-03-10
    a          | other | 2024-03-11
    b          | other | 2024-06-30
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events})
    share = spec(Aggregation.COUNT, last(30), events=("login",), per=Per.EVENTS)
    found = feature(log, data, share, "2024-04-01")
    assert found[("a", "2024-04-01")] == pytest.approx(1 / 3)
    assert found[("b", "2024-04-01")] == 0  # no event at all is no share of anything


def test_a_level_over_a_window_is_its_change(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at   | seats | mrr
    a          | 2024-01-01 | 2024-03-20 | 2     | 100
    a          | 2024-03-20 | -          | 5     | 80
    b          | 2024-03-15 | -          | 3     | -
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": subscriptions})
    seats = feature(log, data, spec(Aggregation.SEATS, last(30)), "2024-04-01")
    assert seats[("a", "2024-04-01")] == 3  # 5 now, 2 on 2 March
    assert math.isnan(seats[("b", "2024-04-01")])  # nothing was in force on 2 March
    assert feature(log, data, spec(Aggregation.REVENUE, EVER), "2024-04-01")[("a", "2024-04-01")] == 80
    change = feature(log, data, spec(Aggregation.REVENUE, last(30)), "2024-04-01")
    assert change[("a", "2024-04-01")] == -20


def test_quantities_are_counted_as_that_many_events(tmp_path: Path) -> None:
    events = """
    account_id | event | occurred_at | quantity
    a          | start | 2024-01-01  | 1
    a          | login | 2024-03-10  | 3
    a          | login | 2024-03-11  | 0.5
    b          | login | 2024-06-30  | 1
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events})
    found = feature(log, data, spec(Aggregation.COUNT, last(30)), "2024-04-01")
    assert found[("a", "2024-04-01")] == 3.5


@pytest.mark.parametrize(
    ("window", "message"),
    [((-7, 7), "spans the as-of date"), ((5, 5), "must be less than"), ((-1, -3), "must be less than")],
)
def test_a_window_without_meaning_cannot_be_built(window: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Window(*window)
