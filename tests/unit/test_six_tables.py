"""A product with all six tables through the commands, from `init` on with nothing edited."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.unit.small_log import run, small_log, sources


def six_tables() -> dict[str, pd.DataFrame]:
    """The small log with states, cancellations, who could use what, trials, and when rows were recorded."""
    tables = small_log()
    accounts = tables["accounts"]
    n = len(accounts)
    rng = np.random.default_rng(7)
    spells = tables["subscriptions"].rename(columns={"started_at": "Start Date"})
    spells["is_trial"] = rng.random(n) < 0.2
    spells["plan"] = accounts["plan"].str.upper()
    tables["subscriptions"] = spells
    since = accounts["signed_up_at"] + pd.Timedelta(days=5)
    states = [
        pd.DataFrame(
            {"Account": accounts["account_id"], "Setting": name, "Value": value, "Changed At": since}
        )
        for name, value in (
            ("sso", rng.choice(["on", "off"], n)),
            ("macros", rng.integers(0, 9, n).astype(str)),
            ("region", "eu"),
        )
    ]
    states.append(
        pd.DataFrame({"Account": ["a1", "a2"], "Setting": "beta", "Value": "yes", "Changed At": since[:2]})
    )
    tables["states"] = pd.concat(states, ignore_index=True)
    left = spells[spells["ended_at"].notna()]
    tables["outcomes"] = pd.DataFrame({"account_id": left["account_id"], "churn_date": left["ended_at"]})
    tables["eligibility"] = pd.DataFrame(
        {
            "feature": ["export csv", "login", "gone"],
            "plan": ["pro", None, None],
            "launched_at": [None, "2023-01-01", None],
        }
    )
    tables["events"] = tables["events"].assign(
        ingested_at=tables["events"]["occurred_at"] + pd.Timedelta(days=1)
    )
    return tables


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six")
    said = run("init", folder / "w", *sources(folder / "data", six_tables()))
    assert said.code == 0, said.words
    assert "states: 182 rows read, 182 used" in said.out
    assert (
        "eligibility: 3 rows read, 2 used, 1 set aside (names no event, category or attribute of the states: 1)"
        in said.out
    )
    assert "trial spells are no customer life" in said.out
    return folder / "w"


def section(workspace: Path) -> Any:
    return yaml.safe_load((workspace / "framework.yaml").read_text())["data"]


def test_init_maps_every_table_and_proposes_the_states_that_vary(made: Path) -> None:
    data = section(made)
    assert set(data["mapping"]) == {
        "events",
        "accounts",
        "subscriptions",
        "states",
        "outcomes",
        "eligibility",
    }
    assert data["mapping"]["states"] == {
        "account_id": "Account", "attribute": "Setting", "value": "Value", "valid_from": "Changed At",
    }  # fmt: skip
    assert data["mapping"]["eligibility"] == {
        "feature": "feature",
        "plan": "plan",
        "launched_at": "launched_at",
    }
    assert data["mapping"]["events"]["recorded_at"] == "ingested_at"
    assert data["mapping"]["subscriptions"]["trial"] == "is_trial"
    # Every account is in the same region: that tells nobody apart.
    assert data["features"]["states"] == ["macros", "sso", "beta"]
    assert data["outcomes"]["kind"] == "outcomes"
    assert data["adjust_for"] == ["seats", "plan"]


def test_the_whole_job_runs_on_six_tables(made: Path) -> None:
    for command in (["check"], ["features"], ["train"], ["sweep"], ["review", "all"]):
        said = run(*command, "-w", made)
        assert said.code == 0, said.words
    manifest = json.loads((made / "output" / "features" / "manifest.json").read_text())
    made_of_states = {f["name"] for f in manifest["features"] if f["aggregation"] == "state"}
    assert made_of_states == {"state_macros", "state_sso_on", "state_sso_off", "state_beta_yes"}
    matrix = pd.read_parquet(made / "output" / "features" / "matrix.parquet")
    assert (
        matrix["export_csv_90d"].isna().to_numpy().tolist() == (matrix["plan"] != "PRO").to_numpy().tolist()
    )
    assert set(matrix["state_beta_yes"]) <= {0.0, 1.0}
    aside = pd.read_parquet(made / "output" / "quarantine" / "eligibility.parquet")
    assert aside["feature"].tolist() == ["gone"]


def test_the_list_of_features_names_those_of_states(made: Path) -> None:
    said = run("features", "--list", "-w", made)
    assert said.code == 0
    assert any(line.startswith("state_sso_on ") and "sso is on" in line for line in said.out.splitlines())


def test_eligibility_may_name_the_categories_that_init_is_about_to_propose(tmp_path: Path) -> None:
    tables = small_log(names=("report made", "report sent", "login"))
    tables["eligibility"] = pd.DataFrame({"feature": ["report"], "launched_at": ["2024-02-01"]})
    said = run("init", tmp_path / "w", *sources(tmp_path / "data", tables))
    assert said.code == 0, said.words
    assert "eligibility: 1 rows read, 1 used" in said.out
    assert section(tmp_path / "w")["events"]["categories"]["report"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("attribute: plan, equals: pro", "'plan' is a column of the accounts table and has no dates"),
        ("attribute: sso", "the values of 'sso' are texts, of which no number can be made"),
    ],
)
def test_an_extra_that_cannot_be_made_is_refused_by_check_and_features(
    made: Path, tmp_path: Path, asked: str, words: str
) -> None:
    text = (made / "framework.yaml").read_text().replace("../data", str(made.parent / "data"))
    assert "extras: []" in text
    text = text.replace("extras: []", f"extras: [{{name: tier, aggregation: state, {asked}}}]")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "framework.yaml").write_text(text)
    for command in ("check", "features"):
        said = run(command, "-w", tmp_path / "w")
        assert said.code == 1
        assert f"data.features.extras: 'tier': {words}" in said.words


def test_check_warns_of_a_value_that_no_row_has(made: Path, tmp_path: Path) -> None:
    text = (made / "framework.yaml").read_text().replace("../data", str(made.parent / "data"))
    extra = "extras: [{name: on, aggregation: state, attribute: sso, equals: enabled}]"
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "framework.yaml").write_text(text.replace("extras: []", extra))
    said = run("check", "-w", tmp_path / "w")
    assert said.code == 0
    assert (
        "warning: data.features.extras: 'on': no row has 'sso' equal to 'enabled': check the spelling; there are 'off', 'on'"
        in said.words
    )


def test_a_table_of_states_without_its_columns_says_which_are_missing(tmp_path: Path) -> None:
    tables = small_log(5)
    tables["states"] = pd.DataFrame({"account_id": ["a1"], "value": ["on"], "valid_from": ["2024-03-01"]})
    said = run("init", tmp_path / "w", *sources(tmp_path / "data", tables))
    assert said.code == 1
    assert "states: no column could be recognised as attribute (text)" in said.words
    assert "--map states.attribute=COLUMN" in said.words


def test_a_name_that_another_column_claims_is_no_guess_by_type(tmp_path: Path) -> None:
    tables = small_log(5)
    tables["states"] = pd.DataFrame(
        {"account_id": ["a1"], "einstellung": ["sso"], "value": ["on"], "valid_from": ["2024-03-01"]}
    )
    assert run("init", tmp_path / "w", *sources(tmp_path / "data", tables)).code == 0
    assert section(tmp_path / "w")["mapping"]["states"]["attribute"] == "einstellung"
