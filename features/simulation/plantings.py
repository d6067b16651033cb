"""The parts of a scenario: what can be planted in a simulated company, and the months in which it can be seen."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from features.declared import Declared

MONTH_DAYS = 30  # a month of tenure
TERM_DAYS = 365  # the term of an annual account
# What months of tenure can show exactly.
SETUP_DAYS, ACTIVATION_DAYS, UTILIZATION_DAYS, MATURITY_DAYS = 30, 90, 30, 90
RETAINED_DAYS = 180  # how far ahead the shares of `Retained` look
TYPICAL_SEATS = 3.0
Plan = Literal["essential", "professional", "enterprise"]
PLANS: tuple[Plan, ...] = ("essential", "professional", "enterprise")
SIGNED_UP = "signed_up"  # every account's first event, at the very instant

Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=0, le=100)]
Rate = Annotated[float, Field(ge=0, le=10_000)]  # a month
Exponent = Annotated[float, Field(ge=-3, le=3)]
QuarterNumber = Annotated[int, Field(ge=-40, le=40)]  # of the log, from 0; negative ones from its end
Leak = Literal["weekly_sums", "backfilled_rows", "set_after_churn"]


class Levels(Declared):
    """A chance below a cut, and from it on."""

    below: Share
    above: Share

    @property
    def works(self) -> bool:
        """Whether the cut changes anything."""
        return self.below != self.above


class Point(Declared):
    """A place of a smooth curve: the share retained at a count."""

    count: float = Field(ge=0)
    retained: float = Field(gt=0, lt=1)


class Curve(Declared):
    """The share retained as a logistic function of log(1 + count), through two points."""

    start: Point
    end: Point

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.start.count >= self.end.count:
            raise ValueError(
                f"start.count {self.start.count:g} must be less than end.count {self.end.count:g}"
            )
        return self


class Step(Declared):
    """A setup step: the share of accounts that does it in its first month; some are readier than others for all of them.

    With `state` it is a setting and no event: the attribute of that name holds `value` from then on.
    """

    share: float = Field(gt=0, lt=1)
    state: str | None = Field(default=None, min_length=1)
    value: str = Field(default="on", min_length=1)


class Setup(Declared):
    """So many of the steps within 30 days: more conversations from day 30 to 90."""

    steps: dict[str, Step] = Field(min_length=2)
    at_least: int = Field(ge=1)
    conversations_ratio: Ratio

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.at_least > len(self.steps):
            raise ValueError(f"at_least {self.at_least} cannot be reached with {len(self.steps)} steps")
        held = [step.state for step in self.steps.values() if step.state]
        if len(set(held)) < len(held):
            raise ValueError("two steps are the same setting: give each a state of its own")
        return self


class Conversations(Declared):
    """The two events that everything turns on, and how many there are, a month and seat."""

    started: str
    resolved: str
    early: Rate  # before day 90
    ramp: tuple[Share, Share, Share]  # of use in the first three months; categories stay at the third
    calm: Rate  # after it, in the two states of utilization
    busy: Rate
    resolved_share: Share


class Retained(Declared):
    """The share of accounts at day 90 that is there 180 days later, hazard constant: a step at the cut, or a curve.

    It takes the place of `leaving.hazard` from day 90 on; what else changes the hazard still multiplies it.
    """

    step: Levels | None = None
    by_plan: dict[Plan, Levels] = Field(default_factory=dict)
    curve: Curve | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.step is None) == (self.curve is None):
            raise ValueError("give step or curve, one of the two")
        if self.curve and self.by_plan:
            raise ValueError("by_plan belongs to a step: leave it out of a curve")
        return self

    @property
    def works(self) -> bool:
        """Whether anybody's count changes how long they stay."""
        steps = [*self.by_plan.values(), *([self.step] if self.step else [])]
        return self.curve is not None or any(step.works for step in steps)


class Activation(Declared):
    """So many conversations started within 90 days: more utilization, less dormancy, and perhaps retention."""

    at_least: int = Field(ge=1)
    busy: Levels  # chance of the busy state in the months after day 90
    dormancy_ratio: Ratio  # of the chance to go dormant, once activated
    retained: Retained | None = None

    @property
    def works(self) -> bool:
        """Whether it changes anything."""
        return (
            self.busy.works or self.dormancy_ratio != 1 or (self.retained is not None and self.retained.works)
        )


class Utilization(Declared):
    """So many conversations resolved a month and seat: categories mature, seats are added, fewer leave."""

    at_least: float = Field(gt=0)
    maturing: Levels  # chance a month that a category goes from basic to mature
    expanding: Levels  # chance a month to buy seats
    hazard_ratio: Ratio


