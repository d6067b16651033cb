"""Who is alive, at risk, retained - and when nobody can know yet."""

from pathlib import Path

import pandas as pd

from features.observations import Question, observe
from features.windows import Grid
from tests.spec.drawn import draw

ACCOUNTS = """
account_id | signed_up_at
a          | 2024-01-01
b          | 2024-01-01
c          | 2024-01-01
"""
EVENTS = """
account_id | event | occurred_at
a          | login | 2024-01-01
b          | login | 2024-01-02
c          | login | 2024-03-31T23:00:00
c          | login | 2024-04-01T00:00:00
a          | login | 2024-12-31T23:00:00
"""


def labels(tmp_path: Path, as_of: str, horizon: int, kind: str, **tables: str) -> pd.DataFrame:
    outcome = {"kind": kind, "horizon_days": horizon}
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS} | tables, outcomes=outcome)
    grid = Grid("calendar", (int(pd.Timestamp(as_of).timestamp() // 86_400),))
    frame = observe(log, data, Question((), grid))
    return frame.assign(name=log.accounts["account_id"].to_numpy()[frame["account"]]).set_index("name")


def test_lost_is_an_end_within_the_half_open_horizon(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at
    a          | 2024-01-01 | 2024-05-01
    b          | 2024-01-01 | 2024-04-30
    c          | 2024-01-01 | 2024-03-31
    """
    # The horizon of 30 days from 2024-04-01 is [2024-04-01, 2024-05-01).
    found = labels(tmp_path, "2024-04-01", 30, "subscription_end", subscriptions=subscriptions)
    assert found["alive"].to_dict() == {"a": True, "b": True, "c": False}
    assert found.loc["a", "retained"]
    assert not found.loc["b", "retained"]
    assert found["retained"].isna()["c"]


def test_an_account_ends_when_its_last_touching_spell_ends(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at
    a          | 2024-01-01 | 2024-04-10
    a          | 2024-04-10 | 2024-08-01
    b          | 2024-01-01 | 2024-04-10
    b          | 2024-04-20 | -
    c          | 2024-01-01 | 2024-02-01
    c          | 2024-03-20 | -
    """
    found = labels(tmp_path, "2024-04-01", 30, "subscription_end", subscriptions=subscriptions)
    assert found.loc["a", "retained"]  # renewed at once
    assert not found.loc["b", "retained"]  # came back later: that is a return, not a renewal
    assert found.loc["c", "alive"]  # a reactivated account lives again


def test_an_outcome_that_is_not_observable_is_missing(tmp_path: Path) -> None:
    subscriptions = "account_id | started_at | ended_at\na | 2024-01-01 | 2024-12-15\nb | 2024-01-01 | -\nc | 2024-01-01 | -"
    found = labels(tmp_path, "2024-12-01", 60, "subscription_end", subscriptions=subscriptions)
    # Even the end that is known already: to count early losses alone would make the newest cohort look worst.
    assert found["retained"].isna().all()
    assert (found["known_from"] == pd.Timestamp("2025-01-30")).all()


def test_an_outcome_is_observable_when_its_horizon_ends_with_the_log(tmp_path: Path) -> None:
    # The last event is of 2024-12-31 at 23:00: the log covers every instant before 2025-01-01.
    subscriptions = (
        "account_id | started_at | ended_at\na | 2024-01-01 | -\nb | 2024-01-01 | -\nc | 2024-01-01 | -"
    )
    known = labels(tmp_path, "2024-12-01", 31, "subscription_end", subscriptions=subscriptions)
    assert known["retained"].eq(True).all()
    waiting = labels(tmp_path, "2024-12-01", 32, "subscription_end", subscriptions=subscriptions)
    assert waiting["retained"].isna().all()


def test_an_end_at_the_as_of_date_is_in_the_horizon_and_a_renewal_at_its_end_is_not(tmp_path: Path) -> None:
    # The horizon of 30 days is [2024-04-01, 2024-05-01).
    subscriptions = """
    account_id | started_at | ended_at   | term_months | renews_at
    a          | 2024-01-01 | 2024-04-01 | -           | -
    b          | 2024-01-01 | -          | 12          | 2024-05-01
    c          | 2024-01-01 | -          | 12          | 2024-04-30
    """
    found = labels(tmp_path, "2024-04-01", 30, "subscription_end", subscriptions=subscriptions)
    assert found["alive"].all()
    assert not found.loc["a", "retained"]
    assert found["at_risk"].to_dict() == {"a": True, "b": False, "c": True}


def test_an_account_that_signs_up_at_the_as_of_date_is_not_observed_yet(tmp_path: Path) -> None:
    accounts = "account_id | signed_up_at\na | 2024-04-01\nb | 2024-03-31T23:59:59\nc | 2024-01-01"
    found = labels(tmp_path, "2024-04-01", 30, "silent", accounts=accounts)
    assert sorted(found.index) == ["b", "c"]


def test_annual_contracts_are_at_risk_only_with_a_renewal_in_the_horizon(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at | term_months | renews_at
    a          | 2024-01-01 | -        | 12          | 2025-01-01
    b          | 2024-01-01 | -        | 1           | -
    c          | 2024-01-01 | -        | 12          | 2024-05-15
    """
    found = labels(tmp_path, "2024-04-01", 90, "subscription_end", subscriptions=subscriptions)
    assert found["at_risk"].to_dict() == {"a": False, "b": True, "c": True}


def test_terms_are_counted_from_the_start_where_no_renewal_is_declared(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at | term_months
    a          | 2024-01-01 | -        | 12
    b          | 2024-01-01 | -        | 3
    c          | 2024-01-01 | -        | -
    """
    found = labels(tmp_path, "2024-05-01", 90, "subscription_end", subscriptions=subscriptions)
    assert found["at_risk"].to_dict() == {"a": False, "b": True, "c": True}


def test_silence_asks_accounts_that_were_active_before(tmp_path: Path) -> None:
    found = labels(tmp_path, "2024-04-01", 90, "silent")
    assert found["alive"].to_dict() == {"a": False, "b": True, "c": True}  # a's login is 91 days old
    assert not found.loc["b", "retained"]
    assert found.loc["c", "retained"]  # its login at the very as-of date belongs to the future


def test_the_first_recorded_outcome_ends_an_account(tmp_path: Path) -> None:
    outcomes = """
    account_id | occurred_at
    a          | 2024-04-15
    a          | 2024-03-15
    b          | 2024-04-15
    c          | -
    """
    found = labels(tmp_path, "2024-04-01", 30, "outcomes", outcomes=outcomes)
    assert found["alive"].to_dict() == {"a": False, "b": True, "c": True}
    assert not found.loc["b", "retained"]
    assert found.loc["c", "retained"]
