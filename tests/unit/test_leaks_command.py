"""`check --leaks`: what it prints and writes, its exit codes, and that it runs on logs too small to say much."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import pytest

from features import observations
from features.log import Log
from features.scan import scan
from tests.unit.small_log import run, small_log, sources


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = run("init", tmp_path / "w", *sources(tmp_path / "data", small_log()))
    assert made.code == 0
    return tmp_path / "w"


def inclusive(log: Log, *rest: Any) -> Any:
    earlier = log.events.occurred_at - ibis.interval(microseconds=1)
    return scan(replace(log, events=log.events.mutate(occurred_at=earlier)), *rest)


def test_a_small_log_is_looked_at_as_far_as_it_goes(workspace: Path) -> None:
    said = run("check", "--leaks", "--strict", "-w", workspace)
    assert said.code == 0
    assert "planting: no alarm" in said.out
    assert "attributes: no alarm (1 columns of accounts" in said.out
    assert "insufficient data: " in said.out
    assert "no alarm; everything with its evidence is in" in said.out


def test_the_file_holds_what_json_prints(workspace: Path) -> None:
    printed = json.loads(run("check", "--leaks", "--json", "--seed", 3, "-w", workspace).out)
    assert printed == json.loads((workspace / "output" / "leaks.json").read_text())
    assert (printed["schema_version"], printed["seed"], printed["n_alarms"]) == (1, 3, 0)
    assert [one["check"] for one in printed["checks"]] == [
        "windows", "planting", "period stamps", "late rows", "attributes", "events before losses", "single features",
    ]  # fmt: skip


def test_an_alarm_is_no_failure_unless_it_is_asked_to_be(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "scan", inclusive)
    said = run("check", "--leaks", "-w", workspace)
    assert said.code == 0
    assert (
        "alarm (looks past its date): events_30d looks at or past its as-of date: it changed in" in said.out
    )
    strict = run("check", "--leaks", "--strict", "-w", workspace)
    assert strict.code == 1
    assert "alarms of the leak audit: see" in strict.words


def test_a_log_without_a_closed_quarter_has_nothing_to_compare(tmp_path: Path) -> None:
    run("init", tmp_path / "w", *sources(tmp_path / "data", small_log(days=60)))
    said = run("check", "--leaks", "-w", tmp_path / "w")
    assert said.code == 0
    assert "insufficient data: 0 lost and 0 kept accounts" in said.out


def test_strict_without_leaks_is_wrong_usage(workspace: Path) -> None:
    said = run("check", "--strict", "-w", workspace)
    assert said.code == 2
    assert "give it with --leaks" in said.words
