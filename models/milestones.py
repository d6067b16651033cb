"""Milestones as data: a kind, a rule whose score is one feature, and the outcome it is judged by.

`once` milestones (setup, activation) are reached within so many days of signup; their landmark is the end of that
window. `state` milestones (utilization, maturity) are met or not at every as-of date. Reached means
score >= at_least, always.
"""

import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, model_validator

from features.declared import Declared, Fixed
from features.document import content_hash
from features.phrases import listing
from features.specs import Aggregation, FeatureSpec, Per, StateTest
from features.windows import last
from models.parts import Level, LevelName, Step, distinct, group_of, same, words_of

RETAINED = "retained"
DORMANT = "dormant"
LINK_DAYS = 90  # a state is looked at this long after a landmark: far enough for its window to be disjoint
DEFAULT_MINIMUM = 0.05  # where nobody declared what an effect must be to be useful
QUIET_DAYS = 30  # dormant: not one core event in the last so many of these days, [t + 60, t + 90)


def number(value: float) -> str:
    """A threshold for people: 20, 2.5, 1,000."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _real(day: str) -> str:
    try:
        real = date.fromisoformat(day).isoformat() == day
    except ValueError:
        real = False
    if not real:
        raise ValueError("is not a day: write it as 2024-05-31")
    return day


def _quarter(name: str) -> str:
    if not re.fullmatch(r"\d{4}Q[1-4]", name):
        raise ValueError("is not a quarter: write it as 2024Q1")
    return name


Day = Annotated[str, AfterValidator(_real)]
Quarter = Annotated[str, AfterValidator(_quarter)]


class CountRule(Declared):
    """So many events of a set within a window, or so many per seat in force at the start of the window."""

    events: tuple[str, ...] = Field(min_length=1)
    window_days: int = Field(ge=1, le=730)
    per_seat: bool = False
    at_least: float = Field(gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        distinct(self.events)
        return self

    def spec(self, name: str) -> FeatureSpec:
        """The score as a feature."""
        return FeatureSpec(
            name, self.words, Aggregation.COUNT, last(self.window_days), events=self.events,
            per=Per.SEAT if self.per_seat else None, unit=self.unit,
        )  # fmt: skip

    @property
    def unit(self) -> str:
        """What the score counts."""
        return "events per seat" if self.per_seat else "events"

    @property
    def words(self) -> str:
        """The rule for people."""
        per = " per seat" if self.per_seat else ""
        return (
            f"at least {number(self.at_least)} × {listing(self.events)}{per} within {self.window_days} days"
        )

    @property
    def all_events(self) -> frozenset[str]:
        """Every event the score counts."""
        return frozenset(self.events)

    state_tests: ClassVar[tuple[StateTest, ...]] = ()


class StepsRule(Declared):
    """So many different steps done within a window: an event at least once, or a state in force."""

    steps: tuple[Step, ...]
    window_days: int = Field(ge=1, le=730)
    at_least: int = Field(ge=1)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if len(self.steps) < 2:
            raise ValueError("steps counts different steps: name at least two")
        if self.at_least > len(self.steps):
            raise ValueError(
                f"at_least {self.at_least} cannot be reached with {len(self.steps)} steps: ask for fewer, or name more"
            )
        distinct(self.steps)
        return self

    def spec(self, name: str) -> FeatureSpec:
        """The score as a feature."""
        groups = tuple(map(group_of, self.steps))
        return FeatureSpec(
            name, self.words, Aggregation.GROUPS, last(self.window_days), groups=groups, unit=self.unit
        )

    def step_specs(self, prefix: str) -> dict[str, FeatureSpec]:
        """Whether each step was done over the same window (1 or 0), by the words of the step."""
        window = last(self.window_days)
        words = map(words_of, self.steps)
        return {
            step: FeatureSpec(f"{prefix}:{step}", step, Aggregation.GROUPS, window, groups=(group,))
            for step, group in zip(words, map(group_of, self.steps), strict=True)
        }

    unit: ClassVar[str] = "steps"

    @property
    def words(self) -> str:
        """The rule for people."""
        steps = listing([words_of(step) for step in self.steps])
        return f"at least {self.at_least} of {len(self.steps)} steps ({steps}) within {self.window_days} days"

    @property
    def all_events(self) -> frozenset[str]:
        """Every event the score counts."""
        return frozenset(step for step in self.steps if isinstance(step, str))

    @property
    def state_tests(self) -> tuple[StateTest, ...]:
        """Every test of a state the score counts."""
        return tuple(step for step in self.steps if isinstance(step, StateTest))


class LevelsRule(Declared):
    """So many categories used at their mature level within a window."""

    categories: Fixed[str, Level] = Field(min_length=2)
    window_days: int = Field(ge=1, le=LINK_DAYS)
    at_least: int = Field(ge=1)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.at_least > len(self.categories):
            raise ValueError(
                f"at_least {self.at_least} cannot be reached with {len(self.categories)} categories:"
                " ask for fewer, or add some"
            )
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        taken: list[tuple[Step, str]] = []
        for name, level in self.categories.items():
            steps: tuple[Step, ...] = (*level.events, *level.state_tests)
            for step in steps:
                elsewhere = next((where for one, where in taken if where != name and same(step, one)), None)
                if elsewhere is not None:
                    raise ValueError(
                        f"{words_of(step)!r} is in the categories {elsewhere!r} and {name!r}: choose one, or what"
                        " is done once counts twice"
                    )
                taken.append((step, name))
        return self

    def spec(self, name: str) -> FeatureSpec:
        """The score as a feature."""
        groups = tuple(level.group("mature") for level in self.categories.values())
        return FeatureSpec(
            name, self.words, Aggregation.GROUPS, last(self.window_days), groups=groups, unit=self.unit
        )

    def category_specs(self, prefix: str, level: LevelName) -> dict[str, FeatureSpec]:
        """Whether each category is at a level over the same window (1 or 0), by category name."""
        window = last(self.window_days)
        return {
            name: FeatureSpec(
                f"{prefix}:{name}:{level}", name, Aggregation.GROUPS, window, groups=(category.group(level),)
            )
            for name, category in self.categories.items()
        }

    unit: ClassVar[str] = "categories"

    @property
    def words(self) -> str:
        """The rule for people."""
        names = listing([level.words(name) for name, level in self.categories.items()], most=5)
        return f"at least {self.at_least} of {len(self.categories)} categories ({names}) at the mature level within {self.window_days} days"

    @property
    def all_events(self) -> frozenset[str]:
        """Every event the score counts."""
        return frozenset(event for level in self.categories.values() for event in level.events)

    @property
    def state_tests(self) -> tuple[StateTest, ...]:
        """Every test of a state that a level asks for."""
        return tuple(test for level in self.categories.values() for test in level.state_tests)


def _which(rule: Any) -> str:
    keys = rule.model_dump() if isinstance(rule, BaseModel) else rule if isinstance(rule, dict) else ()
    return "<steps>" if "steps" in keys else "<levels>" if "categories" in keys else "<count>"


# A tag in angle brackets is no part of the path that an error message shows.
Rule = Annotated[
    Annotated[CountRule, Tag("<count>")]
    | Annotated[StepsRule, Tag("<steps>")]
    | Annotated[LevelsRule, Tag("<levels>")],
    Discriminator(_which),
]


class Milestone(Declared):
    """One milestone of a framework, with what was expected of it when it was adopted."""

    kind: Literal["once", "state"]
    rule: Rule
    primary_outcome: str = RETAINED
    defined_on: tuple[Quarter, Quarter] | None = None  # [from, to)
    adopted_at: Day | None = None
    adopted_by: str | None = None
    why: str | None = None
    expected_effect: float | None = Field(default=None, ge=-1, le=1)  # out of sample, at adoption
    expected_interval: tuple[float, float] | None = None
    minimum_effect: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.kind == "once" and isinstance(self.rule, CountRule) and self.rule.per_seat:
            raise ValueError(
                "a milestone reached once counts events, not events per seat: make it a state, or drop per_seat"
            )
        if self.kind == "state" and self.rule.window_days > LINK_DAYS:
            raise ValueError(
                f"window_days {self.rule.window_days}: a state looks back at most {LINK_DAYS} days, so that two quarters share no event:"
                " choose a shorter window"
            )
        if self.defined_on and self.defined_on[0] >= self.defined_on[1]:
            raise ValueError(
                f"defined_on {list(self.defined_on)}: the first quarter must come before the end (half-open)"
            )
        if self.expected_interval and self.expected_interval[0] > self.expected_interval[1]:
            raise ValueError(f"expected_interval {list(self.expected_interval)}: write the lower end first")
        return self

    @property
    def hash(self) -> str:
        """Content hash of what it means - kind, rule, outcome - and not of who adopted it, when and why."""
        return content_hash(self, exclude=set(type(self).model_fields) - {"kind", "rule", "primary_outcome"})

    @property
    def proposed(self) -> bool:
        """Nobody has adopted it yet."""
        return self.adopted_at is None

    @property
    def smallest_useful_effect(self) -> float | None:
        """The declared minimum effect, by default half of what was expected; None where nothing was."""
        if self.minimum_effect is not None:
            return self.minimum_effect
        return None if self.expected_effect is None else max(self.expected_effect / 2, 0.0)

    def defined_in(self, quarter: str) -> bool:
        """Whether the milestone was chosen on this quarter."""
        return self.defined_on is not None and self.defined_on[0] <= quarter < self.defined_on[1]
