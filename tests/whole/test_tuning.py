"""`tune` on a simulated company: what it writes and says, taken up again after a kill, and every wrong use in words."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.studies import POINT
from experiments.tracking import Store
from features.document import parse_yaml
from models.framework import Framework, load_framework
from tests.stores import postgres_server
from tests.unit.small_log import run

PRODUCT = "default-company"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuned") / "w"
    assert run("simulate", place, "--accounts", 900, "--quarters", 9, "--seed", 3).code == 0
    return place


@pytest.fixture
def workspace(company: Path, tmp_path: Path) -> Path:
    """The same company without results; its tables stay where they are."""
    (tmp_path / "w").mkdir()
    shutil.copy(company / "framework.yaml", tmp_path / "w")
    (tmp_path / "w" / "data").symlink_to(company / "data")
    return tmp_path / "w"


def tuned(workspace: Path, milestone: str, *options: object) -> Any:
    said = run("tune", milestone, "-w", workspace, *options, "--json")
    assert said.code == 0, said.words
    return json.loads(said.out)


def written(workspace: Path, milestone: str) -> bytes:
    return (workspace / "output" / "tuning" / milestone / "tuning.json").read_bytes()


def test_a_search_writes_the_front_with_both_figures_and_one_run(workspace: Path) -> None:
    made = tuned(workspace, "setup", "--note", "which steps?", "--workers", 2)
    folder = workspace / "output" / "tuning" / "setup"
    record = json.loads(written(workspace, "setup"))
    assert {**record, "folder": str(folder), "run": made["run"]} == made
    assert record["sampler"] == "exhaustive"
    # of the sets of m of 7 steps, each with "at least 1" to "at least m"
    assert record["space"]["size"] == record["n_trials"] == record["n_definitions"] == 7 * 2**6 - 7
    assert not set(record["choosing_quarters"]) & set(record["fresh_quarters"])
    assert max(record["choosing_quarters"]) < min(record["fresh_quarters"])
    assert record["verdict"] == "supported"
    for one in (record["current"], *record["pareto"]):
        assert 0 <= one["balance"] <= 1
        assert one["phi_fresh"]["lower"] <= one["phi_fresh"]["value"] <= one["phi_fresh"]["upper"]
        framework = parse_yaml((workspace / "framework.yaml").read_text())
        framework["milestones"]["setup"]["rule"] = one["rule"]
        assert (
            Framework.model_validate(framework).milestones["setup"].rule.model_dump(mode="json")
            == one["rule"]
        )
        # The steps of the simulated company are none of what activation counts.
        assert one["same_behaviour"] == []
    assert record["recommended"] in record["pareto"]
    assert record["current"]["distance"] == 0
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == record["n_definitions"]
    assert trials["on_front"].sum() == len(record["pareto"])
    assert record["constraints"]["adoption"]["broken"] == (trials["constraint_adoption"] > 0).sum() > 0
    assert (folder / "pareto.png").read_bytes()[1:4] == b"PNG"
    _recorded(workspace, made)


def _recorded(workspace: Path, made: dict[str, Any]) -> None:
    client = Store.of(workspace, PRODUCT).client
    parent = client.get_run(made["run"]["run_id"])
    runs = client.search_runs([parent.info.experiment_id])
    below = [one for one in runs if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(below) == min(len(made["pareto"]), 12)
    assert len(runs) == len(below) + 1
    assert parent.data.tags["mlflow.note.content"].startswith("which steps?")
    assert parent.data.params["space_size"] == "441"
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {
        "trials.json",
        "tuning.json",
        "pareto.png",
    }
    best = next(one for one in below if one.data.tags["front"] == "1")
    assert best.data.metrics["phi_chosen"] == pytest.approx(made["pareto"][0]["phi_chosen"])
    assert best.data.params["at_least"] == str(made["pareto"][0]["rule"]["at_least"])


def test_the_same_seed_gives_the_same_bytes_whoever_searches_and_however_often_it_is_killed(
    workspace: Path, company: Path
) -> None:
    tuned(workspace, "setup", "--seed", 5)
    alone = written(workspace, "setup")
    shutil.rmtree(workspace / "output")
    journal = workspace / "output" / "tuning" / "setup" / "journal.log"
    command = [sys.executable, "-m", "milestones", "tune", "setup", "-w", str(workspace), "--seed", "5"]
    killed = subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    # 441 lines lay the points out; beyond them a point has three.
    while time.monotonic() < until and not (journal.exists() and journal.read_bytes().count(b"\n") > 600):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(60) == -signal.SIGKILL
    assert not journal.with_name("tuning.json").exists()
    said = run("tune", "setup", "-w", workspace, "--seed", 5, "--workers", 4)
    assert said.code == 0, said.words
    assert "were there already: the search was taken up again" in said.out
    assert written(workspace, "setup") == alone
    states = _states(journal)
    assert Counter(point for point, state in states if state == "COMPLETE") == dict.fromkeys(range(441), 1)
    assert {state for _, state in states} == {"COMPLETE"}


def _states(journal: Path) -> list[tuple[int, str]]:
    import optuna

    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    (study,) = storage.get_all_studies()
    return [(t.user_attrs[POINT], t.state.name) for t in storage.get_all_trials(study._study_id)]


def test_fresh_quarters_that_others_opened_are_told_and_another_seed_is_another_search(
    workspace: Path,
) -> None:
    first = tuned(workspace, "maturity", "--trials", 12)
    assert first["fresh_opened_before"] == 0
    assert tuned(workspace, "maturity", "--trials", 12)["fresh_opened_before"] == 0  # the same search
    said = run("tune", "maturity", "-w", workspace, "--trials", 12, "--seed", 1)
    assert "The storage holds 1 other searches of maturity" in said.out
    assert "1 other searches have opened some of these fresh quarters before" in said.words
    assert "corrected p is somewhat too small" in said.words
    assert json.loads(written(workspace, "maturity"))["fresh_opened_before"] == 1


def test_more_definitions_than_trials_are_searched_by_tpe(workspace: Path) -> None:
    made = tuned(workspace, "utilization", "--trials", 30)
    assert (made["sampler"], made["n_trials"]) == ("TPE", 30)
    assert made["n_definitions"] <= 30 < made["space"]["size"]
    outcome = load_framework(workspace / "framework.yaml").milestones["maturity"].rule.all_events
    for one in made["pareto"]:
        assert one["same_behaviour"] == sorted(outcome & set(one["rule"]["events"]))
    assert set(made["space"]["dimensions"]) == {"feature", "window_days", "per", "share_aimed_at"}
    alone = written(workspace, "utilization")
    shutil.rmtree(workspace / "output")
    tuned(workspace, "utilization", "--trials", 30)
    assert written(workspace, "utilization") == alone


def test_many_workers_meet_in_postgres_and_its_password_is_nowhere(workspace: Path) -> None:
    with postgres_server() as server:
        address = server.address.replace("milestones@", "milestones:geheim@")
        options = ("--trials", 12, "--storage", address)
        said = run("tune", "maturity", "-w", workspace, *options, "--workers", 4)
        assert said.code == 0, said.words
        again = run("tune", "maturity", "-w", workspace, *options)
    assert "12 of 12 were there already" in again.out
    assert "geheim" not in said.out + said.words + again.out + again.words
    files = [path for path in workspace.rglob("*") if path.is_file() and "data" not in path.parts]
    assert len(files) > 5
    assert not [path for path in files if b"geheim" in path.read_bytes()]
    assert not (workspace / "output" / "tuning" / "maturity" / "journal.log").exists()
    away = run("tune", "maturity", "-w", workspace, *options)
    assert away.code == 3
    assert "start the server or correct --storage" in away.words
    assert "geheim" not in away.words


def test_without_mlflow_everything_is_on_disk(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    said = run("tune", "maturity", "-w", workspace, "--trials", 10)
    assert said.code == 3
    folder = workspace / "output" / "tuning" / "maturity"
    assert f"What was found is in {folder}, and in no run" in said.words
    assert {"tuning.json", "trials.parquet", "pareto.png"} <= {path.name for path in folder.iterdir()}


def test_wrong_use_is_said_in_words(workspace: Path) -> None:
    def refused(*arguments: object) -> str:
        said = run("tune", *arguments, "-w", workspace)
        assert said.code == 2
        return said.words

    assert "there is no milestone 'activatoin' (did you mean 'activation'?)" in refused("activatoin")
    assert "write postgresql://user@host" in refused("setup", "--storage", "mysql://me:geheim@x/y")
    for option in (("--trials", 0), ("--trials", "many"), ("--workers", 0), ("--seed", -1)):
        assert option[0] in refused("setup", *option)
    journal = workspace / "output" / "tuning" / "setup" / "journal.log"
    journal.parent.mkdir(parents=True)
    journal.write_text("what is this\n")
    said = run("tune", "setup", "-w", workspace)
    assert said.code == 1
    assert "move it away, and the search begins anew" in said.words


def test_a_milestone_that_nobody_reached_is_searched_all_the_same(workspace: Path) -> None:
    place = workspace / "framework.yaml"
    text = parse_yaml(place.read_text())
    text["milestones"]["utilization"]["rule"]["at_least"] = 1_000_000
    place.write_text(json.dumps(text))
    made = tuned(workspace, "utilization", "--trials", 12)
    assert (made["current"]["adoption"], made["current"]["phi_chosen"]) == (0.0, 0.0)
    assert made["gain_over_current"] is None
    assert made["n_definitions"] > 1
    # As in a sweep: what has no seats yet, or is of one plan, takes nobody else along, and is named.
    assert set(made["left_out"]) >= {
        "category setup per seat in 90 days",
        "custom_sla_rule_edited in 30 days",
    }
    assert all(0 < share <= 1 for share in made["left_out"].values())
    said = f"({len(made['left_out'])} more counts were left out: they are known of too few)"
    assert said in run("tune", "utilization", "-w", workspace, "--trials", 12).out


def test_too_few_accounts_are_a_result(tmp_path: Path) -> None:
    place = tmp_path / "w"
    assert run("simulate", place, "--scenario", "tiny").code == 0
    name = next(iter(load_framework(place / "framework.yaml").milestones))
    said = run("tune", name, "-w", place)
    assert said.code == 0
    assert f"{name}: insufficient_data. Insufficient data: " in said.out
    record = json.loads(written(place, name))
    assert (record["verdict"], record["pareto"], record["n_trials"]) == ("insufficient_data", [], 0)
    # What was not measured is no number: not in the file, not in the picture, not in MLflow.
    assert (record["current"], record["recommended"], record["p_corrected"]) == (None, None, None)
    assert not (place / "output" / "tuning" / name / "pareto.png").exists()
    client = Store.of(place, load_framework(place / "framework.yaml").name).client
    (made,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert set(made.data.metrics) == {"n_accounts"}
    assert "| definition |" not in made.data.tags["mlflow.note.content"]
    assert not (place / "output" / "tuning" / name / "opened.json").exists()
