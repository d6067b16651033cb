"""The framework: a versioned, hashed set of milestones with the data half it is measured on. One loader."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import AfterValidator, Field, model_validator

from features.declaration import Data
from features.declared import Declared, Fixed
from features.document import content_hash, hash_of, read_document, validate
from features.faults import meant
from features.observations import BOOKED, IDENTITY
from models.milestones import DORMANT, RETAINED, Day, LevelsRule, Milestone

# Milestones are columns beside these, keys of decisions.yaml beside `adoptions`, and parts of file names.
NOT_NAMES = frozenset(
    {*IDENTITY, *BOOKED, DORMANT, "fold", "quarter", "score", "status", "outcome", "adoptions"}
)
NAME = re.compile(r"[^\W_][\w -]{0,59}")


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: a hypothesis says what somebody believes, and who")
    return text


Said = Annotated[str, AfterValidator(_said)]


class Hypothesis(Declared):
    """What somebody believed before looking."""

    claim: Said
    by: Said
    features: tuple[str, ...] = ()
    direction: Literal["positive", "negative"] = "positive"


class Annotation(Declared):
    """Something that happened: a pricing change, a campaign, a launch."""

    date: Day
    text: str
    affects: tuple[str, ...] = ()


class ReviewSettings(Declared):
    """How reviews are made."""

    settling_lag_days: int = Field(default=14, ge=0, le=180)
    adoption_band: tuple[float, float] = (0.2, 0.6)
    hypotheses: tuple[Hypothesis, ...] = ()
    annotations: tuple[Annotation, ...] = ()

    @model_validator(mode="after")
    def _band(self) -> Self:
        low, high = self.adoption_band
        if not 0 <= low < high <= 1:
            raise ValueError(
                f"adoption_band {[low, high]}: the lower share must be less than the upper, both within 0 and 1"
            )
        return self


class Framework(Declared):
    """framework.yaml, validated."""

    schema_: Literal[1] = Field(alias="schema")
    name: str = Field(min_length=1)
    version: int = Field(ge=1, le=1_000_000)
    data: Data
    milestones: Fixed[str, Milestone] = Field(default_factory=dict)
    not_defined: Fixed[str, str] = Field(default_factory=dict)
    review: ReviewSettings = ReviewSettings()

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.milestones:
            if not NAME.fullmatch(name) or name in NOT_NAMES:
                raise ValueError(
                    f"milestones.{name}: cannot be the name of a milestone: use letters, digits, spaces, - and _ (at"
                    f" most 60), and none of {', '.join(sorted(NOT_NAMES))}"
                )
        return self

    @model_validator(mode="after")
    def _success_metrics(self) -> Self:
        rules = [m.rule for m in self.milestones.values() if isinstance(m.rule, LevelsRule)]
        known = list(dict.fromkeys(category for rule in rules for category in rule.categories))
        for category in self.data.events.success_metrics:
            if category not in known:
                raise ValueError(
                    f"data.events.success_metrics: no milestone has a category {category!r}{meant(category, known)}; the"
                    f" categories are {', '.join(known) or 'none'}"
                )
        return self

    @model_validator(mode="after")
    def _links(self) -> Self:
        for name, milestone in self.milestones.items():
            target = milestone.primary_outcome
            if target == RETAINED:
                continue
            if target not in self.milestones or target == name:
                raise ValueError(
                    f"milestones.{name}.primary_outcome {target!r}: name another milestone ("
                    f"{', '.join(m for m in self.milestones if m != name) or 'none is defined'}) or {RETAINED!r}"
                )
            self._check_link(name, milestone, target, self.milestones[target])
        return self

    def _check_link(self, name: str, milestone: Milestone, target: str, following: Milestone) -> None:
        if milestone.kind == "state" and following.kind == "once":
            raise ValueError(
                f"milestones.{name}.primary_outcome {target!r}: a state cannot lead to something reached once;"
                f" name another state, or {RETAINED!r}"
            )
        if (
            milestone.kind == following.kind == "state"
            and following.rule.window_days > self.shortest_quarter_days
        ):
            raise ValueError(
                f"milestones.{target}.rule.window_days {following.rule.window_days}: the shortest quarter of this calendar"
                f" has {self.shortest_quarter_days} days, and events before it would count for {name!r} and for its"
                " outcome: choose a shorter window"
            )
        if milestone.kind == following.kind == "once":
            if following.rule.window_days <= milestone.rule.window_days:
                raise ValueError(
                    f"milestones.{target}.rule.window_days {following.rule.window_days} must be more than the"
                    f" {milestone.rule.window_days} days of {name!r}, whose outcome it is: make one longer or the other"
                    " shorter"
                )
            shared = _shared(milestone, following)
            if shared:
                raise ValueError(
                    f"milestones.{name}: {', '.join(shared)} would be counted in its window and in the window of"
                    f" its outcome {target!r}: use different events, or another primary_outcome"
                )

    @property
    def hash(self) -> str:
        """Content hash without `version`: comments and order do not matter."""
        return content_hash(self, exclude={"version"})

    def definition(self, name: str) -> str:
        """Hash of all that a sweep of a milestone depends on: the data, what is counted, its outcome, the useful band.

        Not its threshold, of which a sweep tries all. Adopting one milestone leaves the others' as it was, unless they
        lead to it.
        """
        milestone = self.milestones[name]
        counted = milestone.model_copy(update={"rule": milestone.rule.model_copy(update={"at_least": 1})})
        outcome = self.milestones.get(milestone.primary_outcome)
        band = list(self.review.adoption_band)
        return hash_of([content_hash(self.data), counted.hash, outcome and outcome.hash, band])

    @property
    def proposed(self) -> bool:
        """Some milestone was not adopted by anybody yet."""
        return any(m.proposed for m in self.milestones.values())

    @property
    def shortest_quarter_days(self) -> int:
        """Days of the shortest quarter: February to April has 89, every other at least 90."""
        return 89 if self.data.calendar.fiscal_year_starts_in_month % 3 == 2 else 90

    def review_due(self, quarter: str) -> pd.Timestamp:
        """When the review of a quarter is due: its end plus the settling lag."""
        lag = pd.Timedelta(days=self.review.settling_lag_days)
        return self.data.calendar.quarters.end(quarter) + lag

    def shares_behaviour(self, name: str, outcome: str | None = None) -> tuple[str, ...]:
        """The events and states that a milestone and an outcome, by default its primary one, both count, in disjoint windows.

        What is shared may be the persistence of one behaviour. Empty where nothing is.
        """
        milestone = self.milestones[name]
        outcome = outcome or milestone.primary_outcome
        if outcome in self.milestones:
            return _shared(milestone, self.milestones[outcome])
        return tuple(sorted(self.counted_by(outcome, milestone.rule.all_events)))

    def means_silence(self, outcome: str) -> bool:
        """Whether an outcome other than a milestone is that core events stop: going dormant, or a silent loss."""
        lost = outcome not in self.milestones and self.data.outcomes.kind == "silent"
        return outcome == DORMANT or lost

    def counted_by(self, outcome: str, events: Iterable[str]) -> frozenset[str]:
        """Which of these events an outcome counts: those of the next milestone; of silence the core ones, or every one.

        Silence - going dormant, and being lost with a silent outcome - is that core events stop, and that all events stop
        where no core is declared. Another outcome counts none.
        """
        asked = frozenset(events)
        if outcome in self.milestones:
            return asked & self.milestones[outcome].rule.all_events
        core = frozenset(self.data.events.core)
        return asked & (core or asked) if self.means_silence(outcome) else frozenset()

    def counted_over_the_same_days(self, name: str) -> frozenset[str]:
        """The events that the primary outcome of a milestone counts from signup on, and so within the milestone's own window.

        Only what is reached once does: everything else counts in days of its own.
        """
        target = self.milestones.get(self.milestones[name].primary_outcome)
        return target.rule.all_events if target is not None and target.kind == "once" else frozenset()

    def of_kind(self, kind: Literal["once", "state"]) -> dict[str, Milestone]:
        """The milestones of one kind, in the order of the file."""
        return {name: m for name, m in self.milestones.items() if m.kind == kind}


def _shared(one: Milestone, other: Milestone) -> tuple[str, ...]:
    """The events, and the attributes of states, that two milestones both count."""
    attributes, others = ({test.state for test in m.rule.state_tests} for m in (one, other))
    return tuple(sorted(one.rule.all_events & other.rule.all_events | attributes & others))


def load_framework(path: Path) -> Framework:
    """Read and validate framework.yaml. Raises DataError naming path, value and remedy of every fault."""
    return validate(Framework, read_document(path), path)
