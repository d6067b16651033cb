"""Spaces of joint definitions: every way in which a milestone could be defined by the same kind of rule.

- A count: which event, or all that count now; in which window; raw or per seat; how many.
- Steps: which of the steps, and how many of them.
- Categories: from which level on each is mature, in which window, and how many must be.

A space is a lattice of dimensions. Points of it that make the same rule are one definition.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

import numpy as np

from features.arrays import Floats
from models.cutpoints import achievable_cuts
from models.definitions import parts_of, use_column
from models.milestones import CountRule, LevelsRule, Milestone, Rule, StepsRule
from models.parts import words_of
from models.rivals import windows_of

COUNT_SHARES = tuple(share / 20 for share in range(1, 20))  # of accounts that a count aims at
LEVEL_SHARES = (0.5, 0.3, 0.15)  # of accounts that a mature level aims at; basic use is not rare

MOST_ENUMERATED = 50_000  # points of a lattice beyond which its definitions are not told apart

Point: TypeAlias = tuple[int, ...]  # a place on every dimension


@dataclass(frozen=True)
class Dimension:
    """What differs between definitions, by the words of its choices; `ordered` where neighbours are alike."""

    name: str
    choices: tuple[str, ...]
    ordered: bool = True


@dataclass(frozen=True)
class CountSpace:
    """Event x window x raw or per seat x how many; `cuts` of each of the first three, one for every share aimed at."""

    events: tuple[tuple[str, ...], ...]
    windows: tuple[int, ...]
    per_seat: tuple[bool, ...]
    cuts: Mapping[Point, tuple[float, ...]]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The lattice."""
        return (
            Dimension("feature", tuple(", ".join(one) for one in self.events), ordered=False),
            Dimension("window_days", tuple(map(str, self.windows))),
            Dimension("per", tuple("seat" if one else "account" for one in self.per_seat), ordered=False),
            Dimension("share_aimed_at", tuple(f"{share:.0%}" for share in COUNT_SHARES)),
        )

    def rule(self, point: Point) -> CountRule | None:
        """The definition at a point; None where no cut leaves enough accounts on both sides, or too few could use it."""
        *measure, aim = point
        cuts = self.cuts.get(tuple(measure))
        if not cuts:
            return None
        event, window, seat = measure
        return CountRule.model_construct(
            events=self.events[event], window_days=self.windows[window],
            per_seat=self.per_seat[seat], at_least=cuts[aim],
        )  # fmt: skip


@dataclass(frozen=True)
class StepsSpace:
    """Which steps, and how many of them."""

    steps: StepsRule

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The lattice."""
        steps = [
            Dimension(f"step {words_of(step)}", ("left out", "counted"), ordered=False)
            for step in self.steps.steps
        ]
        return (*steps, _how_many(len(steps)))

    def rule(self, point: Point) -> StepsRule | None:
        """The definition at a point; None of fewer than two steps. All of them, where more are asked for."""
        *counted, most = point
        steps = tuple(step for step, is_in in zip(self.steps.steps, counted, strict=True) if is_in)
        if len(steps) < 2:
            return None
        return self.steps.model_copy(update={"steps": steps, "at_least": min(most + 1, len(steps))})


@dataclass(frozen=True)
class LevelsSpace:
    """From which level on each category is mature, in which window, and how many must be.

    levels: by place of the window, of each category the levels from the lowest on; None where settings alone make it.
    """

    rules: tuple[LevelsRule, ...]  # one a window
    levels: tuple[tuple[tuple[float | None, ...], ...], ...]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The lattice."""
        names = tuple(self.rules[0].categories)
        aims = [max(len(of_window[place]) for of_window in self.levels) for place in range(len(names))]
        words = ("low", "middle", "high")
        return (
            Dimension("window_days", tuple(str(rule.window_days) for rule in self.rules)),
            *(Dimension(f"level of {name}", words[:n]) for name, n in zip(names, aims, strict=True)),
            _how_many(len(names)),
        )

    def rule(self, point: Point) -> LevelsRule:
        """The definition at a point; a window with fewer levels of a category has its highest from then on."""
        window, *aims, most = point
        base, levels = self.rules[window], self.levels[window]
        changed = {
            name: level.model_copy(update={"mature": choices[min(aim, len(choices) - 1)]})
            for (name, level), aim, choices in zip(base.categories.items(), aims, levels, strict=True)
        }
        return base.model_copy(update={"categories": changed, "at_least": most + 1})


