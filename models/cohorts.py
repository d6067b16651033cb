"""Cohorts: who reached a milestone, who could, and what became of them, one row per account and date.

Landmark by construction: a `once` milestone is looked at when its window ends (signup + window), among the
accounts alive then, and only what happens from that moment on is an outcome. A worked example: activation
within 90 days, signup 2024-01-10; landmark 2024-04-09; an account that left on 2024-03-01 is in neither group.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats
from features.declaration import Data
from features.eligibility import eligibility
from features.log import Log
from features.observations import BOOKED, Question, observe, quarterly
from features.outcomes import EXPANDED, MRR
from features.progress import ProgressCallback
from features.specs import FeatureSpec
from features.windows import Grid
from models.carried import STEP, is_carried
from models.dormancy import dormancy, quiet_spec
from models.doubts import require_states
from models.framework import Framework
from models.label_clock import LabelClock, link_days
from models.milestones import DORMANT, LINK_DAYS, RETAINED, LevelsRule, Milestone, StepsRule
from models.parts import LEVELS
from models.splits import folds
from models.standing import STATUSES, standing
from models.success import metric_specs

Asked: TypeAlias = Literal["primary", "retained", "expanded", "dormant"]
LATER = ["account", "alive", "at_risk", "retained"]  # columns of the look at a later landmark
STRATUM = "stratum"  # column of the stratum within which accounts are compared, beside the quarter


@dataclass(frozen=True)
class Cohort:
    """The observations of one milestone.

    frame columns: account, fold, as_of (landmark or close), quarter (of the landmark, or closed), signed_up_at, score,
    status, alive, at_risk, retained + retained_known_from, outcome + outcome_known_from (the primary outcome; missing
    where not observable).
    Of a once milestone also dormant + dormant_known_from and, of steps, a carried column of each; where the subscriptions
    say so expanded + expanded_known_from, and mrr. What else was asked for is carried along (`models.carried`).

    later: of a once milestone the same accounts LINK_DAYS after the landmark, with the columns of LATER; None of a state, and
    where nobody looked.
    """

    name: str
    milestone: Milestone
    frame: pd.DataFrame
    clock: LabelClock
    later: pd.DataFrame | None = None

    def column(self, outcome: Asked) -> str:
        """The column that holds an outcome; of `expanded` and `dormant` it may not be there."""
        if outcome in (EXPANDED, DORMANT):
            return outcome
        return RETAINED if RETAINED in (outcome, self.milestone.primary_outcome) else "outcome"

    def quarters_in(self, span: tuple[str, str]) -> list[str]:
        """The cohort quarters in [from, to)."""
        return [q for q in self.frame["quarter"].unique() if span[0] <= q < span[1]]

    def matures_at(self, quarter: str, outcome: Asked) -> pd.Timestamp:
        """When the last outcome of a cohort quarter can be known."""
        return self.clock.matures_at(quarter, self.column(outcome))

    def horizon_days(self, outcome: Asked) -> int:
        """Days from the landmark or as-of date to the moment the outcome is looked at."""
        return self.clock.horizon_days(self.column(outcome))

    @property
    def asked(self) -> "pd.Series[bool]":
        """Which observations are an answer: alive at the landmark, and reached or not reached."""
        return self.frame["alive"] & self.frame["status"].isin(("reached", "not_reached"))

    def known(self, outcome: Asked, known_at: pd.Timestamp) -> "pd.Series[bool]":
        """Of which observations the outcome is known at a date; retention only of those at risk of leaving."""
        column = self.column(outcome)
        known = self.frame[column].notna() & (self.frame[f"{column}_known_from"] <= known_at)
        return known & self.frame["at_risk"] if column == RETAINED else known

    def judged(self, outcome: Asked, known_at: pd.Timestamp) -> pd.DataFrame:
        """The rows an effect on an outcome is computed from, as known at a date.

        Alive at the landmark, reached or not, the label known, of quarters that are mature as a whole: the first
        to be known of a quarter are not like the rest. For retention also at risk.
        """
        frame = self.frame
        column = self.column(outcome)
        mature = [q for q in frame["quarter"].unique() if self.clock.matures_at(q, column) <= known_at]
        chosen = frame[self.asked & self.known(outcome, known_at) & frame["quarter"].isin(mature)]
        kept = [
            "account",
            "fold",
            "as_of",
            "quarter",
            "score",
            *(c for c in frame if is_carried(c) or c in (MRR, STRATUM)),
        ]
        return chosen[kept].assign(
            reached=(chosen["status"] == "reached").to_numpy(), outcome=chosen[column].to_numpy(dtype=bool)
        )


def tenure_question(framework: Framework, extra: Iterable[FeatureSpec] = ()) -> Question | None:
    """What to ask at the landmarks: every once milestone, and the states that are outcomes of one."""
    once = framework.of_kind("once")
    if not once:
        return None
    specs = {name: m.rule.spec(name) for name, m in once.items()}
    days = {m.rule.window_days + later for m in once.values() for later in (0, LINK_DAYS)}
    quiet = quiet_spec(framework.data)
    specs[quiet.name] = quiet
    for name, m in once.items():
        if isinstance(m.rule, StepsRule):
            specs |= {spec.name: spec for spec in m.rule.step_specs(name).values()}
        target = framework.milestones.get(m.primary_outcome)
        if target is not None and target.kind == "state":
            specs[m.primary_outcome] = target.rule.spec(m.primary_outcome)
    return Question((*specs.values(), *extra), Grid("tenure", tuple(sorted(days))))


def quarterly_question(
    framework: Framework, log: Log, data: Data, extra: Iterable[FeatureSpec] = ()
) -> Question | None:
    """What to ask at every quarter's close: the states, and the categories of maturity with their success metrics."""
    states = framework.of_kind("state")
    specs = [m.rule.spec(name) for name, m in states.items()]
    for name, m in states.items():
        if isinstance(m.rule, LevelsRule):
            specs += [spec for level in LEVELS for spec in m.rule.category_specs(name, level).values()]
    specs += [*metric_specs(framework, log).values(), *extra]
    return Question(tuple(specs), quarterly(log, data)) if specs else None


