"""What a data scientist varies: recorded and compared like any run, and without consequences."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from experiments.launch import Launch, Variation
from experiments.tracking import Store
from features.workspace import Workspace
from milestones import app


@pytest.fixture(scope="module")
def workspace(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("varied") / "w"
    shutil.copytree(company, root, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    return root


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_varied_training_is_recorded_and_touches_nothing_else(workspace: Path) -> None:
    before = {
        name: digest(workspace / "output" / name) for name in ("models", "features", "sweeps", "reviews")
    }
    made = answer(
        "train", "-w", str(workspace), "--features", "events_*,users_*",
        "--estimator", "sklearn.naive_bayes:GaussianNB", "--name", "slim", "--note", "volumes alone",
        "--set", "data.features.windows_days=[30, 90]",
    )  # fmt: skip
    assert made["model"]["champion"] is False
    assert {name: digest(workspace / "output" / name) for name in before} == before
    store = Store.of(workspace, "default-company")
    found = store.client.get_run(made["run"]["run_id"])
    assert found.data.tags["exploratory"] == "true"
    assert found.data.params["override.features"] == "events_*,users_*"
    assert found.data.params["override.set.data.features.windows_days"] == "[30, 90]"
    assert found.data.tags["mlflow.note.content"].startswith("volumes alone")
    assert store.champion("default-company-retention") is None
    assert made["n_features"] < 20


def test_a_segment_keeps_its_accounts_alone(workspace: Path) -> None:
    whole = answer("sweep", "activation", "-w", str(workspace), "--name", "all", "--set", "version=2")
    part = answer("sweep", "activation", "-w", str(workspace), "--segment", "country=US", "--name", "us")
    assert 0 < part["sweeps"][0]["n_accounts"] < whole["sweeps"][0]["n_accounts"]
    launch = Launch.of(Workspace(workspace), Variation(segment="country=US"))
    frame = launch.matrix(lambda _what, _share: None).frame
    kept = launch.in_segment(frame)
    assert set(kept["country"]) == {"US"}
    assert len(kept) == int((frame["country"] == "US").sum())


def test_which_events_are_explored_can_be_chosen_and_the_own_score_is_swept_as_ever(workspace: Path) -> None:
    command = ("sweep", "activation", "-w", str(workspace))
    whole = answer(*command, "--name", "whole", "--set", "version=2")["sweeps"][0]
    few = answer(*command, "--features", "*bot*", "--name", "few")["sweeps"][0]
    explored = [found["exploration"]["family"] for found in (whole, few)]
    assert explored[0]["candidates"] > 60  # more than twenty events, three stretches of time
    assert 1 < explored[1]["candidates"] < 10
    assert explored[0]["cuts"] > explored[1]["cuts"] > few["family"]["cuts"]
    for found in (whole, few):
        assert found["family"] == {
            "features": 1,
            "cuts": whole["family"]["cuts"],
            "windows": 1,
            "candidates": 1,
            "hypotheses": 0,
        }
        assert found["p_corrected"] == whole["p_corrected"]
    # Looked for among more, the same cut is less sure.
    assert whole["p_corrected_over_all"] >= few["p_corrected_over_all"] >= few["p_corrected"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--estimator", "no_such"], "choose random_forest, logistic"),
        (["train", "--estimator", "math:sqrt"], "cannot make it"),
        (["train", "--estimator", "sklearn.linear_model:LinearRegression"], "is no scikit-learn classifier"),
        (["train", "--features", "zzz*"], "matches none of"),
        (["train", "--segment", "country=Atlantis"], "country is one of"),
        (["train", "--segment", "colour=red"], "write column=value with one of"),
        (["train", "--set", "milestones.nothing.rule=1"], "there is no 'nothing' here"),
        (["train", "--set", "nonsense"], "write key.path=value"),
        (["train", "--outcome", "silent:soon"], "write kind or kind:days"),
        (["sweep", "activatoin"], "there is no milestone 'activatoin'"),
        (["sweep", "--features", "zzz*"], "matches none of"),
        (["sweep", "activation", "--within", "zzz"], "--within zzz: choose one of seats, mrr, plan"),
        (["review", "2031Q1"], "is no closed quarter"),
        (["review", "last"], "is no closed quarter"),
    ],
)
def test_an_option_without_meaning_is_wrong_usage_in_words(
    workspace: Path, arguments: list[str], words: str
) -> None:
    result = run(*arguments, "-w", str(workspace))
    # The command line turns the error into its message and exit code 2; here it is the exception itself.
    assert getattr(result.exception, "exit_code", None) == 2
    assert words in str(result.exception)


def test_hypotheses_are_answered_before_anything_is_searched(workspace: Path) -> None:
    beliefs = [
        {"claim": "talk stays", "by": "Product", "features": ["conversation_started_90d"]},
        {"claim": "no such thing", "by": "Sales", "features": ["no_such_feature"]},
    ]
    arguments = (
        "sweep",
        "activation",
        "-w",
        str(workspace),
        "--set",
        f"review.hypotheses={json.dumps(beliefs)}",
    )
    (found,) = answer(*arguments)["sweeps"]
    assert found["family"]["hypotheses"] == 2
    assert [one["answer"] for one in found["hypotheses"]] == ["supported", "undecided"]
    said = run(*arguments).stdout.splitlines()
    first = said[0]
    assert first.startswith("activation: hypothesis of Product, 'talk stays': supported.")
    assert said.index(first) < next(i for i, line in enumerate(said) if "Operating cut" in line)


def test_a_cut_is_chosen_here_where_some_of_its_observations_chose_it(workspace: Path) -> None:
    other = ("--features", "theme_changed", "--set", 'milestones.activation.defined_on=["2019Q1", "2019Q2"]')
    (found,) = answer("sweep", "activation", "-w", str(workspace), *other)["sweeps"]
    (current,) = (one for one in found["effects"] if one["name"] == "current")
    assert current["in_definition"] is False


def test_a_sweep_shows_every_other_explanation_and_every_segment(workspace: Path) -> None:
    (found,) = answer("sweep", "activation", "-w", str(workspace), "--name", "all", "--set", "version=3")[
        "sweeps"
    ]
    effects = {one["name"]: one for one in found["effects"]}
    assert set(effects) >= {
        "naive",
        "crude",
        "crude_ratio",
        "stratified",
        "weighted",
        "after_prior_use",
        "forward",
    }
    assert (effects["naive"]["method"], effects["naive"]["population"]) == ("naive", "every sign-up")
    assert effects["crude"]["cut"] == found["shown_cut"] == found["operating_cut"]["value"]
    assert found["e_value"] > 1
    # The cut in use was chosen on the first quarters, fresh ones took no part in any choice.
    assert (effects["current"]["in_definition"], effects["forward"]["in_definition"]) == (True, False)
    assert found["other_explanations"]["placebos"]
    assert {one["dimension"] for one in found["by_segment"]} == {"size", "plan"}
    assert all(
        sum(one["n_accounts"] for one in found["by_segment"] if one["dimension"] == d) == found["n_accounts"]
        for d in ("size", "plan")
    )
