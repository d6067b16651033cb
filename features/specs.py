"""A feature is data, not a function: what to aggregate, over which events, in which window.

    FeatureSpec("logins_7d", "Logins in the last 7 days", Aggregation.COUNT, last(7), events=("login",), unit="events")

A milestone's score is a feature too: "conversations resolved per seat in 30 days" is a count per seat,
"categories at the mature level" counts groups of events.
"""

from dataclasses import dataclass
from enum import StrEnum

from features.windows import Window


class Aggregation(StrEnum):
    """How the events of a window become one number."""

    COUNT = "count"
    ACTIVE_DAYS = "active_days"
    DISTINCT_USERS = "distinct_users"
    GROUPS = "groups"  # how many groups of events have at least so many events
    DAYS_SINCE = "days_since"  # from the last event of the window to the as-of date
    TENURE = "tenure"  # days since signup; looks at no event
    SEATS = "seats"  # seats in force at the as-of date; looks at no event


class Per(StrEnum):
    """What a count is divided by."""

    SEAT = "seat"  # seats at the start of the window: later seats are a consequence
    USER = "user"  # distinct users of the same window
    TENURE = "tenure"  # 30 days of tenure within the window


@dataclass(frozen=True)
class Group:
    """A set of events that counts as present from `at_least` events on."""

    events: tuple[str, ...]
    at_least: float = 1.0


@dataclass(frozen=True)
class FeatureSpec:
    """One column of the matrix. `events` None means every event.

    `trend` compares the window with the one of equal length before it: (recent - before) / (recent + before),
    in [-1, 1], 0 where both are empty.
    """

    name: str
    description: str
    aggregation: Aggregation
    window: Window
    events: tuple[str, ...] | None = None
    groups: tuple[Group, ...] = ()
    per: Per | None = None
    trend: bool = False
    unit: str = "events"
    category: str = "usage"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a feature needs a name")
        if self.events is not None and not self.events and not self.groups:
            raise ValueError(
                f"feature {self.name!r}: the list of events is empty; leave it out to mean every event"
            )
        if (self.aggregation is Aggregation.GROUPS) != bool(self.groups):
            raise ValueError(
                f"feature {self.name!r}: groups belong to the aggregation 'groups', and only there"
            )
        if self.per and self.aggregation is not Aggregation.COUNT:
            raise ValueError(f"feature {self.name!r}: only a count can be a rate per {self.per}")
        if self.per and self.trend:
            raise ValueError(f"feature {self.name!r}: a trend is relative already, leave out 'per'")
        if (self.trend or self.per is Per.SEAT) and self.window.start_days is None:
            raise ValueError(f"feature {self.name!r}: needs a window with a start, not all history")
        if self.trend and self.aggregation not in (Aggregation.COUNT, Aggregation.ACTIVE_DAYS):
            raise ValueError(f"feature {self.name!r}: a trend compares counts or active days")

    @property
    def windows(self) -> tuple[Window, ...]:
        """Every window the feature reads."""
        return (self.window, self.window.before()) if self.trend else (self.window,)
