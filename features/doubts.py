"""What stops nothing, and yet is seldom meant: names that nobody has, rules that hit nobody, days that nobody worked."""

from collections.abc import Iterable, Mapping

from features.declaration import Data
from features.faults import meant
from features.log import Log
from features.phrases import listing
from features.states import States, never_held

MOST_NAMED = 5


def doubts(log: Log, data: Data) -> list[str]:
    """One sentence each, with what to do; of what was known at an instant, names may not have come up yet."""
    outages = [outage.sentence for outage in log.outages]
    if log.known_at is not None:
        return outages
    found = log.excluded.get("accounts", {})
    unmatched = [
        f"data.exclusions: no account has {rule.column} equal to {rule.equals!r}"
        for rule in data.exclusions
        if not found.get(rule.reason)
    ]
    declared = data.events
    asked: dict[str, Iterable[str]] = {
        "data.events.core": declared.core,
        "data.features.events": data.features.events,
        **{f"data.events.categories.{name}": members for name, members in declared.categories.items()},
        **{f"data.features.extras: {e.name!r}": e.events for e in data.features.extras},
    }
    states = States.of(log, data)
    unheld = [
        sentence
        for extra in data.features.extras
        for sentence in never_held(states, extra.state_tests, f"data.features.extras: {extra.name!r}")
    ]
    return [*outages, *unmatched, *unheld, *unknown_events(asked, log)]


def unknown_events(asked: Mapping[str, Iterable[str]], log: Log) -> list[str]:
    """Which events are asked for, by the place that asks, that the log does not have, and what comes nearest."""
    if not any(asked.values()):
        return []
    known = log.event_names()
    said = []
    for place, events in asked.items():
        missing = [event for event in events if event not in known]
        if missing:
            near = [f"{event!r}{meant(event, known)}" for event in missing[:MOST_NAMED]]
            shown = listing([*near, *missing[MOST_NAMED:]], MOST_NAMED)
            said.append(f"{place}: the log has no event {shown}: check the spelling")
    return said
