"""The grounds of reviews: all that their numbers rest on, taken from a log once, or read back from what was frozen.

A review asks nothing else of a log. So what a review rested on can be kept, and the same numbers made of it again
when the log says something else.
"""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from features.log import Log
from features.outcomes import EXPANDED
from features.quarters import Quarters
from features.volumes import quarterly_volumes
from models.cohorts import Cohorts, build_cohorts
from models.doubts import rule_doubts
from models.framework import Framework
from models.lifetimes import days_to_reach
from models.milestones import DORMANT, RETAINED
from models.mix import traits_of

KNOWN_FROM = "known_from"  # of the closes, and after the name of an outcome of the cohorts


@dataclass(frozen=True)
class Grounds:
    """What reviews rest on.

    account_ids: by account code. Knowledge reaches from `data_from` to just before `data_through`. volumes:
    `features.volumes.quarterly_volumes`. traits: what tells the customers of each cohort apart, by the index of its frame.
    time_to: days from signup to each once milestone, by name and account code.
    caveats: what to hold against the rows and the rules, in sentences.
    """

    cohorts: Cohorts
    account_ids: "pd.Series[Any]"
    data_from: pd.Timestamp
    data_through: pd.Timestamp
    volumes: pd.DataFrame
    traits: dict[str, pd.DataFrame]
    time_to: "dict[str, pd.Series[float]]"
    caveats: tuple[str, ...]

    @classmethod
    def of(cls, framework: Framework, log: Log) -> "Grounds":
        """Everything that the reviews of one framework ask of a log. Raises DataError as `build_cohorts` does."""
        data, doubts = framework.data, rule_doubts(framework.milestones, log, framework.data)
        cohorts = build_cohorts(framework, log)
        return cls(
            cohorts,
            log.accounts["account_id"],
            log.data_from,
            log.data_through,
            quarterly_volumes(log, data),
            {name: traits_of(cohort, log, data) for name, cohort in cohorts.by_name.items()},
            {
                name: days_to_reach(data, log, m, m.rule.at_least)
                for name, m in framework.of_kind("once").items()
            },
            (*_unusable(log), *(f"{doubt}." for said in doubts.values() for doubt in said)),
        )

    def until(self, known_at: pd.Timestamp, quarters: Quarters) -> "Grounds":
        """The part that a review as known at an instant can ask for: nothing in it is of later than that."""
        by_name = {
            name: replace(cohort, frame=_until(cohort.frame, known_at))
            for name, cohort in self.cohorts.by_name.items()
        }
        traits = {
            name: self.traits[name][cohort.frame["as_of"] <= known_at].reset_index(drop=True)
            for name, cohort in self.cohorts.by_name.items()
        }
        closes = _until(self.cohorts.closes, known_at)
        looked_at = pd.concat([closes["account"], *(cohort.frame["account"] for cohort in by_name.values())])
        closed = [quarters.end(quarter) <= known_at for quarter in self.volumes["quarter"]]
        return replace(
            self,
            cohorts=Cohorts(by_name, closes),
            account_ids=self.account_ids[self.account_ids.index.isin(looked_at)],
            data_through=min(self.data_through, known_at),
            volumes=self.volumes[closed].reset_index(drop=True),
            traits=traits,
            time_to={
                n: days[days.index.isin(by_name[n].frame["account"])] for n, days in self.time_to.items()
            },
        )


def _until(frame: pd.DataFrame, known_at: pd.Timestamp) -> pd.DataFrame:
    """The rows from up to an instant, their outcomes missing where they were known later."""
    rows = frame[frame["as_of"] <= known_at].reset_index(drop=True)
    for outcome in {RETAINED, EXPANDED, DORMANT, "outcome"}.intersection(rows):
        own = f"{outcome}_{KNOWN_FROM}"
        later = rows[own if own in rows else KNOWN_FROM] > known_at
        rows[outcome] = rows[outcome].mask(later)
    return rows


def _unusable(log: Log) -> list[str]:
    """Of each table with rows that could not be used, how many; of what was not known yet, nothing."""
    said = []
    for table, reasons in log.quarantined.items():
        n = sum(reasons.values())
        read = log.read.get(table, 0) - sum(log.withheld.get(table, {}).values())
        if n:
            worst = max(reasons, key=lambda reason: reasons[reason])
            said.append(
                f"{n:,} of {read:,} rows of {table} ({n / read:.1%}) could not be used, most of them: {worst}."
            )
    return said
