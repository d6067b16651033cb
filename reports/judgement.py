"""What a review knows of one milestone at a date: its history, its baseline, and the evidence for a verdict.

Two rules hold everywhere: nothing is used that was not known by then, and a milestone is never judged on the
quarters it was chosen on. Those stay in the history, marked.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from models.cohorts import Cohort, chosen_on
from models.comparison import naive_rows
from models.effects import difference_in, enough
from models.estimates import Estimate
from models.finding import SweepResult
from models.milestones import DEFAULT_MINIMUM
from models.mix import MixShift, mix_shift
from models.trial import build_trial, run_trial
from reports.budget import (
    Interval,
    Predicts,
    changed,
    looks_a_year,
    power_to_see_total_loss,
    powered,
    predicts,
    shifted,
)
from reports.verdicts import Cause, Cut, Evidence

RECENT_QUARTERS = 2
SWEEP_PERMUTATIONS = 300


@dataclass(frozen=True)
class Settings:
    """What every judgement of a review shares."""

    band: tuple[float, float]
    n_milestones: int
    seed: int
    data_through: pd.Timestamp


class Judgement:
    """One milestone as known at a date, computed on demand and once."""

    def __init__(
        self,
        cohort: Cohort,
        known_at: pd.Timestamp,
        settings: Settings,
        traits: pd.DataFrame | None = None,
    ) -> None:
        """traits: what tells the customers apart, by the index of the cohort's frame (`models.mix.traits_of`)."""
        self.cohort, self.settings, self.traits = cohort, settings, traits
        self.known_at = min(known_at, settings.data_through)
        self.milestone = cohort.milestone

    @cached_property
    def judged(self) -> pd.DataFrame:
        """Observations with the primary outcome known by then."""
        return self.cohort.judged("primary", self.known_at)

    @cached_property
    def held_out(self) -> pd.DataFrame:
        """The judged observations outside the quarters the milestone was chosen on."""
        return self.judged[~chosen_on(self.milestone, self.judged)]

    @cached_property
    def recent(self) -> pd.DataFrame:
        """The newest two held-out mature quarters."""
        quarters = sorted(self.held_out["quarter"].unique())[-RECENT_QUARTERS:]
        return self.held_out[self.held_out["quarter"].isin(quarters)]

    @cached_property
    def baseline(self) -> Interval | None:
        """What was expected at adoption, with its interval; else the held-out quarters before the newest two."""
        if self.expected is not None:
            return self.expected
        found = difference_in(self.held_out_before)
        return None if found is None else Interval(found.value, found.lower, found.upper)

    @property
    def expected(self) -> Interval | None:
        """What was expected at adoption; None where that, or how sure it was, is not known."""
        expected, interval = self.milestone.expected_effect, self.milestone.expected_interval
        return None if expected is None or interval is None else Interval(expected, *interval)

    @property
    def held_out_before(self) -> pd.DataFrame:
        """The held-out quarters before the newest two."""
        return self.held_out[~self.held_out["quarter"].isin(self.recent["quarter"].unique())]

    @cached_property
    def mix(self) -> MixShift | None:
        """What other customers than those that the baseline is of would change of the effect by themselves.

        Those are the customers of the quarters it was chosen on where an effect was expected at adoption, else of the
        held-out quarters before. Outcomes of quarters it was chosen on have a say in how much is mix, never in whether
        anything has changed: what was best of them is on both sides of the difference. None where nothing is known that
        tells customers apart.
        """
        if self.traits is None or self.recent_effect is None:
            return None
        chosen = self.judged[chosen_on(self.milestone, self.judged)]
        before = self.held_out_before if self.expected is None else chosen
        return mix_shift(self.recent, before, self.traits)

    def _cause(self, n_tests: int) -> Cause | None:
        """Of a change: mix where a part told from zero, over half of it, goes with the customers and no rest is shown."""
        if self.mix is None or self.baseline is None or self.recent_effect is None:
            return None
        made, whole = self.mix.change, self.recent_effect.value - self.baseline.value
        certain = made.lower > 0 or made.upper < 0
        as_before = shifted(self.baseline, made)
        left = changed(self.recent_effect, as_before, n_tests)
        return "mix" if certain and made.value / whole > 0.5 and left == "not_shown" else "decay"

    @property
    def minimum_effect(self) -> float:
        """The smallest effect that is useful."""
        declared = self.milestone.smallest_useful_effect
        return DEFAULT_MINIMUM if declared is None else declared

    @cached_property
    def recent_effect(self) -> Estimate | None:
        """The effect pooled over the newest two held-out mature quarters.

        None where too few accounts of all held-out quarters had the rarer outcome: that is no basis for a verdict.
        """
        return difference_in(self.recent) if enough(self.held_out) else None

    @cached_property
    def predicts(self) -> Predicts:
        """Does it still predict?"""
        return predicts(self.recent_effect, self.minimum_effect)

    @cached_property
    def sweep(self) -> SweepResult:
        """The milestone's own score swept on the held-out quarters; on all known ones before there are any."""
        name = self.cohort.name
        seed = [self.settings.seed, zlib.crc32(name.encode()), int(self.known_at.timestamp())]
        rng = np.random.default_rng(seed)
        quarters = set(self.held_out["quarter"])
        trial = build_trial(self.cohort, "primary", self.known_at, rng, quarters=quarters or None)
        return run_trial(trial, self.cohort, rng, self.settings.band, SWEEP_PERMUTATIONS)

    @cached_property
    def plateau(self) -> tuple[float, float] | None:
        """The plateau of the newest sweep; None where nothing is supported: there is no plateau to leave.

        A cut is the split it makes. A current cut that splits the accounts as the first of the plateau does, because
        no account has a value between the two, is where the plateau begins.
        """
        if self.sweep.plateau is None or self.sweep.operating_cut is None:
            return None
        low, high = self.sweep.plateau
        achievable = np.asarray(self.sweep.grid["cut"], dtype=float)
        below = achievable[achievable < low].max(initial=-np.inf)
        current = float(self.milestone.rule.at_least)
        return (current if below < current < low else low), high

    @property
    def cut(self) -> Cut:
        """Where the current cut stands against the plateau of quarters it was not chosen on."""
        if self.plateau is None or self.held_out.empty:
            return "unknown"
        low, high = self.plateau
        return "inside" if low <= float(self.milestone.rule.at_least) <= high else "outside"

    @property
    def better_cut_supported(self) -> bool:
        """Another cut has an effect on accounts that did not choose it, and says more of them than the cut in use.

        More than slightly more: in time the best of many cuts can be told from its neighbour, and a change of definition
        costs everybody who works with it. A cut that says nearly as much is watched, not changed.
        """
        effect, gain = self.sweep.effect("out_of_sample"), self.sweep.gain_beyond_slight
        supported = effect is not None and effect.lower > 0 and gain is not None and gain.lower > 0
        return self.cut == "outside" and self.sweep.operating_cut is not None and supported

    def evidence(self, before: "Judgement | None") -> Evidence:
        """Everything the verdict depends on. `before` is the same milestone at the review before."""
        n_tests = looks_a_year(self.settings.n_milestones)
        recent = self.recent_effect
        cut = self.cut
        if cut == "outside" and before is not None and before.cut == "outside":
            cut = "outside_twice"
        power = power_to_see_total_loss(recent, self.baseline, n_tests, self.minimum_effect)
        moved = changed(recent, self.baseline, n_tests)
        return Evidence(
            predicts=self.predicts,
            changed=moved,
            cause=self._cause(n_tests) if moved == "shown" else None,
            cut=cut,
            better_cut_supported=self.better_cut_supported,
            no_twice=self.predicts == "no" and before is not None and before.predicts == "no",
            powered=powered(power),
        )

    @cached_property
    def retained(self) -> pd.DataFrame:
        """Observations with retention known by then, among accounts at risk."""
        return self.cohort.judged("retained", self.known_at)

    @cached_property
    def retained_held_out(self) -> pd.DataFrame:
        """The same outside the quarters the milestone was chosen on."""
        return self.retained[~chosen_on(self.milestone, self.retained)]

    def naive(self) -> pd.DataFrame:
        """The held-out rows of the comparison without a landmark."""
        rows = naive_rows(self.cohort, self.known_at)
        return rows[~chosen_on(self.milestone, rows)]
