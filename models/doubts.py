"""What stops nothing in a framework, and yet is seldom meant: names and values that nobody has, windows that nobody
outlived, steps that everybody did, seats that are not known."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from features.declaration import Data
from features.doubts import unknown_events
from features.log import Log
from features.observations import Question, observe, quarterly
from features.specs import Aggregation, FeatureSpec
from features.states import States, never_held
from features.windows import EVER, Grid, last
from models.milestones import CountRule, Milestone, StepsRule


def require_states(milestones: Mapping[str, Milestone], log: Log, data: Data) -> None:
    """Raises DataError where a rule tests a state that is not there, or asks a text for a number."""
    states = States.of(log, data)
    for name, milestone in milestones.items():
        for test in milestone.rule.state_tests:
            states.tested(test, _place(name))


def rule_doubts(milestones: Mapping[str, Milestone], log: Log, data: Data) -> dict[str, list[str]]:
    """What the names in rules and the lengths of windows give to doubt, in sentences by milestone; looks at no count.

    Raises DataError as `require_states` does.
    """
    states, named = States.of(log, data), replace(log, names=log.event_names())
    return {
        name: [
            *unknown_events({_place(name): sorted(milestone.rule.all_events)}, named),
            *never_held(states, milestone.rule.state_tests, _place(name)),
            *_not_over(name, milestone, log),
        ]
        for name, milestone in milestones.items()
    }


def counted_doubts(milestones: Mapping[str, Milestone], log: Log, data: Data) -> list[str]:
    """What the accounts' own counts give to doubt: a look at the landmarks, or the closes, for each rule concerned."""
    said = []
    for name, milestone in milestones.items():
        rule = milestone.rule
        if isinstance(rule, StepsRule):
            said += _steps_alike(name, milestone, rule, log, data)
        if isinstance(rule, CountRule) and rule.per_seat:
            said += _without_seats(name, rule, log, data)
    return said


def _place(name: str) -> str:
    return f"milestones.{name}.rule"


def _not_over(name: str, milestone: Milestone, log: Log) -> list[str]:
    """That no account has reached the landmark within the log; nothing where one has."""
    first, days = log.accounts["signed_up_at"].min(), milestone.rule.window_days
    if milestone.kind == "state" or first + pd.Timedelta(days=days) <= log.data_through:
        return []
    return [
        f"{_place(name)}.window_days {days}: within the log no account has been there for so long, the first for"
        f" {(log.data_through - first).days:,} days: nothing can be judged yet; make the window shorter, or wait"
    ]


def _steps_alike(name: str, milestone: Milestone, rule: StepsRule, log: Log, data: Data) -> list[str]:
    """The steps that everybody did, or nobody, of those alive at the landmark or close who could."""
    once = milestone.kind == "once"
    specs = rule.step_specs(name)
    grid = Grid("tenure", (rule.window_days,)) if once else quarterly(log, data)
    frame = observe(log, data, Question(tuple(specs.values()), grid, alive_only=True))
    who = "accounts alive at their landmark" if once else "account-quarters alive at their close"
    said = []
    for step, spec in specs.items():
        done = frame[spec.name].dropna()
        if len(done) and done.min() == done.max():
            did, remedy = (
                ("everybody", "leave it out") if done.iloc[0] else ("nobody", "check it, or leave it out")
            )
            said.append(
                f"{_place(name)}: step {step}: {did} did it, of {len(done):,} {who}: it tells nothing; {remedy}"
            )
    return said


def _without_seats(name: str, rule: CountRule, log: Log, data: Data) -> list[str]:
    """How many account-quarters have no score per seat for want of seats; those of accounts that were there by then."""
    count = rule.model_copy(update={"per_seat": False}).spec("count")
    now = FeatureSpec("now", "seats in force", Aggregation.SEATS, EVER)
    change = FeatureSpec("change", "change of seats", Aggregation.SEATS, last(rule.window_days))
    frame = observe(log, data, Question((count, now, change), quarterly(log, data), alive_only=True))
    there = frame["as_of"] - frame["signed_up_at"] >= pd.Timedelta(days=rule.window_days)
    asked = frame[there & frame["count"].notna()]
    seats = asked["now"] - asked["change"]
    counts = {
        "without known seats": int(seats.isna().sum()),
        "with zero seats or between subscriptions": int((seats <= 0).sum()),
    }
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.items() if n)
    if not reasons:
        return []
    return [
        f"{_place(name)}: {sum(counts.values()):,} of {len(asked):,} account-quarters have no score per seat and are not"
        f" eligible ({reasons}, when the window begins): complete the subscriptions where seats are missing, or drop"
        " per_seat"
    ]
