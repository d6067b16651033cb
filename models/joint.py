"""Joint definitions on accounts: what each is worth on the quarters that choose, and what chance alone would reach.

One row is one account. Everything is within cohort quarters, as in a sweep: usage and base rates both drift.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from features.arrays import Flags, Floats, Integers
from features.faults import explain
from models.cohorts import Cohort
from models.cutpoints import minimum_support
from models.definitions import reached
from models.effects import lacking
from models.framework import Framework
from models.milestones import CountRule, Rule
from models.permutations import Shuffles, corrected
from models.spaces import Point, Space
from models.strata import by_quarter
from models.trial import little_known, one_each

_SPLITS_AT_ONCE = 20_000_000  # definitions x accounts held at once: 80 MB of float32
_SHUFFLES_AT_ONCE = 20_000_000  # accounts x permutations, the same


@dataclass(frozen=True, eq=False)
class Rows:
    """Accounts, one a row, with the parts of every definition; outcome, block: (n,), parts: (n,) by column.

    quarters: the cohort quarters of the blocks 0, 1, ...
    """

    parts: Mapping[str, Floats]
    outcome: Flags
    block: Integers
    quarters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.outcome)

    @cached_property
    def direction(self) -> NDArray[np.float32]:
        """The outcome as a direction, (n, 1)."""
        return _directions(self.outcome[:, None], self.block)

    @property
    def lacking(self) -> str:
        """What is missing for a judgement, in words; empty where nothing is."""
        return lacking(self.outcome)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One row per account: its quarter, outcome and parts. excluded: observations left out, by reason.

    left_out: the columns of counts that are known of too few accounts to be tried beside the better known, with the
    share of which they are.
    """

    rows: pd.DataFrame
    excluded: dict[str, int]
    left_out: dict[str, float]


def drawn_rows(
    cohort: Cohort, columns: Sequence[str], known_at: pd.Timestamp, rng: np.random.Generator
) -> Drawn:
    """Every account at one date, with the parts of every definition (columns).

    An account is in one quarter alone, so that what chooses and what is fresh share nobody. Of every count that is kept
    every account is known; a step or a category that is not known is one that is not done.
    """
    rows = cohort.judged("primary", known_at)
    excluded = {"not judged: gone, not eligible, or not known yet": len(cohort.frame) - len(rows)}
    kept, left_out = list(columns), dict[str, float]()
    if isinstance(cohort.milestone.rule, CountRule):
        left_out = little_known(rows, columns)
        kept = [column for column in columns if column not in left_out]
        complete = rows[kept].notna().all(axis=1)
        excluded["another count is not known"] = int((~complete).sum())
        rows = rows[complete]
    drawn = one_each(rows, cohort.frame, rng)
    excluded["another date of the same account was drawn"] = len(rows) - len(drawn)
    excluded = {reason: n for reason, n in excluded.items() if n}
    return Drawn(drawn[["quarter", "outcome", *kept]], excluded, left_out)


