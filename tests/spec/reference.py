"""A slow engine in plain Python that defines what every aggregation means: one account, one date, one loop."""

import math
import statistics
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from features.specs import EVENTLESS, LEVELS, SEQUENCES, Aggregation, FeatureSpec, Group, Per, StateTest
from features.windows import EVER, Window

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Event:
    """One usable row."""

    event: str
    at: datetime
    user: str | None
    quantity: float = 1


@dataclass(frozen=True)
class Account:
    """One account with all its events, spells (start, end or None, seats, revenue, plan) and states (attribute, value,
    start, end or None)."""

    signed_up: datetime
    events: tuple[Event, ...]
    spells: tuple[tuple[datetime, datetime | None, float, float, str | None], ...]
    states: tuple[tuple[str, str | None, datetime, datetime | None], ...] = ()


@dataclass(frozen=True)
class Rule:
    """A row of the eligibility with what its feature stands for: events, or an attribute of the states."""

    names: frozenset[str]
    plan: str | None
    launched: datetime | None
    tracked: datetime | None


def value(
    spec: FeatureSpec,
    account: Account,
    t: datetime,
    origin: datetime,
    tracked_from: datetime,
    rules: tuple[Rule, ...] = (),
) -> float:
    """The feature at t; `origin` is where days are counted from (midnight, or the signup on a tenure axis)."""
    if spec.aggregation is Aggregation.STATE:
        assert spec.attribute is not None
        asked = (spec.attribute,)
        unseen = [gap for gap in untracked(asked, account, EVER, t, rules) if gap >= t]
        return state(account, spec, t) if could_use(asked, account, t, rules) and not unseen else math.nan
    if spec.aggregation in EVENTLESS:
        return standing(spec, account, t)
    if spec.groups:
        groups = tuple(group for group in spec.groups if could_reach(group, account, t, rules))
        if not groups:
            return math.nan
        spec = replace(spec, groups=groups)
        names: tuple[str, ...] | None = tuple(name for g in spec.groups for part in parts(g) for name in part)
    else:
        names = spec.events
        if not could_use(names, account, t, rules):
            return math.nan
    gaps = [gap for window in spec.windows for gap in untracked(names, account, window, t, rules)]
    if spec.aggregation is Aggregation.DAYS_SINCE:
        return days_since(spec, account, t, max([tracked_from, *gaps]))
    return math.nan if gaps else measured(spec, account, t, origin, tracked_from)


def standing(spec: FeatureSpec, account: Account, t: datetime) -> float:
    """What looks at no event."""
    if spec.aggregation is Aggregation.TENURE:
        return (t - account.signed_up) / DAY
    assert spec.aggregation in LEVELS
    now = level(account, spec.aggregation, t, inclusive=False)
    days = spec.window.start_days
    return now if days is None else now - level(account, spec.aggregation, t + days * DAY, inclusive=True)


def days_since(spec: FeatureSpec, account: Account, t: datetime, tracked_from: datetime) -> float:
    past = [e.at for e in within(spec, account, spec.window, t)]
    if past:
        return (t - max(past)) / DAY
    unseen = t - max(account.signed_up, tracked_from)
    return unseen / DAY if unseen > timedelta(0) else math.nan


def measured(
    spec: FeatureSpec, account: Account, t: datetime, origin: datetime, tracked_from: datetime
) -> float:
    """What could be used, and was tracked since the log began at least."""
    if spec.aggregation is Aggregation.DAYS_TO_FIRST:
        past = [e.at for e in within(spec, account, spec.window, t)]
        seen_from_the_start = account.signed_up >= tracked_from
        return (min(past) - account.signed_up) / DAY if past and seen_from_the_start else math.nan
    counts_events = not spec.groups or any(group.events for group in spec.groups)
    if counts_events and any(blind(account, window, t, tracked_from) for window in spec.windows):
        return math.nan
    found = plain(spec, account, spec.window, t, origin)
    if spec.trend:
        before = plain(spec, account, spec.window.before(), t, origin)
        return (found - before) / max(found + before, 1.0)
    return found / denominator(spec, account, t)


