"""Rules with states through the commands, and what `check`, `sweep` and `review` say of rules that are seldom meant."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.unit.small_log import Said, run, small_log, sources

ON, MACROS = {"state": "office_hours", "equals": "on"}, {"state": "macros", "at_least": 3}
STEPS = {"steps": ["invite user", "export csv", ON, MACROS], "window_days": 30, "at_least": 2}
LEVELS = {
    "categories": {
        "reports": {"events": ["Create report"], "mature": 3, "mature_states": [MACROS]},
        "hours": {"mature_states": [ON]},
    },
    "window_days": 60,
    "at_least": 1,
}
SETUP: dict[str, Any] = {"kind": "once", "rule": STEPS}
MATURITY: dict[str, Any] = {"kind": "state", "rule": LEVELS}


def tables() -> dict[str, pd.DataFrame]:
    """The small log with two settings: office hours for every second account, macros that grow from 0 to 6."""
    made = small_log()
    accounts, rng = made["accounts"], np.random.default_rng(3)
    parts = [
        accounts.assign(attribute="office_hours", value=np.where(np.arange(len(accounts)) % 2, "on", "off"), day=2),
        accounts.assign(attribute="macros", value="0", day=1),
        accounts.assign(attribute="macros", value=rng.integers(1, 7, len(accounts)).astype(str), day=10),
    ]  # fmt: skip
    states = pd.concat(parts, ignore_index=True)
    since = states["signed_up_at"] + pd.to_timedelta(states["day"], unit="D")
    made["states"] = states[["account_id", "attribute", "value"]].assign(valid_from=since)
    return made


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "w", *sources(tmp_path / "data", tables())).code == 0
    return tmp_path / "w"


def declare(workspace: Path, **milestones: Any) -> None:
    """Put these milestones into framework.yaml."""
    path = workspace / "framework.yaml"
    content = {**yaml.safe_load(path.read_text()), "milestones": milestones, "not_defined": {}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def changed(milestone: dict[str, Any], **rule: Any) -> dict[str, Any]:
    return {**milestone, "rule": {**milestone["rule"], **rule}}


def warned(said: Said) -> list[str]:
    assert said.code == 0, said.words
    return [
        line.removeprefix("warning: ") for line in said.words.splitlines() if line.startswith("warning: ")
    ]


def test_steps_and_levels_of_states_run_through_every_command(workspace: Path) -> None:
    declare(workspace, setup=SETUP, maturity=MATURITY)
    for command in (
        ["check"],
        ["features"],
        ["train"],
        ["sweep"],
        ["review", "2024Q2"],
        ["check", "--leaks"],
    ):
        said = run(*command, "-w", workspace)
        assert said.code == 0, said.words
    review = json.loads((workspace / "output" / "reviews" / "2024Q2" / "review.json").read_text())
    setup, _ = review["milestones"]
    assert setup["rule"] == (
        "at least 2 of 4 steps (invite user, export csv, office_hours is on, at least 3 macros) within 30 days"
    )
    assert 0 <= setup["time_to_days"]["median"] <= 30
    reports, hours = review["maturity"]["categories"]
    assert 0 < reports["mature"] < reports["basic"]
    assert 0 < hours["basic"] == hours["mature"] < 1
    sweep = json.loads((workspace / "output" / "sweeps" / "setup" / "sweep.json").read_text())
    assert sweep["caveats"] == []


def test_a_state_that_is_not_there_stops_every_command_that_asks_for_it(workspace: Path) -> None:
    wrong = {"state": "office_hour", "equals": "on"}
    declare(workspace, setup=changed(SETUP, steps=["login", wrong], at_least=1))
    assert run("features", "-w", workspace).code == 0
    assert run("train", "-w", workspace).code == 0
    for command in (["check"], ["check", "--leaks"], ["sweep"], ["review"]):
        said = run(*command, "-w", workspace)
        assert said.code == 1
        assert said.words.startswith(
            "milestones.setup.rule: the states have no attribute 'office_hour' (did you mean 'office_hours'?); there are"
            " macros, office_hours"
        )


def test_a_number_is_not_asked_of_a_text(workspace: Path) -> None:
    declare(
        workspace, setup=changed(SETUP, steps=["login", {"state": "office_hours", "at_least": 1}], at_least=1)
    )
    said = run("check", "-w", workspace)
    assert said.code == 1
    assert "milestones.setup.rule: the values of 'office_hours' are texts" in said.words
    assert "there are 'off', 'on'" in said.words


def test_names_and_values_that_nobody_has_are_told_by_check_sweep_and_review(workspace: Path) -> None:
    steps = [
        "logni",
        "invite user",
        {"state": "office_hours", "equals": "onn"},
        {"state": "macros", "at_least": 7},
    ]
    rule = {"steps": steps, "window_days": 20, "at_least": 1}
    declare(workspace, setup=changed(SETUP, **rule), late=changed(SETUP, window_days=500))
    assert run("features", "-w", workspace).code == 0
    assert run("train", "-w", workspace).code == 0
    expected = [
        "milestones.setup.rule: the log has no event 'logni' (did you mean 'login'?): check the spelling",
        "milestones.setup.rule: no row has 'office_hours' equal to 'onn': check the spelling; there are 'off', 'on'",
        "milestones.setup.rule: no row has 'macros' of at least 7: ask for less; there are '0', ",
        "milestones.late.rule.window_days 500: within the log no account has been there for so long",
    ]

    def told(lines: list[str]) -> list[str]:
        return [line for line in lines if any(line.startswith(start) for start in expected)]

    assert len(told(warned(run("check", "-w", workspace)))) == 4
    assert len(told(warned(run("sweep", "-w", workspace)))) == 4
    assert run("review", "latest", "-w", workspace).code == 0
    (path,) = (workspace / "output" / "reviews").glob("*/review.json")
    assert len(told(json.loads(path.read_text())["caveats"])) == 4


def test_a_window_that_nobody_outlived_is_told(workspace: Path) -> None:
    declare(workspace, setup=changed(SETUP, window_days=500), maturity=MATURITY)
    words = (
        "milestones.setup.rule.window_days 500: within the log no account has been there for so long, the first for"
        " 386 days: nothing can be judged yet; make the window shorter, or wait"
    )
    assert warned(run("check", "-w", workspace)) == [words]
    assert warned(run("sweep", "-w", workspace)) == [words]
    printed = run("sweep", "maturity", "--json", "-w", workspace)
    assert warned(printed) == []
    assert [found["caveats"] for found in json.loads(printed.out)["sweeps"]] == [[]]


def test_steps_that_everybody_or_nobody_did_are_told_by_check(workspace: Path) -> None:
    anything = {"state": "macros", "at_least": 0}
    steps = ["invite user", anything, {"state": "macros", "at_least": 9}]
    declare(
        workspace,
        setup=changed(SETUP, steps=steps),
        maturity={"kind": "state", "rule": {**STEPS, "steps": steps}},
    )
    said = [line for line in warned(run("check", "-w", workspace)) if " step " in line]
    assert [line.split(", of ")[0] for line in said] == [
        "milestones.setup.rule: step at least 0 macros: everybody did it",
        "milestones.setup.rule: step at least 9 macros: nobody did it",
        "milestones.maturity.rule: step at least 9 macros: nobody did it",
    ]
    assert said[0].endswith(" accounts alive at their landmark: it tells nothing; leave it out")
    assert said[2].endswith(
        " account-quarters alive at their close: it tells nothing; check it, or leave it out"
    )


def test_seats_that_are_not_known_are_counted_by_check(workspace: Path) -> None:
    per_seat = {"events": ["login"], "window_days": 30, "per_seat": True, "at_least": 1}
    declare(workspace, utilization={"kind": "state", "rule": per_seat})
    assert (
        warned(run("check", "-w", workspace)) == []
    )  # who signed up within the window is no matter of seats
    path = workspace.parent / "data" / "subscriptions.parquet"
    spells = pd.read_parquet(path)
    late = spells.sort_values("started_at").index
    spells.loc[late[:8], "seats"] = np.nan
    spells.loc[late[8:12], "seats"] = 0
    spells.to_parquet(path, index=False)
    (line,) = warned(run("check", "-w", workspace))
    assert line.startswith("milestones.utilization.rule: ")
    assert " account-quarters have no score per seat and are not eligible (" in line
    n, total, unknown, zero = (int(word) for word in line.replace("(", " ").split() if word.isdigit())
    assert n == unknown + zero < total
    assert min(unknown, zero) > 0
    assert (
        f"{unknown} without known seats, {zero} with zero seats or between subscriptions, when the window begins"
        in line
    )
