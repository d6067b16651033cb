"""Rows that stand for a week or a month: which kinds those are, and on which side of their date the activity lies."""

from pathlib import Path

import pandas as pd

from features.stamps import Stamp, stamps
from tests.spec.drawn import draw

ACCOUNTS = "account_id | signed_up_at\na | 2023-01-01"
MONDAYS = pd.date_range("2023-01-02", periods=60, freq="7D")


def opened(folder: Path, rows: list[tuple[str, pd.Timestamp]]) -> list[Stamp]:
    drawn = "\n".join(f"a | {event} | {at.isoformat()}" for event, at in rows)
    log, _ = draw(folder, {"accounts": ACCOUNTS, "events": f"account_id | event | occurred_at\n{drawn}"})
    return stamps(log)


def test_a_weekly_kind_and_the_side_of_its_week(tmp_path: Path) -> None:
    # Used in every other week, on its Thursday: the row that opens it has use after it alone.
    used = [("use", day + pd.Timedelta(days=3, hours=9)) for day in MONDAYS[::2]]
    opening = opened(tmp_path / "o", used + [("weekly", day) for day in MONDAYS[:51]])
    assert opening == [Stamp("weekly", 7, "Mondays", 51, opening=26, closing=25)]


def test_kinds_without_a_period_of_their_own_are_none(tmp_path: Path) -> None:
    daily = [("daily", day) for day in pd.date_range("2023-01-02", periods=80)]
    timed = [("timed", day + pd.Timedelta(hours=i % 9)) for i, day in enumerate(MONDAYS)]
    few = [("few", day) for day in MONDAYS[:49]]
    assert opened(tmp_path, daily + timed + few) == []


def test_a_monthly_kind_and_what_lies_exactly_at_its_edges(tmp_path: Path) -> None:
    firsts = pd.date_range("2023-02-01", periods=50, freq="MS")
    rows = [("monthly", day) for day in firsts]
    # At the very stamp is after it. 2023-11-01 is thirty days before 2023-12-01: before that one, and after its own.
    # 2024-10-31 is thirty days after 2024-10-01: no longer in its period, and before 2024-11-01.
    rows += [("use", pd.Timestamp(day)) for day in ("2023-02-01", "2023-11-01", "2024-10-31")]
    assert opened(tmp_path, rows) == [Stamp("monthly", 30, "day 1 of the month", 50, opening=2, closing=3)]


def test_a_row_in_a_hundred_may_lie_elsewhere(tmp_path: Path) -> None:
    days = pd.date_range("2023-01-02", periods=100, freq="7D")
    noon, tuesday = pd.Timedelta(hours=12), pd.Timedelta(days=1)
    used = [("use", day + (1 + i % 3) * tuesday) for i, day in enumerate(days)]
    later = [("weekly", day + tuesday * int(i < 1)) for i, day in enumerate(days)]
    timed = [("timed", day + noon * int(i < 1)) for i, day in enumerate(days)]
    assert [s.day for s in opened(tmp_path / "one", [*used, *later, *timed])] == ["Mondays", "Mondays"]
    later = [("weekly", day + tuesday * int(i < 2)) for i, day in enumerate(days)]
    timed = [("timed", day + noon * int(i < 2)) for i, day in enumerate(days)]
    assert opened(tmp_path / "two", [*used, *later, *timed]) == []


def test_the_last_day_of_the_month_is_a_day_of_its_own(tmp_path: Path) -> None:
    rows = [("monthly", day) for day in pd.date_range("2023-01-31", periods=50, freq="ME")]
    rows += [("use", day - pd.Timedelta(days=9)) for _, day in rows[1:]]
    found = opened(tmp_path, rows)
    assert [(s.event, s.day, s.n, s.opening, s.closing) for s in found] == [
        ("monthly", "the last day of the month", 50, 1, 1)
    ]
