"""Who reached which milestone when: the platform says of every account what the company wrote down while it lived."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.intake import open_log
from features.simulation.scenario import load_scenario
from features.simulation.simulator import columns_in, simulate
from models.cohorts import build_cohorts
from models.demonstration import adopted_framework
from models.status_record import write_status

KEYS = ["account_id", "as_of"]
MILESTONES = ("setup", "activation", "utilization", "maturity")


@pytest.mark.parametrize(
    ("scenario", "seed"), [("default", 0), ("default", 1), ("annual-contracts", 2), ("feedback", 3)]
)
def test_every_account_stands_where_the_truth_has_it(tmp_path: Path, scenario: str, seed: int) -> None:
    chosen = load_scenario(scenario).sized(accounts=600)
    simulate(chosen, seed, tmp_path / "data")
    framework = adopted_framework(chosen, columns_in(tmp_path / "data"))
    log = open_log(framework.data, tmp_path)
    cohorts = build_cohorts(framework, log).by_name
    truth = pd.read_parquet(tmp_path / "data" / "truth.parquet").astype({"account_id": str, "milestone": str})
    for name in MILESTONES:
        there = truth[truth["milestone"] == name]
        said = cohorts[name].frame.assign(
            account_id=lambda f: log.accounts["account_id"].iloc[f["account"]].to_numpy(str)
        )
        both = there.merge(said, on=KEYS, how="outer", suffixes=("_true", ""), indicator=True)
        assert (both["_merge"] == "both").all()
        assert len(both) > 300
        pd.testing.assert_series_equal(both["score"], both["score_true"], check_names=False, check_exact=True)
        assert both["alive"].equals(both["alive_true"].astype(bool))
        words = np.where(
            both["reached"].isna(),
            "not_eligible",
            np.where(both["reached"].eq(True), "reached", "not_reached"),
        )
        assert both["status"].tolist() == words.tolist()
        assert 0.02 < (both["status"] == "reached").mean() < 0.8


def test_the_written_status_says_so_too(tmp_path: Path) -> None:
    chosen = load_scenario("default").sized(accounts=400)
    simulate(chosen, 4, tmp_path / "data")
    framework = adopted_framework(chosen, columns_in(tmp_path / "data"))
    write_status(framework, open_log(framework.data, tmp_path), tmp_path / "status.parquet")
    said = pd.read_parquet(tmp_path / "status.parquet")
    truth = pd.read_parquet(tmp_path / "data" / "truth.parquet").astype({"account_id": str, "milestone": str})
    states = said.merge(truth, on=["account_id", "milestone", "as_of"], suffixes=("", "_true"))
    assert set(states["milestone"]) == {"utilization", "maturity"}
    assert len(states) == len(truth[truth["milestone"].isin(["utilization", "maturity"])])
    assert ((states["status"] == "reached") == states["reached"].eq(True)).all()
    once = said.merge(truth, on=["account_id", "milestone"], suffixes=("", "_landmark"))
    once = once[once["milestone"].isin(["setup", "activation"]) & (once["as_of"] >= once["as_of_landmark"])]
    assert len(once) > 3000
    assert ((once["status"] == "reached") == once["reached"].eq(True)).all()
