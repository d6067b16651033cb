"""A feature is data, not a function: what to aggregate, over which events, in which window.

    FeatureSpec("logins_7d", "Logins in the last 7 days", Aggregation.COUNT, last(7), events=("login",), unit="events")

A milestone's score is a feature too: "conversations resolved per seat in 30 days" is a count per seat,
"categories at the mature level" counts groups of events and of tests of states.
"""

from dataclasses import dataclass
from enum import StrEnum

from features.equality import alike
from features.windows import EVER, Window


class Aggregation(StrEnum):
    """How the events of a window become one number."""

    COUNT = "count"
    ACTIVE_DAYS = "active_days"
    ACTIVE_WEEKS = "active_weeks"  # weeks count back from the as-of date
    STREAK = "streak"  # active weeks in a row, back from the as-of date
    IRREGULARITY = "irregularity"  # how much the gaps between active days vary, over their mean
    DISTINCT_USERS = "distinct_users"
    GROUPS = "groups"  # how many groups have at least so many events, and pass their tests of states
    DAYS_SINCE = "days_since"  # from the last event before the as-of date to it
    DAYS_TO_FIRST = "days_to_first"  # from signup to the first event ever
    TENURE = "tenure"  # days since signup; looks at no event
    SEATS = "seats"  # seats in force at the as-of date, or their change over a window; looks at no event
    REVENUE = "revenue"  # the same of recurring revenue
    STATE = "state"  # the value of an attribute in force at the as-of date, or whether it equals one


# What is read off the order of active days, and what stands in the subscriptions and not in the events.
SEQUENCES = (Aggregation.ACTIVE_WEEKS, Aggregation.STREAK, Aggregation.IRREGULARITY)
LEVELS = (Aggregation.SEATS, Aggregation.REVENUE)
# What looks at no event at all.
EVENTLESS = (Aggregation.TENURE, Aggregation.STATE, *LEVELS)
# What looks at all history, however long ago.
WINDOWLESS = (Aggregation.DAYS_SINCE, Aggregation.DAYS_TO_FIRST, Aggregation.TENURE)


class Per(StrEnum):
    """What a count is divided by."""

    SEAT = "seat"  # seats at the start of the window: later seats are a consequence
    USER = "user"  # distinct users of the same window
    TENURE = "tenure"  # 30 days of tenure within the window
    EVENTS = "events"  # all events of the same window: a share


_UNITS = {
    Aggregation.COUNT: "events",
    Aggregation.ACTIVE_DAYS: "days",
    Aggregation.ACTIVE_WEEKS: "weeks",
    Aggregation.STREAK: "weeks",
    Aggregation.IRREGULARITY: "ratio",
    Aggregation.DISTINCT_USERS: "users",
    Aggregation.DAYS_SINCE: "days",
    Aggregation.DAYS_TO_FIRST: "days",
    Aggregation.TENURE: "days",
    Aggregation.SEATS: "seats",
    Aggregation.REVENUE: "per month",
    Aggregation.STATE: "value",
    Aggregation.GROUPS: "groups",
}
_PER = {Per.SEAT: "per seat", Per.USER: "per user", Per.TENURE: "per 30 days"}


def unit_of(aggregation: Aggregation, per: Per | None, *, trend: bool) -> str:
    """The unit that goes without saying: "days", "events per seat", "share"."""
    if trend:
        return "-1..1"
    if per is Per.EVENTS:
        return "share"
    return _UNITS[aggregation] if per is None else f"{_UNITS[aggregation]} {_PER[per]}"


