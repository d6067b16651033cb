"""The denominator of adoption: of whom the outcome is asked, in words, and which features all of them use.

Worked example: lost means no core event in 180 days, so accounts are observed that had one in the 180 days before the
close. Core events in the last 365 days, or days with any event in the last 180, are then above zero for all of them;
core events in the last 90 days need not be.
"""

from collections.abc import Collection, Set

from features.declaration import Data
from features.needs import EventSet
from features.specs import Aggregation, FeatureSpec

# Above zero just where there is an event. Users are not: an event need not name one.
OF_ANY_EVENT = (
    Aggregation.COUNT, Aggregation.ACTIVE_DAYS, Aggregation.ACTIVE_WEEKS, Aggregation.GROUPS,
)  # fmt: skip


def population(data: Data) -> str:
    """Whose use is counted: the accounts alive at each close, in the sense of the declared outcome."""
    if data.outcomes.kind != "silent":
        return "accounts that were customers at each close"
    what = "a core event" if data.events.core else "an event"
    return f"accounts active in the last {data.outcomes.horizon_days} days before each close (with {what})"


def by_definition(spec: FeatureSpec, data: Data, ruled: Collection[str] = ()) -> bool:
    """Whether every account that is counted has adopted the feature, because it would not be counted otherwise.

    ruled: events with rules of eligibility. An event that an account could not use makes no kind of event, although it
    was seen.
    """
    core, horizon = data.events.core, data.outcomes.horizon_days
    if data.outcomes.kind != "silent" or spec.aggregation not in OF_ANY_EVENT or spec.trend:
        return False
    if spec.groups and "quantity" in data.mapping["events"]:
        return False  # half an event is use, and not yet a kind of event
    start, end = spec.window.start_days, spec.window.end_days
    covers = end == 0 and (start is None or -start >= horizon)
    return covers and _holds(_looked_at(spec, set(ruled)), core or None)


def _looked_at(spec: FeatureSpec, ruled: Set[str]) -> EventSet:
    """The events of which a single one puts a feature above zero for whoever has a value."""
    if not spec.groups:
        return spec.events
    sure = [g.events for g in spec.groups if g.at_least <= 1 and not g.states and not ruled >= set(g.events)]
    return tuple(event for events in sure for event in events)


def _holds(events: EventSet, others: EventSet) -> bool:
    """Whether all the others are among the events; None is every event."""
    return events is None or (others is not None and set(others) <= set(events))