@dataclass(frozen=True)
class Cohorts:
    """The cohorts of every milestone, and the frame of the quarters' closes that the states were read from."""

    by_name: dict[str, Cohort]
    closes: pd.DataFrame


def build_cohorts(
    framework: Framework,
    log: Log,
    beside: Mapping[str, Iterable[FeatureSpec]] | None = None,
    progress: ProgressCallback | None = None,
) -> Cohorts:
    """Every milestone of the framework, in one look at the landmarks and one at the quarters' closes.

    `beside` are features to carry along, under names of `carried`, by milestone; those of one kind share their look.
    """
    data = framework.data
    require_states(framework.milestones, log, data)
    extra: dict[str, list[FeatureSpec]] = {"once": [], "state": []}
    for name, specs in (beside or {}).items():
        extra[framework.milestones[name].kind] += specs
    found: dict[str, Cohort] = {}
    landmarks = tenure_question(framework, extra["once"])
    if landmarks is not None:
        frame = observe(log, data, landmarks, progress)
        found |= {name: once_cohort(framework, name, frame, log) for name in framework.of_kind("once")}
    question = quarterly_question(framework, log, data, extra["state"])
    closes = observe(log, data, question or Question((), quarterly(log, data)), progress)
    found |= {name: state_cohort(framework, name, closes, log) for name in framework.of_kind("state")}
    return Cohorts({name: found[name] for name in framework.milestones}, closes)


