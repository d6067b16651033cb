"""The main job on logs that nobody here wrote, from `init` on with nothing edited."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from milestones import app
from tests.conftest import real_log

pytestmark = pytest.mark.real_log


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def main_job(workspace: Path, *sources: str) -> list[Path]:
    """Everything after `init` untouched; the folders of the reviews."""
    run("init", str(workspace), *sources)
    for command in (["check"], ["features"], ["train"], ["sweep"], ["review", "all"]):
        run(*command, "-w", str(workspace))
    return sorted((workspace / "output" / "reviews").iterdir())


def newest(reviews: list[Path]) -> Any:
    return json.loads((reviews[-1] / "review.json").read_text())


def test_ravenstack_with_outcomes_supports_no_milestone(tmp_path: Path) -> None:
    log = real_log("ravenstack")
    sources = [f"--{t}={log / t}.parquet" for t in ("events", "accounts", "outcomes")]
    review = newest(main_job(tmp_path / "raven", *sources))
    assert review["headline"].startswith("No milestone is supported: with ")
    assert "could not have been seen" in review["headline"]
    set_aside = pd.read_parquet(tmp_path / "raven" / "output" / "quarantine" / "events.parquet")
    assert set(set_aside["reason"]) == {"before signup"}
    assert len(set_aside) == 18_425  # of 40,217 rows


def test_ravenstack_without_outcomes_has_insufficient_data(tmp_path: Path) -> None:
    log = real_log("ravenstack")
    reviews = main_job(tmp_path / "raven", *[f"--{t}={log / t}.parquet" for t in ("events", "accounts")])
    assert len(reviews) >= 2
    assert newest(reviews)["headline"].startswith("Insufficient data")


def test_adoption_on_ravenstack_is_what_its_raw_events_say(tmp_path: Path) -> None:
    log, place = real_log("ravenstack"), tmp_path / "raven"
    run("init", str(place), *[f"--{t}={log / t}.parquet" for t in ("events", "accounts", "subscriptions")])
    run("features", "-w", str(place))
    table = pd.read_parquet(place / "output" / "features" / "adoption.parquet")
    asked = (table["feature"] == "feature_14_90d") & (table["quarter"] == "2024Q3")
    found = table[asked & (table["dimension"] == "all")].iloc[0]
    matrix = pd.read_parquet(place / "output" / "features" / "matrix.parquet")
    there = set(matrix.loc[matrix["quarter"] == "2024Q3", "account_id"])
    events = pd.read_parquet(log / "events.parquet").merge(
        pd.read_parquet(log / "accounts.parquet"), on="account_id"
    )
    close = pd.Timestamp("2024-10-01")
    usable = (events["ts"] >= events["signup_ts"]) & (events["ts"] >= close - pd.Timedelta(90, "D"))
    users = set(events.loc[usable & (events["ts"] < close) & (events["event"] == "feature_14"), "account_id"])
    assert 0 < len(users & there) < len(there)
    assert (found["n_observations"], found["n_adopters"]) == (len(there), len(users & there))
    by_plan = table[asked & (table["dimension"] == "plan")]
    assert set(by_plan["segment"]) == {"Basic", "Pro", "Enterprise"}
    assert by_plan["n_adopters"].sum() == found["n_adopters"]


@pytest.mark.parametrize(
    ("name", "tables", "missing"),
    [
        ("lean_zulip", ("events", "accounts"), 0),
        ("ravenstack", ("events", "accounts", "outcomes"), 0),
        (
            "ravenstack",
            ("events", "accounts", "subscriptions"),
            3,
        ),  # three accounts are lost: too few for three checks
    ],
)
def test_the_leak_audit_raises_no_alarm_on_an_honest_log(
    tmp_path: Path, name: str, tables: tuple[str, ...], missing: int
) -> None:
    log = real_log(name)
    run("init", str(tmp_path / "w"), *[f"--{t}={log / t}.parquet" for t in tables])
    found = json.loads(run("check", "--leaks", "--json", "-w", str(tmp_path / "w")))
    assert [
        f["sentence"] for one in found["checks"] for f in one["findings"] if f["severity"] == "alarm"
    ] == []
    assert sum("insufficient data" in one["looked_at"] for one in found["checks"]) == missing


@pytest.mark.slow
def test_lean_zulip_has_a_review_of_every_closed_quarter_and_a_model_that_beats_recency(
    tmp_path: Path,
) -> None:
    log = real_log("lean_zulip")
    reviews = main_job(tmp_path / "lean", *[f"--{t}={log / t}.parquet" for t in ("events", "accounts")])
    assert len(reviews) > 25
    metrics = json.loads((tmp_path / "lean" / "output" / "models" / "metrics.json").read_text())
    assert metrics["random_forest"]["auc"]["lower"] > metrics["recency"]["auc"]["upper"]
    review = newest(reviews)
    assert {entry["name"] for entry in review["not_defined"]} == {"setup", "utilization", "maturity"}
    mature = [row for row in review["milestones"][0]["history"] if row["effect"]]
    assert len(mature) > 25
