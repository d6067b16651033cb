"""Who reached a milestone, who could, and what became of them: drawn day by day."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import DataError
from features.log import Log
from features.quarters import Quarters
from models.cohorts import Asked, Cohort, build_cohorts
from models.framework import Framework
from models.label_clock import LabelClock
from tests.spec.drawn import draw

SIGNUP = pd.Timestamp("2024-01-10")
FOREVER = pd.Timestamp("2099-01-01")
SUBSCRIBED = {"kind": "subscription_end", "horizon_days": 30}
ACTIVATION = {"kind": "once", "rule": {"events": ["go"], "window_days": 90, "at_least": 3}}
UTILIZATION = {"kind": "state", "rule": {"events": ["use"], "window_days": 30, "at_least": 2}}


def day(n: float, signup: pd.Timestamp = SIGNUP) -> str:
    """The instant n days after signup."""
    return (signup + pd.Timedelta(days=n)).isoformat()


def accounts(names: str, signup: pd.Timestamp = SIGNUP) -> str:
    return "\n".join(f"{name} | {signup.isoformat()}" for name in names.split())


def happened(event: str, **days: list[float]) -> str:
    """Rows of the events table: the days after signup on which each account did it."""
    return "\n".join(f"{name} | {event} | {day(n)}" for name, when in days.items() for n in when)


def subscribed(until: dict[str, float | None], seats: float | None = 1) -> str:
    """Rows of the subscriptions table, from signup to a day of tenure or on and on."""
    shown = "-" if seats is None else seats
    return "\n".join(
        f"{name} | {SIGNUP.isoformat()} | {'-' if end is None else day(end)} | {shown}"
        for name, end in until.items()
    )


def cohorts(
    folder: Path,
    people: str,
    events: str,
    milestones: dict[str, Any],
    subscriptions: str,
    through: str = "2026-01-01",
    since: str = "2024-01-01",
    eligibility: str | None = None,
    states: str | None = None,
    core: tuple[str, ...] = (),
    **changes: Any,
) -> tuple[dict[str, Cohort], Log]:
    """The cohorts of a drawn log that knows what happened in [since, through): an account keeps the clock."""
    plan = " | plan" if eligibility else ""
    clock = f"clock | tick | {since}\nclock | tick | {through}"
    tables = {
        "accounts": f"account_id | signed_up_at\n{people}\nclock | {since}",
        "events": f"account_id | event | occurred_at\n{events}\n{clock}",
        "subscriptions": f"account_id | started_at | ended_at | seats{plan}\n{subscriptions}",
    }
    if eligibility is not None:
        tables["eligibility"] = f"feature | plan | launched_at | tracked_from\n{eligibility}"
    if states is not None:
        tables["states"] = f"account_id | attribute | value | valid_from | valid_to\n{states}"
    log, data = draw(folder, tables, **{"outcomes": SUBSCRIBED, "events": {"core": core}, **changes})
    assert log.data_through == pd.Timestamp(through)
    framework = Framework.model_validate(
        {"schema": 1, "name": "drawn", "version": 1, "data": data.model_dump(), "milestones": milestones}
    )
    return build_cohorts(framework, log).by_name, log


def named(cohort: Cohort, log: Log) -> pd.DataFrame:
    """The frame by account id, without the account that only keeps the clock."""
    frame = cohort.frame.assign(name=log.accounts["account_id"].to_numpy()[cohort.frame["account"]])
    return frame[frame["name"] != "clock"].set_index("name")


def answers(column: "pd.Series[Any]") -> dict[str, bool | None]:
    return {str(k): None if pd.isna(v) else bool(v) for k, v in column.items()}


# --- once: reached within so many days of signup, looked at when they are over ---

AROUND_THE_CUT = happened(
    "go",
    at=[1, 2, 3],
    below=[1, 2],
    edge=[1, 2, 90],
    last=[1, 2, 90 - 1 / 86_400],
    gone=[1, 2, 3],
    leaves=[1, 2, 3],
)


def test_reached_means_at_least_within_the_half_open_window(tmp_path: Path) -> None:
    names = ["at", "below", "edge", "last", "gone", "leaves"]
    ends: dict[str, float | None] = dict.fromkeys(names)
    ends |= {"gone": 90 - 1 / 86_400, "leaves": 90}
    found, log = cohorts(
        tmp_path, accounts(" ".join(names)), AROUND_THE_CUT, {"activation": ACTIVATION}, subscribed(ends)
    )
    frame = named(found["activation"], log)
    assert frame["score"].to_dict() == {"at": 3, "below": 2, "edge": 2, "last": 3, "gone": 3, "leaves": 3}
    assert frame["status"].eq("reached").to_dict() == {
        "at": True, "below": False, "edge": False, "last": True, "gone": True, "leaves": True,
    }  # fmt: skip
    assert (frame["as_of"] == pd.Timestamp("2024-04-09")).all()
    # Who ended before the landmark is in neither group; who ends at it was still there, and is lost.
    assert answers(frame["alive"]) == dict.fromkeys(names, True) | {"gone": False}
    judged = found["activation"].judged("primary", FOREVER)
    kept = log.accounts["account_id"].to_numpy()[judged["account"]]
    assert dict(zip(kept, judged["outcome"], strict=True)) == {
        "at": True, "below": True, "edge": True, "last": True, "leaves": False,
    }  # fmt: skip
    assert dict(zip(kept, judged["reached"], strict=True))["edge"] == np.False_


def test_retention_is_counted_from_the_landmark_on(tmp_path: Path) -> None:
    ends: dict[str, float | None] = {"a": 120, "b": 120 - 1 / 86_400, "c": None}  # 30 days from day 90
    found, log = cohorts(
        tmp_path, accounts("a b c"), happened("go", a=[1]), {"activation": ACTIVATION}, subscribed(ends)
    )
    frame = named(found["activation"], log)
    assert answers(frame["retained"]) == {"a": True, "b": False, "c": True}
    assert (frame["retained_known_from"] == pd.Timestamp(day(120))).all()


def test_the_quarter_is_that_of_the_landmark(tmp_path: Path) -> None:
    # Signup 2024-01-10 lies in 2024Q1, the landmark 2024-04-09 in 2024Q2; a year that begins in February has its
    # first quarter then, and bears the name of the year in which it ends.
    milestones = {"activation": ACTIVATION}
    for month, quarter in ((1, "2024Q2"), (2, "2025Q1")):
        calendar = {"fiscal_year_starts_in_month": month}
        found, log = cohorts(
            tmp_path, accounts("a"), happened("go", a=[1]), milestones, subscribed({"a": None}), calendar=calendar
        )  # fmt: skip
        assert named(found["activation"], log).loc["a", "quarter"] == quarter


SETUP = {
    "kind": "once",
    "primary_outcome": "activation",
    "rule": {"steps": ["invite", "connect"], "window_days": 30, "at_least": 2},
}


def test_setup_leads_to_activation_of_those_not_activated_yet(tmp_path: Path) -> None:
    #        day 30: the landmark of setup          day 90: activation is decided
    go = happened(
        "go",
        already=[1, 2, 29.9],
        edge=[1, 2, 30],
        gets=[1, 50, 60],
        late=[1, 50, 90],
        gone=[1, 2],
    )
    names = ["already", "edge", "gets", "late", "never", "gone"]
    steps = (
        happened("invite", gets=[1], never=[1], edge=[30]) + "\n" + happened("connect", gets=[1], never=[30])
    )
    ends: dict[str, float | None] = dict.fromkeys(names)
    ends["gone"] = 20
    found, log = cohorts(
        tmp_path, accounts(" ".join(names)), f"{go}\n{steps}", {"setup": SETUP, "activation": ACTIVATION},
        subscribed(ends),
    )  # fmt: skip
    frame = named(found["setup"], log)
    assert frame["score"].to_dict() == {"already": 0, "edge": 0, "gets": 2, "late": 0, "never": 1, "gone": 0}
    assert answers(frame["outcome"]) == {
        "already": None, "edge": True, "gets": True, "late": False, "never": False, "gone": None,
    }  # fmt: skip
    assert (frame["outcome_known_from"] == pd.Timestamp(day(90))).all()


def test_activation_leads_to_a_state_ninety_days_later(tmp_path: Path) -> None:
    # Landmark day 90; utilization is looked at on day 180, over [150, 180), of accounts that are there.
    names = ["uses", "early", "late", "gone_then", "gone"]
    use = happened(
        "use", uses=[150, 179.9], early=[149.9, 160], late=[160, 180], gone_then=[151, 155], gone=[10, 20]
    )
    ends: dict[str, float | None] = dict.fromkeys(names)
    ends |= {"gone_then": 170, "gone": 60}
    milestones = {"activation": {**ACTIVATION, "primary_outcome": "utilization"}, "utilization": UTILIZATION}
    found, log = cohorts(tmp_path, accounts(" ".join(names)), use, milestones, subscribed(ends))
    frame = named(found["activation"], log)
    assert answers(frame["outcome"]) == {
        "uses": True, "early": False, "late": False, "gone_then": False, "gone": None,
    }  # fmt: skip
    assert (frame["outcome_known_from"] == pd.Timestamp(day(180))).all()


def test_what_lies_after_the_end_of_the_log_is_no_outcome(tmp_path: Path) -> None:
    milestones = {"activation": {**ACTIVATION, "primary_outcome": "utilization"}, "utilization": UTILIZATION}
    for through, known in ((day(180), True), (day(179.5), None)):
        found, log = cohorts(
            tmp_path, accounts("a"), happened("use", a=[151, 155]), milestones, subscribed({"a": None}), through
        )  # fmt: skip
        assert answers(named(found["activation"], log)["outcome"]) == {"a": known}
        # Asked as of a far future the answer is the same: nothing is known that the log does not hold.
        names = log.accounts["account_id"].to_numpy()[
            found["activation"].judged("primary", FOREVER)["account"]
        ]
        assert ("a" in names) is bool(known)
        retained = answers(named(found["activation"], log)["retained"])
        assert retained == {"a": True}  # known on day 120


def test_a_state_that_nobody_could_measure_is_no_answer(tmp_path: Path) -> None:
    # Per seat, and the subscription says no seats: alive on day 180, but neither utilized nor not.
    per_seat = {**UTILIZATION, "rule": {**UTILIZATION["rule"], "per_seat": True}}  # type: ignore[dict-item]
    milestones = {"activation": {**ACTIVATION, "primary_outcome": "utilization"}, "utilization": per_seat}
    subscriptions = subscribed({"seats": None}) + "\n" + subscribed({"bare": None, "gone": 170}, seats=None)
    found, log = cohorts(
        tmp_path, accounts("seats bare gone"), happened("use", seats=[160], bare=[160, 161]), milestones,
        subscriptions,
    )  # fmt: skip
    assert answers(named(found["activation"], log)["outcome"]) == {
        "seats": False,
        "bare": None,
        "gone": False,
    }


def test_dormant_is_no_core_event_in_the_last_thirty_of_ninety_days_after_the_landmark(
    tmp_path: Path,
) -> None:
    # Landmark day 90: [150, 180) counts, whether the account is still there or not; core is `use` alone.
    names = ["first", "last", "before", "after", "left", "gone"]
    use = happened(
        "use", first=[150], last=[180 - 1 / 86_400], before=[150 - 1 / 86_400], after=[180], gone=[160]
    )
    use += "\n" + happened("go", before=[160])
    ends: dict[str, float | None] = dict.fromkeys(names) | {"left": 100.0, "gone": 60.0}
    milestones = {"activation": ACTIVATION}
    found, log = cohorts(
        tmp_path / "core", accounts(" ".join(names)), use, milestones, subscribed(ends), core=("use",)
    )
    frame = named(found["activation"], log)
    assert answers(frame["dormant"]) == {
        "first": False, "last": False, "before": True, "after": True, "left": True, "gone": None,
    }  # fmt: skip
    assert (frame["dormant_known_from"] == pd.Timestamp(day(180))).all()
    judged = found["activation"].judged("dormant", FOREVER)
    kept = log.accounts["account_id"].to_numpy()[judged["account"]]
    assert dict(zip(kept, judged["outcome"], strict=True))["left"] == np.True_
    assert found["activation"].horizon_days("dormant") == 90
    # Where no event is core, each one counts.
    found, log = cohorts(
        tmp_path / "any", accounts(" ".join(names)), use, milestones, subscribed(ends), core=()
    )
    assert answers(named(found["activation"], log)["dormant"])["before"] is False


@pytest.mark.parametrize(("through", "known"), [(day(180), True), (day(179.5), None)])
def test_dormancy_is_known_when_its_days_are_over(tmp_path: Path, through: str, known: bool | None) -> None:
    found, log = cohorts(
        tmp_path, accounts("a"), happened("go", a=[1]), {"activation": ACTIVATION}, subscribed({"a": None}), through
    )  # fmt: skip
    assert answers(named(found["activation"], log)["dormant"]) == {"a": known}


def test_dormancy_asks_nothing_of_days_on_which_core_events_went_unseen(tmp_path: Path) -> None:
    found, log = cohorts(
        tmp_path, accounts("a"), happened("go", a=[1]), {"activation": ACTIVATION},
        f"a | {SIGNUP.isoformat()} | - | 1 | pro", eligibility=f"use | - | - | {day(151)}", core=("use",),
    )  # fmt: skip
    assert answers(named(found["activation"], log)["dormant"]) == {"a": None}


def test_every_step_of_setup_is_known_by_itself(tmp_path: Path) -> None:
    steps = happened("invite", both=[1], late=[30]) + "\n" + happened("connect", both=[2], late=[3])
    found, log = cohorts(
        tmp_path, accounts("both late"), steps, {"setup": SETUP, "activation": ACTIVATION},
        subscribed({"both": None, "late": None}),
    )  # fmt: skip
    frame = named(found["setup"], log)
    assert frame["carried:step:invite"].to_dict() == {"both": 1, "late": 0}
    assert frame["carried:step:connect"].to_dict() == {"both": 1, "late": 1}
    assert frame["score"].to_dict() == {"both": 2, "late": 1}


# --- state: met or not at every close ---


def at(frame: pd.DataFrame, close: str) -> pd.DataFrame:
    return frame[frame["as_of"] == pd.Timestamp(close)]


PER_SEAT = {**UTILIZATION, "rule": {"events": ["use"], "window_days": 30, "per_seat": True, "at_least": 2}}


def test_a_state_is_of_the_quarter_it_closes_and_counts_per_seat_at_the_start_of_its_window(
    tmp_path: Path,
) -> None:
    # Close 2024-04-01, window [2024-03-02, 2024-04-01): a has 2 seats when it opens and 10 before it ends.
    subscriptions = f"""
    a | {SIGNUP.isoformat()} | 2024-03-15 | 2
    a | 2024-03-15 | - | 10
    b | 2024-03-02T00:00:01 | - | 1
    c | {SIGNUP.isoformat()} | - | -
    """.strip()
    rows = [("a", "2024-03-02"), ("a", "2024-03-10"), ("a", "2024-03-20"), ("a", "2024-03-31T23:59:59")]
    rows += [("a", "2024-03-01T23:59:59"), ("a", "2024-04-01"), ("c", "2024-03-20"), ("c", "2024-03-21")]
    use = "\n".join(f"{name} | use | {when}" for name, when in rows)
    found, log = cohorts(tmp_path, accounts("a b c"), use, {"utilization": PER_SEAT}, subscriptions)
    frame = at(named(found["utilization"], log), "2024-04-01")
    assert frame.loc["a", "score"] == 2.0
    assert frame["status"].to_dict() == {"a": "reached", "b": "not_eligible", "c": "not_eligible"}
    assert frame["quarter"].eq("2024Q1").all()
    assert frame["alive"].all()
    judged = found["utilization"].judged("retained", FOREVER)
    eligible = log.accounts["account_id"].to_numpy()[judged.loc[judged["quarter"] == "2024Q1", "account"]]
    assert eligible.tolist() == ["a"]


def test_not_knowable_is_what_tracking_did_not_cover(tmp_path: Path) -> None:
    # Tracking begins on 2024-03-15 with b's first event: the window before 2024-04-01 reaches back before it.
    old = accounts("a", pd.Timestamp("2023-06-01")) + "\n" + accounts("b", pd.Timestamp("2024-03-15"))
    subscriptions = "a | 2023-06-01 | - | -\nb | 2024-03-15 | - | 1"
    milestones = {"utilization": UTILIZATION, "seated": PER_SEAT}
    found, log = cohorts(
        tmp_path,
        old,
        "b | use | 2024-03-15\na | use | 2024-03-16",
        milestones,
        subscriptions,
        since="2024-03-15",
    )
    assert log.data_from == pd.Timestamp("2024-03-15")
    plain, seated = named(found["utilization"], log), named(found["seated"], log)
    assert at(plain, "2024-04-01")["status"].to_dict() == {"a": "not_knowable", "b": "not_reached"}
    assert at(plain, "2024-07-01").loc["a", "status"] == "not_reached"
    # Without seats the reason changes once tracking covers the window.
    assert at(seated, "2024-04-01").loc["a", "status"] == "not_knowable"
    assert at(seated, "2024-07-01").loc["a", "status"] == "not_eligible"


# The close of 2024-04-01 looks back to 2024-03-02; the landmark of 2024-04-09 to the signup of 2024-01-10.
@pytest.mark.parametrize(
    ("row", "utilization", "activation"),
    [
        ("%s | -    | -          | 2024-03-02", "not_reached", "not_knowable"),
        ("%s | -    | -          | 2024-03-02T00:00:01", "not_knowable", "not_knowable"),
        ("%s | -    | -          | 2024-01-10", "not_reached", "not_reached"),
        ("%s | PRO  | -          | 2024-03-20", "not_knowable", "not_knowable"),
        ("%s | free | -          | 2024-03-20", "not_eligible", "not_eligible"),  # seen or not: it could not
        ("%s | -    | 2024-04-15 | 2024-05-01", "not_eligible", "not_eligible"),
        ("%s | -    | 2024-03-10 | 2024-03-10", "not_reached", "not_reached"),  # nothing to see before
        ("%s | -    | 2024-03-10 | 2024-03-11", "not_knowable", "not_knowable"),
    ],
)
def test_not_knowable_is_what_was_not_yet_tracked(
    tmp_path: Path, row: str, utilization: str, activation: str
) -> None:
    found, log = cohorts(
        tmp_path, accounts("a"), happened("use", a=[80]) + "\n" + happened("go", a=[80]),
        {"utilization": UTILIZATION, "activation": ACTIVATION}, f"a | {SIGNUP.isoformat()} | - | 1 | pro",
        eligibility="\n".join(row % event for event in ("use", "go")),
    )  # fmt: skip
    assert at(named(found["utilization"], log), "2024-04-01").loc["a", "status"] == utilization
    assert named(found["activation"], log).loc["a", "status"] == activation


def test_of_groups_the_untracked_one_that_could_be_used_makes_a_milestone_not_knowable(
    tmp_path: Path,
) -> None:
    levels = {"use": {"events": ["use"], "mature": 1}, "go": {"events": ["go"], "mature": 1}}
    maturity = {"kind": "state", "rule": {"categories": levels, "window_days": 30, "at_least": 1}}
    events = happened("use", free=[80], pro=[80]) + "\n" + happened("go", free=[80], pro=[80])
    spells = "\n".join(f"{plan} | {SIGNUP.isoformat()} | - | 1 | {plan}" for plan in ("free", "pro"))
    found, log = cohorts(
        tmp_path, accounts("free pro"), events, {"maturity": maturity}, spells,
        eligibility="go | pro | - | 2024-03-20",
    )  # fmt: skip
    frame = at(named(found["maturity"], log), "2024-04-01")
    assert frame["status"].to_dict() == {"free": "reached", "pro": "not_knowable"}


SSO = {"state": "sso", "equals": "on"}


def test_a_step_is_a_state_in_force_within_the_window(tmp_path: Path) -> None:
    setup = {"kind": "once", "rule": {"steps": ["go", SSO], "window_days": 30, "at_least": 2}}
    names = "both off late before"
    states = "\n".join(
        [
            f"both | sso | on | {day(2)} | {day(5)}",
            f"off | sso | off | {day(2)} | -",
            f"late | sso | on | {day(30)} | -",  # the landmark itself belongs to the future
            f"before | sso | on | {day(-9)} | -",  # and still on at signup
        ]
    )
    go = happened("go", **{name: [1.0] for name in names.split()})
    found, log = cohorts(
        tmp_path, accounts(names), go, {"setup": setup}, subscribed(dict.fromkeys(names.split())), states=states
    )  # fmt: skip
    frame = named(found["setup"], log)
    assert frame["score"].to_dict() == {"both": 2, "off": 1, "late": 1, "before": 2}
    assert frame["status"].to_dict() == {
        "both": "reached", "off": "not_reached", "late": "not_reached", "before": "reached",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "free", "pro"),
    [
        ("sso | pro | - | -", "not_eligible", "not_reached"),
        ("sso | - | 2024-04-01 | -", "not_eligible", "not_eligible"),
        ("sso | pro | - | 2024-03-20", "not_eligible", "not_knowable"),
        ("sso | - | - | 2024-03-02", "not_reached", "not_reached"),  # where the window of 30 days begins
    ],
)
def test_who_could_not_use_a_state_is_not_eligible(tmp_path: Path, row: str, free: str, pro: str) -> None:
    levels = {"sign-in": {"mature_states": [SSO]}, "more": {"mature_states": [{**SSO, "equals": "forced"}]}}
    maturity = {"kind": "state", "rule": {"categories": levels, "window_days": 30, "at_least": 1}}
    spells = "\n".join(f"{plan} | {SIGNUP.isoformat()} | - | 1 | {plan}" for plan in ("free", "pro"))
    found, log = cohorts(
        tmp_path, accounts("free pro"), happened("go", free=[1]), {"maturity": maturity}, spells,
        eligibility=row, states=f"free | sso | off | {day(1)} | -",
    )  # fmt: skip
    frame = at(named(found["maturity"], log), "2024-04-01")
    assert frame["status"].to_dict() == {"free": free, "pro": pro}


def test_a_state_that_is_not_there_is_named_by_its_rule(tmp_path: Path) -> None:
    setup = {
        "kind": "once",
        "rule": {"steps": ["go", {**SSO, "state": "sos"}], "window_days": 30, "at_least": 1},
    }
    with pytest.raises(
        DataError, match=r"milestones.setup.rule: the states have no attribute 'sos' \(did you mean"
    ):
        cohorts(
            tmp_path, accounts("a"), happened("go", a=[1]), {"setup": setup}, subscribed({"a": None}),
            states=f"a | sso | on | {day(1)} | -",
        )  # fmt: skip


def test_before_the_log_began_who_could_not_use_it_is_not_eligible(tmp_path: Path) -> None:
    old = accounts("free pro", pd.Timestamp("2023-06-01"))
    spells = "\n".join(f"{plan} | 2023-06-01 | - | 1 | {plan}" for plan in ("free", "pro"))
    found, log = cohorts(
        tmp_path, old, "pro | use | 2024-03-16", {"utilization": UTILIZATION}, spells, since="2024-03-15",
        eligibility="use | pro | - | -",
    )  # fmt: skip
    frame = at(named(found["utilization"], log), "2024-04-01")
    assert frame["status"].to_dict() == {"free": "not_eligible", "pro": "not_knowable"}


def test_a_next_link_that_was_not_yet_tracked_is_no_answer(tmp_path: Path) -> None:
    # Of go, looked at on day 120, nothing was seen before day 100: whoever is still there may have got there unseen.
    later = {"kind": "once", "rule": {"events": ["go"], "window_days": 120, "at_least": 1}}
    setup = {
        "kind": "once",
        "rule": {"events": ["use"], "window_days": 30, "at_least": 1},
        "primary_outcome": "later",
    }
    spells = f"stays | {SIGNUP.isoformat()} | - | 1 | x\ngone | {SIGNUP.isoformat()} | {day(60)} | 1 | x"
    events = happened("use", stays=[1], gone=[1]) + "\n" + happened("go", stays=[130])
    found, log = cohorts(
        tmp_path, accounts("stays gone"), events, {"setup": setup, "later": later},
        spells, eligibility=f"go | - | - | {day(100)}",
    )  # fmt: skip
    assert answers(named(found["setup"], log)["outcome"]) == {"stays": None, "gone": False}


def test_the_next_link_of_a_state_is_looked_at_at_the_next_close(tmp_path: Path) -> None:
    grown = {"kind": "state", "rule": {"events": ["grow"], "window_days": 90, "at_least": 1}}
    milestones = {"utilization": {**UTILIZATION, "primary_outcome": "maturity"}, "maturity": grown}
    rows = {
        "now": "2024-03-31",  # grown at the close of 2024-04-01, not at the next
        "next": "2024-06-30T23:00:00",
        "later": "2024-07-01",
        "left": "2024-06-15",  # and gone by the next close
        "first": "2024-04-02",  # the window of 90 days opens at 2024-04-02
        "before": "2024-04-01T23:59:59",
    }
    grow = "\n".join(f"{name} | grow | {when}" for name, when in rows.items())
    ends: dict[str, float | None] = dict.fromkeys(rows)
    ends["left"] = 170  # 2024-06-28
    found, log = cohorts(
        tmp_path, accounts(" ".join(rows)), grow, milestones, subscribed(ends), through="2024-09-30"
    )  # fmt: skip
    frame = named(found["utilization"], log)
    close = at(frame, "2024-04-01")
    assert answers(close["outcome"]) == {
        "now": False, "next": True, "later": False, "left": False, "first": True, "before": False,
    }  # fmt: skip
    assert (close["outcome_known_from"] == pd.Timestamp("2024-07-01")).all()
    last = at(frame, "2024-07-01")
    assert last["outcome"].isna().all()  # the close of 2024-10-01 lies after the end of the log
    assert found["utilization"].judged("primary", FOREVER)["quarter"].unique().tolist() == ["2024Q1"]


def test_a_state_that_nobody_could_measure_at_the_next_close_is_no_answer(tmp_path: Path) -> None:
    milestones = {"utilization": {**UTILIZATION, "primary_outcome": "seated"}, "seated": PER_SEAT}
    subscriptions = subscribed({"seats": None}) + "\n" + subscribed({"bare": None, "gone": 170}, seats=None)
    found, log = cohorts(
        tmp_path, accounts("seats bare gone"), happened("use", seats=[1], bare=[160, 161]), milestones,
        subscriptions,
    )  # fmt: skip
    close = at(named(found["utilization"], log), "2024-04-01")
    assert answers(close["outcome"]) == {"seats": False, "bare": None, "gone": False}


# --- maturity of whole quarters ---


@pytest.mark.parametrize(
    ("column", "first_month", "expected"),
    [
        # A once cohort is known so long after its last landmark, a state so long after its close.
        ("retained", 1, pd.Timestamp("2024-07-01") + pd.Timedelta(days=180)),
        ("outcome", 1, pd.Timestamp("2024-07-01") + pd.Timedelta(days=60)),
        ("next", 1, pd.Timestamp("2024-10-01")),
        # 2024Q2 of a year that begins in February 2023: May to July 2023.
        ("retained", 2, pd.Timestamp("2023-08-01") + pd.Timedelta(days=180)),
        ("next", 2, pd.Timestamp("2023-11-01")),
    ],
)
def test_a_quarter_matures_as_a_whole(column: str, first_month: int, expected: pd.Timestamp) -> None:
    lag = {"retained": pd.Timedelta(days=180), "outcome": pd.Timedelta(days=60), "next": None}
    assert LabelClock(Quarters(first_month), lag).matures_at("2024Q2", column) == expected


def test_the_first_to_be_known_of_a_quarter_wait_for_the_last(tmp_path: Path) -> None:
    # Landmarks 2024-04-09 and 2024-06-18, both 2024Q2, which is mature on 2024-07-01 + 30 days.
    people = accounts("early") + "\n" + accounts("late", SIGNUP + pd.Timedelta(days=70))
    subscriptions = subscribed({"early": None, "late": None})
    found, _ = cohorts(tmp_path, people, happened("go", early=[1]), {"activation": ACTIVATION}, subscriptions)
    mature = pd.Timestamp("2024-07-31")
    activation = found["activation"]
    assert activation.matures_at("2024Q2", "primary") == mature
    assert len(activation.judged("primary", mature)) == 2
    assert len(activation.judged("primary", mature - pd.Timedelta(seconds=1))) == 0


def test_retention_is_asked_of_accounts_at_risk_only(tmp_path: Path) -> None:
    tables = {
        "accounts": f"account_id | signed_up_at\n{accounts('monthly annual')}",
        "events": "account_id | event | occurred_at\nmonthly | use | 2024-01-10\nannual | use | 2026-01-01",
        "subscriptions": "account_id | started_at | ended_at | term_months | renews_at"
        "\nmonthly | 2024-01-10 | - | 1 | -\nannual | 2024-01-10 | - | 12 | 2025-01-10",
    }
    log, data = draw(tmp_path, tables, outcomes=SUBSCRIBED)
    milestones = {
        "utilization": {**UTILIZATION, "primary_outcome": "twice"},
        "twice": {"kind": "state", "rule": {"events": ["use"], "window_days": 60, "at_least": 2}},
    }
    framework = Framework.model_validate(
        {"schema": 1, "name": "drawn", "version": 1, "data": data.model_dump(), "milestones": milestones}
    )
    cohort = build_cohorts(framework, log).by_name["utilization"]
    names = log.accounts["account_id"].to_numpy()

    def asked(outcome: Asked) -> list[str]:
        judged = cohort.judged(outcome, FOREVER)
        return sorted(names[judged.loc[judged["quarter"] == "2024Q1", "account"]])

    assert asked("retained") == ["monthly"]
    assert asked("primary") == ["annual", "monthly"]  # a link is no matter of contracts
