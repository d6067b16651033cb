"""Which rows were recorded too late for the close they count in, drawn as tables and to the second."""

from pathlib import Path

import pandas as pd
import pytest

from features.declaration import Data
from features.lateness import has_recorded, late_rows
from features.log import Log
from tests.spec.drawn import draw

ACCOUNTS = "account_id | signed_up_at\na | 2024-01-01\nb | 2024-01-01"
CLOSES = [pd.Timestamp("2024-04-01"), pd.Timestamp("2024-07-01")]
LAG = pd.Timedelta(days=14)
NOBODY_LOST = pd.DataFrame({"account": [0], "as_of": CLOSES[:1], "lost_at": CLOSES[1:]}).head(0)


def opened(folder: Path, events: str) -> tuple[Log, Data]:
    return draw(
        folder, {"accounts": ACCOUNTS, "events": f"account_id | event | occurred_at | recorded_at\n{events}"}
    )


@pytest.mark.parametrize(
    ("occurred_at", "recorded_at", "as_of", "late", "unknown"),
    [
        ("2024-03-10", "2024-03-10T00:00:05", "2024-04-01", 0, 0),
        ("2024-03-10", "2024-03-24", "2024-04-01", 0, 0),  # fourteen days are allowed
        (
            "2024-03-10",
            "2024-03-24T00:00:01",
            "2024-04-01",
            1,
            0,
        ),  # late, and there when the quarter was reviewed
        ("2024-03-10", "2024-04-15", "2024-04-01", 1, 0),  # on the very day of the review
        ("2024-03-10", "2024-04-15T00:00:01", "2024-04-01", 1, 1),
        ("2024-03-31T23:59:59", "2024-04-10", "2024-04-01", 0, 0),
        ("2024-04-01", "2024-07-20", "2024-07-01", 1, 1),  # an instant of a close belongs to the next one
    ],
)
def test_a_row_that_is_recorded_late(
    tmp_path: Path, occurred_at: str, recorded_at: str, as_of: str, late: int, unknown: int
) -> None:
    log, data = opened(
        tmp_path, f"a | login | {occurred_at} | {recorded_at}\nb | other | 2024-06-30 | 2024-06-30"
    )
    found = late_rows(log, data, tmp_path, "events", CLOSES, LAG, NOBODY_LOST)
    row = found[found["kind"] == "login"].iloc[0]
    assert (str(row["as_of"].date()), row["n"], row["late"], row["unknown"]) == (as_of, 1, late, unknown)


@pytest.mark.usefixtures("engine")
def test_rows_are_counted_per_account_close_and_kind(tmp_path: Path) -> None:
    log, data = opened(
        tmp_path,
        """a | login | 2024-03-10 | 2024-08-01
        a | login | 2024-03-11 | 2024-03-11
        a | other | 2024-03-11 | -
        a | login | 2023-12-31 | 2024-08-01
        a | login | 2024-07-01 | 2024-09-01
        b | login | 2024-05-11 | 2024-05-11
        x | login | 2024-05-11 | 2024-08-11""",
    )
    found = late_rows(log, data, tmp_path, "events", CLOSES, LAG, NOBODY_LOST)
    # Before signup, after the last close, of nobody known: not counted. Without a time of recording: not late.
    assert found[["account", "kind", "n", "late", "unknown"]].to_numpy().tolist() == [
        [0, "login", 2, 1, 1],
        [0, "other", 1, 0, 0],
        [1, "login", 1, 0, 0],
    ]


def test_subscriptions_are_looked_at_as_one_kind(tmp_path: Path) -> None:
    spells = "account_id | started_at | recorded_at\na | 2024-02-01 | 2024-06-01\nb | 2024-02-01 | 2024-02-01"
    events = "account_id | event | occurred_at\na | login | 2024-06-01"
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events, "subscriptions": spells})
    assert (has_recorded(data, "subscriptions"), has_recorded(data, "events")) == (True, False)
    found = late_rows(log, data, tmp_path, "subscriptions", CLOSES, LAG, NOBODY_LOST)
    assert found["kind"].tolist() == ["subscriptions"] * 2
    assert found["unknown"].tolist() == [1, 0]


def test_a_subscription_that_is_recorded_again_when_it_ends_is_not_late(tmp_path: Path) -> None:
    spells = """account_id | started_at | ended_at | recorded_at
    a | 2024-02-01 | - | 2024-02-01
    a | 2024-02-01 | 2024-06-01 | 2024-06-01
    b | 2024-02-01 | 2024-06-01 | 2024-06-01"""
    events = "account_id | event | occurred_at\na | login | 2024-06-01"
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events, "subscriptions": spells})
    found = late_rows(log, data, tmp_path, "subscriptions", CLOSES, LAG, NOBODY_LOST)
    assert found[["account", "n", "late", "unknown"]].to_numpy().tolist() == [[0, 1, 0, 0], [1, 1, 1, 1]]


def test_states_are_looked_at_by_attribute(tmp_path: Path) -> None:
    states = """account_id | attribute | value | valid_from | recorded_at
    a | sso | on | 2024-02-01 | 2024-02-02
    a | macros | 3 | 2024-02-01 | 2024-08-02"""
    events = "account_id | event | occurred_at\na | login | 2024-06-01"
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events, "states": states})
    found = late_rows(log, data, tmp_path, "states", CLOSES, LAG, NOBODY_LOST)
    assert found[["kind", "n", "unknown"]].to_numpy().tolist() == [["macros", 1, 1], ["sso", 1, 0]]


@pytest.mark.usefixtures("engine")
def test_rows_that_were_recorded_after_the_loss_they_stand_before(tmp_path: Path) -> None:
    log, data = opened(
        tmp_path,
        """a | login | 2024-03-10 | 2024-05-01
        a | login | 2024-03-11 | 2024-05-01T00:00:01
        a | login | 2024-04-30 | 2024-05-02
        b | login | 2024-03-10 | 2024-05-02
        b | login | 2024-06-30 | 2024-06-30""",
    )
    losses = pd.DataFrame({"account": [0], "as_of": CLOSES[:1], "lost_at": [pd.Timestamp("2024-05-01")]})
    found = late_rows(log, data, tmp_path, "events", CLOSES, LAG, losses)
    # At the very loss is not after it; in time is not late; b was not lost, nor was a at the next close.
    assert found[["account", "late", "after_loss"]].to_numpy().tolist() == [
        [0, 2, 1],
        [0, 0, 0],
        [1, 1, 0],
        [1, 0, 0],
    ]
