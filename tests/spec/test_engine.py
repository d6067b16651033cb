"""The engine gives what the slow reference gives, for every feature of a whole catalogue, on both axes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import catalogue_of
from features.columns import to_frame
from features.declaration import Data
from features.intake import open_log
from features.log import Log
from features.observations import Question, observe
from features.specs import Aggregation, FeatureSpec
from features.windows import EVER, Grid, day_number
from tests.spec import reference
from tests.spec.drawn import NOW, data_for, table

EVENTS = ("send", "read", 'it\'s "odd"; DROP TABLE events --', "<script>\n")
START = datetime(2023, 11, 20)


EXTRAS = [
    {"name": "first_send", "aggregation": "days_to_first", "events": ["send"]},
    {"name": "first_of_all", "aggregation": "days_to_first"},
    {"name": "share_of_two", "aggregation": "count", "category": "two", "window_days": 45, "per": "events"},
    {"name": "share_ever", "aggregation": "count", "events": ["send", "read"], "per": "events"},
    {"name": "readers_45d", "aggregation": "distinct_users", "events": ["read"], "window_days": 45},
    {"name": "seat_change_60d", "aggregation": "seats", "window_days": 60},
    {"name": "weeks_100d", "aggregation": "active_weeks", "window_days": 100},
    {"name": "weeks_of_sending", "aggregation": "active_weeks", "events": ["send"]},
    {"name": "streak", "aggregation": "streak", "events": ["send", "read"]},
    {"name": "streak_20d", "aggregation": "streak", "window_days": 20},
    {"name": "irregularity_90d", "aggregation": "irregularity", "window_days": 90},
    {"name": "irregularity_of_reading", "aggregation": "irregularity", "events": ["read"]},
    {"name": "revenue", "aggregation": "revenue"},
    {"name": "revenue_change_60d", "aggregation": "revenue", "window_days": 60},
    {"name": "sso_on", "aggregation": "state", "attribute": "sso", "equals": "On"},
    {"name": "macros_2", "aggregation": "state", "attribute": "macros", "equals": "2"},
    {"name": "macros_number", "aggregation": "state", "attribute": "macros"},
    {"name": "days_since_two", "aggregation": "days_since", "category": "two"},
    {"name": "first_of_two", "aggregation": "days_to_first", "category": "two"},
]


ELIGIBILITY = """
feature | plan  | launched_at      | tracked_from
send    | PRO   | 2023-12-15       | -
send    | -     | 2024-01-25       | -
two     | -     | 2023-12-01T12:00 | 2024-01-10
read    | basic | -                | 2023-12-24
read    | pro   | -                | -
"""


def random_log(
    folder: Path,
    seed: int,
    n_accounts: int = 25,
    n_events: int = 1500,
    eligibility: str | None = None,
    quantities: bool = False,
) -> tuple[Log, Data]:
    tables = random_tables(seed, n_accounts, n_events)
    if quantities:
        halves = np.random.default_rng(seed).integers(0, 6, n_events)
        tables["events"]["quantity"] = halves / 2
    if eligibility is not None:
        tables["eligibility"] = table(eligibility)
    data = data_for(
        folder,
        tables,
        events={"core": list(EVENTS[:2]), "categories": {"one": list(EVENTS[:2]), "two": list(EVENTS[2:])}},
        features={
            "events": list(EVENTS),
            "windows_days": [7, 30, 100],
            "event_windows_days": [30],
            "states": ["sso", "macros"],
            "extras": EXTRAS,
        },
    )
    return open_log(data, folder, now=NOW), data


def random_tables(seed: int, n_accounts: int, n_events: int) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    hours = pd.Timestamp(START)
    signed_up = hours + pd.to_timedelta(rng.integers(-20 * 24, 150 * 24, n_accounts), unit="h")
    ids = np.array([f"a{i}" for i in range(n_accounts)])
    who = rng.integers(0, n_accounts, n_events)
    # Half of the events fall on midnight, where half-open edges show.
    offset = rng.integers(0, 300, n_events) * 86_400 + np.where(
        rng.random(n_events) < 0.5, 0, rng.integers(0, 86_400, n_events)
    )
    events = pd.DataFrame(
        {
            "account_id": ids[who],
            "event": np.array(EVENTS)[rng.integers(0, len(EVENTS), n_events)],
            "occurred_at": hours + pd.to_timedelta(offset, unit="s"),
            "user_id": [
                None if gap else f"u{n}"
                for gap, n in zip(rng.random(n_events) < 0.1, rng.integers(0, 9, n_events), strict=True)
            ],
        }
    )
    return {
        "events": events,
        "accounts": pd.DataFrame({"account_id": ids, "signed_up_at": signed_up}),
        "subscriptions": random_spells(rng, ids, signed_up),
        "states": random_states(rng, ids),
    }


def random_spells(
    rng: np.random.Generator, ids: "np.ndarray[tuple[int], np.dtype[np.str_]]", signed_up: pd.DatetimeIndex
) -> pd.DataFrame:
    """Two spells an account, which may touch, overlap or leave a gap."""
    n = len(ids)
    parts = []
    for first_day in (0, 40):
        started = signed_up + pd.to_timedelta(rng.integers(first_day, first_day + 60, n), unit="D")
        ended = started + pd.to_timedelta(rng.integers(1, 200, n), unit="D")
        parts.append(
            pd.DataFrame(
                {
                    "account_id": ids,
                    "started_at": started + pd.Timedelta(hours=first_day),
                    "ended_at": ended.where(rng.random(n) < 0.5),
                    "plan": rng.choice(["basic", "Pro ", "pro"], n),
                    "seats": rng.integers(0, 6, n),
                    "mrr": rng.integers(0, 900, n).astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def random_states(rng: np.random.Generator, ids: "np.ndarray[tuple[int], np.dtype[np.str_]]") -> pd.DataFrame:
    """Changes of two attributes, some at one and the same instant and some with an end of their own."""
    n = 8 * len(ids)
    starts = pd.Timestamp(START) + pd.to_timedelta(rng.integers(0, 250, n), unit="D")
    ends = starts + pd.to_timedelta(rng.integers(0, 60, n), unit="D")
    sso = rng.random(n) < 0.5
    value = np.where(
        sso,
        rng.choice(["on", "off", " ON"], n),
        rng.choice(["0", "2", "7.5", "many"], n, p=[0.3, 0.3, 0.3, 0.1]),
    )
    found = pd.DataFrame(
        {
            "account_id": ids[rng.integers(0, len(ids), n)],
            "attribute": np.where(sso, "sso", "macros"),
            "value": pd.Series(value, dtype="object").where(rng.random(n) < 0.9, None),
            "valid_from": starts,
            "valid_to": pd.Series(ends).where(rng.random(n) < 0.4),
        }
    )
    return found.drop_duplicates(["account_id", "attribute", "valid_from", "valid_to"])


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Rows in plain Python, None for what is missing."""
    plain = frame[list(columns)].astype(object)
    found = plain.where(plain.notna(), None).itertuples(index=False, name=None)
    return [tuple(v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in row) for row in found]