def once_cohort(framework: Framework, name: str, landmarks: pd.DataFrame, log: Log) -> Cohort:
    """The cohort of a once milestone from the frame that answers `tenure_question`."""
    milestone = framework.milestones[name]
    days = pd.Timedelta(days=milestone.rule.window_days)
    tenure = landmarks["as_of"] - landmarks["signed_up_at"]
    frame = landmarks[tenure == days].reset_index(drop=True)
    result = _base(framework, name, frame, log).assign(**dormancy(landmarks, frame, milestone))
    if isinstance(milestone.rule, StepsRule):
        steps = milestone.rule.step_specs(name)
        result = result.assign(**{STEP + step: frame[spec.name] for step, spec in steps.items()})
    target = framework.milestones.get(milestone.primary_outcome)
    clock = LabelClock.of(framework, milestone)
    seen_again = landmarks.loc[tenure == days + pd.Timedelta(days=LINK_DAYS), LATER]
    if target is None:
        return Cohort(name, milestone, result, clock, seen_again)
    later_days = milestone.rule.window_days + link_days(milestone, target)
    later = landmarks[tenure == pd.Timedelta(days=later_days)].set_index("account")
    then = later.reindex(frame["account"])
    score = then[milestone.primary_outcome].to_numpy(float)
    met = score >= target.rule.at_least
    alive_then = then["alive"].eq(True).to_numpy(bool)
    observable = then["as_of"].notna().to_numpy() & ~(alive_then & np.isnan(score))
    if target.kind == "once":
        # Whoever was there already at the landmark cannot get there after it.
        already = (
            _score_then(landmarks, tenure, days, milestone.primary_outcome, frame) >= target.rule.at_least
        )
        observable &= ~already
    else:
        met &= alive_then
    result["outcome"] = pd.array(met, dtype="boolean")
    result.loc[~(observable & result["alive"].to_numpy()), "outcome"] = pd.NA
    result["outcome_known_from"] = frame["signed_up_at"] + pd.Timedelta(days=later_days)
    return Cohort(name, milestone, result, clock, seen_again)


def _score_then(
    landmarks: pd.DataFrame,
    tenure: "pd.Series[pd.Timedelta]",
    days: pd.Timedelta,
    column: str,
    frame: pd.DataFrame,
) -> Floats:
    return landmarks[tenure == days].set_index("account")[column].reindex(frame["account"]).to_numpy(float)


def state_cohort(framework: Framework, name: str, closes: pd.DataFrame, log: Log) -> Cohort:
    """The cohort of a state milestone from the frame that answers `quarterly_question`."""
    milestone = framework.milestones[name]
    result = _base(framework, name, closes, log)
    target = framework.milestones.get(milestone.primary_outcome)
    clock = LabelClock.of(framework, milestone)
    if target is None:
        return Cohort(name, milestone, result, clock)
    joined = at_next_close(closes, milestone.primary_outcome)
    score = joined[milestone.primary_outcome].to_numpy(float)
    alive_then = joined["alive"].eq(True).to_numpy(bool)
    result["outcome"] = pd.array((score >= target.rule.at_least) & alive_then, dtype="boolean")
    # Gone by then did not get there; there, but with no score to be had (no seats), is no answer.
    unseen = joined["as_of"].isna().to_numpy() | (alive_then & np.isnan(score))
    result.loc[unseen | ~result["alive"].to_numpy(), "outcome"] = pd.NA
    result["outcome_known_from"] = joined["as_of"].to_numpy()
    return Cohort(name, milestone, result, clock)


def chosen_on(milestone: Milestone, rows: pd.DataFrame) -> Flags:
    """Which rows (with their quarter) lie in the quarters a milestone was chosen on, (rows,)."""
    return np.asarray(rows["quarter"].map(milestone.defined_in), dtype=bool)


def at_next_close(closes: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """as_of, alive and columns of each account at the close after each row, missing where there is none; rows of closes."""
    time = closes["as_of"].to_numpy("datetime64[us]")
    dates = np.append(np.unique(time), np.datetime64("NaT", "us"))
    keys = closes[["account"]].assign(as_of=dates[np.searchsorted(dates[:-1], time, side="right")])
    later = closes[["account", "as_of", "alive", *columns]]
    return (
        keys.merge(later, on=["account", "as_of"], how="left").set_axis(closes.index).drop(columns="account")
    )


def _base(framework: Framework, name: str, frame: pd.DataFrame, log: Log) -> pd.DataFrame:
    milestone = framework.milestones[name]
    score = frame[name].to_numpy(float)
    places = standing(milestone, name, frame, log, eligibility(log, framework.data))
    status = np.array(STATUSES, dtype=object)[places]
    beside = [column for column in frame if is_carried(column) or column in BOOKED]
    result = frame[["account", "as_of", "signed_up_at", "alive", "at_risk", "retained", *beside]].copy()
    result["fold"] = folds(log.accounts["account_id"])[frame["account"].to_numpy()]
    quarters = framework.data.calendar.quarters
    quarter_of = quarters.of if milestone.kind == "once" else quarters.closed_by
    result["quarter"] = quarter_of(frame["as_of"]).to_numpy()
    result["score"] = score
    result["status"] = status
    result["retained_known_from"] = result["expanded_known_from"] = frame["known_from"]
    return result
