"""The main job where the events are in Postgres or counted by Spark: the same numbers as from files by DuckDB."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.stores import Server, load, postgres_server, spark_cluster
from tests.unit.small_log import run

TABLES = ("events", "accounts", "subscriptions")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a simulated company of 150 accounts."""
    folder = tmp_path_factory.mktemp("company")
    assert run("simulate", folder / "w", "--accounts", 150, "--quarters", 8, "--seed", 2).code == 0
    return folder / "w" / "data"


@pytest.fixture(scope="module")
def in_files(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that `init` made of the files, with its features."""
    place = tmp_path_factory.mktemp("duckdb") / "w"
    assert run("init", place, *options({t: str(data / f"{t}.parquet") for t in TABLES})).code == 0
    assert run("features", "-w", place).code == 0
    return place


@pytest.fixture(scope="module")
def server() -> "object":
    with postgres_server() as server:
        yield server


def options(sources: dict[str, str]) -> list[str]:
    return [f"--{table}={source}" for table, source in sources.items()]


def matrix(place: Path) -> pd.DataFrame:
    return pd.read_parquet(place / "output" / "features" / "matrix.parquet")


def milestones(place: Path) -> object:
    return yaml.safe_load((place / "framework.yaml").read_text())["milestones"]


def test_the_main_job_on_tables_in_postgres(
    data: Path, in_files: Path, server: Server, tmp_path: Path
) -> None:
    sources = {t: load(server.address, "app", t, pd.read_parquet(data / f"{t}.parquet")) for t in TABLES}
    place = tmp_path / "w"
    assert run("init", place, *options(sources)).code == 0
    assert milestones(place) == milestones(in_files)
    for command in (["check"], ["features"], ["train"], ["sweep"], ["review", "latest"]):
        said = run(*command, "-w", place)
        assert said.code == 0, said.words
    pd.testing.assert_frame_equal(matrix(place), matrix(in_files), rtol=0, atol=1e-9)
    # Nothing has changed in the database, so nothing is counted again; a row that is gone is noticed.
    assert "is up to date" in run("features", "-w", place).out
    load(server.address, "app", "gone", pd.DataFrame({"x": [1]}))
    from features.engines import postgres

    postgres.connect(server.address).con.execute(
        "DELETE FROM app.events WHERE ctid IN (SELECT min(ctid) FROM app.events)"
    )
    assert "events has changed since" in run("train", "-w", place).words
    assert "is up to date" not in run("features", "-w", place).out


def test_a_database_that_goes_away_is_a_store_that_is_away(data: Path, tmp_path: Path) -> None:
    with postgres_server() as server:
        events = load(server.address, "app", "events", pd.read_parquet(data / "events.parquet"))
        place = tmp_path / "w"
        files = {t: str(data / f"{t}.parquet") for t in TABLES} | {"events": events}
        assert run("init", place, *options(files)).code == 0
        server.stop()
        said = run("features", "-w", place)
        assert said.code == 3
        assert "start the server" in said.words or "start it and run again" in said.words
        assert not (place / "output" / "features" / "matrix.parquet").exists()


def test_what_a_database_does_not_have_is_said(data: Path, server: Server, tmp_path: Path) -> None:
    load(server.address, "small", "events", pd.DataFrame({"account_id": ["a"]}))
    accounts = f"--accounts={data / 'accounts.parquet'}"
    for source, words in {
        f"{server.address}::small.nothing": "has no table 'small.nothing'",
        f"{server.address}::small.events": "no column could be recognised as event",
        f"{server.address}": "names no table; write",
        "postgresql://nobody@127.0.0.1:1/x::events": "cannot be reached",
        "postgresql://me:secret@127.0.0.1:1/x::events": "holds a password",
    }.items():
        said = run("init", tmp_path / "w", f"--events={source}", accounts)
        assert said.code in (1, 2, 3), source
        assert words in said.words
        assert "secret" not in said.words


def test_features_on_a_cluster_of_executors(data: Path, in_files: Path, tmp_path: Path) -> None:
    master = spark_cluster()
    place = tmp_path / "w"
    place.mkdir()
    text = (in_files / "framework.yaml").read_text()
    framework = yaml.safe_load(text)
    framework["data"]["engine"] = master
    framework["data"]["sources"] = {t: str(data / f"{t}.parquet") for t in TABLES}
    (place / "framework.yaml").write_text(yaml.safe_dump(framework, sort_keys=False))
    said = run("features", "-w", place)
    assert said.code == 0, said.words
    pd.testing.assert_frame_equal(matrix(place), matrix(in_files), rtol=0, atol=1e-9)
    manifest = json.loads((place / "output" / "features" / "manifest.json").read_text())
    assert manifest["engine"] == master
    assert executors() >= 2

    # A source that is taken away: what was built stays, and the store is away.
    gone = tmp_path / "events.parquet"
    shutil.copy(data / "events.parquet", gone)
    gone.with_name("broken.parquet").write_bytes(b"PAR1 and nothing more")
    framework["data"]["sources"]["events"] = str(gone.with_name("broken.parquet"))
    (place / "framework.yaml").write_text(yaml.safe_dump(framework, sort_keys=False))
    said = run("features", "-w", place)
    assert said.code == 1
    assert "broken.parquet" in said.words
    pd.testing.assert_frame_equal(matrix(place), matrix(in_files), rtol=0, atol=1e-9)


def executors() -> int:
    """Executor processes of the session that runs, the driver not among them."""
    from pyspark.sql import SparkSession

    context = SparkSession.getActiveSession().sparkContext
    return int(context._jsc.sc().getExecutorMemoryStatus().size()) - 1