def accounts_of(log: Log) -> list[reference.Account]:
    events = to_frame(log.events)
    assert log.subscriptions is not None
    assert log.states is not None
    tables = (
        (events, ("event", "occurred_at", "user_id", *(["quantity"] if "quantity" in events else []))),
        (log.subscriptions, ("started_at", "ended_at", "seats", "mrr", "plan")),
        (log.states, ("attribute", "value", "valid_from", "valid_to")),
    )
    found = []
    for code, row in log.accounts.iterrows():
        done, spells, states = (rows(t[t["account"] == code], *columns) for t, columns in tables)
        happened = tuple(reference.Event(*event) for event in done)
        found.append(
            reference.Account(row["signed_up_at"].to_pydatetime(), happened, tuple(spells), tuple(states))
        )
    return found


def rules_of(log: Log, data: Data) -> tuple[reference.Rule, ...]:
    if log.eligibility is None:
        return ()
    return tuple(
        reference.Rule(frozenset((feature, *data.events.categories.get(feature, ()))), *rest)
        for feature, *rest in rows(log.eligibility, "feature", "plan", "launched_at", "tracked_from")
    )


def assert_equal_to_reference(
    log: Log, data: Data, specs: tuple[FeatureSpec, ...], grid: Grid, at_least: int = 20
) -> None:
    frame = observe(log, data, Question(specs, grid))
    accounts, rules = accounts_of(log), rules_of(log, data)
    tracked_from = log.data_from.to_pydatetime()
    assert len(frame) > at_least
    for spec in specs:
        expected = [
            reference.value(
                spec,
                accounts[code],
                t.to_pydatetime(),
                accounts[code].signed_up if grid.origin == "tenure" else datetime(1970, 1, 1),
                tracked_from,
                rules,
            )
            for code, t in zip(frame["account"], frame["as_of"], strict=True)
        ]
        np.testing.assert_allclose(
            frame[spec.name].to_numpy(float), expected, rtol=0, atol=1e-9, err_msg=spec.name
        )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("seed", "eligibility"), [(0, None), (1, None), (0, ELIGIBILITY), (4, ELIGIBILITY)])
