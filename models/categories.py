"""Product areas: how far each is used at every close, and whether mature use goes with the area's own success.

The metric is looked at one close later than the use, so that no event counts on both sides, among the accounts that are
there at both closes; who left is in the effect on staying.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from features.specs import EVENTLESS, FeatureSpec
from models.chain import held_out, revenue_of
from models.cohorts import Cohort, Cohorts, at_next_close
from models.effects import Effect, difference_in, enough, occasion, population
from models.estimates import Estimate, mean_difference, proportion
from models.framework import Framework
from models.milestones import RETAINED, LevelsRule
from models.parts import LEVELS, Level, LevelName
from models.success import METRIC

NOT_DECLARED = "no success metric is declared for it (data.events.success_metrics)"


@dataclass(frozen=True)
class Success:
    """A metric at the next close, of accounts mature in a category and of the others, and what is between them."""

    feature: str
    description: str
    unit: str
    mean_mature: float
    mean_other: float
    difference: Estimate
    in_definition: bool
    same_behaviour: tuple[str, ...]  # events that the category and the metric both count, at closes apart

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return asdict(self)


@dataclass(frozen=True)
class CategoryUse:
    """One category of a milestone: shares by close, its success metric or why there is none, its effects on staying.

    closes: quarter, n (accounts that are there and could use it), the shares unused, basic and mature, and the interval
    of the last.
    """

    milestone: str
    category: str
    closes: tuple[dict[str, Any], ...]
    success: Success | None
    missing: str | None
    effects: tuple[Effect, ...]

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return {
            "milestone": self.milestone,
            "category": self.category,
            "closes": list(self.closes),
            "success": None if self.success is None else self.success.as_dict(),
            "missing": self.missing,
            "effects": [effect.as_dict() for effect in self.effects],
        }


def headline(framework: Framework, cohorts: Cohorts, known_at: pd.Timestamp) -> list[dict[str, Any]]:
    """The share mature in at least as many categories as the rule asks for, by milestone and close, with its interval."""
    found = []
    for name, rule in levels_rules(framework).items():
        frame = _there(framework, cohorts.closes, name, known_at)
        for quarter, group in frame.groupby("quarter"):
            share = proportion((group[name] >= rule.at_least).to_numpy(bool))
            if share is not None:
                row = {"milestone": name, "at_least": rule.at_least, "of": len(rule.categories)}
                found.append({**row, "quarter": quarter, **share.brief(), "n": share.n_observations})
    return found


def levels_rules(framework: Framework) -> dict[str, LevelsRule]:
    """The milestones that count categories at their mature level, with their rules."""
    states = framework.of_kind("state")
    return {name: m.rule for name, m in states.items() if isinstance(m.rule, LevelsRule)}


def categories_of(
    framework: Framework, cohorts: Cohorts, metrics: Mapping[str, FeatureSpec], known_at: pd.Timestamp
) -> tuple[CategoryUse, ...]:
    """Every category of every milestone that has them, in the order of the file, as known at a date.

    metrics: `success.metric_specs`, which the closes hold a column of.
    """
    found = []
    for name, rule in levels_rules(framework).items():
        columns = {level: rule.category_specs(name, level) for level in LEVELS}
        for category, level in rule.categories.items():
            of_level = {word: specs[category].name for word, specs in columns.items()}
            area = _Area(cohorts.by_name[name], category, of_level, level)
            frame = _there(framework, cohorts.closes, of_level["mature"], known_at)
            success, missing = None, NOT_DECLARED
            if category in metrics:
                then = at_next_close(cohorts.closes, METRIC + category).loc[frame.index]
                success = _success(framework, area, frame, then, metrics[category], known_at)
                missing = (
                    f"fewer than {framework.data.features.minimum_support} accounts that are there a close later are"
                    " mature in it, or are not"
                )
            closes = tuple(
                {"quarter": quarter, **_levels(area, group)} for quarter, group in frame.groupby("quarter")
            )
            effects = _on_staying(area, frame, known_at)
            found.append(CategoryUse(name, category, closes, success, None if success else missing, effects))
    return tuple(found)


@dataclass(frozen=True)
class _Area:
    cohort: Cohort
    category: str
    columns: Mapping[LevelName, str]
    level: Level

    def reached(self, frame: pd.DataFrame, level: LevelName) -> "pd.Series[bool]":
        return frame[self.columns[level]] > 0


def _there(framework: Framework, closes: pd.DataFrame, column: str, known_at: pd.Timestamp) -> pd.DataFrame:
    """The observations that count at each close, with its quarter: alive, and the column can be told."""
    frame = closes[closes["alive"] & closes[column].notna() & (closes["as_of"] <= known_at)]
    return frame.assign(quarter=framework.data.calendar.quarters.closed_by(frame["as_of"]))


def _levels(area: _Area, frame: pd.DataFrame) -> dict[str, Any]:
    basic, mature = area.reached(frame, "basic"), area.reached(frame, "mature")
    share = proportion(mature.to_numpy(bool))
    interval = {} if share is None else {"mature_lower": share.lower, "mature_upper": share.upper}
    shares = {"unused": ~(basic | mature), "basic": basic & ~mature, "mature": mature}
    return {"n": len(frame), **{word: float(flag.mean()) for word, flag in shares.items()}, **interval}


def _success(
    framework: Framework,
    area: _Area,
    frame: pd.DataFrame,
    then: pd.DataFrame,
    metric: FeatureSpec,
    known_at: pd.Timestamp,
) -> Success | None:
    """frame: who is there at each close; then: the same rows at the next."""
    told = then["alive"].eq(True) & then[metric.name].notna() & (then["as_of"] <= known_at)
    kept = held_out(area.cohort.milestone, frame.assign(_then=then[metric.name])[told.to_numpy(bool)])
    mature, value = area.reached(kept.rows, "mature").to_numpy(bool), kept.rows["_then"].to_numpy(float)
    account = kept.rows["account"].to_numpy(np.int64)
    # A skewed metric of a dozen accounts has intervals that hold the truth in 86 of 100: as many as have a class, then.
    fewest = min(len(np.unique(account[group])) for group in (mature, ~mature))
    found = (
        mean_difference(mature, value, account) if fewest >= framework.data.features.minimum_support else None
    )
    if found is None:
        return None
    return Success(
        feature=framework.data.events.success_metrics[area.category],
        description=metric.description,
        unit=metric.unit,
        mean_mature=float(value[mature].mean()),
        mean_other=float(value[~mature].mean()),
        difference=found,
        in_definition=kept.in_definition,
        same_behaviour=_shared(area.level, metric),
    )


def _shared(level: Level, metric: FeatureSpec) -> tuple[str, ...]:
    """The events that a category and its metric both count, at closes apart."""
    if metric.aggregation in EVENTLESS:
        return ()
    counted = [event for group in metric.groups for event in group.events] or metric.events
    return tuple(event for event in level.events if counted is None or event in counted)


def _on_staying(area: _Area, frame: pd.DataFrame, known_at: pd.Timestamp) -> tuple[Effect, ...]:
    """The effect of maturity in one category on staying, as it is and by revenue."""
    milestone = area.cohort.milestone
    told = frame[frame["at_risk"] & frame["retained"].notna() & (frame["known_from"] <= known_at)]
    kept = held_out(
        milestone, told.assign(reached=area.reached(told, "mature"), outcome=told["retained"].astype(bool))
    )
    if not enough(kept.rows):
        return ()
    weight = revenue_of(kept.rows)
    made: dict[Literal["revenue"] | None, Estimate | None] = {None: difference_in(kept.rows)}
    if weight is not None:
        made["revenue"] = difference_in(kept.rows, weight)
    return tuple(
        Effect.of(
            estimate, outcome=RETAINED, horizon_days=area.cohort.horizon_days("retained"), method="crude",
            population=population(milestone, RETAINED, by_revenue=by is not None),
            in_definition=kept.in_definition, primary=False, weighted_by=by, **occasion(milestone),
        )
        for by, estimate in made.items()
        if estimate is not None
    )  # fmt: skip
