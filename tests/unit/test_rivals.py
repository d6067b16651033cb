"""What else a milestone could count: every event, window and rate, and nothing that its outcome counts in the same days."""

from typing import Any

import pytest

from features.windows import Window
from models.framework import Framework
from models.milestones import Milestone
from models.rivals import Rival, countable, field_of, rivals_by_event, windows_of

DATA: dict[str, Any] = {
    "sources": {"events": "events.csv", "accounts": "accounts.csv"},
    "mapping": {
        "events": {"account_id": "a", "event": "e", "occurred_at": "t"},
        "accounts": {"account_id": "a", "signed_up_at": "s"},
    },
    "events": {"core": ["talk", "solve"], "categories": {"tools": ["macro", "bot"], "alone": ["talk"]}},
    "outcomes": {"kind": "silent", "horizon_days": 90},
    "features": {"events": ["macro", "theme"]},
}
MILESTONES: dict[str, Any] = {
    "setup": {
        "kind": "once",
        "rule": {"steps": ["bot", "mail"], "window_days": 30, "at_least": 1},
        "primary_outcome": "activation",
    },
    "activation": {"kind": "once", "rule": {"events": ["talk"], "window_days": 90, "at_least": 5}},
    "use": {
        "kind": "state",
        "rule": {"events": ["solve"], "window_days": 30, "per_seat": True, "at_least": 2},
    },
}
FRAMEWORK = Framework.model_validate(
    {"schema": 1, "name": "n", "version": 1, "data": DATA, "milestones": MILESTONES}
)


def test_what_may_be_counted_is_every_event_named_and_what_belongs_together() -> None:
    found = countable(FRAMEWORK.data, FRAMEWORK.milestones["setup"])
    assert found == {
        **{event: (event,) for event in ("talk", "solve", "macro", "theme", "bot", "mail")},
        "core events": ("solve", "talk"),
        "category tools": ("bot", "macro"),  # that of one event is the event
    }


def test_the_stretches_are_the_own_one_and_those_there_is_room_for() -> None:
    of = {name: windows_of(milestone) for name, milestone in FRAMEWORK.milestones.items()}
    assert of == {"setup": (7, 14, 30), "activation": (30, 60, 90), "use": (30, 60, 90)}
    odd = FRAMEWORK.milestones["activation"].model_copy(
        update={"rule": FRAMEWORK.milestones["activation"].rule.model_copy(update={"window_days": 45})}
    )
    assert windows_of(odd) == (14, 30, 45)


def test_a_rival_of_something_reached_once_looks_at_the_first_days_of_tenure() -> None:
    activation = FRAMEWORK.milestones["activation"]
    rival = field_of(FRAMEWORK, "activation", {"bot": ("bot",)}, has_seats=True).rivals[0]
    assert rival.name == "bot in the first 30 days"
    assert rival.spec.window == Window(-90, -60)  # asked on day 90: [0, 30) of tenure
    assert rivals_by_event(activation, ["bot", "talk"])[0].spec.window == Window(-90, 0)
    setup = field_of(FRAMEWORK, "setup", {"bot": ("bot",)}, has_seats=True).rivals[-1]
    assert (setup.name, setup.spec.window) == ("bot in the first 30 days", Window(-30, 0))
    assert setup.column != rival.column  # the same name at another landmark is another column


def test_states_are_asked_raw_and_per_seat_and_never_their_own_score_again() -> None:
    counted = {"solve": ("solve",), "talk": ("talk",)}
    names = {one.name for one in field_of(FRAMEWORK, "use", counted, has_seats=True).rivals}
    assert len(names) == 2 * 3 * 2 - 1
    assert "solve per seat in 30 days" not in names
    assert {"solve in 30 days", "solve per seat in 60 days", "talk per seat in 30 days"} <= names
    without = field_of(FRAMEWORK, "use", counted, has_seats=False).rivals
    assert not any(one.rule.per_seat for one in without)
    assert not any(
        one.rule.per_seat for one in field_of(FRAMEWORK, "activation", counted, has_seats=True).rivals
    )


def test_what_the_outcome_counts_over_the_same_days_is_refused_with_the_reason() -> None:
    counted = countable(FRAMEWORK.data, FRAMEWORK.milestones["setup"])
    field = field_of(FRAMEWORK, "setup", counted, has_seats=False)
    # Activation counts talk from signup on, and so within the thirty days of setup.
    assert set(field.refused) == {"talk", "core events"}
    assert "talk is counted by the outcome 'activation' over the same days" in field.refused["core events"]
    assert not any("talk" in one.rule.events for one in field.rivals)
    # An outcome in days of its own refuses nothing, whatever it counts: a log of posts alone can be swept.
    assert field_of(FRAMEWORK, "activation", counted, has_seats=False).refused == {}
    assert field_of(FRAMEWORK, "use", counted, has_seats=False).refused == {}


@pytest.mark.parametrize(
    ("outcome", "core", "counted"),
    [
        ("retained", ["talk", "solve"], {"talk", "solve"}),
        ("retained", [], {"talk", "solve", "theme"}),  # without a core, silence is that everything stops
        ("use", ["talk", "solve"], {"solve"}),
        ("use", [], {"solve"}),
    ],
)
def test_which_events_an_outcome_counts(outcome: str, core: list[str], counted: set[str]) -> None:
    data = FRAMEWORK.data.model_copy(
        update={"events": FRAMEWORK.data.events.model_copy(update={"core": tuple(core)})}
    )
    framework = FRAMEWORK.model_copy(update={"data": data})
    assert framework.counted_by(outcome, ["talk", "solve", "theme"]) == counted
    assert framework.counted_by(outcome, ["theme"]) == counted & {"theme"}


def test_a_loss_that_somebody_tells_counts_no_event() -> None:
    told = FRAMEWORK.data.outcomes.model_copy(update={"kind": "subscription_end"})
    framework = FRAMEWORK.model_copy(update={"data": FRAMEWORK.data.model_copy(update={"outcomes": told})})
    assert framework.counted_by("retained", ["talk", "solve"]) == set()


def test_only_what_is_reached_once_counts_over_the_days_of_what_came_before() -> None:
    leads_on = {**MILESTONES["activation"], "primary_outcome": "use"}
    framework = FRAMEWORK.model_copy(
        update={"milestones": {**FRAMEWORK.milestones, "activation": Milestone.model_validate(leads_on)}}
    )
    counted = {name: framework.counted_over_the_same_days(name) for name in framework.milestones}
    assert counted == {"setup": {"talk"}, "activation": set(), "use": set()}


def test_the_rule_of_a_rival_is_one_that_a_framework_may_hold() -> None:
    field = field_of(FRAMEWORK, "use", {"solve": ("solve",)}, has_seats=True)
    for rival in field.rivals:
        assert isinstance(rival, Rival)
        Milestone.model_validate({"kind": "state", "rule": rival.rule.model_dump()})
