"""What is planted in a simulated company, as data: a scenario is a YAML file, and this is what it may say.

The chain is setup -> activation -> utilization -> maturity -> retention. Every link is a *step* in a count that
the event log itself shows, so a cut that is swept on the log has a right answer. Nothing here draws a number:
`company` lives these figures month by month, `simulator` makes tables of them.

    scenario = load_scenario("rare-cut").sized(accounts=2000)

A file is whole, or `based_on` another and says what differs: mappings are merged key by key, anything else replaced.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import pandas as pd
from pydantic import AfterValidator, Field, model_validator

from features.declared import Declared
from features.document import read_yaml, validate
from features.errors import DataError, UsageError
from features.faults import meant
from features.quarters import Quarters
from features.simulation.plantings import (
    SIGNED_UP,
    Activation,
    Changes,
    Conversations,
    Leak,
    Leaving,
    Maturity,
    Population,
    Setup,
    Step,
    Usage,
    Utilization,
)

FOLDER = Path(__file__).parent / "scenarios"


def _quarter(name: str) -> str:
    if not re.fullmatch(r"\d{4}Q[1-4]", name):
        raise ValueError("is not a quarter: write it as 2022Q1")
    if not 1971 <= int(name[:4]) <= 2100:
        raise ValueError("choose a year between 1971 and 2100")
    return name


class Scenario(Declared):
    """One company to simulate. The log covers `quarters` calendar quarters from `first_quarter` on."""

    name: str = Field(min_length=1)
    words: str = Field(min_length=1)
    accounts: int = Field(ge=1, le=1_000_000)
    quarters: int = Field(ge=4, le=40)
    first_quarter: Annotated[str, AfterValidator(_quarter)]
    # Nobody signs up after so many quarters of the log; None: until its end.
    signup_quarters: int | None = Field(default=None, ge=1)
    population: Population
    setup: Setup
    conversations: Conversations
    activation: Activation
    utilization: Utilization
    maturity: Maturity
    leaving: Leaving
    events: dict[str, Usage]
    changes: Changes = Changes()
    recorded: bool = False  # whether events say when they came into the system
    leaks: tuple[Leak, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = (*self.setup.steps, *self.columns[len(self.setup.steps) :])
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"the event {min(twice)!r} has two meanings: give each its own name")
        for name, usage in self.events.items():
            if usage.follows is not None and usage.follows not in self.maturity.events:
                raise ValueError(f"events.{name}.follows {usage.follows!r}: name an event of a category")
        outage = self.changes.outage
        unknown = [event for event in outage.events if event not in self.logged] if outage else []
        if unknown:
            raise ValueError(
                f"changes.outage.events: no event is called {unknown[0]!r}{meant(unknown[0], self.logged)}"
            )
        if "backfilled_rows" in self.leaks and not self.recorded:
            raise ValueError("leaks: backfilled_rows can be seen only where recorded is true")
        return self

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Everything an account can do, steps that are settings included: the columns of the counts."""
        talk = self.conversations
        return (
            *self.setup.steps,
            talk.started,
            talk.resolved,
            *self.maturity.events,
            *self.events,
            SIGNED_UP,
        )

    @property
    def logged(self) -> tuple[str, ...]:
        """The events that the log can hold: what is done, but for steps that are settings."""
        return tuple(name for name in self.columns if name not in self.settings)

    @property
    def limited(self) -> frozenset[str]:
        """The events that not everybody could use, or not always."""
        return frozenset(
            name for name, usage in self.events.items() if usage.plan or usage.launched_quarter is not None
        )

    @property
    def settings(self) -> dict[str, Step]:
        """The setup steps that are a state and no event."""
        return {name: step for name, step in self.setup.steps.items() if step.state is not None}

    def sized(self, accounts: int | None = None, quarters: int | None = None) -> "Scenario":
        """The same with other numbers of accounts or quarters. Raises UsageError for those without meaning."""
        changed = {k: v for k, v in (("accounts", accounts), ("quarters", quarters)) if v is not None}
        try:
            return Scenario.model_validate({**self.model_dump(), **changed})
        except ValueError as error:
            said = " and ".join(f"--{name} {value}" for name, value in changed.items())
            raise UsageError(f"{said}: choose 1 to 1,000,000 accounts and 4 to 40 quarters") from error

    def quarter_start(self, number: int) -> pd.Timestamp:
        """The first instant of the log's quarter `number`: from 0, or from the end where negative; `quarters` is the end."""
        number = number if number >= 0 else self.quarters + number
        return Quarters().start(Quarters().shift(self.first_quarter, number))

    @property
    def start(self) -> pd.Timestamp:
        """The first instant of the log."""
        return self.quarter_start(0)

    @property
    def end(self) -> pd.Timestamp:
        """The first instant after the log."""
        return self.quarter_start(self.quarters)

    def within(self, number: int) -> bool:
        """Whether a quarter begins after the log's first instant and before its end: what changes then is seen."""
        return self.start < self.quarter_start(number) < self.end

    @property
    def signups_end(self) -> pd.Timestamp:
        """The first instant at which nobody signs up any more."""
        return self.quarter_start(min(self.signup_quarters or self.quarters, self.quarters))


def scenario_names() -> list[str]:
    """The scenarios that come with the product, by name."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_scenario(name: str) -> Scenario:
    """A scenario by name, or from a YAML file of one's own by path.

    Raises UsageError for a name there is not, and DataError with path, value and remedy for a fault in a file.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if "\0" in name or (path.parent == FOLDER and not path.is_file()):
        known = scenario_names()
        raise UsageError(
            f"--scenario {name}{meant(name, known)}: choose one of {', '.join(known)}, or the path of a YAML file"
        )
    said = _merged(path, ())
    if not set(said) & {"population", "setup", "activation"}:
        raise DataError(
            f"{path}: begin with `based_on: default`, or another scenario, and say what differs from it"
        )
    return validate(Scenario, {"name": path.stem, **said}, path)


def _merged(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says over what it is based on."""
    said: dict[str, Any] = read_yaml(path, "give the path of a scenario file") or {}
    base = said.pop("based_on", None)
    if base is None:
        return said
    if not isinstance(base, str) or base not in scenario_names():
        raise DataError(f"{path}: based_on {base!r}: choose one of {', '.join(scenario_names())}")
    of = FOLDER / f"{base}.yaml"
    if of in seen:
        raise DataError(f"{path}: based_on {base!r} leads back to itself")
    return _over(_merged(of, (*seen, of)), said)


def _over(base: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in said.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