def plain(spec: FeatureSpec, account: Account, window: Window, t: datetime, origin: datetime) -> float:
    chosen = within(spec, account, window, t)
    if spec.aggregation is Aggregation.COUNT:
        return sum(e.quantity for e in chosen)
    if spec.aggregation is Aggregation.ACTIVE_DAYS:
        return len({(e.at - origin) // DAY for e in chosen})
    if spec.aggregation in SEQUENCES:
        return in_order(
            spec.aggregation, sorted({(e.at - origin) // DAY for e in chosen}), (t - origin) // DAY
        )
    if spec.aggregation is Aggregation.DISTINCT_USERS:
        return len({e.user for e in chosen if e.user is not None})
    assert spec.aggregation is Aggregation.GROUPS
    return sum(reached(group, account, chosen, window, t) for group in spec.groups)


def reached(group: Group, account: Account, chosen: list[Event], window: Window, t: datetime) -> bool:
    """Enough of its events, where it has any, and every test of a state held at some instant of the window."""
    enough = sum(e.quantity for e in chosen if e.event in group.events) >= group.at_least
    return (enough or not group.events) and all(held(test, account, window, t) for test in group.states)


def held(test: StateTest, account: Account, window: Window, t: datetime) -> bool:
    """What is in force changes at starts alone: so the first instant of the window is looked at, and every start in it."""
    first = datetime.min if window.start_days is None else t + window.start_days * DAY
    stop = t + window.end_days * DAY
    starts = [start for attribute, _, start, _ in account.states if attribute == test.state]
    instants = [first, *(start for start in starts if first <= start < stop)]
    return any(passes(test, in_force_at(account, test.state, instant)) for instant in instants)


def in_force_at(account: Account, attribute: str, instant: datetime) -> str | None:
    """Of the changes up to an instant the last one, unless it is over; of two at once the one that lasts longer."""
    mine = [
        (start, end or datetime.max, value)
        for a, value, start, end in account.states
        if a == attribute and start <= instant
    ]
    if not mine:
        return None
    _, end, value = sorted(mine, key=lambda row: row[:2])[-1]
    return value if end > instant else None


def passes(test: StateTest, value: str | None) -> bool:
    if value is None:
        return False
    if test.at_least is None:
        return value.strip().lower() == str(test.equals).strip().lower()
    try:
        return float(value) >= test.at_least
    except ValueError:
        return False


def in_order(aggregation: Aggregation, days: list[int], as_of: int) -> float:
    weeks = {(as_of - 1 - day) // 7 for day in days}
    if aggregation is Aggregation.ACTIVE_WEEKS:
        return len(weeks)
    if aggregation is Aggregation.STREAK:
        return next(k for k in range(len(weeks) + 1) if k not in weeks)
    gaps = [after - before for before, after in pairwise(days)]
    return statistics.pstdev(gaps) / statistics.fmean(gaps) if len(gaps) >= 2 else math.nan


def within(spec: FeatureSpec, account: Account, window: Window, t: datetime) -> list[Event]:
    start = datetime.min if window.start_days is None else t + window.start_days * DAY
    stop = t + window.end_days * DAY
    chosen = spec.events if spec.aggregation is not Aggregation.GROUPS else None
    return [e for e in account.events if start <= e.at < stop and (chosen is None or e.event in chosen)]


def parts(group: Group) -> list[tuple[str, ...]]:
    """What must all be there for a group: its events, of which one is enough, and each of its attributes."""
    return [*([group.events] if group.events else []), *((test.state,) for test in group.states)]


def could_reach(group: Group, account: Account, t: datetime, rules: tuple[Rule, ...]) -> bool:
    return all(could_use(part, account, t, rules) for part in parts(group))


def could_use(names: tuple[str, ...] | None, account: Account, t: datetime, rules: tuple[Rule, ...]) -> bool:
    """Every event together could always be used; of a set it is enough that one of its events could."""
    if names is None:
        return True
    for name in names:
        mine = [rule for rule in rules if name in rule.names]
        if not mine or any(allows(rule, account, t) for rule in mine):
            return True
    return False


def allows(rule: Rule, account: Account, t: datetime) -> bool:
    plan = plan_in_force(account, t)
    on_plan = rule.plan is None or (plan is not None and plan.strip().lower() == rule.plan.strip().lower())
    return on_plan and (rule.launched is None or rule.launched < t)


def plan_in_force(account: Account, t: datetime) -> str | None:
    """Of the spells that began before t and are not over for more than a day, the one that began last."""
    spells = [
        (start, end or datetime.max, plan)
        for start, end, _, _, plan in account.spells
        if start < t and (end is None or end + DAY >= t)
    ]
    return max(spells)[2] if spells else None


def untracked(
    names: tuple[str, ...] | None, account: Account, window: Window, t: datetime, rules: tuple[Rule, ...]
) -> list[datetime]:
    """When tracking began of what was there before it, within the window: the account, the window, the feature."""
    found: list[datetime] = []
    for rule in rules:
        if rule.tracked is None or not rule.names & set(names or ()) or not allows(rule, account, t):
            continue
        start = account.signed_up
        if window.start_days is not None:
            start = max(start, t + window.start_days * DAY)
        if rule.launched is not None:
            start = max(start, rule.launched)
        if rule.tracked > start:
            found.append(rule.tracked)
    return found


def state(account: Account, spec: FeatureSpec, t: datetime) -> float:
    """Of the changes before t the last one, unless it was gone before t; of two at once the one that lasts longer."""
    mine = [
        (start, end or datetime.max, value) for a, value, start, end in account.states if a == spec.attribute
    ]
    past = sorted(((start, end, value) for start, end, value in mine if start < t), key=lambda row: row[:2])
    value = past[-1][2] if past and past[-1][1] >= t else None
    if spec.equals is not None:
        return float(value is not None and value.strip().lower() == str(spec.equals).strip().lower())
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan


def known(
    rows: list[dict[str, Any]], begins: str, ends: str | None, key: tuple[str, ...], instant: datetime | None
) -> list[dict[str, Any]]:
    """The rows of a table as they stood at an instant (None: now); times are datetimes or None."""
    seen = []
    for row in rows:
        recorded = row.get("recorded_at")
        if instant is not None and (row[begins] >= instant if recorded is None else recorded > instant):
            continue
        if (
            instant is not None
            and ends
            and recorded is None
            and row[ends] is not None
            and row[ends] >= instant
        ):
            row = {**row, ends: None}
        seen.append(row)
    if not any("recorded_at" in row for row in rows):
        return seen
    last: dict[tuple[Any, ...], datetime] = {}
    for row in seen:
        at = row["recorded_at"] or row[begins]
        last[tuple(row[k] for k in key)] = max(at, last.get(tuple(row[k] for k in key), at))
    return [row for row in seen if (row["recorded_at"] or row[begins]) == last[tuple(row[k] for k in key)]]


def level(account: Account, kind: Aggregation, t: datetime, *, inclusive: bool) -> float:
    def before(moment: datetime) -> bool:
        return moment <= t if inclusive else moment < t

    started = [
        (end, seats if kind is Aggregation.SEATS else revenue)
        for start, end, seats, revenue, _ in account.spells
        if before(start)
    ]
    return sum(n for end, n in started if end is None or not before(end)) if started else math.nan


def denominator(spec: FeatureSpec, account: Account, t: datetime) -> float:
    if spec.per is Per.SEAT:
        assert spec.window.start_days is not None
        then = level(account, Aggregation.SEATS, t + spec.window.start_days * DAY, inclusive=True)
        return then if then > 0 else math.nan
    if spec.per is Per.USER:
        return max(len({e.user for e in within(spec, account, spec.window, t) if e.user is not None}), 1)
    if spec.per is Per.EVENTS:
        window = spec.window
        start = datetime.min if window.start_days is None else t + window.start_days * DAY
        stop = t + window.end_days * DAY
        return max(sum(e.quantity for e in account.events if start <= e.at < stop), 1)
    if spec.per is Per.TENURE:
        lived = (t - account.signed_up) / DAY
        length = spec.window.length_days
        return max(lived if length is None else min(lived, length), 1.0) / 30
    return 1.0


def blind(account: Account, window: Window, t: datetime, tracked_from: datetime) -> bool:
    if account.signed_up >= tracked_from or window.end_days > 0:
        return False
    start = (
        account.signed_up
        if window.start_days is None
        else max(t + window.start_days * DAY, account.signed_up)
    )
    return start < tracked_from


def adoption(rows: list[tuple[str, float]]) -> tuple[int, int, int, int, float]:
    """Observations, accounts, adopters, missing and the share of one cell, from its (account, value) pairs."""
    known = [(account, number) for account, number in rows if not math.isnan(number)]
    used = [account for account, number in known if number > 0]
    share = len(used) / len(known) if known else math.nan
    accounts = {account for account, _ in known}
    return len(known), len(accounts), len(set(used)), len(rows) - len(known), share
