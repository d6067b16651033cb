"""A feature that framework.yaml asks for by name, beside those that the catalogue makes."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from features.declared import Declared, Value
from features.phrases import noun, phrase, state_phrase
from features.specs import EVENTLESS, Aggregation, FeatureSpec, Per, StateTest, unit_of
from features.validators import feature_name
from features.windows import EVER, LONGEST_WINDOW_DAYS, Window, last


class ExtraFeature(Declared):
    """One more feature, by name: what to aggregate over which events (or a category's), in which window."""

    name: Annotated[str, AfterValidator(feature_name)]
    description: str = ""
    aggregation: Aggregation
    events: tuple[str, ...] = ()  # all of them where neither events nor a category is given
    category: str | None = None
    window_days: int | None = Field(default=None, ge=1, le=LONGEST_WINDOW_DAYS)  # all history without one
    per: Per | None = None
    trend: bool = False
    attribute: str | None = None  # of the aggregation 'state'
    equals: Value | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _one_way_to_say_which(self) -> Self:
        if self.aggregation is Aggregation.GROUPS:
            raise ValueError("aggregation 'groups' is for milestones: count the events of a category instead")
        if len(set(self.events)) < len(self.events):
            raise ValueError(f"events {list(self.events)}: each event once")
        if self.events and self.category:
            raise ValueError(f"events and category {self.category!r}: give one of the two")
        if self.aggregation in EVENTLESS and self.category:
            raise ValueError(f"aggregation '{self.aggregation}' looks at no event: leave out the category")
        self.spec(self.events or None)
        return self

    def spec(self, events: tuple[str, ...] | None) -> FeatureSpec:
        """The feature over these events. Raises ValueError where its parts do not go together."""
        window = EVER if self.window_days is None else last(self.window_days)
        return FeatureSpec(
            self.name,
            self.description or self._words(window),
            self.aggregation,
            window,
            events=events,
            per=self.per,
            trend=self.trend,
            attribute=self.attribute,
            equals=self.equals,
            unit=self.unit or self._unit,
            category=self.category or "extra",
        )

    @property
    def state_tests(self) -> tuple[StateTest, ...]:
        """What it asks of a state, where it asks for a value."""
        asks = self.attribute is not None and self.equals is not None
        return (StateTest(self.attribute or "", self.equals),) if asks else ()

    def _words(self, window: Window) -> str:
        if self.aggregation is Aggregation.STATE:
            return state_phrase(self.attribute or "", self.equals)  # without one it is refused
        what = noun(self.events, self.category)
        return phrase(self.aggregation, what, window, self.per, trend=self.trend)

    @property
    def _unit(self) -> str:
        return "0 or 1" if self.equals is not None else unit_of(self.aggregation, self.per, trend=self.trend)
