"""From a cohort to what a sweep eats: one row per account, an outcome, and every candidate score."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats, Integers
from models.cohorts import STRATUM, Asked, Cohort
from models.cutpoints import Candidate
from models.effects import difference_in
from models.finding import SweepResult
from models.milestones import CountRule
from models.rivals import Rival
from models.strata import by_quarter
from models.sweep import sweep

# What is known of fewer accounts leaves, instead of taking the others' accounts with it: what few could use,
# on one plan or since a launch, says nothing of the rest.
# They may take no more than a tenth of the accounts together, and no more than half of the observations.
LEAST_ACCOUNTS, LEAST_OBSERVATIONS = 0.9, 0.5  # of all, that candidates leave


@dataclass(frozen=True)
class Trial:
    """The rows of one sweep. outcome, block (quarter, and stratum where there are some), fold: (n,), one row per account.

    quarters: the cohort quarters, ascending. excluded: observations left out, by reason. left_out: rivals that are
    known of too few accounts to be judged beside the better known, with the share of which they are.
    """

    candidates: tuple[Candidate, ...]
    outcome: Flags
    block: Integers
    fold: Integers
    quarters: tuple[str, ...]
    excluded: dict[str, int]
    left_out: dict[str, float] = field(default_factory=dict)
    drawn: "pd.Index[Any]" = field(default_factory=lambda: pd.Index([]))  # the rows of the cohort's frame

    @property
    def own(self) -> Candidate:
        """The milestone's own score, the first of the candidates."""
        return self.candidates[0]


def build_trial(
    cohort: Cohort,
    outcome: Asked,
    known_at: pd.Timestamp,
    rng: np.random.Generator,
    rivals: Sequence[Rival] = (),
    quarters: Collection[str] | None = None,
) -> Trial:
    """The rows to sweep: judged at known-at, in these cohort quarters only where `quarters` are given.

    An account seen at several as-of dates gives one of them: its rows are alike, and a permutation may only exchange
    what is exchangeable. `excluded` and the rows add up to the cohort's observations.
    """
    rows = cohort.judged(outcome, known_at)
    excluded = _excluded(cohort, len(rows))
    if quarters is not None:
        inside = rows["quarter"].isin(quarters)
        excluded["outside the quarters asked for"] = int((~inside).sum())
        rows = rows[inside]
    left_out = little_known(rows, [one.column for one in rivals])
    names = {one.column: one.name for one in rivals}
    rivals = [one for one in rivals if one.column not in left_out]
    # Every candidate is judged on the same accounts.
    complete = rows[[one.column for one in rivals]].notna().all(axis=1)
    excluded["another candidate is not known"] = int((~complete).sum())
    rows = rows[complete]
    drawn = one_each(rows, cohort.frame, rng)
    excluded["another date of the same account was drawn"] = len(rows) - len(drawn)
    quarters_seen, _ = by_quarter(drawn)
    blocks = drawn.groupby([one for one in ("quarter", STRATUM) if one in drawn])
    return Trial(
        candidates=(_own(cohort, drawn), *(_candidate(one, drawn[one.column]) for one in rivals)),
        outcome=drawn["outcome"].to_numpy(bool),
        block=np.asarray(blocks.ngroup(), dtype=np.int64),
        fold=drawn["fold"].to_numpy(np.int64),
        quarters=quarters_seen,
        excluded={reason: n for reason, n in excluded.items() if n},
        left_out={names[column]: share for column, share in left_out.items()},
        drawn=drawn.index,
    )


