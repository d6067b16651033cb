"""Who bought more, and what an account pays: drawn one by one, and against a slow loop over random spells."""

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest

from features.errors import DataError
from features.intake import open_log
from features.observations import BOOKED, IDENTITY, Question, observe
from features.windows import Grid
from tests.spec.drawn import data_for, draw, table

T, HORIZON = pd.Timestamp("2024-04-01"), 30
NAMES = "abcdef"
EVENTS = "account_id | event | occurred_at\na | login | 2024-01-01\na | login | 2025-01-01"
Spell: TypeAlias = tuple[datetime, datetime | None, float | None, bool]  # start, end, seats, trial


def labels(folder: Path, spells: str, **outcome: Any) -> pd.DataFrame:
    """The labels of accounts a to f at T by name; they signed up with the year."""
    accounts = "account_id | signed_up_at\n" + "\n".join(f"{name} | 2024-01-01" for name in NAMES)
    tables = {"accounts": accounts, "events": EVENTS, "subscriptions": spells}
    if outcome.get("kind") == "outcomes":
        tables["outcomes"] = "account_id | occurred_at\nf | 2024-04-10"
    declared = {"kind": "subscription_end", "horizon_days": HORIZON, **outcome}
    log, data = draw(folder, tables, outcomes=declared)
    frame = observe(log, data, Question((), Grid("calendar", ((T - pd.Timestamp(0)).days,))))
    return frame.assign(name=log.accounts["account_id"].to_numpy()[frame["account"]]).set_index("name")


def answers(column: "pd.Series[Any]") -> dict[str, bool | None]:
    return {str(k): None if pd.isna(v) else bool(v) for k, v in column.items()}


def test_expanded_is_more_seats_at_the_end_of_the_horizon_than_before_it(tmp_path: Path) -> None:
    # The horizon is [2024-04-01, 2024-05-01): what is bought at its very end is not bought yet.
    found = labels(
        tmp_path,
        """
        account_id | started_at          | ended_at            | seats | mrr
        a          | 2024-01-01          | -                   | 5     | 50
        a          | 2024-04-30T23:59:59 | -                   | 1     | 10
        b          | 2024-01-01          | -                   | 5     | 50
        b          | 2024-05-01          | -                   | 1     | 10
        c          | 2024-01-01          | 2024-04-15          | 5     | 50
        c          | 2024-04-15          | -                   | 5     | 90
        d          | 2024-01-01          | 2024-04-15          | 5     | 50
        d          | 2024-04-20          | -                   | 9     | 90
        e          | 2024-01-01          | -                   | -     | 50
        f          | 2024-01-01          | 2024-04-10          | 5     | 50
        f          | 2024-04-10          | -                   | -     | 90
        """,
    )
    # c pays more for the same seats; d left and came back; e and f do not say how many seats they have.
    assert answers(found["expanded"]) == {
        "a": True, "b": False, "c": False, "d": False, "e": None, "f": None,
    }  # fmt: skip
    assert found["mrr"].to_dict() == dict.fromkeys(NAMES, 50.0)


def test_in_revenue_a_rise_of_prices_counts_and_a_trial_never_does(tmp_path: Path) -> None:
    spells = """
    account_id | started_at | ended_at   | seats | mrr   | trial
    a          | 2024-01-01 | 2024-04-15 | 5     | 50    | no
    a          | 2024-04-15 | -          | 5     | 90    | no
    b          | 2024-01-01 | 2024-04-15 | 2     | 0     | yes
    b          | 2024-04-15 | -          | 5     | 50    | no
    c          | 2024-01-01 | -          | 5     | 50    | no
    c          | 2024-04-15 | -          | 9     | 90    | yes
    d          | 2024-01-01 | 2024-04-10 | 5     | 50    | no
    d          | 2024-04-10 | 2024-05-01 | 5     | 60    | no
    """
    found = labels(tmp_path / "mrr", spells, trials="counted", expansion="mrr")
    # d leaves when the horizon is over: it was retained until then.
    assert answers(found["expanded"].reindex(list("abcd"))) == {"a": True, "b": None, "c": False, "d": True}
    assert found["mrr"].reindex(list("abc")).fillna(-1).to_dict() == {"a": 50, "b": -1, "c": 50}
    by_default = labels(tmp_path / "seats", spells, trials="counted")
    assert answers(by_default["expanded"].reindex(list("abc"))) == {"a": False, "b": None, "c": False}


def test_a_day_between_two_spells_is_no_gap_in_what_is_bought(tmp_path: Path) -> None:
    spells = """
    account_id | started_at          | ended_at            | seats
    a          | 2024-01-01          | 2024-03-31T12:00:00 | 5
    a          | 2024-04-01T06:00:00 | -                   | 5
    b          | 2024-01-01          | 2024-04-30T12:00:00 | 5
    b          | 2024-05-01T06:00:00 | -                   | 5
    c          | 2024-01-01          | 2024-04-30T12:00:00 | 5
    c          | 2024-04-15          | -                   | 1
    d          | 2024-01-01          | 2024-04-01T06:00:00 | 5
    d          | 2024-03-31T18:00:00 | -                   | 1
    d          | 2024-04-15          | -                   | 3
    """
    found = labels(tmp_path, spells)
    assert answers(found["retained"]) == dict.fromkeys("abcd", True) | dict.fromkeys("ef")
    assert answers(found["expanded"].reindex(list("abcd"))) == dict.fromkeys("abcd", False)


