"""The status of accounts at every close, drawn: while a window runs, when it has ended, and what a state does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import UsageError
from features.log import Log
from models.framework import Framework
from models.status import CHANGES, changes
from models.status_record import count_status, write_status
from tests.spec.drawn import draw

MILESTONES: dict[str, Any] = {
    "activation": {"kind": "once", "rule": {"events": ["go"], "window_days": 90, "at_least": 2}},
    "deep": {"kind": "state", "rule": {"events": ["go"], "window_days": 30, "at_least": 1}},
}
# The log covers 2024-01-01 to 2024-10-01: three closes.
ACCOUNTS = """
    account_id | signed_up_at
    early      | 2024-01-05
    quick      | 2024-03-01
    slow       | 2024-03-01
    never      | 2024-03-01
    leaver     | 2024-01-05
    before     | 2023-12-20
    clock      | 2024-01-01
"""
EVENTS = """
    account_id | event | occurred_at
    early      | go    | 2024-01-06
    early      | go    | 2024-03-20
    early      | go    | 2024-09-20
    quick      | go    | 2024-03-02
    quick      | go    | 2024-03-03
    slow       | go    | 2024-03-02
    slow       | go    | 2024-05-29
    never      | go    | 2024-05-30
    never      | go    | 2024-05-31
    leaver     | go    | 2024-01-06
    leaver     | go    | 2024-03-31
    leaver     | go    | 2024-06-20
    before     | go    | 2024-02-01
    before     | go    | 2024-02-02
    clock      | tick  | 2024-01-01
    clock      | tick  | 2024-10-01
"""
LIVES = """
    account_id | started_at | ended_at
    early      | 2024-01-05 | -
    quick      | 2024-03-01 | -
    slow       | 2024-03-01 | -
    never      | 2024-03-01 | -
    leaver     | 2024-01-05 | 2024-06-25
    before     | 2023-12-20 | -
    clock      | 2024-01-01 | -