@dataclass(frozen=True)
class StateTest:
    """Whether an attribute of the states had a value, or a number of at least so much, in force.

    It holds in a window [a, b) where it did so at some instant of it. Read from framework.yaml as it stands here:
    `{state: sso, equals: on}`, `{state: macros, at_least: 3}`.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012 - pydantic's own name for it

    state: str
    equals: bool | int | float | str | None = None  # 2 stays 2 when it is read, not 2.0
    at_least: float | None = None

    def __post_init__(self) -> None:
        if not self.state:
            raise ValueError("state: name an attribute of the states table")
        if (self.equals is None) == (self.at_least is None):
            raise ValueError(
                f"a test of the state {self.state!r} needs either equals, a value, or at_least, a number: give one of the two"
            )

    @property
    def meaning(self) -> tuple[object, ...]:
        """What tells it from other tests: case does not, and 1 is not the same as true, as it is to Python."""
        equals = self.equals.strip().lower() if isinstance(self.equals, str) else self.equals
        return self.state, isinstance(equals, bool), equals, self.at_least

    def meets(self, other: "StateTest") -> bool:
        """Whether one value in force may pass both for being it: they would count one setting twice."""
        if self.equals is None or other.equals is None:
            return self.meaning == other.meaning
        return self.state == other.state and alike(self.equals, other.equals)


@dataclass(frozen=True)
class Group:
    """What counts as present from `at_least` of its events on, where it has any, while all tests of states hold."""

    events: tuple[str, ...]
    at_least: float = 1.0
    states: tuple[StateTest, ...] = ()

    def __post_init__(self) -> None:
        if not self.events and not self.states:
            raise ValueError("a group without an event or a test of a state is always there: name some")

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """What must all be there for whoever could reach it: its events, of which one is enough, and every attribute."""
        events = (self.events,) if self.events else ()
        return (*events, *((test.state,) for test in self.states))


@dataclass(frozen=True)
class FeatureSpec:
    """One column of the matrix. `events` None means every event.

    `trend` compares the window with the one of equal length before it: (recent - before) / (recent + before),
    in [-1, 1], 0 where both are empty. `attribute` and `equals` are of a state: with `equals` it is 1 where the value
    in force equals it and 0 elsewhere, without it is the value as a number.
    """

    name: str
    description: str
    aggregation: Aggregation
    window: Window
    events: tuple[str, ...] | None = None
    groups: tuple[Group, ...] = ()
    per: Per | None = None
    trend: bool = False
    attribute: str | None = None
    equals: bool | float | str | None = None
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
        if self.trend and self.aggregation not in (Aggregation.COUNT, Aggregation.ACTIVE_DAYS):
            raise ValueError(f"feature {self.name!r}: a trend compares counts or active days")
        self._sound_reach()
        self._sound_state()

    def _sound_reach(self) -> None:
        """Whether it looks at the events and the stretch of time that its aggregation can look at."""
        if (self.trend or self.per is Per.SEAT) and self.window.start_days is None:
            raise ValueError(f"feature {self.name!r}: needs a window with a start, not all history")
        if self.aggregation in WINDOWLESS and self.window != EVER:
            raise ValueError(
                f"feature {self.name!r}: {self.aggregation} looks at all history, leave out the window"
            )
        if self.aggregation in EVENTLESS and self.events is not None:
            raise ValueError(
                f"feature {self.name!r}: {self.aggregation} looks at no event, leave out 'events'"
            )
        if self.aggregation in SEQUENCES and self.window.end_days != 0:
            raise ValueError(f"feature {self.name!r}: the order of days is read back from the as-of date")

    def _sound_state(self) -> None:
        if self.aggregation is not Aggregation.STATE:
            if self.attribute is not None or self.equals is not None:
                raise ValueError(
                    f"feature {self.name!r}: attribute and equals belong to the aggregation 'state', and only there"
                )
            return
        if not self.attribute:
            raise ValueError(f"feature {self.name!r}: say which attribute of the states table")
        if self.window != EVER:
            raise ValueError(f"feature {self.name!r}: a state is the one in force, leave out the window")

    @property
    def when_nothing(self) -> str:
        """What stands where there is nothing to aggregate, in words."""
        if self.aggregation is Aggregation.DAYS_SINCE:
            return "days since signup, or since tracking began"
        if self.aggregation is Aggregation.IRREGULARITY:
            return "missing below three active days"
        if self.aggregation is Aggregation.STATE:
            return "missing" if self.equals is None else "0"
        if self.aggregation is Aggregation.DAYS_TO_FIRST or self.aggregation in LEVELS:
            return "missing"
        return "missing without seats" if self.per is Per.SEAT else "0"

    @property
    def windows(self) -> tuple[Window, ...]:
        """Every window of events the feature reads; that of a level is read from the subscriptions."""
        if self.aggregation in EVENTLESS:
            return ()
        return (self.window, self.window.before()) if self.trend else (self.window,)

    @property
    def counts_events(self) -> bool:
        """Whether it looks at any event: groups of tests of states alone do not."""
        return not self.groups or any(group.events for group in self.groups)

    @property
    def state_tests(self) -> tuple[StateTest, ...]:
        """Every test of a state that its groups ask for."""
        return tuple(test for group in self.groups for test in group.states)
