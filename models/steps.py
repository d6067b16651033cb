"""The steps of a milestone, one by one: who does each, and what doing it goes with.

Steps come together: who has done one has mostly done others. So each effect stands twice, as it is and within accounts
that did as many of the *other* steps. A step that nearly everybody does, or hardly anybody, is marked by the framework's
own rule of adoption: the one tells nobody apart, the other speaks for a few.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.adoption import YEAR, classified
from features.arrays import Flags
from features.declaration import Features
from models.carried import STEP
from models.chain import Basis, basis
from models.cohorts import Cohort
from models.effects import Effect, Method, difference_in, enough, occasion, population
from models.estimates import Estimate, proportion, stratified_risk_difference

ROUTINE = "routine"  # of a step what `ubiquitous` is of a feature


@dataclass(frozen=True)
class StepUse:
    """One step: the share of accounts that had done it by the landmark, its class, and its effects.

    share: over the newest four cohort quarters; None where nobody could do it. word: niche, routine, representative or
    unclear by the rule of adoption; everybody or nobody where all of those judged did, or none, and no effect can be told.
    """

    step: str
    share: Estimate | None
    word: str
    effects: tuple[Effect, ...]

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        share = None if self.share is None else {**self.share.brief(), "n": self.share.n_observations}
        effects = [effect.as_dict() for effect in self.effects]
        return {"step": self.step, "share": share, "class": self.word, "effects": effects}


def steps_of(cohort: Cohort, declared: Features, known_at: pd.Timestamp) -> tuple[StepUse, ...]:
    """Every step of a milestone that counts steps, in the order of the file; empty for other milestones."""
    columns = [str(column) for column in cohort.frame if str(column).startswith(STEP)]
    found = basis(cohort, "primary", known_at)
    return tuple(_step(cohort, column, found, declared, known_at) for column in columns)


def _step(cohort: Cohort, column: str, found: Basis, declared: Features, known_at: pd.Timestamp) -> StepUse:
    done = _newest_year(cohort, column, known_at)
    share = proportion(done)
    rows = found.rows[found.rows[column].notna()]
    did = rows[column].to_numpy(np.float64) > 0
    word = _class(share, declared)
    if len(did) and did.all() | ~did.any():
        word = "everybody" if did.all() else "nobody"
    effects = (_effect(cohort, method, e, found) for method, e in _compared(rows, did) if e is not None)
    return StepUse(column.removeprefix(STEP), share, word, tuple(effects))


def _compared(rows: pd.DataFrame, did: Flags) -> list[tuple[Method, Estimate | None]]:
    """The difference as it is, and within accounts that did as many of the other steps; none of too few accounts."""
    if not enough(rows):
        return []
    others = (rows["score"].to_numpy(np.float64) - did).astype(np.int64)
    outcome, account = rows["outcome"].to_numpy(bool), rows["account"].to_numpy(np.int64)
    within = stratified_risk_difference(did, outcome, others, account)
    return [("crude", difference_in(rows.assign(reached=did))), ("stratified", within)]


def _newest_year(cohort: Cohort, column: str, known_at: pd.Timestamp) -> Flags:
    """Whether each account did the step, of those alive at a landmark in the newest four quarters that could do it."""
    frame = cohort.frame
    seen = frame[cohort.asked & frame[column].notna() & (frame["as_of"] <= known_at)]
    newest = seen[seen["quarter"].isin(sorted(seen["quarter"].unique())[-YEAR:])]
    return np.asarray(newest[column].to_numpy(np.float64) > 0)


def _class(share: Estimate | None, declared: Features) -> str:
    if share is None:
        return "unclear"
    row = pd.DataFrame({"adoption": [share.value], "n_accounts": [share.n_accounts]})
    word = str(classified(row, declared, np.zeros(1, dtype=bool))[0])
    return ROUTINE if word == "ubiquitous" else word


def _effect(cohort: Cohort, method: Method, estimate: Estimate, found: Basis) -> Effect:
    outcome = cohort.milestone.primary_outcome
    alike = ", with as many other steps" if method == "stratified" else ""
    return Effect.of(
        estimate, outcome=outcome, horizon_days=cohort.horizon_days("primary"),
        population=population(cohort.milestone, outcome) + alike, method=method,
        in_definition=found.in_definition, primary=True, **occasion(cohort.milestone),
    )  # fmt: skip
