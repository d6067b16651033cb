"""What a list of specs asks of the events: which aggregates of which sets, and the codes that make the sets up."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from features.specs import SEQUENCES, Aggregation, FeatureSpec, Per

EventSet = tuple[str, ...] | None  # None: every event

UNNAMED = 0  # the code of all events that no set names


@dataclass(frozen=True)
class Needs:
    """The aggregates that a list of specs asks for, each set of events once."""

    counts: tuple[EventSet, ...]
    days: tuple[EventSet, ...]
    lasts: tuple[EventSet, ...]
    firsts: tuple[EventSet, ...]
    users: tuple[EventSet, ...]

    @classmethod
    def of(cls, specs: Iterable[FeatureSpec]) -> "Needs":
        """Collect from the specs."""
        found: dict[Aggregation, dict[EventSet, None]] = {kind: {} for kind in Aggregation}
        for spec in specs:
            if spec.aggregation is Aggregation.GROUPS:
                found[Aggregation.COUNT].update({g.events: None for g in spec.groups if g.events})
            else:
                found[spec.aggregation][spec.events] = None
            if spec.aggregation in SEQUENCES:
                found[Aggregation.ACTIVE_DAYS][spec.events] = None
            if spec.per is Per.USER:
                found[Aggregation.DISTINCT_USERS][spec.events] = None
            if spec.per is Per.EVENTS:
                found[Aggregation.COUNT][None] = None
        return cls(
            counts=tuple(found[Aggregation.COUNT]),
            days=tuple(found[Aggregation.ACTIVE_DAYS]),
            lasts=tuple(found[Aggregation.DAYS_SINCE]),
            firsts=tuple(found[Aggregation.DAYS_TO_FIRST]),
            users=tuple(found[Aggregation.DISTINCT_USERS]),
        )

    @property
    def scanned(self) -> tuple[EventSet, ...]:
        """The sets that the scan of the events serves."""
        return (*self.counts, *self.days, *self.lasts, *self.firsts)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The code of every event that a set names. Events that are in the same sets share one.

        With the sets {a, b}, {c} and {a, b, c}: a and b are 1, c is 2, and all others UNNAMED.
        """
        sets = [frozenset(events) for events in (*self.scanned, *self.users) if events is not None]
        named = sorted(frozenset[str]().union(*sets))
        membership = {event: tuple(event in events for events in sets) for event in named}
        numbers = {member: 1 + i for i, member in enumerate(dict.fromkeys(membership.values()))}
        return {event: numbers[membership[event]] for event in named}

    @property
    def n_codes(self) -> int:
        """Number of codes, UNNAMED among them."""
        return max(self.codes.values(), default=UNNAMED) + 1

    def codes_of(self, events: EventSet) -> list[int]:
        """The codes that make up a set."""
        return list(range(self.n_codes)) if events is None else sorted({self.codes[e] for e in events})
