"""What sweeps say of real logs, recounted by the queries of docs/by-hand.md from the raw tables alone."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from milestones import app
from tests.conftest import real_log

pytestmark = pytest.mark.real_log
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "by-hand.md").read_text()
CHAT, RAVEN = PAGE.split("\n## ")[1:]


def swept(workspace: Path, log: Path, *tables: str) -> pd.DataFrame:
    for arguments in (
        ["init", str(workspace), *(f"--{table}={log / table}.parquet" for table in tables)],
        ["sweep", "activation", "-w", str(workspace)],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    return pd.read_parquet(workspace / "output" / "sweeps" / "activation" / "grid.parquet")


def recounted(section: str, workspace: Path, log: Path, *tables: str) -> Any:
    """The rows that the query of a section finds: reached, n, kept, rate; those not reached first."""
    framework = yaml.safe_load((workspace / "framework.yaml").read_text())
    lists = {
        "milestone": framework["milestones"]["activation"]["rule"]["events"],
        "core": framework["data"]["events"]["core"],
    }
    with duckdb.connect() as connection:
        for table in tables:
            connection.execute(f"CREATE VIEW {table} AS FROM '{log / table}.parquet'")
        for name, events in lists.items():
            connection.execute(f"CREATE TABLE {name} AS SELECT unnest(?::VARCHAR[]) AS event", [events])
        (query,) = re.findall(r"```sql\n(.*?)```", section, re.S)
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("section", "name", "tables"),
    [
        (CHAT, "lean_zulip", ("events", "accounts")),
        (RAVEN, "ravenstack", ("events", "accounts", "outcomes")),
    ],
)
def test_a_cut_has_the_effect_that_the_raw_tables_have(
    section: str, name: str, tables: tuple[str, ...], tmp_path: Path
) -> None:
    log = real_log(name)
    grid = swept(tmp_path / "w", log, *tables)
    below, above = recounted(section, tmp_path / "w", log, *tables)
    (cut,) = re.findall(r"score >= (\d+) AS reached", section)
    (row,) = grid[grid["cut"] == float(cut)].to_dict("records")
    assert row["n_reached"] == above[1]
    assert row["share_reached"] == above[1] / (above[1] + below[1])
    assert (row["rate_reached"], row["rate_not"]) == (above[3], below[3])
    assert row["risk_difference"] == above[3] - below[3]
    written = re.findall(r"^\| (?:no|yes) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|$", section, re.M)
    assert [(int(n.replace(",", "")), int(kept.replace(",", ""))) for n, kept, _ in written] == [
        (below[1], below[2]),
        (above[1], above[2]),
    ]
    assert [rate for *_, rate in written] == [f"{below[3]:.8f}", f"{above[3]:.8f}"]