Space: TypeAlias = CountSpace | StepsSpace | LevelsSpace


def _how_many(most: int) -> Dimension:
    return Dimension("at_least", tuple(str(k + 1) for k in range(most)))


def lattice(space: Space) -> int:
    """How many points a space has; its distinct definitions are at most as many."""
    return prod(len(one.choices) for one in space.dimensions)


def definitions(space: Space) -> Iterator[tuple[Point, Rule]]:
    """Every distinct definition with the first point that makes it, in the order of the lattice."""
    seen = set()
    for point in product(*(range(len(one.choices)) for one in space.dimensions)):
        rule = space.rule(point)
        said = None if rule is None else rule.model_dump_json()
        if rule is not None and said not in seen:
            seen.add(said)
            yield point, rule


def measures(
    milestone: Milestone, countable: Iterable[tuple[str, ...]], *, has_seats: bool
) -> tuple[Rule, ...]:
    """Rules of the kind of a milestone's that together count everything its space is made of; thresholds aside.

    countable: what a count may be of, beside what counts now; has_seats: whether rates per seat can be told.
    """
    rule, windows = milestone.rule, windows_of(milestone)
    if isinstance(rule, StepsRule):
        return (rule,)
    if isinstance(rule, LevelsRule):
        return tuple(rule.model_copy(update={"window_days": days}) for days in windows)
    counted = {frozenset(rule.events): rule.events}
    for events in countable:
        counted.setdefault(frozenset(events), events)
    return tuple(
        CountRule(events=events, window_days=days, per_seat=per_seat, at_least=1)
        for events in counted.values()
        for days in windows
        for per_seat in ((False, True) if has_seats and milestone.kind == "state" else (False,))
    )


def space_of(milestone: Milestone, made: Sequence[Rule], parts: Mapping[str, Floats], support: int) -> Space:
    """The space of `measures`, with thresholds where the accounts are; no outcome has a say in them.

    parts: (n,) columns of `definitions.parts_of`; a count without its column is left out. support: accounts that must
    stay on both sides of a threshold.
    """
    own = milestone.rule
    if isinstance(own, StepsRule):
        return StepsSpace(own)
    if isinstance(own, LevelsRule):
        rules = tuple(rule for rule in made if isinstance(rule, LevelsRule))
        in_use = [rule.window_days == own.window_days for rule in rules]
        levels = (_levels(rule, parts, in_use=one) for rule, one in zip(rules, in_use, strict=True))
        return LevelsSpace(rules, tuple(levels))
    counts = [rule for rule in made if isinstance(rule, CountRule)]
    events = tuple(dict.fromkeys(rule.events for rule in counts))
    windows = tuple(dict.fromkeys(rule.window_days for rule in counts))
    seats = tuple(dict.fromkeys(rule.per_seat for rule in counts))
    cuts: dict[Point, tuple[float, ...]] = {}
    for rule in counts:
        (column,) = parts_of(rule)
        if column in parts:
            place = (events.index(rule.events), windows.index(rule.window_days), seats.index(rule.per_seat))
            cuts[place] = _nearest(achievable_cuts(parts[column], support), parts[column], COUNT_SHARES)
    return CountSpace(events, windows, seats, cuts)


def _nearest(cuts: Floats, values: Floats, shares: Sequence[float]) -> tuple[float, ...]:
    """Of each share the cut that is reached by the share of accounts nearest to it; nothing where there is no cut."""
    if not len(cuts):
        return ()
    at_or_above = 1 - np.searchsorted(np.sort(values), cuts) / len(values)
    return tuple(float(cuts[np.argmin(np.abs(at_or_above - share))]) for share in shares)


def _levels(
    rule: LevelsRule, parts: Mapping[str, Floats], *, in_use: bool
) -> tuple[tuple[float | None, ...], ...]:
    """Of each category the levels to try, from the basic level on: at the shares aimed at, the one in use among them."""
    found: list[tuple[float | None, ...]] = []
    for name, level in rule.categories.items():
        if not level.events:
            found.append((None,))
            continue
        used = np.nan_to_num(parts[use_column(name, rule)])
        own = float(level.mature or level.basic)
        near = list(_nearest(np.unique(used[used >= level.basic]), used, LEVEL_SHARES)) or [own]
        if in_use:
            near[int(np.argmin([abs(one - own) for one in near]))] = own
        found.append(tuple(sorted(set(near))))
    return tuple(found)