def test_growth_that_nobody_can_see_yet_is_missing(tmp_path: Path) -> None:
    spells = (
        "account_id | started_at | ended_at | seats\na | 2024-01-01 | 2024-06-01 | 5\na | 2024-06-01 | - | 9"
    )
    assert answers(labels(tmp_path / "known", spells, horizon_days=275)["expanded"])["a"] is True
    assert answers(labels(tmp_path / "waiting", spells, horizon_days=276)["expanded"])["a"] is None


def test_who_stays_without_a_contract_has_not_expanded(tmp_path: Path) -> None:
    # Nobody recorded that these left: a's contract is over when the horizon is, b's was before it began.
    spells = """
    account_id | started_at | ended_at   | seats
    a          | 2024-01-01 | 2024-04-20 | 5
    b          | 2024-01-01 | 2024-03-20 | 5
    f          | 2024-01-01 | -          | 5
    """
    found = labels(tmp_path, spells, kind="outcomes")
    assert answers(found["retained"].reindex(list("abf"))) == {"a": True, "b": True, "f": False}
    assert answers(found["expanded"].reindex(list("abcf"))) == {"a": False, "b": None, "c": None, "f": False}


@pytest.mark.parametrize(
    ("columns", "row", "found"),
    [
        ("seats", "5", ("expanded",)),
        ("mrr", "50", BOOKED),
        ("seats | mrr", "- | 50", BOOKED),
        ("plan", "pro", ()),
    ],
)
def test_only_what_subscriptions_say_has_a_column(
    tmp_path: Path, columns: str, row: str, found: tuple[str, ...]
) -> None:
    spells = f"account_id | started_at | {columns}\na | 2024-01-01 | {row}"
    assert tuple(labels(tmp_path, spells)) == (*IDENTITY, *found)


def test_a_declared_expansion_needs_its_column(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.outcomes\.expansion: 'seats' is asked for, and the subscriptions have mrr"
    ):
        labels(tmp_path, "account_id | started_at | mrr\na | 2024-01-01 | 5", expansion="seats")


# --- against a slow loop ---


def bought(spells: list[Spell], t: datetime) -> float | None:
    """Seats just before t: of the paid spells in force then; None where none is, NaN where one does not say."""
    held = []
    for start, end, seats, trial in spells:
        if trial or start >= t:
            continue
        following = [s for s, _, _, other in spells if not other and end is not None and s >= end]
        if end is not None and following and min(following) - end <= timedelta(days=1):
            end = min(following)
        if end is None or end >= t:
            held.append(math.nan if seats is None else seats)
    return sum(held) if held else None


def expected(spells: list[Spell], t: datetime, retained: bool | None) -> bool | None:
    now, then = bought(spells, t), bought(spells, t + timedelta(days=HORIZON))
    if retained is None or now is None or math.isnan(now):
        return None
    if not retained:
        return False
    if then is not None and math.isnan(then):
        return None
    return then is not None and then > now


def random_spells(rng: np.random.Generator) -> list[Spell]:
    """Spells that overlap, touch, leave a gap of some hours or days; some are trials, some do not say their seats."""
    start, found = datetime(2024, 1, 1), []
    for _ in range(rng.integers(1, 8)):
        end = start + timedelta(hours=int(rng.integers(1, 120)) * 12)
        seats = None if rng.random() < 0.1 else float(rng.integers(0, 4))
        found.append((start, None if rng.random() < 0.1 else end, seats, bool(rng.random() < 0.15)))
        start = end + timedelta(hours=int(rng.choice([-240, -36, -12, 0, 0, 12, 24, 36, 240])))
    return found


def test_random_spells_expand_as_a_slow_loop_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    spells = {f"a{i}": random_spells(rng) for i in range(150)}
    rows = [
        {"account_id": name, "started_at": s, "ended_at": e, "seats": seats, "trial": trial}
        for name, of_account in spells.items()
        for s, e, seats, trial in of_account
    ]
    accounts = pd.DataFrame({"account_id": list(spells), "signed_up_at": pd.Timestamp("2024-01-01")})
    events = table(EVENTS.replace("a |", "a0 |"))
    tables = {"accounts": accounts, "events": events, "subscriptions": pd.DataFrame(rows)}
    data = data_for(tmp_path, tables, outcomes={"kind": "subscription_end", "horizon_days": HORIZON})
    log = open_log(data, tmp_path, now=pd.Timestamp("2030-01-01"))
    days = tuple((pd.Timestamp(f"2024-{month:02}-01") - pd.Timestamp(0)).days for month in (2, 3, 4, 5, 6, 8))
    frame = observe(log, data, Question((), Grid("calendar", days)))
    names = log.accounts["account_id"].to_numpy()[frame["account"]]
    seen: dict[bool | None, int] = {}
    for name, t, retained, found in zip(
        names, frame["as_of"], frame["retained"], frame["expanded"], strict=True
    ):
        stayed = None if pd.isna(retained) else bool(retained)
        answer = expected(spells[name], t.to_pydatetime(), stayed)
        assert (None if pd.isna(found) else bool(found)) is answer, (name, t)
        seen[answer] = seen.get(answer, 0) + 1
    assert min(seen[answer] for answer in (True, False, None)) > 20