def little_known(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """The columns to leave out, with the share of which each is known: the best known stay.

    The share is that of the accounts, at some date, or that of the observations, whichever is smaller.

    rows: account, and the columns, missing where they are not known.
    """
    account = np.unique(rows["account"].to_numpy(), return_inverse=True)[1]
    known = {column: rows[column].notna().to_numpy(bool) for column in columns}

    def accounts(of: Flags) -> float:
        return float((np.bincount(account, weights=of) > 0).mean()) if len(of) else 1.0

    together, left_out = np.ones(len(rows), bool), {}
    for column in sorted(known, key=lambda one: -known[one].sum()):
        with_it = together & known[column]
        if accounts(with_it) < LEAST_ACCOUNTS or with_it.sum() < LEAST_OBSERVATIONS * len(rows):
            left_out[column] = min(accounts(known[column]), float(known[column].mean()))
        else:
            together = with_it
    return left_out


def one_each(rows: pd.DataFrame, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row per account: the first from a date on that is drawn from all its dates, gone by then or not.

    frame: every observation of the cohort, of which those in the quarters of the rows are drawn from.

    The draw must not know what became of the account. Drawn among the rows that are judged, whoever soon left would be
    drawn younger, and whatever grows with tenure would look as if it kept accounts.
    """
    dates = frame[frame["quarter"].isin(rows["quarter"].unique())]
    drawn = dates.iloc[rng.permutation(len(dates))].drop_duplicates("account").set_index("account")["as_of"]
    late_enough = rows[rows["as_of"].to_numpy() >= drawn.reindex(rows["account"]).to_numpy()]
    return late_enough.sort_values("as_of", kind="stable").drop_duplicates("account").sort_index()


def over_all_dates(cohort: Cohort, outcome: Asked, known_at: pd.Timestamp, cuts: Floats) -> pd.DataFrame:
    """The effect at each cut (k,) of the score over all judged observations, as a review measures it: (k, 5), a row a cut.

    Columns value, lower, upper, n_observations, n_accounts, missing where a group is empty. A sweep sees every account at
    one date; of a state a review asks at every close.
    """
    rows = cohort.judged(outcome, known_at)
    score = rows["score"].to_numpy(np.float64)
    found = (difference_in(rows.assign(reached=score >= cut)) for cut in cuts)
    keys = ("value", "lower", "upper", "n_observations", "n_accounts")
    return pd.DataFrame([[getattr(one, key, np.nan) for key in keys] for one in found], columns=[*keys])


def within_band(trial: Trial, band: tuple[float, float]) -> Trial:
    """The same trial with only those cuts achievable that a share of accounts within the band reaches.

    Values below the lowest such cut become one value, those above the highest another; outcomes play no part.
    """
    return replace(trial, candidates=tuple(_clipped(candidate, band) for candidate in trial.candidates))


def _clipped(candidate: Candidate, band: tuple[float, float]) -> Candidate:
    values = candidate.values  # noqa: PD011 - an array of ours
    distinct, counts = np.unique(values, return_counts=True)
    share = np.cumsum(counts[::-1])[::-1] / max(len(values), 1)
    inside = distinct[(share >= band[0]) & (share <= band[1])]
    if not len(inside):
        return replace(candidate, values=np.zeros(len(values)))
    lowest = distinct[max(int(np.searchsorted(distinct, inside[0])) - 1, 0)]
    return replace(candidate, values=np.clip(values, lowest, inside[-1]))


def run_trial(
    trial: Trial,
    cohort: Cohort,
    rng: np.random.Generator,
    band: tuple[float, float],
    n_permutations: int = 1000,
) -> SweepResult:
    """Sweep every achievable cut of every candidate of the trial."""
    return sweep(
        trial.candidates,
        trial.outcome,
        trial.block,
        rng,
        current=(cohort.name, float(cohort.milestone.rule.at_least)),
        band=band,
        n_permutations=n_permutations,
        group=trial.fold,
    )


def _own(cohort: Cohort, rows: pd.DataFrame) -> Candidate:
    rule = cohort.milestone.rule
    per_seat = isinstance(rule, CountRule) and rule.per_seat
    events = tuple(sorted(rule.all_events))
    return Candidate(cohort.name, events, rule.window_days, per_seat, rows["score"].to_numpy(np.float64))


def _candidate(rival: Rival, values: "pd.Series[float]") -> Candidate:
    rule = rival.rule
    return Candidate(
        rival.name, rule.events, rule.window_days, rule.per_seat, np.asarray(values, dtype=np.float64)
    )


def _excluded(cohort: Cohort, n_judged: int) -> dict[str, int]:
    frame = cohort.frame
    gone = ~frame["alive"]
    status = frame.loc[~gone, "status"].value_counts()
    left = {
        "no longer alive at the landmark": int(gone.sum()),
        "not eligible": int(status.get("not_eligible", 0)),
        "not knowable": int(status.get("not_knowable", 0)),
    }
    left["not at risk, or the outcome not yet known"] = len(frame) - n_judged - sum(left.values())
    return left
