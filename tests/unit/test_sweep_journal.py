"""The journal of a sweep: what was done stays done, and what was left open is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.sweep_journal import Journal


def gone() -> int:
    """The id of a process that has ended."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    return int(ended.stdout)


def left_behind(folder: Path, content: object, process: int) -> Journal:
    journal = Journal.open(folder, content)
    journal.note("setup", "recorded", "run-1")
    journal.note("activation", "written", "run-2")
    journal.note("use", "open", "run-3")
    told = json.loads(journal.path.read_text())
    journal.path.write_text(json.dumps({**told, "process": process}))
    return journal


def test_a_sweep_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    left_behind(tmp_path, ["same"], gone())
    again = Journal.open(tmp_path, ["same"])
    assert [again.state(name) for name in ("setup", "activation", "use", "maturity")] == [
        "recorded", "written", None, None,
    ]  # fmt: skip
    assert again.runs == {"setup": "run-1"}
    assert again.cut_off == ("run-2", "run-3")  # neither came to its end
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_another_content_starts_anew_and_still_tells_what_was_left_open(tmp_path: Path) -> None:
    before = left_behind(tmp_path, ["before"], gone())
    after = Journal.open(tmp_path, ["after"])
    assert after.state("setup") is None
    assert after.cut_off == ("run-2", "run-3")
    assert not before.path.exists()


def test_a_sweep_that_is_still_at_work_is_left_alone(tmp_path: Path) -> None:
    other = left_behind(tmp_path, ["other"], os.getppid())
    mine = Journal.open(tmp_path, ["mine"])
    assert mine.cut_off == ()
    assert other.path.exists()


def test_results_that_are_not_what_was_written_are_computed_again(tmp_path: Path) -> None:
    for name in ("setup", "activation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.json").write_text("{}")
    left_behind(tmp_path, ["same"], gone())
    (tmp_path / "setup" / "sweep.json").unlink()
    (tmp_path / "activation" / "grid.parquet").write_text("of another sweep")
    again = Journal.open(tmp_path, ["same"])
    assert (again.states, again.runs, again.results) == ({}, {}, {})


def test_what_was_explored_is_a_result_too(tmp_path: Path) -> None:
    left_behind(tmp_path, ["same"], gone())
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "explored.parquet").write_text("of another sweep")
    assert Journal.open(tmp_path, ["same"]).states == {"activation": "written"}


def test_what_somebody_else_wrote_before_it_was_recorded_is_computed_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, ["same"])
    journal.note("setup", "written", "run-1")
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "sweep.json").write_text("of another sweep")
    journal.note("setup", "recorded", "run-1")
    assert Journal.open(tmp_path, ["same"]).states == {}


def test_what_was_recorded_in_no_run_is_recorded_again(tmp_path: Path) -> None:
    journal = left_behind(tmp_path, ["same"], gone())
    told = json.loads(journal.path.read_text())
    journal.path.write_text(json.dumps({**told, "runs": {}}))
    assert Journal.open(tmp_path, ["same"]).states == {"activation": "written"}


def test_a_sweep_of_another_user_is_still_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = left_behind(tmp_path, ["other"], gone())

    def refused(process: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert Journal.open(tmp_path, ["mine"]).cut_off == ()
    assert other.path.exists()


def test_a_journal_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    path = Journal.open(tmp_path, ["x"]).path
    whole = '{"process": %s, "states": %s, "runs": %s, "results": {}}'
    odd = [
        whole % of for of in (("-1", "{}", "{}"), (10**20, "{}", "{}"), (1, "[]", "{}"), (1, "{}", "null"))
    ]
    odd += [whole % (1, '{"setup": "foo"}', "{}"), whole % (1, "{}", '{"setup": 5}')]
    for text in ("", "{", "[]", '{"key": 1}', *odd):
        path.write_text(text)
        journal = Journal.open(tmp_path, ["x"])
        assert (journal.states, journal.cut_off) == ({}, ())