def test_every_feature_of_the_catalogue_on_the_calendar(
    tmp_path: Path, seed: int, eligibility: str | None
) -> None:
    log, data = random_log(tmp_path, seed, eligibility=eligibility)
    specs = catalogue_of(log, data)
    assert len(specs) >= 50
    assert {"state_macros_many", "state_sso_on", "sso_on"} <= {spec.name for spec in specs}
    days = tuple((START + timedelta(days=d) - datetime(1970, 1, 1)).days for d in (40, 90, 91, 200))
    assert_equal_to_reference(log, data, specs, Grid("calendar", days))


@pytest.mark.usefixtures("engine")
def test_every_feature_of_the_catalogue_on_the_tenure_axis(tmp_path: Path) -> None:
    log, data = random_log(tmp_path, 2, eligibility=ELIGIBILITY)
    assert_equal_to_reference(log, data, catalogue_of(log, data), Grid("tenure", (30, 60, 97)))


@pytest.mark.usefixtures("engine")
def test_every_feature_of_the_catalogue_where_events_have_quantities(tmp_path: Path) -> None:
    log, data = random_log(tmp_path, 5, eligibility=ELIGIBILITY, quantities=True)
    days = tuple(day_number(pd.Timestamp(START + timedelta(days=d))) for d in (40, 90, 200))
    assert_equal_to_reference(log, data, catalogue_of(log, data), Grid("calendar", days))


@pytest.mark.usefixtures("engine")
def test_many_dates_need_more_than_one_word_of_slots(tmp_path: Path) -> None:
    log, data = random_log(tmp_path, 3, n_accounts=8, n_events=400)
    specs = tuple(s for s in catalogue_of(log, data) if "users" in s.name)
    first = (START - datetime(1970, 1, 1)).days
    assert_equal_to_reference(log, data, specs, Grid("calendar", tuple(range(first + 30, first + 230, 10))))


def reopened(folder: Path, data: Data, tables: dict[str, pd.DataFrame]) -> tuple[Log, Data]:
    """The same framework over other tables."""
    there = data.model_copy(update={"sources": data_for(folder, tables).sources})
    return open_log(there, folder, now=NOW), there


def changed_from(tables: dict[str, pd.DataFrame], as_of: pd.Timestamp, seed: int) -> dict[str, pd.DataFrame]:
    """The tables with everything that happens at or after a date moved, renamed, dropped or invented."""
    rng = np.random.default_rng(seed)
    shift = pd.Timedelta(seconds=int(rng.integers(0, 86_400 * 30)))
    changed = dict(tables)
    for name, begins, ends, altered in (
        ("events", "occurred_at", None, {"event": "something else", "user_id": "u0"}),
        ("subscriptions", "started_at", "ended_at", {"seats": 99, "mrr": 0.5, "plan": "pro"}),
        ("states", "valid_from", "valid_to", {"value": "on"}),
    ):
        frame = tables[name].copy()
        later = frame[begins] >= as_of
        frame[begins] = frame[begins].where(~later, frame[begins] + shift)
        for column, value in altered.items():
            frame[column] = frame[column].where(~later, value)
        if ends is not None:
            # An end at or after the date may come at any other time from it on, or never.
            open_end = (frame[ends] >= as_of) | frame[ends].isna()
            other = as_of + pd.to_timedelta(rng.integers(0, 10**7, len(frame)), unit="s") + 2 * shift
            frame[ends] = frame[ends].where(~open_end, pd.Series(other, index=frame.index))
            frame.loc[later, ends] = pd.NaT
        dropped = later & (rng.random(len(frame)) < 0.3)
        changed[name] = frame[~dropped].sample(frac=1, random_state=seed)
    keep = {"account_id": "a0", "event": "end", "occurred_at": as_of + pd.Timedelta(days=400), "user_id": "u"}
    changed["events"] = pd.concat([changed["events"], pd.DataFrame([keep])])
    return changed


def assert_same_features(one: pd.DataFrame, other: pd.DataFrame, specs: tuple[FeatureSpec, ...]) -> None:
    names = ["account", "as_of", *(spec.name for spec in specs)]
    pd.testing.assert_frame_equal(one[names], other[names], check_exact=True)


