"""Volumes per quarter, and the day on which each account got somewhere: drawn."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.log import Log
from features.specs import StateTest
from features.states import States, holdings
from features.volumes import days_to_count, days_to_steps, quarterly_volumes
from tests.spec.drawn import draw

ACCOUNTS = """
account_id | signed_up_at
a          | 2024-01-10
b          | 2024-01-10T12:00:00
c          | 2024-04-30
"""


def drawn(folder: Path, rows: str, columns: str = "account_id | event | occurred_at", **changes: Any) -> Log:
    return draw(folder, {"accounts": ACCOUNTS, "events": f"{columns}\n{rows}"}, **changes)[0]


def by_name(log: Log, found: "pd.Series[float]") -> dict[str, float]:
    names = log.accounts["account_id"].to_dict()
    return {str(names[code]): days for code, days in found.items()}


def test_the_day_of_a_count_is_that_of_the_event_that_completes_it(tmp_path: Path) -> None:
    rows = """
    a | go    | 2024-01-12
    a | go    | 2024-01-11
    a | other | 2024-01-11
    a | go    | 2024-01-20
    b | go    | 2024-01-11
    b | come  | 2024-01-11T12:00:00
    c | go    | 2024-05-30
    c | go    | 2024-05-29
    """.strip()
    log = drawn(tmp_path, rows)
    assert by_name(log, days_to_count(log, ("go",), 2, 30)) == {
        "a": 2.0
    }  # c's second is 30 days after signup
    assert by_name(log, days_to_count(log, ("go",), 2, 31)) == {"a": 2.0, "c": 30.0}
    assert by_name(log, days_to_count(log, ("go", "come"), 2, 30)) == {"a": 2.0, "b": 1.0}
    assert by_name(log, days_to_count(log, ("go",), 1, 30)) == {"a": 1.0, "b": 0.5, "c": 29.0}
    assert by_name(log, days_to_count(log, ("go",), 4, 365)) == {}


def test_quantities_add_up(tmp_path: Path) -> None:
    rows = """
    a | go | 2024-01-11 | 0.5
    a | go | 2024-01-12 | 4
    a | go | 2024-01-13 | 1
    b | go | 2024-01-13T12:00:00 | 9
    """.strip()
    log = drawn(tmp_path, rows, "account_id | event | occurred_at | quantity")
    assert by_name(log, days_to_count(log, ("go",), 5, 30)) == {"a": 3.0, "b": 3.0}
    assert by_name(log, days_to_count(log, ("go",), 4.5, 30)) == {"a": 2.0, "b": 3.0}


def test_the_day_of_steps_is_that_of_the_first_time_of_the_last_of_them(tmp_path: Path) -> None:
    rows = """
    a | invite  | 2024-01-11
    a | invite  | 2024-01-12
    a | connect | 2024-01-14
    a | connect | 2024-01-13
    a | import  | 2024-01-20
    b | invite  | 2024-01-11T12:00:00
    b | invite  | 2024-01-12T12:00:00
    c | invite  | 2024-05-01
    c | connect | 2024-05-30
    """.strip()
    log = drawn(tmp_path, rows)
    steps = ("invite", "connect", "import")
    assert by_name(log, days_to_steps(log, steps, (), 2, 30)) == {"a": 3.0}  # c's second comes on day 30
    assert by_name(log, days_to_steps(log, steps, (), 2, 31)) == {"a": 3.0, "c": 30.0}
    assert by_name(log, days_to_steps(log, steps, (), 3, 30)) == {"a": 10.0}
    assert by_name(log, days_to_steps(log, steps, (), 1, 30)) == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_a_state_is_done_when_it_first_is_in_force_from_signup_on(tmp_path: Path) -> None:
    events = "account_id | event | occurred_at\na | invite | 2024-01-13\nb | invite | 2024-01-12T12:00\nc | x | 2024-08-01"
    states = """
    account_id | attribute | value | valid_from       | valid_to
    a          | sso       | on    | 2024-01-12       | 2024-01-13
    a          | sso       | on    | 2024-01-20       | -
    a          | macros    | 3     | 2024-01-15       | -
    b          | sso       | on    | 2024-01-01       | -
    b          | macros    | 9     | 2023-01-01       | 2024-01-10T12:00
    b          | macros    | 4     | 2024-02-09T12:00 | -
    c          | sso       | off   | 2024-05-01       | -
    """
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": events, "states": states})
    tests = (StateTest("sso", equals="on"), StateTest("macros", at_least=3))
    held = holdings(States.of(log, data), tests, "here").values()
    assert by_name(log, days_to_steps(log, ("invite",), held, 1, 30)) == {"a": 2.0, "b": 0.0}
    assert by_name(log, days_to_steps(log, ("invite",), held, 2, 30)) == {"a": 3.0, "b": 2.0}
    # b's nine macros were over when it signed up, and its four come on day 30.
    assert by_name(log, days_to_steps(log, ("invite",), held, 3, 30)) == {"a": 5.0}
    assert by_name(log, days_to_steps(log, ("invite",), held, 3, 31)) == {"a": 5.0, "b": 30.0}
    assert by_name(log, days_to_steps(log, (), held, 2, 30)) == {"a": 5.0}


def test_a_step_of_no_quantity_was_not_done(tmp_path: Path) -> None:
    rows = """
    a | invite  | 2024-01-11 | 0
    a | connect | 2024-01-12 | 1
    a | invite  | 2024-01-14 | 2
    b | invite  | 2024-01-13 | 0
    """.strip()
    log = drawn(tmp_path, rows, "account_id | event | occurred_at | quantity")
    assert by_name(log, days_to_steps(log, ("invite", "connect"), (), 1, 30)) == {"a": 2.0}
    assert by_name(log, days_to_steps(log, ("invite", "connect"), (), 2, 30)) == {"a": 4.0}


ROWS = """
a | go | 2024-01-10
a | go | 2024-03-31T23:59:59
b | go | 2024-04-01
a | go | 2024-04-30T23:59:59
c | go | 2024-05-01
c | go | 2024-12-31
""".strip()


@pytest.mark.parametrize(
    ("month", "expected"),
    [
        # quarter, events, accounts that did anything, signups
        (1, [("2024Q1", 2, 1, 2), ("2024Q2", 3, 3, 1), ("2024Q4", 1, 1, 0)]),
        # A year from February on: January 2024 is the end of 2024, February to April 2024 the start of 2025.
        (2, [("2024Q4", 1, 1, 2), ("2025Q1", 3, 2, 1), ("2025Q2", 1, 1, 0), ("2025Q4", 1, 1, 0)]),
    ],
)
def test_volumes_are_counted_in_half_open_quarters(
    month: int, expected: list[tuple[str, int, int, int]], tmp_path: Path
) -> None:
    calendar = {"fiscal_year_starts_in_month": month}
    log, data = draw(
        tmp_path,
        {"accounts": ACCOUNTS, "events": f"account_id | event | occurred_at\n{ROWS}"},
        calendar=calendar,
    )
    found = quarterly_volumes(log, data)
    assert list(found) == ["quarter", "events", "active_accounts", "signups"]
    assert [tuple(row) for row in found.itertuples(index=False)] == expected
    # Asked twice of the same log: the calendar is no leftover of the first time.
    assert quarterly_volumes(log, data).equals(found)