"""


def opened(folder: Path, milestones: dict[str, Any] | None = None, version: int = 4) -> tuple[Framework, Log]:
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": LIVES}
    log, data = draw(folder, tables, outcomes={"kind": "subscription_end", "horizon_days": 90})
    document = {"schema": 1, "name": "drawn", "version": version, "data": data.model_dump()}
    return Framework.model_validate({**document, "milestones": milestones or MILESTONES}), log


@pytest.fixture
def written(tmp_path: Path) -> pd.DataFrame:
    framework, log = opened(tmp_path)
    write_status(framework, log, tmp_path / "status.parquet")
    return pd.read_parquet(tmp_path / "status.parquet")


def of(frame: pd.DataFrame, account: str, milestone: str, column: str) -> list[Any]:
    rows = frame[(frame["account_id"] == account) & (frame["milestone"] == milestone)]
    assert rows["as_of"].is_monotonic_increasing
    return [None if pd.isna(value) else value for value in rows[column]]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("early", ["reached", "reached", "reached"]),
        ("quick", ["reached", "reached", "reached"]),  # before its window ended: it met the threshold already
        ("slow", ["open", "reached", "reached"]),  # on the last day of its window
        ("never", ["open", "not_reached", "not_reached"]),  # in the first instant after it
        ("before", ["not_knowable"] * 3),  # part of its window lies before the log
    ],
)  # fmt: skip
def test_what_is_reached_once_is_open_while_its_window_runs(
    written: pd.DataFrame, account: str, expected: list[str]
) -> None:
    assert of(written, account, "activation", "status") == expected
    assert of(written, account, "activation", "change") == [None] * 3


def test_a_score_counts_up_to_the_close_and_then_up_to_the_landmark(written: pd.DataFrame) -> None:
    assert of(written, "early", "activation", "score") == [2, 2, 2]
    assert of(written, "slow", "activation", "score") == [1, 2, 2]
    assert of(written, "before", "activation", "score") == [None] * 3


def test_at_the_close_on_which_the_window_ends_it_has_ended(tmp_path: Path) -> None:
    # 2024-03-02 is 30 days before the close of 2024Q1.
    rule = {"events": ["go"], "window_days": 31, "at_least": 9}
    framework, log = opened(tmp_path, {"m": {"kind": "once", "rule": rule}})
    write_status(framework, log, tmp_path / "s.parquet")
    assert of(pd.read_parquet(tmp_path / "s.parquet"), "quick", "m", "status")[0] == "not_reached"
    longer = {"m": {"kind": "once", "rule": {**rule, "window_days": 32}}}
    framework = framework.model_copy(update={"milestones": Framework.model_validate({**framework.model_dump(by_alias=True), "milestones": longer}).milestones})  # fmt: skip
    write_status(framework, log, tmp_path / "s.parquet")
    assert of(pd.read_parquet(tmp_path / "s.parquet"), "quick", "m", "status")[0] == "open"


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("early", ["entered", "lost", "regained"]),
        ("slow", ["entered", "lost", "out"]),  # 29 May is not in the 30 days before 1 July
        ("never", ["out", "out", "out"]),
        ("leaver", ["entered", "lost", "out"]),  # used to the end, and left before the close
    ],
)
def test_what_changes_of_a_state(written: pd.DataFrame, account: str, expected: list[str]) -> None:
    assert of(written, account, "deep", "change") == expected


def test_rows_say_by_what_they_were_made(written: pd.DataFrame, tmp_path: Path) -> None:
    framework, _ = opened(tmp_path / "again")
    assert set(written["framework_version"]) == {4}
    assert set(written["framework_hash"]) == {framework.hash}
    for name, milestone in framework.milestones.items():
        assert set(written.loc[written["milestone"] == name, "milestone_hash"]) == {milestone.hash}
    assert sorted(set(written["quarter"])) == ["2024Q1", "2024Q2", "2024Q3"]
    assert not written.duplicated(["account_id", "quarter", "milestone"]).any()


def test_counts_are_of_customers_and_add_up(written: pd.DataFrame, tmp_path: Path) -> None:
    framework, log = opened(tmp_path / "again")
    rows = count_status(framework, log)
    assert [(r["quarter"], r["milestone"]) for r in rows[:2]] == [
        ("2024Q1", "activation"),
        ("2024Q1", "deep"),
    ]
    for row in rows:
        there = written[(written["quarter"] == row["quarter"]) & (written["milestone"] == row["milestone"])]
        alive = there[there["alive"]]["status"].value_counts()
        statuses = ("reached", "not_reached", "not_eligible", "not_knowable", "open")
        assert {s: row[s] for s in statuses} == {s: alive.get(s, 0) for s in statuses}
        assert row["accounts"] == there["alive"].sum()
    deep = [row for row in rows if row["milestone"] == "deep"]
    assert [(r["entries"], r["exits"], r["net"]) for r in deep] == [(4, 0, 4), (0, 4, -4), (1, 0, 1)]
    assert np.cumsum([r["net"] for r in deep]).tolist() == [r["reached"] for r in deep]
    assert all(r["entries"] is None for r in rows if r["milestone"] == "activation")


def test_past_quarters_are_scored_under_another_version(written: pd.DataFrame, tmp_path: Path) -> None:
    higher = {
        **MILESTONES,
        "activation": {"kind": "once", "rule": {"events": ["go"], "window_days": 90, "at_least": 3}},
    }
    framework, log = opened(tmp_path / "again", higher)
    write_status(framework, log, tmp_path / "again.parquet")
    again = pd.read_parquet(tmp_path / "again.parquet")
    assert of(again, "quick", "activation", "status") == ["open", "not_reached", "not_reached"]
    assert of(again, "quick", "deep", "status") == of(written, "quick", "deep", "status")


def test_a_quarter_that_has_not_closed_is_refused(tmp_path: Path) -> None:
    framework, log = opened(tmp_path)
    assert {row["quarter"] for row in write_status(framework, log, tmp_path / "s", "2024Q2")["counts"]} == {
        "2024Q2"
    }
    with pytest.raises(UsageError, match="2024Q4 is no closed quarter of this log; it has 2024Q1 to 2024Q3"):
        write_status(framework, log, tmp_path / "s", "2024Q4")


def test_before_any_quarter_has_closed_nobody_has_a_status(tmp_path: Path) -> None:
    tables = {"accounts": "account_id | signed_up_at\na | 2024-01-02", "events": "account_id | event | occurred_at\na | go | 2024-02-01"}  # fmt: skip
    log, data = draw(tmp_path, tables, outcomes={"kind": "silent", "horizon_days": 30})
    document = {"schema": 1, "name": "n", "version": 1, "data": data.model_dump(), "milestones": MILESTONES}
    made = write_status(Framework.model_validate(document), log, tmp_path / "s.parquet")
    assert (made["quarters"], made["counts"]) == ([], [])
    assert pd.read_parquet(tmp_path / "s.parquet").empty


def told(text: str) -> list[str]:
    """Changes of accounts drawn apart by blanks: + where met at a close, . where not."""
    rows = text.split()
    account = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    met = np.array([mark == "+" for row in rows for mark in row])
    return [CHANGES[i] for i in changes(account, met)]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        ("++", ["entered", "kept"]),
        (".+", ["out", "entered"]),
        ("+.+", ["entered", "lost", "regained"]),
        ("+..+.", ["entered", "lost", "out", "regained", "lost"]),
        ("+ +", ["entered", "entered"]),
        ("+ .+", ["entered", "out", "entered"]),
        ("+. .+", ["entered", "lost", "out", "entered"]),
    ],
)
def test_changes_are_of_one_account(drawn: str, expected: list[str]) -> None:
    assert told(drawn) == expected
