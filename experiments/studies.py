"""The ledger of a search: an Optuna study in which every point is one trial, whoever scores it, and however often somebody dies.

Every trial is laid out beforehand, waiting; a worker claims one, scores it, completes it. The storage lets only one
worker claim a trial, and nobody complete it twice. A trial whose worker died is put back when it has not moved for some
seconds, so that each point is completed exactly once. Of two commands that lay out the same point at the same instant
the earlier trial counts.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.ledgers import asking, storage_at
from features.errors import MilestonesError
from models.joint import Judge, Score
from models.spaces import Dimension, Point

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

POINT = "point"  # of a trial: which place in the search it has
CLAIMED_AT_ONCE = 32  # trials taken from one look at the ledger
STALE_SECONDS = 15.0  # a score takes milliseconds
LOOK_AGAIN_SECONDS = 0.2

ScorePoint = Callable[[Point], Score]


@dataclass(frozen=True)
class Plan:
    """What a search does: `points` in their order, or `n_trials` that the sampler chooses where points is None.

    dimensions: of the lattice; study: product/milestone/fingerprint, which no other search has.
    """

    study: str
    dimensions: tuple[Dimension, ...]
    n_trials: int
    points: tuple[Point, ...] | None
    seed: int

    @property
    def sampler(self) -> str:
        """The way in which points are chosen."""
        return "TPE" if self.points is None else "exhaustive"


@dataclass(frozen=True)
class Ledger:
    """A plan in a storage: the path of a journal, or the address of a Postgres database."""

    plan: Plan
    address: str
    stale_seconds: float = STALE_SECONDS

    @contextmanager
    def opened(self) -> Iterator[OpenLedger]:
        """The study, made where it is not there. Raises StoreError when the storage is away, DataError for a damaged one."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with asking(self.address), storage_at(self.address) as storage:
            study = optuna.create_study(
                storage=storage, study_name=self.plan.study, load_if_exists=True,
                directions=["maximize", "maximize"], sampler=optuna.samplers.RandomSampler(),
            )  # fmt: skip
            yield OpenLedger(self.plan, storage, study, self.stale_seconds)


@dataclass(frozen=True)
class OpenLedger:
    """A ledger to work in."""

    plan: Plan
    storage: BaseStorage
    study: Study
    stale_seconds: float

    @cached_property
    def study_id(self) -> int:
        """The number of the study in its storage."""
        return self.storage.get_study_id_from_name(self.plan.study)

    def lay_out(self, tell: Callable[[int], None] = lambda _n: None) -> int:
        """Add a waiting trial for every point that has none; returns how many were completed before."""
        import optuna

        there = self.trials()
        distributions = _distributions(self.plan.dimensions)
        for place in range(self.plan.n_trials):
            if place not in there:
                fixed = (
                    {} if self.plan.points is None else _params(self.plan.dimensions, self.plan.points[place])
                )
                waiting = optuna.create_trial(
                    state=optuna.trial.TrialState.WAITING, params=fixed,
                    distributions={name: distributions[name] for name in fixed}, user_attrs={POINT: place},
                )  # fmt: skip
                self.study.add_trial(waiting)
                tell(place)
        return sum(trial.state.name == "COMPLETE" for trial in there.values())

    def others(self) -> int:
        """How many other studies of the same product and milestone the storage holds."""
        same, _, own = self.plan.study.rpartition("/")
        names = [study.study_name.rpartition("/") for study in self.storage.get_all_studies()]
        return sum(name[0] == same and name[2] != own for name in names)

    def trials(self) -> dict[int, FrozenTrial]:
        """The trial of every point that has one: the earliest."""
        found: dict[int, FrozenTrial] = {}
        for trial in self.storage.get_all_trials(self.study_id, deepcopy=False):
            place = trial.user_attrs.get(POINT)
            if place is not None and place < self.plan.n_trials:
                found.setdefault(place, trial)
        return found

    def drain(self, score: ScorePoint, worker: int, tell: Callable[[int], None] = lambda _n: None) -> None:
        """Score what waits until every point is completed, by whomever; `worker` says where in the queue to begin."""
        moved: dict[tuple[int, object], float] = {}
        while True:
            trials = self.trials()
            states = [trial.state.name for trial in trials.values()]
            tell(states.count("COMPLETE"))
            if states.count("COMPLETE") == self.plan.n_trials:
                return
            waiting = [trial for trial in trials.values() if trial.state.name == "WAITING"]
            first = worker * CLAIMED_AT_ONCE % max(len(waiting), 1)
            for trial in (waiting[first:] + waiting[:first])[:CLAIMED_AT_ONCE]:
                self._score(trial, score)
            if not waiting:
                running = [trial for trial in trials.values() if trial.state.name == "RUNNING"]
                moved = self._put_back(running, moved)
                time.sleep(LOOK_AGAIN_SECONDS)

    def _score(self, waiting: FrozenTrial, score: ScorePoint) -> None:
        """Claim a trial and complete it; nothing happens where somebody else was faster."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import Trial, TrialState

        trial_id, place = waiting._trial_id, waiting.user_attrs[POINT]
        try:
            if not self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                return
            points = self.plan.points
            trial = Trial(self.study if points else self._sampling(place), trial_id)
            found = score(points[place] if points else _suggested(trial, self.plan.dimensions))
            trial.set_constraint("violation", found.violation)
            self.storage.set_trial_state_values(
                trial_id, TrialState.COMPLETE, [float(found.phi), float(found.balance)]
            )
        except UpdateFinishedTrialError:
            return

    def _sampling(self, place: int) -> Study:
        """The study with the sampler of one trial, which has a seed of its own: a search that is taken up again goes on as
        it would have."""
        import optuna

        seed = int(np.random.SeedSequence([self.plan.seed, place]).generate_state(1)[0])
        # Opened anew, because a study that is asked for nothing remembers the trials it has seen first.
        return optuna.load_study(
            study_name=self.plan.study, storage=self.storage, sampler=optuna.samplers.TPESampler(seed=seed)
        )

    def _put_back(
        self, running: Sequence[FrozenTrial], moved: dict[tuple[int, object], float]
    ) -> dict[tuple[int, object], float]:
        """Let wait again what has not moved for long; moved: since when each claim has been seen, by our own clock."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        now = time.monotonic()
        seen: dict[tuple[int, object], float] = {}
        for trial in running:
            claim = (trial._trial_id, trial.datetime_start)
            seen[claim] = moved.get(claim, now)
            if now - seen[claim] > self.stale_seconds:
                try:
                    self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
                except UpdateFinishedTrialError:
                    continue
        return seen

    def points(self) -> list[Point]:
        """The point of every completed trial, in the order of the search."""
        trials = self.trials()
        return [_point(trials[place].params, self.plan.dimensions) for place in sorted(trials)]


