"""Rivals: what else a milestone could count. Each is a rule of its own, asked at the milestone's own dates.

Worked example: activation is looked at on day 90. Its rivals count other events, or the same over another stretch: in
the first 30 days, [0, 30), in the first 60, in all 90. Utilization is looked at on every close; its rivals count the
last 30, 60 or 90 days before it, raw and per seat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from features.declaration import Data
from features.specs import FeatureSpec
from features.windows import Window
from models.carried import carried
from models.framework import Framework
from models.milestones import LINK_DAYS, CountRule, Milestone

WINDOWS_DAYS = (7, 14, 30, 60, 90)
MOST_WINDOWS = 3


@dataclass(frozen=True)
class Rival:
    """Another score for a milestone. label: what it counts, for people; landmark_days: of a `once` milestone its own."""

    label: str
    rule: CountRule
    landmark_days: int | None = None

    @property
    def name(self) -> str:
        """For people: "conversation_started in the first 30 days", "conversation_resolved per seat in 30 days"."""
        per = " per seat" if self.rule.per_seat else ""
        first = "" if self.landmark_days is None else "the first "
        return f"{self.label}{per} in {first}{self.rule.window_days} days"

    @property
    def column(self) -> str:
        """The column that holds its score; the same stretch before another landmark is another column."""
        at = "" if self.landmark_days is None else f" at day {self.landmark_days}"
        return carried(f"{self.name}{at}")

    @property
    def spec(self) -> FeatureSpec:
        """The feature to ask for together with the milestone."""
        spec = self.rule.spec(self.column)
        if self.landmark_days is None:
            return spec
        start = -self.landmark_days
        return FeatureSpec(
            self.column, spec.description, spec.aggregation, Window(start, start + self.rule.window_days),
            events=spec.events, per=spec.per, unit=spec.unit,
        )  # fmt: skip


def rivals_by_event(milestone: Milestone, events: Iterable[str]) -> tuple[Rival, ...]:
    """The same question asked of other events, each counted alone over the milestone's own window."""
    rule = milestone.rule
    per_seat = isinstance(rule, CountRule) and rule.per_seat
    own = rule.events if isinstance(rule, CountRule) else ()
    return tuple(
        _rival(milestone, event, (event,), rule.window_days, per_seat=per_seat)
        for event in events
        if (event,) != own
    )


@dataclass(frozen=True)
class Field:
    """All rivals of a milestone, and what was refused as one, with the reason."""

    rivals: tuple[Rival, ...]
    refused: dict[str, str]


def field_of(
    framework: Framework, name: str, counted: Mapping[str, tuple[str, ...]], *, has_seats: bool
) -> Field:
    """Everything that could be counted for a milestone: what is `counted` (events by label) x windows x raw or per seat.

    Refused is what the outcome counts in the same stretch: with it the milestone would be contained in its outcome. Rates
    per seat are of states alone, as in a framework.
    """
    milestone, twice = framework.milestones[name], framework.counted_over_the_same_days(name)
    refused = {
        label: f"{', '.join(sorted(shared))} is counted by the outcome {milestone.primary_outcome!r} over the same days"
        for label, events in counted.items()
        if (shared := twice & set(events))
    }
    found = [
        _rival(milestone, label, events, days, per_seat=per_seat)
        for label, events in counted.items()
        if label not in refused
        for days in windows_of(milestone)
        for per_seat in ((False, True) if has_seats and milestone.kind == "state" else (False,))
    ]
    return Field(tuple(one for one in found if not _is_own(milestone, one.rule)), refused)


def countable(data: Data, milestone: Milestone) -> dict[str, tuple[str, ...]]:
    """What may be counted, by label: every event that the framework names, alone; the core events; each category."""
    named = [*data.events.core, *data.features.events]
    named += [event for events in data.events.categories.values() for event in events]
    named += sorted(milestone.rule.all_events)
    found: dict[str, tuple[str, ...]] = {event: (event,) for event in dict.fromkeys(named)}
    together = {"core events": data.events.core}
    together |= {f"category {name}": events for name, events in data.events.categories.items()}
    seen: set[tuple[str, ...]] = set(found.values())
    for label, events in together.items():
        events = tuple(sorted(events))
        if len(events) > 1 and events not in seen and label not in found:
            seen.add(events)
            found[label] = events
    return found


def windows_of(milestone: Milestone) -> tuple[int, ...]:
    """The stretches to try: the milestone's own, and the longest others that its landmark, or a quarter, has room for."""
    own = milestone.rule.window_days
    room = own if milestone.kind == "once" else LINK_DAYS
    others = [days for days in WINDOWS_DAYS if days <= room and days != own]
    return tuple(sorted([own, *others[-(MOST_WINDOWS - 1) :]]))


def _rival(milestone: Milestone, label: str, events: tuple[str, ...], days: int, *, per_seat: bool) -> Rival:
    rule = CountRule(events=events, window_days=days, per_seat=per_seat, at_least=1)
    return Rival(label, rule, milestone.rule.window_days if milestone.kind == "once" else None)


def _is_own(milestone: Milestone, rule: CountRule) -> bool:
    own = milestone.rule
    if not isinstance(own, CountRule):
        return False
    return (set(own.events), own.window_days, own.per_seat) == (
        set(rule.events),
        rule.window_days,
        rule.per_seat,
    )
