"""Could an account use a feature, and would it have been seen: "could not" and "cannot know" are no zeros.

A rule says that an event is there for a plan (or every plan) from its launch on, and tracked from some time on. A
worked example, at 2024-04-01: "workflow" is there on pro since 2024-01-15, tracked from 2024-02-01. An account on free
could not use it: missing. One on pro that signed up in 2023 could, and 30 days of it are known: [03-02, 04-01) is
tracked. 90 days are not: January's last two weeks went unseen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arrays import Flags, Integers, Times
from features.attributes import in_force
from features.needs import EventSet
from features.specs import EVENTLESS, Aggregation, FeatureSpec
from features.windows import Window

ALWAYS = np.datetime64("0001-01-01", "us")


@dataclass(frozen=True)
class Rule:
    """An event is there on `plan` (None: on every one) after `launched_at`, and tracked from `tracked_from` on."""

    plan: str | None
    launched_at: np.datetime64
    tracked_from: np.datetime64


@dataclass(frozen=True)
class Eligibility:
    """The rules by event; an event without one is there for everybody, always, and tracked as the log is.

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
    """Where plan and launch allowed what a feature looks at: any of its events, or groups, could be used."""
    if _needs_no_access(spec, access):
        return np.ones(access.time.shape, dtype=np.bool_)
    return np.asarray(np.logical_or.reduce([access.eligible(events) for events in _sets(spec)]))


def knowable(spec: FeatureSpec, access: Access) -> Flags:
    """Where a feature means something: its events could be used, and were tracked for as long as it looks back.

    Of groups those that could be used count, and must have been tracked. For the days since an event, tracking only
    limits how long its absence can be known.
    """
    found = eligible(spec, access)
    if _needs_no_access(spec, access) or spec.aggregation is Aggregation.DAYS_SINCE:
        return found
    for window in spec.windows:
        for events in _sets(spec):
            found &= access.tracked(events, window)
    return found


def _needs_no_access(spec: FeatureSpec, access: Access) -> bool:
    outcome = any(window.end_days > 0 for window in spec.windows)
    return outcome or spec.aggregation in EVENTLESS or not access.rules


def _sets(spec: FeatureSpec) -> list[EventSet]:
    return [group.events for group in spec.groups] or [spec.events]


def plain(plan: str) -> str:
    """A plan as rules and spells name it alike."""
    return plan.strip().lower()


def _plain_texts(plans: "pd.Series[str]") -> NDArray[np.object_]:
    texts = plans.astype("string").str.strip().str.lower().fillna("")  # no rule names an empty plan
    return np.asarray(texts, dtype=object)
