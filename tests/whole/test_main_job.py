"""The main job on a simulated company, as a user finds it afterwards: files, formats, runs, models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.sweep_record import cuts_of, expected_at, read_sweep
from experiments.tracking import Store
from features.workspace import Workspace
from models.framework import load_framework
from reports.publication import publish
from reports.shape import REVIEW


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def nothing(_what: str, _share: float) -> None:
    """No progress."""


def test_features_are_at_least_sixty_and_described(company: Path) -> None:
    manifest = read(company / "output" / "features" / "manifest.json")
    assert len(manifest["features"]) >= 60
    assert all(f["description"] and f["unit"] and f["category"] for f in manifest["features"])
    matrix = pd.read_parquet(company / "output" / "features" / "matrix.parquet")
    assert set(matrix.columns) >= {f["name"] for f in manifest["features"]} | {
        "account_id",
        "as_of",
        "retained",
    }
    assert not matrix.duplicated(["account_id", "as_of"]).any()
    late = matrix["known_from"] > pd.Timestamp(manifest["data_through"])
    assert late.any()
    assert matrix.loc[late, "retained"].isna().all()


def test_every_rate_of_the_model_has_its_interval(company: Path) -> None:
    metrics = read(company / "output" / "models" / "metrics.json")
    assert set(metrics) == {"random_forest", "logistic", "recency", "base_rate"}
    for model in metrics.values():
        assert model["auc"]["lower"] <= model["auc"]["value"] <= model["auc"]["upper"]
        assert model["auc"]["n"] > 0
    assert metrics["base_rate"]["auc"]["value"] == 0.5


def test_the_planted_steps_are_found(company: Path) -> None:
    activation = read(company / "output" / "sweeps" / "activation" / "sweep.json")
    truth = read(company / "data" / "truth.json")["milestones"]["activation"]
    assert activation["p_corrected"] < 0.05
    low, high = activation["plateau"]
    assert low <= truth["cut"] <= high
    grid = pd.read_parquet(company / "output" / "sweeps" / "activation" / activation["grid_file"])
    assert len(grid) == activation["family"]["cuts"]


def test_what_a_sweep_wrote_can_be_adopted(company: Path) -> None:
    place = Workspace(company)
    for name in load_framework(place.framework).milestones:
        path, sweep = read_sweep(place, name)
        assert not sweep.exploratory
        cuts = cuts_of(path, sweep, place)["cut"]
        if sweep.operating_cut is not None:
            assert cuts.iloc[0] <= sweep.operating_cut.value <= cuts.iloc[-1]
            assert expected_at(sweep, cuts_of(path, sweep, place), sweep.operating_cut.value) is not None


def test_reviews_run_from_the_first_mature_cohort_to_the_last_quarter(company: Path) -> None:
    quarters = sorted(p.name for p in (company / "output" / "reviews").iterdir())
    assert quarters[-1] == "2024Q4"
    assert len(quarters) >= 9
    for quarter in quarters:
        review = read(company / "output" / "reviews" / quarter / "review.json")
        assert review["quarter"] == quarter
        assert [m["name"] for m in review["milestones"]] == ["setup", "activation", "utilization", "maturity"]
        assert {m["verdict"] for m in review["milestones"]} <= {
            "hold",
            "watch",
            "re-tune",
            "retire",
            "insufficient_data",
        }


def keys(value: Any, shape: Any, path: str = "") -> set[str]:
    """Where a review and the shape of one differ: keys of one that the other has not."""
    if isinstance(shape, list):
        items = value if isinstance(value, list) else []
        return set().union(*(keys(item, shape[0], f"{path}[]") for item in items))
    if not isinstance(shape, dict) or not isinstance(value, dict):
        return set()
    differ = {f"{path}.{key}" for key in value.keys() ^ shape.keys()}
    return differ.union(
        *(keys(value[key], shape[key], f"{path}.{key}") for key in value.keys() & shape.keys())
    )


def test_a_review_has_every_key_that_a_page_may_ask_for_and_no_other(company: Path) -> None:
    review = read(company / "output" / "reviews" / "2024Q4" / "review.json")
    # Of the two ways to say when, an effect has one, and a weight only where it is weighted.
    optional = ("as_of", "landmark_day", "weighted_by")
    assert keys(review, REVIEW) == {f".milestones[].effects[].{key}" for key in optional}
    effects = [effect for milestone in review["milestones"] for effect in milestone["effects"]]
    assert {effect["weighted_by"] for effect in effects if "weighted_by" in effect} == {"revenue"}


def test_a_review_knows_nothing_from_after_it_was_due(company: Path) -> None:
    frozen = pd.read_parquet(company / "output" / "reviews" / "2023Q4" / "observations.parquet")
    assert len(frozen) > 100
    assert (frozen["as_of"] <= pd.Timestamp("2024-01-15")).all()
    early = read(company / "output" / "reviews" / "2023Q4" / "review.json")
    late = read(company / "output" / "reviews" / "2024Q4" / "review.json")
    for before, after in zip(early["milestones"], late["milestones"], strict=True):
        later = {row["quarter"]: row for row in after["history"]}
        mature = [row for row in before["history"] if row["effect"]]
        assert mature
        # What was known of a mature cohort does not change when more becomes known.
        assert [row["effect"] for row in mature] == [later[row["quarter"]]["effect"] for row in mature]


def test_no_milestone_is_judged_on_the_quarters_it_was_chosen_on(company: Path) -> None:
    review = read(company / "output" / "reviews" / "2024Q4" / "review.json")
    for milestone in review["milestones"]:
        outside = [row for row in milestone["history"] if not row["in_definition"] and row["effect"]]
        inside = [row for row in milestone["history"] if row["in_definition"]]
        assert inside
        assert milestone["realised"]["n_observations"] == sum(
            row["n_mature"] for row in outside if row["effect"]
        )


def test_every_account_that_was_asked_has_a_status_and_a_time(company: Path) -> None:
    review = read(company / "output" / "reviews" / "2024Q4" / "review.json")
    accounts = pd.read_parquet(company / "output" / "reviews" / "2024Q4" / "accounts.parquet")
    assert not accounts.duplicated(["account_id", "milestone"]).any()
    for milestone in review["milestones"]:
        mine = accounts[accounts["milestone"] == milestone["name"]]
        counts = mine["status"].value_counts()
        assert {s: n for s, n in milestone["statuses"].items() if n} == counts.drop(
            "gone", errors="ignore"
        ).to_dict()
        reached = mine[mine["status"] == "reached"]
        assert reached["reached_after_days"].notna().all() == (milestone["kind"] == "once")
        assert mine.loc[mine["status"] != "reached", "reached_after_days"].isna().all()


def test_a_review_is_the_same_bytes_alone_or_among_all(company: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(company, again, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts", "reviews"))
    publish(Workspace(again), "2024Q2", 3, nothing)
    for name in ("review.json", "observations.parquet", "accounts.parquet"):
        one, other = (root / "output" / "reviews" / "2024Q2" / name for root in (again, company))
        assert one.read_bytes() == other.read_bytes()


def test_no_account_id_reaches_a_report_or_the_record(company: Path) -> None:
    ids = pd.read_parquet(company / "data" / "accounts.parquet")["account_id"]
    wanted = {account.encode() for account in ids}
    files = [*(company / "mlartifacts").rglob("*"), *(company / "output" / "reviews").rglob("review.*")]
    texts = [p for p in files if p.is_file() and p.suffix in (".html", ".json", ".md", ".csv", ".txt")]
    assert len(texts) > 20
    for path in texts:
        content = path.read_bytes()
        assert not any(account in content for account in wanted), path


def test_the_record_holds_a_run_of_everything(company: Path) -> None:
    store = Store.of(company, load_framework(company / "framework.yaml").name)
    experiments = {e.name.rpartition("/")[2]: e.experiment_id for e in store.client.search_experiments()}
    assert set(experiments) >= {"train", "sweep", "review", "milestones"}
    (train,) = store.client.search_runs([experiments["train"]])
    assert train.inputs is not None
    assert train.inputs.dataset_inputs
    assert 0.5 < train.data.metrics["auc.lower"] < train.data.metrics["auc"] < train.data.metrics["auc.upper"]
    assert "| model |" in train.data.tags["mlflow.note.content"]
    sweeps = store.client.search_runs([experiments["sweep"]])
    assert sum("mlflow.parentRunId" not in run.data.tags for run in sweeps) == 4
    current = store.client.search_runs([experiments["milestones"]], "tags.superseded = 'false'")
    assert sorted(run.data.tags["milestone"] for run in current) == [
        "activation",
        "maturity",
        "setup",
        "utilization",
    ]
    history = store.client.get_metric_history(current[0].info.run_id, "adoption")
    steps = [metric.step for metric in history]
    assert steps == list(range(steps[0], steps[0] + len(steps)))  # a running index: no gap between years


def test_the_model_loads_in_a_clean_process_without_this_repository(company: Path, tmp_path: Path) -> None:
    manifest = read(company / "output" / "features" / "manifest.json")
    names = [f["name"] for f in manifest["features"]]
    code = (
        "import sys, mlflow, pandas as pd\n"
        f"mlflow.set_tracking_uri('sqlite:///{company}/mlflow.db')\n"
        "model = mlflow.pyfunc.load_model('models:/default-company-retention/1')\n"
        f"print(model.predict(pd.DataFrame([[1.0] * {len(names)}], columns={names!r})).shape)\n"
        "assert not {'features', 'models', 'experiments', 'reports'} & set(sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.strip().endswith("(1, 2)")


def test_everything_written_has_its_final_name(company: Path) -> None:
    assert not [p for p in (company / "output").rglob(".*") if p.is_file()]


@pytest.mark.parametrize("entry", ["check", "review"])
def test_mlflow_runs_the_project(company: Path, tmp_path: Path, entry: str) -> None:
    again = tmp_path / "again"
    shutil.copytree(company, again, ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db"))
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "run",
        str(root),
        "-e",
        entry,
        "--env-manager",
        "local",
        "-P",
        f"workspace={again}",
    ]
    import os

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/other.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, (found.stdout + found.stderr)[-3000:]
