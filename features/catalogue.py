"""The catalogue: templates x events x windows, so that any log gets at least 50 features without code."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from features.declaration import Data
from features.errors import DataError
from features.faults import meant
from features.log import Log
from features.observations import BOOKED, IDENTITY
from features.phrases import before, state_phrase, within
from features.specs import Aggregation, FeatureSpec, Group, Per
from features.states import States
from features.windows import EVER, Window, last

RECENCY = "days_since_last_event"
CORE_RECENCY = "days_since_last_core_event"
KEYS = ("account_id", "quarter", "plan", *IDENTITY, *BOOKED)  # what the matrix holds beside features


# An event of one of these names would otherwise take the name of an overall feature.
RESERVED = frozenset(
    {
        "events",
        "core_events",
        "active_days",
        "core_active_days",
        "users",
        "distinct_events",
        "distinct_categories",
    }
)


def slugs(names: Iterable[str], reserved: frozenset[str] = frozenset()) -> dict[str, str]:
    """A column-safe name for each text, distinct even where only punctuation tells two apart."""
    found: dict[str, str] = {}
    taken = set(reserved)
    following: dict[str, int] = {}
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:60] or "event"
        slug = base
        while slug in taken:
            following[base] = following.get(base, 1) + 1
            slug = f"{base}_{following[base]}"
        taken.add(slug)
        found[name] = slug
    return found


def catalogue_of(log: Log, data: Data) -> tuple[FeatureSpec, ...]:
    """Every feature that a log can carry."""
    has_revenue = log.subscriptions is not None and "mrr" in log.subscriptions
    return catalogue(
        data,
        has_users=log.has_users,
        has_seats=log.has_seats,
        has_revenue=has_revenue,
        states=States.of(log, data),
    )


def catalogue(
    data: Data, *, has_users: bool, has_seats: bool, has_revenue: bool, states: States | None = None
) -> tuple[FeatureSpec, ...]:
    """Every feature of this product, each name once. Raises DataError where one asks for what is not there."""
    known = states or States({})
    specs = [*_overall(data), *_by_category(data), *_by_event(data), *_states(data, known)]
    specs += _extras(data, has_users=has_users, has_seats=has_seats, has_revenue=has_revenue, states=known)
    if has_users:
        specs += _users(data)
    if has_seats:
        specs += _seats(data)
    name, n = Counter(spec.name for spec in specs).most_common(1)[0]
    if n > 1:
        raise DataError(f"data.features.extras: {name!r} is the name of {n} features: choose another")
    _check_success_metrics(data, [spec.name for spec in specs])
    for extra in data.features.extras:
        if extra.name in (*KEYS, *data.fixed_at_signup):
            raise DataError(
                f"data.features.extras: {extra.name!r} is the name of another column of the matrix: choose another"
            )
    return tuple(specs)


def _check_success_metrics(data: Data, names: list[str]) -> None:
    """Raises DataError where a product area is to be judged by a feature that is not there."""
    for category, name in data.events.success_metrics.items():
        if name not in names:
            raise DataError(
                f"data.events.success_metrics.{category}: there is no feature {name!r}{meant(name, names)}:"
                " `milestones features --list` names all of them, and data.features.extras adds one"
            )


def described(specs: Iterable[FeatureSpec]) -> list[dict[str, Any]]:
    """What each feature is: name, description, unit, category, aggregation, per, trend, equals, when_nothing."""
    return [
        {
            "name": spec.name,
            "description": spec.description,
            "unit": spec.unit,
            "category": spec.category,
            "aggregation": spec.aggregation.value,
            "per": spec.per and spec.per.value,
            "trend": spec.trend,
            "equals": spec.equals,
            "when_nothing": spec.when_nothing,
        }
        for spec in specs
    ]


def _windows(data: Data) -> tuple[int, ...]:
    return tuple(sorted(data.features.windows_days))


def _overall(data: Data) -> list[FeatureSpec]:
    events = tuple(dict.fromkeys([*data.events.core, *data.features.events]))
    specs = [
        FeatureSpec(
            RECENCY,
            "Days since the last event",
            Aggregation.DAYS_SINCE,
            EVER,
            unit="days",
            category="recency",
        ),
        FeatureSpec(
            "tenure_days", "Days since signup", Aggregation.TENURE, EVER, unit="days", category="account"
        ),
    ]
    if data.events.core:
        specs.append(
            FeatureSpec(
                CORE_RECENCY, "Days since the last core event", Aggregation.DAYS_SINCE, EVER,
                events=data.events.core, unit="days", category="recency",
            )
        )  # fmt: skip
    for days in _windows(data):
        window, when = last(days), within(days)
        specs += [
            FeatureSpec(f"events_{days}d", f"Events {when}", Aggregation.COUNT, window),
            FeatureSpec(f"active_days_{days}d", f"Days with any event {when}", Aggregation.ACTIVE_DAYS, window, unit="days"),
            FeatureSpec(f"events_{days}d_trend", f"Events {when} against {before(days)}", Aggregation.COUNT, window, trend=True, unit="-1..1", category="trend"),
            FeatureSpec(f"active_days_{days}d_trend", f"Active days {when} against {before(days)}", Aggregation.ACTIVE_DAYS, window, trend=True, unit="-1..1", category="trend"),
            FeatureSpec(f"events_{days}d_per_tenure", f"Events {when}, per 30 days of tenure within them", Aggregation.COUNT, window, per=Per.TENURE, unit="events per 30 days"),
        ]  # fmt: skip
        specs += [*_core(data, days), *_breadth(data, events, window, when)]
    return specs


def _core(data: Data, days: int) -> list[FeatureSpec]:
    core, window, when = data.events.core, last(days), within(days)
    if not core:
        return []
    return [
        FeatureSpec(f"core_events_{days}d", f"Core events {when}", Aggregation.COUNT, window, events=core),
        FeatureSpec(f"core_active_days_{days}d", f"Days with a core event {when}", Aggregation.ACTIVE_DAYS, window, events=core, unit="days"),
        FeatureSpec(f"core_events_{days}d_trend", f"Core events {when} against {before(days)}", Aggregation.COUNT, window, events=core, trend=True, unit="-1..1", category="trend"),
    ]  # fmt: skip


def _breadth(data: Data, events: tuple[str, ...], window: Window, when: str) -> list[FeatureSpec]:
    days, specs = window.length_days, []
    if events:
        groups = tuple(Group((event,)) for event in events)
        specs.append(FeatureSpec(f"distinct_events_{days}d", f"Kinds of event used {when}", Aggregation.GROUPS, window, groups=groups, unit="kinds", category="breadth"))  # fmt: skip
    if len(data.events.categories) > 1:
        groups = tuple(Group(members) for members in data.events.categories.values() if members)
        specs.append(FeatureSpec(f"distinct_categories_{days}d", f"Categories used {when}", Aggregation.GROUPS, window, groups=groups, unit="categories", category="breadth"))  # fmt: skip
    return specs


def _by_category(data: Data) -> list[FeatureSpec]:
    names = slugs(data.events.categories)
    specs = []
    for category, members in data.events.categories.items():
        if not members:
            continue
        specs += [
            FeatureSpec(f"category_{names[category]}_{days}d", f"Events of the category {category} {within(days)}", Aggregation.COUNT, last(days), events=members, category=category)
            for days in sorted(data.features.event_windows_days)
        ]  # fmt: skip
        days = min(data.features.event_windows_days, key=lambda d: abs(d - 30))
        specs.append(FeatureSpec(f"category_{names[category]}_{days}d_trend", f"Events of the category {category} {within(days)} against {before(days)}", Aggregation.COUNT, last(days), events=members, trend=True, unit="-1..1", category=category))  # fmt: skip
    return specs


def _by_event(data: Data) -> list[FeatureSpec]:
    categories = {f"category_{slug}" for slug in slugs(data.events.categories).values()}
    names = slugs(data.features.events, RESERVED | categories)
    return [
        FeatureSpec(
            f"{names[event]}_{days}d",
            f"{data.events.labels.get(event, event)} {within(days)}",
            Aggregation.COUNT,
            last(days),
            events=(event,),
            category=data.events.category_of(event),
        )
        for event in data.features.events
        for days in sorted(data.features.event_windows_days)
    ]


def _states(data: Data, states: States) -> list[FeatureSpec]:
    """The number of a numeric attribute, as `state_macros`; 1 or 0 for each of the commonest values of a text, as
    `state_sso_on`."""
    asked: list[tuple[str, str | None]] = []
    for attribute in data.features.states:
        states.require(attribute, "data.features.states")
        values = states.values(attribute)
        asked += [(attribute, None)] if values is None else [(attribute, value) for value in values]
    # Written out with their marks, ("a", "b") and ("a b",) remain two names.
    names = slugs(f"state {[part for part in pair if part is not None]}" for pair in asked)
    return [
        FeatureSpec(
            name,
            state_phrase(attribute, value),
            Aggregation.STATE,
            EVER,
            attribute=attribute,
            equals=value,
            unit="value" if value is None else "0 or 1",
            category="states",
        )
        for name, (attribute, value) in zip(names.values(), asked, strict=True)
    ]


def _extras(
    data: Data, *, has_users: bool, has_seats: bool, has_revenue: bool, states: States
) -> list[FeatureSpec]:
    specs = []
    for extra in data.features.extras:
        users = extra.aggregation is Aggregation.DISTINCT_USERS or extra.per is Per.USER
        if users and not has_users:
            raise DataError(f"data.features.extras: {extra.name!r} asks for users, and the events name none")
        seats = extra.aggregation is Aggregation.SEATS or extra.per is Per.SEAT
        if seats and not has_seats:
            raise DataError(f"data.features.extras: {extra.name!r} asks for seats, and no table has them")
        if extra.aggregation is Aggregation.REVENUE and not has_revenue:
            raise DataError(
                f"data.features.extras: {extra.name!r} asks for revenue, and no subscriptions have an mrr"
            )
        if extra.attribute is not None:
            asked_by = f"data.features.extras: {extra.name!r}"
            states.require(extra.attribute, asked_by)
            if extra.equals is None:
                states.require_numbers(extra.attribute, asked_by)
        chosen = data.events.categories[extra.category] if extra.category else extra.events
        specs.append(extra.spec(chosen or None))
    return specs


def _users(data: Data) -> list[FeatureSpec]:
    specs = []
    for days in _windows(data):
        when = within(days)
        specs.append(FeatureSpec(f"users_{days}d", f"Distinct users {when}", Aggregation.DISTINCT_USERS, last(days), unit="users"))  # fmt: skip
        specs.append(FeatureSpec(f"events_{days}d_per_user", f"Events {when} per active user", Aggregation.COUNT, last(days), per=Per.USER, unit="events per user"))  # fmt: skip
    return specs


def _seats(data: Data) -> list[FeatureSpec]:
    specs = [
        FeatureSpec("seats", "Seats in force", Aggregation.SEATS, EVER, unit="seats", category="account")
    ]
    for days in _windows(data):
        when = f"{within(days)}, per seat in force at their start"
        specs.append(FeatureSpec(f"events_{days}d_per_seat", f"Events {when}", Aggregation.COUNT, last(days), per=Per.SEAT, unit="events per seat"))  # fmt: skip
        if data.events.core:
            specs.append(FeatureSpec(f"core_events_{days}d_per_seat", f"Core events {when}", Aggregation.COUNT, last(days), events=data.events.core, per=Per.SEAT, unit="events per seat"))  # fmt: skip
    return specs
