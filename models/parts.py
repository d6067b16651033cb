"""The parts of a milestone's rule: steps, which are events or tests of states, and the levels of a product area."""

from collections.abc import Iterable
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from features.declared import Declared
from features.phrases import state_phrase
from features.specs import Group, StateTest


def _one_value(given: Any) -> Any:
    if isinstance(given, dict) and isinstance(given.get("equals"), list | dict):
        raise ValueError("equals must be one value: write a text, a number, true or false")
    return given


Tested = Annotated[StateTest, BeforeValidator(_one_value)]


def _either(step: Any) -> str:
    return "<state>" if isinstance(step, dict | StateTest) else "<event>"


# An event by its name, or a test of a state.
Step = Annotated[Annotated[str, Tag("<event>")] | Annotated[Tested, Tag("<state>")], Discriminator(_either)]


def words_of(step: Step) -> str:
    """A step for people: its event, "sso is on", "at least 3 macros"."""
    return step if isinstance(step, str) else state_phrase(step.state, step.equals, step.at_least)


def group_of(step: Step) -> Group:
    """What must be there for a step to be done."""
    return Group((step,)) if isinstance(step, str) else Group((), states=(step,))


def distinct(steps: Iterable[Step]) -> None:
    """Raises ValueError for an event or a test that comes twice: it would be counted twice."""
    seen: list[Step] = []
    for step in steps:
        before = next((one for one in seen if same(step, one)), None)
        if before is not None:
            what = "event" if isinstance(step, str) else "test of a state"
            otherwise = "" if words_of(step) == words_of(before) else f", as {words_of(before)!r}"
            raise ValueError(f"{words_of(step)!r} is there twice{otherwise}: write every {what} once")
        seen.append(step)


def same(one: Step, other: Step) -> bool:
    """Whether what does one step may do the other by itself."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.meets(other)


LevelName = Literal["basic", "mature"]
LEVELS: tuple[LevelName, ...] = ("basic", "mature")


class Level(Declared):
    """One product area: from how many of its events on, and in which states, its use is basic and mature.

    A category without events has only states; where it names none for the basic level, basic is mature.
    """

    events: tuple[str, ...] = Field(default=(), exclude_if=not_)
    basic: float = Field(default=1, gt=0, allow_inf_nan=False)
    mature: float | None = Field(default=None, gt=0, allow_inf_nan=False, exclude_if=not_)
    basic_states: tuple[Tested, ...] = Field(default=(), exclude_if=not_)
    mature_states: tuple[Tested, ...] = Field(default=(), exclude_if=not_)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.events:
            return self._sound_without_events()
        if self.mature is None:
            raise ValueError("mature is missing: say from how many of its events on the category is mature")
        if self.basic > self.mature:
            raise ValueError(
                f"basic {self.basic:g} must not be more than mature {self.mature:g}: lower the one or raise the other"
            )
        return self

    def _sound_without_events(self) -> Self:
        if not self.mature_states:
            raise ValueError("has nothing to be mature by: name events, or mature_states")
        if self.mature is not None or self.basic != 1:
            raise ValueError(
                "basic and mature count events, and there are none: name events, or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        for steps in (self.events, self.basic_states, self.mature_states):
            distinct(steps)
        return self

    def group(self, level: LevelName) -> Group:
        """What must be there for a level to be reached."""
        if level == "mature":
            return Group(self.events, self.mature or 1.0, self.mature_states)
        states = self.basic_states if self.events or self.basic_states else self.mature_states
        return Group(self.events, self.basic, states)

    def words(self, name: str) -> str:
        """The area for people, with the states that its mature level asks for: "automation (with bot is live)"."""
        states = " and ".join(map(words_of, self.mature_states))
        return f"{name} (with {states})" if states else name

    @property
    def state_tests(self) -> tuple[StateTest, ...]:
        """Every test of a state that it asks for, once."""
        return tuple({test.meaning: test for test in (*self.basic_states, *self.mature_states)}.values())