class Maturity(Declared):
    """So many categories with so many events each in 90 days: fewer leave."""

    categories: dict[str, dict[str, Share]] = Field(
        min_length=2
    )  # event -> share of a category's users with it
    basic: int = Field(ge=1)
    mature: int = Field(ge=1)
    at_least: int = Field(ge=1)
    hazard_ratio: Ratio
    first_levels: tuple[Share, Share, Share]  # shares of categories unused, basic and mature at signup
    starting: Share  # chance a month to go from unused to basic
    lapsing: Share  # and from mature back to basic

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.at_least > len(self.categories):
            raise ValueError(
                f"at_least {self.at_least} cannot be reached with {len(self.categories)} categories"
            )
        if self.basic > self.mature:
            raise ValueError(f"basic {self.basic} must not be more than mature {self.mature}")
        empty = [name for name, events in self.categories.items() if not events]
        if empty:
            raise ValueError(f"categories.{empty[0]}: name at least one event")
        if abs(sum(self.first_levels) - 1) > 1e-9:
            raise ValueError(f"first_levels {list(self.first_levels)}: together they make 1")
        return self

    @property
    def events(self) -> tuple[str, ...]:
        """The events of every category, category by category."""
        return tuple(event for events in self.categories.values() for event in events)


class Population(Declared):
    """Who signs up."""

    median_seats: float = Field(ge=1)
    seats_spread: float = Field(ge=0, le=3)  # of a log-normal
    most_seats: int = Field(ge=1, le=10_000)
    plans: dict[Plan, Share]
    enterprise_size_exponent: Exponent  # the share of enterprise x (seats / typical seats) ** this
    annual_share: Share
    trial_share: Share  # of accounts that pay by the month
    trial_days: int = Field(ge=1, le=29)
    trial_lost_share: Share  # of trials
    test_share: Annotated[float, Field(ge=0, le=0.5)]
    trend_spread: float = Field(ge=0, le=0.1)  # of the growth of an account's usage a month, in logarithms

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _whole(self.plans)
        return self


class Leaving(Declared):
    """How accounts leave, and come back."""

    hazard: Share  # chance a month: typical size, no milestone met
    size_exponent: Exponent  # hazard x (seats / typical seats) ** this: the confounder, no milestone
    use_left: Share  # of usage, in the days before an account leaves
    return_share: Share
    dormancy: Share  # chance a month from day 90 on to stop using the product for a while


class Usage(Declared):
    """An event that belongs to no milestone: how many accounts use it, and how often a month.

    `follows` makes it a twin: its count follows that event's, month by month. With `hazard_ratio` it keeps accounts:
    whoever did it `at_least` so often in a month leaves less in the next.
    """

    role: Literal["noise", "ubiquitous", "niche", "twin", "driver"] = "noise"
    users: Share
    rate: Rate
    plan: Plan | None = None
    follows: str | None = None
    launched_quarter: QuarterNumber | None = None
    at_least: int = Field(default=1, ge=1)
    hazard_ratio: Ratio = 1.0


class Pricing(Declared):
    """Prices change with a quarter."""

    quarter: QuarterNumber
    ratio: Ratio


class Drift(Declared):
    """Activation works less for whoever passes day 90 from this quarter on."""

    quarter: QuarterNumber
    left: Share  # share of its effects that is left


class Mix(Declared):
    """Other customers sign up from this quarter on."""

    quarter: QuarterNumber
    plans: dict[Plan, Share]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _whole(self.plans)
        return self


class Outage(Declared):
    """Events that were not recorded for some days; all of them where none is named."""

    quarter: QuarterNumber
    day: int = Field(ge=0, le=89)  # from the start of the quarter
    days: int = Field(ge=1, le=366)
    events: tuple[str, ...] = ()


class Push(Declared):
    """From this quarter on teams contact whoever is short of activation at day 60, but for a holdout."""

    quarter: QuarterNumber
    holdout: Share
    complies: Share  # share that is over the cut by day 90, of the contacted who would not have been
    works: Share  # share of activation's effects that they gain by it


class Changes(Declared):
    """What happens to the company on the way."""

    pricing: Pricing | None = None
    drift: Drift | None = None
    mix: Mix | None = None
    outage: Outage | None = None
    push: Push | None = None


def _whole(plans: Mapping[Plan, float]) -> None:
    """Raises ValueError for shares of the plans that are not all there, or do not make one."""
    if set(plans) != set(PLANS) or abs(sum(plans.values()) - 1) > 1e-9:
        raise ValueError(f"plans {plans}: give a share to each of {', '.join(PLANS)}; together they make 1")
