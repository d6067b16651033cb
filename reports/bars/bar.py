"""A bar: what is done with a seed, how often that must come out right, and what was seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from models.estimates import Estimate, proportion

Outcome: TypeAlias = Literal["pass", "fail", "undecided"]
Experiment: TypeAlias = Callable[[int], Any]  # a seed -> what the platform made of the world it draws


@dataclass(frozen=True)
class Target:
    """The share of trials that a bar asks for: at least so many of the good, or at most so many of the bad."""

    side: Literal["at least", "at most"]
    share: float

    @property
    def words(self) -> str:
        """The target for people: "at least 95 %"."""
        return f"{self.side} {100 * self.share:.0f} %"

    def judged(self, lower: float, upper: float) -> Outcome:
        """pass or fail where the whole interval lies on one side of the target, which itself is good; else undecided."""
        if self.side == "at most":
            return "pass" if upper <= self.share else "fail" if lower > self.share else "undecided"
        return "pass" if lower >= self.share else "fail" if upper < self.share else "undecided"


@dataclass(frozen=True)
class Bar:
    """One line of the scoreboard.

    experiment: lines may share one, which is then run once a seed. judge: of what it gave, one or more trials, true
    where that happened which the target counts.
    """

    number: int
    name: str
    words: str
    target: Target
    experiment: Experiment
    judge: Callable[[Any], Sequence[bool]]


@dataclass(frozen=True)
class Score:
    """What was seen of a bar over so many seeds. rate: None without a single trial."""

    bar: Bar
    n_seeds: int
    rate: Estimate | None

    @property
    def outcome(self) -> Outcome:
        """What the interval says of the target."""
        return "undecided" if self.rate is None else self.bar.target.judged(self.rate.lower, self.rate.upper)


def score(bar: Bar, observations: Sequence[Any]) -> Score:
    """Score a bar on what its experiment gave, one observation a seed.

    The Wilson interval is on the effective number of trials: those of one seed are as alike as rows of one account.
    """
    trials = [np.asarray(bar.judge(one), dtype=bool) for one in observations]
    seed = np.repeat(np.arange(len(trials)), [len(one) for one in trials])
    return Score(bar, len(trials), proportion(np.concatenate([np.zeros(0, bool), *trials]), seed))
