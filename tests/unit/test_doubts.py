"""What is seldom meant is said by the commands that meet it, and stops none of them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.small_log import Said, run, small_log, sources


@pytest.fixture
def made(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "w", *sources(tmp_path / "data", small_log())).code == 0
    return tmp_path / "w"


def with_extras(workspace: Path, *extras: str) -> None:
    path = workspace / "framework.yaml"
    text = path.read_text()
    assert "    extras: []\n" in text
    lines = "".join(f"      - {extra}\n" for extra in extras)
    path.write_text(text.replace("    extras: []\n", f"    extras:\n{lines}"))


def warned(said: Said) -> list[str]:
    assert said.code == 0, said.words
    return [line for line in said.words.splitlines() if line.startswith("warning: ")]


def test_an_event_that_the_log_does_not_have_is_named_with_the_nearest(made: Path) -> None:
    with_extras(
        made,
        "{name: a, aggregation: count, events: [logni], window_days: 90}",
        "{name: b, aggregation: count, events: [zzz, login], window_days: 90}",
    )
    expected = [
        "warning: data.features.extras: 'a': the log has no event 'logni' (did you mean 'login'?): check the spelling",
        "warning: data.features.extras: 'b': the log has no event 'zzz': check the spelling",
    ]
    assert warned(run("check", "-w", made)) == expected
    built = run("features", "-w", made)
    assert warned(built) == expected
    again = run("features", "-w", made)
    assert "up to date" in again.out
    assert warned(again) == expected
    assert json.loads(run("features", "-w", made, "--json").out)["warnings"] == [w[9:] for w in expected]


def test_what_had_not_come_up_by_then_is_no_misspelling(made: Path) -> None:
    with_extras(made, "{name: a, aggregation: count, events: [logni], window_days: 90}")
    assert warned(run("features", "-w", made, "--known-at", "2024-10-01")) == []


def test_rows_set_aside_are_told_by_features_too(made: Path) -> None:
    path = made.parent / "data" / "events.parquet"
    events = pd.read_parquet(path)
    events["occurred_at"] = events["occurred_at"].astype(str)
    events.loc[:99, "occurred_at"] = "31/12/2024"
    events.to_parquet(path, index=False)
    (line,) = warned(run("features", "-w", made))
    n = len(events)
    assert line == (
        f"warning: events: {n:,} rows read, {n - 100:,} used, 100 set aside (time missing or unreadable: 100)"
    )


def test_days_on_which_nobody_worked_are_told(made: Path) -> None:
    path = made.parent / "data" / "events.parquet"
    events = pd.read_parquet(path)
    at = events["occurred_at"]
    events[(at < "2024-09-01") | (at >= "2024-11-01")].to_parquet(path, index=False)
    for command in ("check", "features"):
        (line,) = warned(run(command, "-w", made))
        assert line.startswith(
            "warning: events: there is none of any account from 2024-09-01 to 2024-10-31 (61 days)"
        )


def test_features_says_which_files_it_counted(tmp_path: Path) -> None:
    tables = small_log()
    options = sources(tmp_path / "data", tables)
    folder, events = tmp_path / "parts", tables["events"]
    folder.mkdir()
    year = events["occurred_at"] < "2024-12-31"
    events[year].to_parquet(folder / "a.parquet", index=False)
    assert run("init", tmp_path / "w", f"--events={folder}", *options[1:]).code == 0

    def said() -> str:
        result = run("features", "-w", tmp_path / "w")
        assert result.code == 0
        return result.out.splitlines()[0]

    assert said() == "Files of events: 1, of them 1 new or changed and counted now, 0 counted before."
    events[~year].to_parquet(folder / "b.parquet", index=False)
    assert said() == "Files of events: 2, of them 1 new or changed and counted now, 1 counted before."
    (folder / "b.parquet").unlink()
    assert said().endswith(" Gone since, with all their events: b.parquet.")
    events[~year].iloc[1:].to_parquet(folder / "c.parquet", index=False)
    files = json.loads(run("features", "-w", tmp_path / "w", "--json").out)["files"]
    assert files == {"all": 2, "counted": 1, "gone": 0}