def _distributions(dimensions: Sequence[Dimension]) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return {
        one.name: IntDistribution(0, len(one.choices) - 1)
        if one.ordered
        else CategoricalDistribution(one.choices)
        for one in dimensions
    }


def _params(dimensions: Sequence[Dimension], point: Point) -> dict[str, Any]:
    """A point as parameters of a trial: the words of what has no order, the place of what has."""
    return {
        one.name: place if one.ordered else one.choices[place]
        for one, place in zip(dimensions, point, strict=True)
    }


def _point(params: dict[str, Any], dimensions: Sequence[Dimension]) -> Point:
    return tuple(
        int(params[one.name]) if one.ordered else one.choices.index(params[one.name]) for one in dimensions
    )


def _suggested(trial: Any, dimensions: Sequence[Dimension]) -> Point:
    """The point of a trial: what was laid out, or what the sampler suggests."""
    params = {
        one.name: trial.suggest_int(one.name, 0, len(one.choices) - 1)
        if one.ordered
        else trial.suggest_categorical(one.name, one.choices)
        for one in dimensions
    }
    return _point(params, dimensions)


@dataclass(frozen=True)
class Found:
    """The points that were tried, in the order of the search; how many were there already, and other studies beside."""

    points: tuple[Point, ...]
    before: int
    others: int


def search(ledger: Ledger, judge: Judge, workers: int, tell: Callable[[str, float], None]) -> Found:
    """Complete a plan with so many processes, this one among them. A process that dies costs time and nothing else."""
    n = ledger.plan.n_trials
    with ledger.opened() as it:
        others = it.others()
        before = it.lay_out(lambda place: tell(f"laying out {n:,} definitions", 0.3 * place / n))
        processes = [_process(ledger, judge, worker) for worker in range(1, workers)]
        try:
            it.drain(
                judge.score, 0, lambda done: tell(f"{done:,} of {n:,} definitions", 0.3 + 0.7 * done / n)
            )
            for process in processes:
                process.join()
        finally:
            for process in processes:
                process.terminate()
        return Found(tuple(it.points()), before, others)


def _process(ledger: Ledger, judge: Judge, worker: int) -> Any:
    # A fork would inherit the threads of DuckDB and MLflow, half of them.
    process = multiprocessing.get_context("spawn").Process(
        target=join_in, args=(ledger, judge, worker), daemon=True
    )
    process.start()
    return process


def join_in(ledger: Ledger, judge: Judge, worker: int) -> None:
    """The work of one more process, which says nothing: what goes wrong here goes wrong for the one that speaks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(MilestonesError), ledger.opened() as it:
        it.drain(judge.score, worker)
