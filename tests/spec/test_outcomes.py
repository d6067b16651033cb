"""Who is alive, at risk, retained - and when nobody can know yet."""

from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from features.attributes import FAR, in_force
from features.observations import Question, observe
from features.outcomes import lives
from features.specs import Aggregation, FeatureSpec
from features.windows import EVER, Grid
from tests.spec.drawn import draw, feature

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


@pytest.mark.parametrize(
    ("spells", "expected"),
    [
        # Overlapping, touching to the day after, and within one another: one life.
        (["2024-01-01 | 2024-03-01", "2024-02-01 | 2024-04-01"], [("2024-01-01", "2024-04-01")]),
        (["2024-01-01 | 2024-03-01", "2024-03-01 | 2024-04-01"], [("2024-01-01", "2024-04-01")]),
        (["2024-01-01 | 2024-03-01", "2024-03-02 | 2024-04-01"], [("2024-01-01", "2024-04-01")]),
        (["2024-01-01 | 2024-05-01", "2024-02-01 | 2024-03-01"], [("2024-01-01", "2024-05-01")]),
        (
            ["2024-01-01 | 2024-05-01", "2024-02-01 | 2024-03-01", "2024-05-01 | -"],
            [("2024-01-01", None)],
        ),
        # A gap of more than a day is a return.
        (
            ["2024-01-01 | 2024-03-01", "2024-03-02T00:00:01 | 2024-04-01"],
            [("2024-01-01", "2024-03-01"), ("2024-03-02T00:00:01", "2024-04-01")],
        ),
        (
            ["2024-01-01 | 2024-02-29", "2024-06-01 | -"],
            [("2024-01-01", "2024-02-29"), ("2024-06-01", None)],
        ),
        # What never ends swallows what comes later.
        (["2024-01-01 | -", "2024-06-01 | 2024-07-01"], [("2024-01-01", None)]),
    ],
)
def test_spells_make_lives(tmp_path: Path, spells: list[str], expected: list[tuple[str, str | None]]) -> None:
    for rows in (spells, spells[::-1]):
        table = "account_id | started_at | ended_at\n" + "\n".join(f"a | {row}" for row in rows)
        assert lives_of(tmp_path, table) == expected


def lives_of(tmp_path: Path, subscriptions: str, **outcome: str) -> list[tuple[str, str | None]]:
    """Start and end of each life of the account a, None for one that goes on."""
    declared = {"kind": "subscription_end", "horizon_days": 30, **outcome}
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": subscriptions}
    log, data = draw(tmp_path, tables, outcomes=declared)
    found = lives(log, data)
    return [
        (short(start), None if end == FAR else short(end))
        for account, start, end in zip(found.account, found.start, found.end, strict=True)
        if account == 0
    ]


def short(time: object) -> str:
    return str(pd.Timestamp(time).isoformat()).removesuffix("T00:00:00")  # type: ignore[arg-type]


TRIALS = """
account_id | started_at | ended_at   | trial | seats | mrr
a          | 2024-01-01 | 2024-01-15 | yes   | 2     | 0
a          | 2024-01-15 | 2024-06-01 | no    | 5     | 100
a          | 2024-06-01 | -          | TRUE  | 1     | 0
b          | 2024-01-01 | -          | 1     | 3     | 0
c          | 2024-01-01 | -          | -     | 4     | 10
"""


def test_a_trial_is_no_part_of_a_life_unless_it_is_declared_to_be(tmp_path: Path) -> None:
    assert lives_of(tmp_path, TRIALS) == [("2024-01-15", "2024-06-01")]
    assert lives_of(tmp_path, TRIALS, trials="counted") == [("2024-01-01", None)]


