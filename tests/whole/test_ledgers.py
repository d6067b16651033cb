"""The ledger of a search under four processes, one of them killed: every point is completed exactly once."""

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.studies import POINT, Ledger, Plan, join_in, search
from features.errors import DataError, StoreError, UsageError
from models.joint import Judge, Rows, Score
from models.milestones import StepsRule
from models.spaces import Point, StepsSpace, definitions
from tests.stores import Server, postgres_server

STEPS = StepsRule(steps=("a", "b", "c", "d"), window_days=30, at_least=2)
PATIENCE_SECONDS = 120


def _judge() -> Judge:
    rng = np.random.default_rng(0)
    parts = {f"carried:step|{step}": (rng.random(300) < 0.5).astype(np.float64) for step in "abcd"}
    rows = Rows(parts, rng.random(300) < 0.5, np.zeros(300, np.int64), ("2024Q1",))
    return Judge(StepsSpace(STEPS), rows, (0.2, 0.6), (0.05, 0.95))


@dataclass(frozen=True, eq=False)
class StuckJudge(Judge):
    """Whoever comes first to the point `stuck` writes its process id to `marker`, and waits to be killed."""

    stuck: Point = ()
    marker: Path = Path()

    def score(self, point: Point) -> Score:
        """As a judge does, but for the first at one point."""
        if point == self.stuck:
            with suppress(FileExistsError), self.marker.open("x") as file:
                file.write(str(os.getpid()))
                file.flush()
                time.sleep(10 * PATIENCE_SECONDS)
        return super().score(point)


def _exhaustive(judge: Judge, study: str = "x/setup/1") -> Plan:
    points = tuple(point for point, _ in definitions(judge.space))
    return Plan(study, judge.space.dimensions, len(points), points, 0)


def _tpe(judge: Judge, n: int, study: str = "x/setup/tpe") -> Plan:
    return Plan(study, judge.space.dimensions, n, None, 7)


