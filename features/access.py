"""Could an account use a feature, and would it have been seen: "could not" and "cannot know" are no zeros.

A rule says that an event is there for a plan (or every plan) from its launch on, and tracked from some time on. A
worked example, at 2024-04-01: "workflow" is there on pro since 2024-01-15, tracked from 2024-02-01. An account on free
could not use it: missing. One on pro that signed up in 2023 could, and 30 days of it are known: [03-02, 04-01) is
tracked. 90 days are not: January's last two weeks went unseen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arrays import Flags, Integers, Times
from features.attributes import in_force
from features.needs import EventSet
from features.specs import EVENTLESS, Aggregation, FeatureSpec
from features.windows import EVER, Window

ALWAYS = np.datetime64("0001-01-01", "us")


@dataclass(frozen=True)
class Rule:
    """An event, or an attribute of the states, is there on `plan` (None: on every one) after `launched_at`, and tracked
    from `tracked_from` on."""

    plan: str | None
    launched_at: np.datetime64
    tracked_from: np.datetime64


@dataclass(frozen=True)
class Eligibility:
    """The rules by the event or attribute; what has none is there for everybody, always, and tracked as the log is.

    `spells` (account, started_at, plan) or `fixed` (by account code) say which plan an account is on.
    """

    rules: Mapping[str, tuple[Rule, ...]]
    spells: pd.DataFrame | None = None
    fixed: "pd.Series[str] | None" = None

    def at(self, account: Integers, time: Times, signed_up: Times) -> "Access":
        """What the rules say of some accounts; account (n,), time (n, as-of dates), signed_up (n, 1)."""
        return Access(self.rules, self._plans(account, time), time, signed_up)

    def _plans(self, account: Integers, time: Times) -> NDArray[np.object_]:
        if self.fixed is not None:
            return np.broadcast_to(_plain_texts(self.fixed.iloc[account])[:, None], time.shape)
        if self.spells is None:
            return np.full(time.shape, "", dtype=object)
        rows = pd.DataFrame({"account": np.repeat(account, time.shape[1]), "as_of": time.ravel()})
        return _plain_texts(in_force(self.spells, rows, "plan")["plan"]).reshape(time.shape)


class Access:
    """The rules as they apply to a batch of accounts at some as-of dates: plan, time (n, as-of dates); signed_up (n, 1)."""

    def __init__(
        self,
        rules: Mapping[str, tuple[Rule, ...]],
        plan: NDArray[np.object_],
        time: Times,
        signed_up: Times,
    ) -> None:
        self.rules, self.plan, self.time, self.signed_up = rules, plan, time, signed_up
        self._allowed: dict[Rule, Flags] = {}

    def eligible(self, events: EventSet) -> Flags:
        """Where any event of the set could be used; every event together always can."""
        found = np.zeros(self.time.shape, dtype=np.bool_)
        for event in self._ruled(events):
            found |= np.logical_or.reduce([self._allows(rule) for rule in self.rules[event]])
        return found if self._all_ruled(events) else np.ones_like(found)

    def all_eligible(self, parts: Sequence[EventSet]) -> Flags:
        """Where every one of several sets could be used."""
        return np.asarray(np.logical_and.reduce([self.eligible(names) for names in parts]))

    def tracked(self, events: EventSet, window: Window) -> Flags:
        """Where all that could be used of a set was tracked for as long as it could be used within the window."""
        return np.asarray(self.unseen_until(events, window) == ALWAYS)

    def unseen_until(self, events: EventSet, window: Window) -> Times:
        """Until when something that could be used within the window went untracked; ALWAYS where nothing did."""
        found = np.full(self.time.shape, ALWAYS)
        start = self.signed_up
        if window.start_days is not None:
            start = np.maximum(start, self.time + np.timedelta64(window.start_days, "D"))
        for rule in {rule for event in self._ruled(events) for rule in self.rules[event]}:
            late = self._allows(rule) & (rule.tracked_from > np.maximum(start, rule.launched_at))
            found = np.where(late, np.maximum(found, rule.tracked_from), found)
        return found

    def _allows(self, rule: Rule) -> Flags:
        """Where the plan and the launch allow it: a launch at the as-of date belongs to the future."""
        if rule not in self._allowed:
            there = self.time > rule.launched_at
            self._allowed[rule] = np.asarray(there if rule.plan is None else there & (self.plan == rule.plan))
        return self._allowed[rule]

    def _ruled(self, events: EventSet) -> list[str]:
        return [event for event in events or () if event in self.rules]

    def _all_ruled(self, events: EventSet) -> bool:
        return events is not None and len(self._ruled(events)) == len(events)


def eligible(spec: FeatureSpec, access: Access) -> Flags:
    """Where plan and launch allowed what a feature looks at: any of its events, its attribute, or all of any group."""
    if _needs_no_access(spec, access):
        return np.ones(access.time.shape, dtype=np.bool_)
    return np.asarray(np.logical_or.reduce([access.all_eligible(parts) for parts in _alternatives(spec)]))


def knowable(spec: FeatureSpec, access: Access) -> Flags:
    """Where a feature means something: what it looks at could be used, and was tracked for as long as it looks back.

    Of groups those that could be used count, and must have been tracked. For the days since an event, tracking only
    limits how long its absence can be known; a state is known once its tracking has begun.
    """
    found = eligible(spec, access)
    if _needs_no_access(spec, access) or spec.aggregation is Aggregation.DAYS_SINCE:
        return found
    if spec.aggregation is Aggregation.STATE:
        ((attribute,),) = _alternatives(spec)
        return found & (access.unseen_until(attribute, EVER) < access.time)
    for window in spec.windows:
        for parts in _alternatives(spec):
            tracked = np.logical_and.reduce([access.tracked(names, window) for names in parts])
            found &= tracked | ~access.all_eligible(parts)
    return found


def _needs_no_access(spec: FeatureSpec, access: Access) -> bool:
    outcome = any(window.end_days > 0 for window in spec.windows)
    eventless = spec.aggregation in EVENTLESS and spec.aggregation is not Aggregation.STATE
    return outcome or eventless or not access.rules


def _alternatives(spec: FeatureSpec) -> list[tuple[EventSet, ...]]:
    """The sets of events, or attributes, that a feature can be made of: one of the alternatives is enough, all its parts
    are needed."""
    if spec.attribute is not None:
        return [((spec.attribute,),)]
    return [group.parts for group in spec.groups] or [(spec.events,)]


def plain(plan: str) -> str:
    """A plan as rules and spells name it alike."""
    return plan.strip().lower()


def _plain_texts(plans: "pd.Series[str]") -> NDArray[np.object_]:
    texts = plans.astype("string").str.strip().str.lower().fillna("")  # no rule names an empty plan
    return np.asarray(texts, dtype=object)