def test_trials_are_counted_in_the_books_and_their_seats_are_in_force(tmp_path: Path) -> None:
    tables = {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": TRIALS}
    log, data = draw(tmp_path, tables)
    assert "subscriptions: 3 trial spells are no customer life (data.outcomes.trials)" in log.books()
    assert "subscriptions: 5 rows read, 5 used" in log.books()
    seats = FeatureSpec("seats", "Seats", Aggregation.SEATS, EVER)
    assert feature(log, data, seats, "2024-01-10", "2024-07-01") == {
        ("a", "2024-01-10"): 2, ("a", "2024-07-01"): 1, ("b", "2024-01-10"): 3, ("b", "2024-07-01"): 3,
        ("c", "2024-01-10"): 4, ("c", "2024-07-01"): 4,
    }  # fmt: skip
    counted = {"kind": "silent", "horizon_days": 90, "trials": "counted"}
    log, _ = draw(tmp_path, tables, outcomes=counted)
    assert not any("trial spells" in line for line in log.books())
    found = labels(tmp_path, "2024-04-01", 30, "subscription_end", subscriptions=TRIALS)
    assert found["alive"].to_dict() == {"a": True, "b": False, "c": True}


def test_a_trial_beside_a_contract_does_not_say_when_it_renews(tmp_path: Path) -> None:
    subscriptions = """
    account_id | started_at | ended_at | term_months | trial
    a          | 2024-01-01 | -        | 12          | no
    a          | 2024-03-01 | -        | 1           | yes
    """
    found = labels(tmp_path, "2024-04-01", 30, "subscription_end", subscriptions=subscriptions)
    assert not found.loc["a", "at_risk"]


def test_a_trial_that_is_neither_true_nor_false_is_set_aside(tmp_path: Path) -> None:
    spells = TRIALS.replace("TRUE ", "maybe")
    log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": spells})
    assert log.quarantined["subscriptions"] == {"trial neither true nor false": 1}


GAPS = """
account_id | started_at | ended_at            | plan  | term_months
a          | 2024-01-01 | 2024-02-01          | free  | 1
a          | 2024-02-02 | 2024-02-20          | basic | 1
a          | 2024-03-01 | -                   | pro   | 12
a          | 2024-04-01 | 2024-04-10          | add   | 1
a          | 2024-04-02 | 2024-04-05          | other | 1
b          | 2024-01-01 | 2024-03-01          | old   | 12
c          | 2024-01-01 | -                   | on    | 1
"""


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-01-01", ("nothing", "nothing", "nothing")),  # what starts at the date is the future
        ("2024-02-01", ("free", "old", "on")),
        ("2024-02-02", ("free", "old", "on")),  # ended on one day, and the next starts on the following one
        ("2024-02-02T00:00:01", ("basic", "old", "on")),
        ("2024-02-21", ("basic", "old", "on")),
        ("2024-02-21T00:00:01", ("nothing", "old", "on")),  # between two spells there is none
        ("2024-03-01T00:00:01", ("pro", "old", "on")),
        ("2024-03-02", ("pro", "old", "on")),
        ("2024-03-02T00:00:01", ("pro", "nothing", "on")),
        ("2024-04-04", ("other", "nothing", "on")),
        ("2024-04-08", ("add", "nothing", "on")),  # the one that started last is over, one before it is not
        ("2024-05-01", ("pro", "nothing", "on")),
    ],
)
def test_a_plan_is_in_force_within_its_spell(tmp_path: Path, day: str, expected: tuple[str, ...]) -> None:
    accounts = "account_id | signed_up_at\n" + "\n".join(f"{name} | 2024-01-01" for name in "abc")
    log, _ = draw(tmp_path, {"accounts": accounts, "events": EVENTS, "subscriptions": GAPS})
    assert log.subscriptions is not None
    frame = pd.DataFrame({"account": [0, 1, 2], "as_of": pd.Timestamp(day)})
    assert tuple(in_force(log.subscriptions, frame, "plan")["plan"].fillna("nothing")) == expected


def test_a_contract_that_is_over_binds_nobody(tmp_path: Path) -> None:
    # Alive, as no outcome is recorded of it: its annual term keeps it until it ends, and not until next January.
    spells = "account_id | started_at | ended_at | term_months\na | 2024-01-01 | 2024-02-01 | 12"
    tables = {"subscriptions": spells, "outcomes": "account_id | occurred_at\nb | 2024-12-01"}
    for day, at_risk in (("2024-01-20", False), ("2024-03-01", True)):
        found = labels(tmp_path / day, day, 30, "outcomes", **tables)
        assert (found.loc["a", "alive"], found.loc["a", "at_risk"]) == (True, at_risk)


def test_of_spells_that_start_together_the_order_of_rows_decides_nothing(tmp_path: Path) -> None:
    rows = [
        "a | 2024-01-01 | 2024-02-01 | free",
        "a | 2024-01-01 | - | pro",
        "a | 2024-01-01 | 2024-03-01 | x",
    ]
    for order in permutations(rows):
        text = "\n".join(["account_id | started_at | ended_at | plan", *order])
        log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "subscriptions": text})
        assert log.subscriptions is not None
        frame = pd.DataFrame({"account": [0], "as_of": [pd.Timestamp("2024-04-01")]})
        assert in_force(log.subscriptions, frame, "plan")["plan"].tolist() == ["pro"]
