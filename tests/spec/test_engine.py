"""The engine gives what the slow reference gives, for every feature of a whole catalogue, on both axes."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import catalogue
from features.declaration import Data
from features.intake import open_log
from features.log import Log
from features.observations import Question, observe
from features.specs import FeatureSpec
from features.windows import Grid
from tests.spec import reference
from tests.spec.drawn import NOW, data_for

pytestmark = pytest.mark.usefixtures("engine")

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
]


def random_log(folder: Path, seed: int, n_accounts: int = 25, n_events: int = 1500) -> tuple[Log, Data]:
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
    accounts = pd.DataFrame({"account_id": ids, "signed_up_at": signed_up})
    started = signed_up + pd.to_timedelta(rng.integers(0, 60, n_accounts), unit="D")
    ended = started + pd.to_timedelta(rng.integers(1, 200, n_accounts), unit="D")
    spells = pd.DataFrame(
        {
            "account_id": ids,
            "started_at": started,
            "ended_at": ended.where(rng.random(n_accounts) < 0.5),
            "seats": rng.integers(0, 6, n_accounts),
            "mrr": rng.integers(0, 900, n_accounts).astype(float),
        }
    )
    data = data_for(
        folder,
        {"events": events, "accounts": accounts, "subscriptions": spells},
        events={"core": list(EVENTS[:2]), "categories": {"one": list(EVENTS[:2]), "two": list(EVENTS[2:])}},
        features={
            "events": list(EVENTS),
            "windows_days": [7, 30, 100],
            "event_windows_days": [30],
            "extras": EXTRAS,
        },
    )
    return open_log(data, folder, now=NOW), data


def accounts_of(log: Log) -> list[reference.Account]:
    events = log.events.to_pyarrow().to_pandas()
    assert log.subscriptions is not None
    spells = log.subscriptions
    found = []
    for code, row in log.accounts.iterrows():
        mine = events[events["account"] == code]
        own = spells[spells["account"] == code]
        found.append(
            reference.Account(
                row["signed_up_at"].to_pydatetime(),
                tuple(
                    reference.Event(e, t.to_pydatetime(), u if isinstance(u, str) else None)
                    for e, t, u in zip(mine["event"], mine["occurred_at"], mine["user_id"], strict=True)
                ),
                tuple(
                    (a.to_pydatetime(), None if pd.isna(b) else b.to_pydatetime(), float(n), float(m))
                    for a, b, n, m in zip(
                        own["started_at"], own["ended_at"], own["seats"], own["mrr"], strict=True
                    )
                ),
            )
        )
    return found


def assert_equal_to_reference(log: Log, data: Data, specs: tuple[FeatureSpec, ...], grid: Grid) -> None:
    frame = observe(log, data, Question(specs, grid))
    accounts = accounts_of(log)
    tracked_from = log.data_from.to_pydatetime()
    assert len(frame) > 20
    for spec in specs:
        expected = [
            reference.value(
                spec,
                accounts[code],
                t.to_pydatetime(),
                accounts[code].signed_up if grid.origin == "tenure" else datetime(1970, 1, 1),
                tracked_from,
            )
            for code, t in zip(frame["account"], frame["as_of"], strict=True)
        ]
        np.testing.assert_allclose(
            frame[spec.name].to_numpy(float), expected, rtol=0, atol=1e-9, err_msg=spec.name
        )


@pytest.mark.parametrize("seed", [0, 1])
def test_every_feature_of_the_catalogue_on_the_calendar(tmp_path: Path, seed: int) -> None:
    log, data = random_log(tmp_path, seed)
    specs = catalogue(data, has_users=True, has_seats=True)
    assert len(specs) >= 50
    days = tuple((START + timedelta(days=d) - datetime(1970, 1, 1)).days for d in (40, 90, 91, 200))
    assert_equal_to_reference(log, data, specs, Grid("calendar", days))


def test_every_feature_of_the_catalogue_on_the_tenure_axis(tmp_path: Path) -> None:
    log, data = random_log(tmp_path, 2)
    assert_equal_to_reference(
        log, data, catalogue(data, has_users=True, has_seats=True), Grid("tenure", (30, 60, 97))
    )


def test_many_dates_need_more_than_one_word_of_slots(tmp_path: Path) -> None:
    log, data = random_log(tmp_path, 3, n_accounts=8, n_events=400)
    specs = tuple(s for s in catalogue(data, has_users=True, has_seats=True) if "users" in s.name)
    first = (START - datetime(1970, 1, 1)).days
    assert_equal_to_reference(log, data, specs, Grid("calendar", tuple(range(first + 30, first + 230, 10))))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), shift=st.integers(0, 86_400 * 30), drop=st.booleans())
def test_nothing_at_or_after_the_as_of_date_moves_a_feature(
    tmp_path: Path, seed: int, shift: int, drop: bool
) -> None:
    log, data = random_log(tmp_path / "before", seed, n_accounts=6, n_events=200)
    as_of = pd.Timestamp(START + timedelta(days=100))
    grid = Grid("calendar", (int(as_of.timestamp() // 86_400),))
    specs = catalogue(data, has_users=True, has_seats=True)
    before = observe(log, data, Question(specs, grid))
    events = pd.read_parquet(tmp_path / "before" / "events.parquet")
    later = events["occurred_at"] >= as_of
    moved = events.assign(
        occurred_at=events["occurred_at"].where(~later, events["occurred_at"] + pd.Timedelta(seconds=shift)),
        event=events["event"].where(~later, "something else"),
    )
    moved = moved[~later | ((not drop) & (moved.index != events.index[later].max()))]
    keep = pd.DataFrame(
        {
            "account_id": ["a0"],
            "event": ["end"],
            "occurred_at": [as_of + pd.Timedelta(days=400)],
            "user_id": ["u"],
        }
    )
    (tmp_path / "before" / "events.parquet").unlink()
    pd.concat([moved, keep]).sample(frac=1, random_state=seed).to_parquet(
        tmp_path / "before" / "events.parquet", index=False
    )
    after = observe(open_log(data, tmp_path / "before", now=NOW), data, Question(specs, grid))
    names = [spec.name for spec in specs]
    pd.testing.assert_frame_equal(before[["account", *names]], after[["account", *names]], check_exact=True)