@pytest.mark.usefixtures("quick_engine")
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_nothing_at_or_after_the_as_of_date_moves_a_feature(tmp_path: Path, seed: int) -> None:
    log, data = random_log(tmp_path, seed, n_accounts=6, n_events=200, eligibility=ELIGIBILITY)
    as_of = pd.Timestamp(START + timedelta(days=100))
    grid = Grid("calendar", (int(as_of.timestamp() // 86_400),))
    specs = catalogue_of(log, data)
    before = observe(log, data, Question(specs, grid))
    tables = changed_from(random_tables(seed, 6, 200), as_of, seed)
    tables["eligibility"] = table(ELIGIBILITY)
    after = observe(*reopened(tmp_path, data, tables), Question(specs, grid))
    assert_same_features(before, after, specs)


@pytest.mark.usefixtures("quick_engine")
def test_before_tracking_began_nothing_is_known_of_events(tmp_path: Path) -> None:
    tables = {
        "accounts": table("account_id | signed_up_at\na | 2024-01-01"),
        "events": table("account_id | event | occurred_at\na | send | 2024-05-01\na | send | 2024-08-01"),
    }
    data = data_for(tmp_path, tables, features={"windows_days": [30]})
    log = open_log(data, tmp_path, now=NOW)
    specs = catalogue_of(log, data)
    as_of = Grid("calendar", (day_number(pd.Timestamp("2024-03-01")),))
    found = observe(log, data, Question(specs, as_of)).iloc[0]
    known = [spec.name for spec in specs if not np.isnan(found[spec.name])]
    assert known == ["tenure_days"]


NIGHTS = """
account_id | event | occurred_at
a          | send  | 2023-10-29T00:59:59
a          | send  | 2023-10-29T01:30
a          | read  | 2023-10-29T02:00
a          | send  | 2024-03-30T23:59:59
a          | read  | 2024-03-31T00:00
a          | send  | 2024-03-31T01:30
a          | send  | 2024-03-31T02:30
b          | read  | 2024-10-26T23:30
b          | send  | 2024-10-27T00:30
b          | send  | 2024-10-27T01:30
a          | read  | 2024-12-31
"""
# Dublin is an hour ahead until 29 October 2023, 01:00 UTC, from 31 March 2024, 01:00 UTC, until 27 October 2024,
# 01:00 UTC. What an autumn clock shows twice is taken for the second time, what a spring clock skips for an hour later.
NIGHTS_IN_UTC = [
    "2023-10-28 23:59:59", "2023-10-29 01:30:00", "2023-10-29 02:00:00", "2024-03-30 23:59:59", "2024-03-31 00:00:00",
    "2024-03-31 01:30:00", "2024-03-31 01:30:00", "2024-10-26 22:30:00", "2024-10-26 23:30:00", "2024-10-27 01:30:00",
    "2024-12-31 00:00:00",
]  # fmt: skip


@pytest.mark.usefixtures("engine")
def test_the_nights_of_the_clock_change_in_dublin(tmp_path: Path) -> None:
    tables = {
        "accounts": table("account_id | signed_up_at\na | 2023-10-28T12:00\nb | 2024-10-01"),
        "events": table(NIGHTS).assign(user_id="u"),
        "subscriptions": table(
            "account_id | started_at | ended_at | plan | seats | mrr\na | 2023-10-29T01:30 | 2024-03-31T01:30 | pro | 2 | 3"
        ),
        "states": table(
            "account_id | attribute | value | valid_from | valid_to\na | sso | on | 2023-10-29T01:30 | 2024-03-31T00:30"
        ),
    }
    features = {"windows_days": [1, 30], "events": ["send", "read"], "states": ["sso"]}
    data = data_for(tmp_path, tables, calendar={"timezone": "Europe/Dublin"}, features=features)
    log = open_log(data, tmp_path, now=NOW)
    read = to_frame(log.events.order_by("occurred_at").select("occurred_at"))["occurred_at"]
    assert [str(time) for time in read] == NIGHTS_IN_UTC
    assert log.subscriptions is not None
    assert [str(log.subscriptions[c].iloc[0]) for c in ("started_at", "ended_at")] == [
        "2023-10-29 01:30:00", "2024-03-31 01:30:00",
    ]  # fmt: skip
    days = pd.to_datetime(
        [f"2023-10-{d}" for d in (29, 30, 31)]
        + [
            f"2024-{d}"
            for d in (
                "02-29",
                "03-01",
                "03-30",
                "03-31",
                "04-01",
                "04-02",
                "10-26",
                "10-27",
                "10-28",
                "10-29",
            )
        ]
    )
    grid = Grid("calendar", tuple(day_number(day) for day in days))
    specs = (
        *catalogue_of(log, data),
        FeatureSpec("macros", "x", Aggregation.STATE, EVER, attribute="sso", equals="on"),
    )
    assert_equal_to_reference(log, data, specs, grid, at_least=10)
