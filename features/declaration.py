"""The `data` half of framework.yaml: where the tables are, how their columns are called, what events mean.

An invalid value cannot be built: every model here forbids unknown keys and says what it expected.
"""

from operator import not_
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from features.declared import Declared, Fixed, Value
from features.extra_feature import ExtraFeature
from features.faults import place
from features.quarters import Quarters
from features.tables import TABLES
from features.validators import covariates, known_engine, known_time_format, known_zone, named_source
from features.windows import LONGEST_WINDOW_DAYS

Source = Annotated[str, AfterValidator(named_source)]


class Sources(Declared):
    """One source per table: file, folder, glob, `file.duckdb::table`; relative to the folder of framework.yaml."""

    events: Source
    accounts: Source
    subscriptions: Source | None = None
    states: Source | None = None
    outcomes: Source | None = None
    eligibility: Source | None = None

    def declared(self) -> dict[str, str]:
        """The tables that have a source."""
        return {table: source for table, source in self if source is not None}


class Calendar(Declared):
    """How times are read and quarters cut."""

    timezone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    # Tried first, in this order: 03/04/2024 is a day in March or in April, which only its owner knows.
    time_formats: tuple[Annotated[str, AfterValidator(known_time_format)], ...] = ()
    fiscal_year_starts_in_month: int = Field(default=1, ge=1, le=12)
    # A log whose events carry dates without a time of day cannot say what came first on the day of signup.
    resolution: Literal["instant", "day"] = "instant"

    @property
    def quarters(self) -> Quarters:
        """The quarters of this calendar."""
        return Quarters(self.fiscal_year_starts_in_month)


class Exclusion(Declared):
    """Accounts left out by rule (tests, staff, trials): where `column` of the accounts table equals a value."""

    column: str
    equals: Value
    reason: str


class Events(Declared):
    """What the events mean: `core` ones carry value to the customer, categories are product areas."""

    core: tuple[str, ...] = ()
    categories: Fixed[str, tuple[str, ...]] = Field(default_factory=dict)
    labels: Fixed[str, str] = Field(default_factory=dict)
    # Of a product area, by the name of a feature.
    success_metrics: Fixed[str, str] = Field(default_factory=dict, exclude_if=not_)
    deduplicate: bool = False

    @model_validator(mode="after")
    def _one_category_per_event(self) -> Self:
        seen: dict[str, str] = {}
        for category, events in self.categories.items():
            for event in events:
                if event in seen:
                    raise ValueError(
                        f"event {event!r} is in the categories {seen[event]!r} and {category!r}: choose one"
                    )
                seen[event] = category
        return self

    def category_of(self, event: str) -> str:
        """The category an event belongs to, 'other' where none is declared."""
        return next((name for name, events in self.categories.items() if event in events), "other")


class Outcome(Declared):
    """When an account counts as lost, and how far ahead the question looks."""

    kind: Literal["outcomes", "subscription_end", "silent"]
    horizon_days: int = Field(default=180, ge=1, le=1095)
    # Whether a spell marked as a trial is part of a customer's life.
    trials: Literal["left_out", "counted"] = "left_out"
    # What expansion is measured in; by default seats where the subscriptions know them, else recurring revenue.
    expansion: Literal["seats", "mrr"] | None = Field(default=None, exclude_if=not_)

    @property
    def name(self) -> str:
        """The column and metric name of staying, such as retained_180d."""
        return f"retained_{self.horizon_days}d"

    @property
    def sentence(self) -> str:
        """What 'lost' means, for people."""
        days = self.horizon_days
        return {
            "outcomes": f"an outcome is recorded within {days} days",
            "subscription_end": f"the last overlapping or touching subscription ends within {days} days",
            "silent": f"no core event in the following {days} days (asked of accounts active in the {days} days before)",
        }[self.kind]