def _silent(_what: str, _share: float) -> None:
    pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["journal", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "journal":
        return str(tmp_path / "tuning" / "journal.log")
    server: Server = request.getfixturevalue("server")
    return server.address


def _completed(ledger: Ledger) -> dict[int, list[float]]:
    """The values by point; fails where a point has not exactly one completed trial, or a trial is left behind."""
    with ledger.opened() as it:
        trials = it.storage.get_all_trials(it.study_id, deepcopy=False)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    counts = Counter(trial.user_attrs[POINT] for trial in trials)
    assert counts == dict.fromkeys(range(ledger.plan.n_trials), 1)
    return {trial.user_attrs[POINT]: trial.values for trial in trials}


def test_four_processes_of_which_one_is_killed_complete_every_point_once(
    address: str, tmp_path: Path
) -> None:
    judge = _judge()
    plan = _exhaustive(judge, "x/setup/killed")
    assert plan.points is not None
    stuck = StuckJudge(
        judge.space, judge.rows, judge.band, judge.limits, stuck=plan.points[9], marker=tmp_path / "pid"
    )
    ledger = Ledger(plan, address, stale_seconds=1.0)
    with ledger.opened() as it:
        assert it.lay_out() == 0
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=join_in, args=(ledger, stuck, i), daemon=True) for i in range(4)]
    for worker in workers:
        worker.start()
    until = time.monotonic() + PATIENCE_SECONDS
    while not (stuck.marker.exists() and stuck.marker.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(int(stuck.marker.read_text()), signal.SIGKILL)
    for worker in workers:
        worker.join(PATIENCE_SECONDS)
    assert sorted(worker.exitcode or 0 for worker in workers) == [-signal.SIGKILL, 0, 0, 0]
    values = _completed(ledger)
    for place, point in enumerate(plan.points):
        score = judge.score(point)
        assert values[place] == pytest.approx([score.phi, score.balance])


def test_a_search_that_is_taken_up_again_does_nothing_twice(address: str) -> None:
    judge = _judge()
    ledger = Ledger(_exhaustive(judge, "x/setup/again"), address, stale_seconds=1.0)
    assert search(ledger, judge, 1, _silent).before == 0
    first = _completed(ledger)
    again = search(ledger, judge, 1, _silent)
    assert again.before == ledger.plan.n_trials
    assert again.points == ledger.plan.points
    assert _completed(ledger) == first
    other = search(Ledger(_exhaustive(judge, "x/setup/else"), address), judge, 1, _silent)
    assert other.before == 0
    assert other.others >= 1
    assert search(Ledger(_exhaustive(judge, "y/a/1"), address), judge, 1, _silent).others == 0


def test_a_point_that_two_lay_out_at_once_is_completed_once(tmp_path: Path) -> None:
    judge = _judge()
    ledger = Ledger(_exhaustive(judge), str(tmp_path / "journal.log"), stale_seconds=1.0)
    with ledger.opened() as one, ledger.opened() as other:
        there = other.trials
        object.__setattr__(other, "trials", dict)  # the second has not seen what the first lays out
        one.lay_out()
        one.drain(judge.score, 0)
        other.lay_out()
        object.__setattr__(other, "trials", there)
        other.drain(judge.score, 1)
        trials = one.storage.get_all_trials(one.study_id, deepcopy=False)
    done = Counter(trial.user_attrs[POINT] for trial in trials if trial.state.name == "COMPLETE")
    assert len(trials) == 2 * ledger.plan.n_trials
    assert done == dict.fromkeys(range(ledger.plan.n_trials), 1)


def test_tpe_has_one_answer_for_one_seed_interrupted_or_not(tmp_path: Path) -> None:
    judge = _judge()

    def found(folder: str, *stops: int, seed: int = 7) -> list[Point]:
        points: list[Point] = []
        for n in stops:
            plan = replace(_tpe(judge, n), seed=seed)
            points = list(search(Ledger(plan, str(tmp_path / folder)), judge, 1, _silent).points)
        return points

    whole = found("a", 25)
    assert len(whole) == 25
    assert len(set(whole)) > 10  # each trial has a seed of its own
    assert found("b", 12, 25) == whole
    assert found("c", 25, seed=8) != whole


def test_the_sampler_is_told_which_definitions_may_not_be(tmp_path: Path) -> None:
    judge = _judge()
    ledger = Ledger(_tpe(judge, 12), str(tmp_path / "journal.log"))
    points = search(ledger, judge, 1, _silent).points
    with ledger.opened() as it:
        told = [trial.constraints["violation"] for _, trial in sorted(it.trials().items())]
    assert told == pytest.approx([judge.score(point).violation for point in points])
    assert min(told) <= 0 < max(told)


def test_several_processes_share_the_trials_of_tpe(address: str) -> None:
    judge = _judge()
    ledger = Ledger(_tpe(judge, 30), address, stale_seconds=5.0)
    found = search(ledger, judge, 2, _silent)
    assert len(found.points) == 30
    values = _completed(ledger)
    for place, point in enumerate(found.points):
        score = judge.score(point)
        assert values[place] == pytest.approx([score.phi, score.balance])


@pytest.mark.parametrize(
    "text",
    [
        "no journal\nat all\n",
        "one line\n",
        '{"op_code": 99, "worker_id": "x"}\n',
        '{"a": 1}\n',
        "[1]\n",
        "\xff\n",
    ],
)
def test_a_damaged_journal_is_said_in_words(tmp_path: Path, text: str) -> None:
    journal = tmp_path / "journal.log"
    journal.write_bytes(text.encode("latin-1"))
    judge = _judge()
    with pytest.raises(DataError, match="is damaged, or was not made by this program: move it away"):
        search(Ledger(_exhaustive(judge), str(journal)), judge, 1, _silent)


def test_a_line_that_a_full_disk_cut_off_is_left_out(tmp_path: Path) -> None:
    judge = _judge()
    ledger = Ledger(_exhaustive(judge), str(tmp_path / "journal.log"), stale_seconds=0.5)
    with ledger.opened() as it:
        it.lay_out()
    journal = tmp_path / "journal.log"
    text = journal.read_text()
    journal.write_text(text[: text.rstrip().rindex("\n") + 20])  # the last point was never laid out
    assert len(search(ledger, judge, 1, _silent).points) == ledger.plan.n_trials
    assert [json.loads(line) for line in journal.read_text().splitlines()]
    _completed(ledger)


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("postgresql://me:secret@127.0.0.1:1/x", StoreError, "start the server or correct --storage"),
        ("postgresql://me:secret@127.0.0.1:port/x", UsageError, "is no address of a database"),
        ("/proc/nowhere/journal.log", StoreError, "make the folder writable"),
    ],
)
def test_a_storage_that_is_away_is_said_without_its_password(address: str, error: Any, words: str) -> None:
    judge = _judge()
    with pytest.raises(error, match=words) as told:
        search(Ledger(_exhaustive(judge), address), judge, 1, _silent)
    assert "secret" not in str(told.value)
