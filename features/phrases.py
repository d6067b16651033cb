"""What a feature of one's own is, in plain words, where its owner gave none."""

from collections.abc import Mapping, Sequence

from features.specs import LEVELS, WINDOWLESS, Aggregation, Per
from features.windows import Window

EVENTS = "events"
MOST_NAMED = 3
# {what} are events, as a noun.
PHRASES: Mapping[Aggregation, str] = {
    Aggregation.COUNT: "{what}",
    Aggregation.ACTIVE_DAYS: "days with {what}",
    Aggregation.ACTIVE_WEEKS: "weeks with {what}",
    Aggregation.STREAK: "weeks in a row, up to the date, with {what}",
    Aggregation.IRREGULARITY: "how much the gaps between days with {what} vary",
    Aggregation.DISTINCT_USERS: "distinct users of {what}",
    Aggregation.DAYS_SINCE: "days since the last of {what}",
    Aggregation.DAYS_TO_FIRST: "days from signup to the first of {what}",
    Aggregation.TENURE: "days since signup",
    Aggregation.SEATS: "seats",
    Aggregation.REVENUE: "recurring revenue",
}
PER: Mapping[Per, str] = {
    Per.SEAT: ", per seat in force at their start",
    Per.USER: ", per user of them",
    Per.TENURE: ", per 30 days of tenure within them",
    Per.EVENTS: ", as a share of all events",
}


def phrase(
    aggregation: Aggregation, what: str, window: Window, per: Per | None = None, *, trend: bool = False
) -> str:
    """The words for a feature over events (`what`, from `noun`) or none."""
    days = window.length_days
    said = PHRASES[aggregation].format(what=what)
    if aggregation in LEVELS:
        said = f"{said} in force" if days is None else f"change of {said} {within(days)}"
    elif aggregation not in WINDOWLESS:
        said += " since signup" if days is None else f" {within(days)}"
        said += f" against {before(days)}" if trend and days else ""
    said += PER[per] if per else ""
    named = said.startswith(what) and not what.startswith(EVENTS)  # the name of an event is written as it is
    return said if named else said[0].upper() + said[1:]


def within(days: int) -> str:
    """The words for a window that ends at the as-of date."""
    return "in the last day" if days == 1 else f"in the last {days} days"


def before(days: int) -> str:
    """The words for the window before that."""
    return "the day before" if days == 1 else f"the {days} days before"


def state_phrase(attribute: str, equals: object = None, at_least: float | None = None) -> str:
    """The words for a state: an attribute's value, or whether it is this one, or at least this much."""
    if at_least is not None:
        return f"at least {at_least:,.10g} {attribute}"
    value = str(equals).lower() if isinstance(equals, bool) else equals
    return f"{attribute} in force" if equals is None else f"{attribute} is {value}"


def listing(names: Sequence[str], most: int = 4) -> str:
    """A few names, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def noun(events: tuple[str, ...] | None, category: str | None) -> str:
    """What is counted: events of a category, a few events by name, or all."""
    if category:
        return f"{EVENTS} of the category {category}"
    if not events:
        return EVENTS
    return listing(events, MOST_NAMED)