class Features(Declared):
    """Which features the catalogue makes."""

    windows_days: tuple[int, ...] = (7, 30, 90, 180, 365)
    event_windows_days: tuple[int, ...] = (30, 90, 365)
    events: tuple[str, ...] = ()
    states: tuple[str, ...] = ()  # attributes of the states table
    extras: tuple[ExtraFeature, ...] = ()
    niche_below: float = Field(default=0.05, ge=0, le=1)
    ubiquitous_above: float = Field(default=0.95, ge=0, le=1)
    minimum_support: int = Field(default=30, ge=1)  # eligible accounts below which adoption has no class

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("windows_days", "event_windows_days"):
            days = getattr(self, name)
            if not days or any(not 1 <= d <= LONGEST_WINDOW_DAYS for d in days):
                raise ValueError(
                    f"{name} {list(days)}: give at least one window, each of 1 to {LONGEST_WINDOW_DAYS:,} days"
                )
            if len(set(days)) != len(days):
                raise ValueError(f"{name} {list(days)}: each window once")
        if len(set(self.states)) < len(self.states):
            raise ValueError(f"states {list(self.states)}: each attribute once")
        if self.niche_below >= self.ubiquitous_above:
            raise ValueError(
                f"niche_below {self.niche_below} must be less than ubiquitous_above {self.ubiquitous_above}"
            )
        return self


class Data(Declared):
    """The data half of the framework."""

    # What counts events in files: DuckDB, or a Spark master. Events in a database are counted there.
    engine: Annotated[str, AfterValidator(known_engine)] = "duckdb"
    sources: Sources
    mapping: Fixed[str, Fixed[str, str]]
    calendar: Calendar = Calendar()
    exclusions: tuple[Exclusion, ...] = ()
    fixed_at_signup: tuple[str, ...] = ()
    # The adjustment set: what is known from before a milestone's window, so that reaching it cannot have moved it.
    adjust_for: tuple[str, ...] = Field(default=(), exclude_if=not_)
    events: Events = Events()
    outcomes: Outcome
    features: Features = Features()

    @model_validator(mode="after")
    def _mapping_fits(self) -> Self:
        for table, columns in self.mapping.items():
            if table not in TABLES:
                raise ValueError(f"mapping names the table {table!r}; tables are {', '.join(TABLES)}")
            known = TABLES[table].columns
            for column in columns:
                if column not in known:
                    raise ValueError(
                        f"mapping {table}.{column}: the columns of {table} are {', '.join(known)}"
                    )
        for table in self.sources.declared():
            missing = [c for c in TABLES[table].required if c not in self.mapping.get(table, {})]
            if missing:
                raise ValueError(f"mapping {table}: say which columns hold {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _adjustable(self) -> Self:
        spells = self.mapping.get("subscriptions", {}) if self.sources.subscriptions else {}
        covariates(self.adjust_for, spells, self.fixed_at_signup)
        return self

    @model_validator(mode="after")
    def _extras_name_categories(self) -> Self:
        for i, extra in enumerate(self.features.extras):
            if extra.category is not None and extra.category not in self.events.categories:
                raise ValueError(
                    f"{place(('features', 'extras', i, 'category'))} {extra.category!r}: the categories are"
                    f" {', '.join(self.events.categories) or 'none'}"
                )
        return self

    @model_validator(mode="after")
    def _outcome_has_a_source(self) -> Self:
        needs = {"outcomes": "outcomes", "subscription_end": "subscriptions"}.get(self.outcomes.kind)
        if needs and needs not in self.sources.declared():
            raise ValueError(f"outcomes kind {self.outcomes.kind!r} needs a source for the table {needs!r}")
        return self

    def named_events(self) -> frozenset[str]:
        """Every event that this half of the framework names."""
        members = (event for events in self.events.categories.values() for event in events)
        extras = (event for extra in self.features.extras for event in extra.events)
        return frozenset((*self.events.core, *members, *self.features.events, *extras))
