"""Each product area's own success metric: a feature of the catalogue, looked at a close later than the area's use."""

from dataclasses import replace

from features.catalogue import catalogue_of
from features.errors import DataError
from features.log import Log
from features.specs import EVENTLESS, FeatureSpec
from features.windows import EVER
from models.framework import Framework

METRIC = "metric:"  # prefix of the columns of closes that hold one


def metric_specs(framework: Framework, log: Log) -> dict[str, FeatureSpec]:
    """The declared metrics by category, each named for its column; empty where none is declared.

    Raises DataError for a metric whose window at the next close would reach back before the close at which the
    category's use is looked at: it would count the same events twice.
    """
    declared = framework.data.events.success_metrics
    if not declared:
        return {}
    known = {spec.name: spec for spec in catalogue_of(log, framework.data)}
    for category, name in declared.items():
        if not _within(known[name], framework.shortest_quarter_days):
            raise DataError(
                f"data.events.success_metrics.{category}: {name!r} looks back beyond the quarter between two closes, and"
                f" would count what the category is judged by: choose one of at most {framework.shortest_quarter_days}"
                " days, or add it under data.features.extras"
            )
    return {category: replace(known[name], name=METRIC + category) for category, name in declared.items()}


def _within(spec: FeatureSpec, days: int) -> bool:
    """Whether a feature looks back at most so many days; what is in force now looks back at nothing."""
    if spec.aggregation in EVENTLESS and spec.window == EVER:
        return True
    windows = spec.windows or (spec.window,)
    return all(window.start_days is not None and -window.start_days <= days for window in windows)