def halves(drawn: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The cohort quarters that choose, and the fresh ones after them: cut where the accounts are nearest to half.

    Of a single quarter nothing is left fresh. Outcomes have no say.
    """
    counts = drawn["quarter"].value_counts().sort_index()
    quarters = [str(quarter) for quarter in counts.index]
    if len(quarters) < 2:
        return quarters, []
    share = counts.to_numpy().cumsum()[:-1] / len(drawn)
    first = int(np.argmin(np.abs(share - 0.5))) + 1
    return quarters[:first], quarters[first:]


def rows_in(drawn: pd.DataFrame, quarters: Collection[str]) -> Rows:
    """The rows of some cohort quarters."""
    inside = drawn[drawn["quarter"].isin(quarters)]
    names, block = by_quarter(inside)
    parts = inside.drop(columns=["quarter", "outcome"])
    return Rows(
        {str(column): parts[column].to_numpy(np.float64) for column in parts},
        inside["outcome"].to_numpy(bool),
        block,
        names,
    )


@dataclass(frozen=True)
class Score:
    """What a definition is worth where it is chosen, and whether it may be: every constraint at most 0.

    phi: correlation of reaching and outcome within quarters. balance: 1 where adoption is in the middle of the declared
    band, falling to 0 at the farther end.
    """

    phi: float
    adoption: float
    balance: float
    constraints: Mapping[str, float]

    @property
    def violation(self) -> float:
        """By how much the constraint that is broken most is broken; at most 0 where none is."""
        return max(self.constraints.values())

    @property
    def feasible(self) -> bool:
        """Whether it satisfies every constraint."""
        return self.violation <= 0


NO_DEFINITION = Score(0.0, 0.0, 0.0, {"support": 1.0, "adoption": 1.0, "refused": 1.0})


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores the points of a space on the rows that choose.

    band: of useful adoption; limits: niche below, ubiquitous above; refused: what the framework refuses, by `counted`.
    """

    space: Space
    rows: Rows
    band: tuple[float, float]
    limits: tuple[float, float]
    refused: frozenset[str] = field(default_factory=frozenset)

    def score(self, point: Point) -> Score:
        """The score at a point; of no definition the worst there is."""
        rule = self.space.rule(point)
        return NO_DEFINITION if rule is None else self.score_of(rule)

    def score_of(self, rule: Rule) -> Score:
        """The score of a definition."""
        split = reached(rule, self.rows.parts)
        n, adoption = len(split), float(split.mean())
        smaller = min(int(split.sum()), n - int(split.sum()))
        constraints = {
            "support": (minimum_support(n) - smaller) / n,
            "adoption": max(self.limits[0] - adoption, adoption - self.limits[1]),
            "refused": 1.0 if counted(rule) in self.refused else 0.0,
        }
        phi = float(correlations(split[None], self.rows.direction, self.rows.block)[0, 0])
        return Score(phi, adoption, self.balance(adoption), constraints)

    def balance(self, adoption: float) -> float:
        """How near a share is to the middle of the band, in [0, 1]: 1 there, 0 at the farther of none and all."""
        middle = sum(self.band) / 2
        return 1 - abs(adoption - middle) / max(middle, 1 - middle)


def counted(rule: Rule) -> str:
    """What a rule counts, thresholds and levels aside: what the framework accepts or refuses it by."""
    what = (sorted(rule.all_events), sorted(str(test.meaning) for test in rule.state_tests))
    return f"{what}|{rule.window_days}|{isinstance(rule, CountRule) and rule.per_seat}"


def refusals(framework: Framework, name: str, rules: Sequence[Rule]) -> dict[str, str]:
    """Of which rules the framework would refuse the milestone `name`, by `counted`, and its words for it.

    It refuses what is counted again in the window of its outcome, and windows that its neighbours forbid. To count fewer
    steps is never refused.
    """
    said = framework.model_dump(by_alias=True)
    found = {}
    for rule in rules:
        said["milestones"][name]["rule"] = rule.model_dump()
        try:
            Framework.model_validate(said)
        except ValidationError as error:
            found[counted(rule)] = explain(error)
    return found


def correlations(splits: Flags, directions: NDArray[np.float32], block: Integers) -> Floats:
    """Phi within blocks of m splits (m, n) with k directions (n, k), (m, k); 0 of a split that varies in no block.

    A direction is an outcome centred within blocks, of length 1: the correlation is then one product.
    """
    members = np.eye(int(block.max()) + 1, dtype=np.float32)[block]
    flags = splits.astype(np.float32)
    n_reached = (flags @ members).astype(np.float64)
    spread = (n_reached - n_reached**2 / members.sum(axis=0)).sum(axis=1)
    scale = np.where(spread > 1e-9, 1 / np.sqrt(np.maximum(spread, 1e-9)), 0.0)
    return np.asarray((flags @ directions) * scale[:, None], dtype=np.float64)


def _directions(outcomes: Flags, block: Integers) -> NDArray[np.float32]:
    """Outcomes (n, k), of which each has as many good in a block, as directions, (n, k); 0 where nothing varies."""
    one = outcomes[:, 0]
    rate = np.bincount(block, weights=one) / np.bincount(block)
    length = float(np.sqrt(((one - rate[block]) ** 2).sum())) or 1.0
    good, bad = (((value - rate) / length).astype(np.float32)[block, None] for value in (1.0, 0.0))
    return np.where(outcomes, good, bad)


def corrected_p(
    rules: Sequence[Rule], rows: Rows, rng: np.random.Generator, n_permutations: int = 1000
) -> float:
    """The share of shuffles of the outcome within quarters in which any of the definitions does as well as the best does.

    H0: within a quarter the outcome has nothing to do with any part. One shuffle serves every definition, so that the
    maximum answers for all that were tried, however alike they are. Hothorn & Lausen 2003; at least 1 / (1 + shuffles).
    """
    distinct = _distinct(rules, rows)

    def highest(directions: NDArray[np.float32]) -> Floats:
        found = [
            correlations(splits, directions, rows.block).max(axis=0) for splits in _splits(distinct, rows)
        ]
        return np.asarray(np.max(found, axis=0))

    shuffles = Shuffles.drawn(rows.outcome, rows.block, rng, n_permutations)
    maxima = [
        highest(_directions(shuffles[which].view(np.bool_), rows.block))
        for which in shuffles.parts(_SHUFFLES_AT_ONCE)
    ]
    return float(corrected(np.concatenate(maxima), highest(rows.direction))[0])


def _distinct(rules: Sequence[Rule], rows: Rows) -> list[Rule]:
    """Of the definitions that split the accounts alike the first."""
    seen: dict[bytes, Rule] = {}
    for rule in rules:
        seen.setdefault(np.packbits(reached(rule, rows.parts)).tobytes(), rule)
    return list(seen.values())


def _splits(rules: Sequence[Rule], rows: Rows) -> Iterator[Flags]:
    """Who reached what, so many definitions at a time as memory holds: (m, n)."""
    at_once = max(1, _SPLITS_AT_ONCE // max(len(rows), 1))
    for start in range(0, len(rules), at_once):
        yield np.stack([reached(rule, rows.parts) for rule in rules[start : start + at_once]])
