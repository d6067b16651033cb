"""Sweeps as they are run: what MLflow shows of one, and what is left when a run or the store is cut off."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.tracking import Store
from models.framework import load_framework

NAMES = ["setup", "activation", "utilization", "maturity"]
PATIENCE = 180  # seconds that a subprocess may take


def runs_of(store: Store) -> list[Any]:
    (experiment,) = (e for e in store.client.search_experiments() if e.name.endswith("/sweep"))
    return list(store.client.search_runs([experiment.experiment_id]))


def parents(runs: list[Any]) -> list[Any]:
    return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]


def store_of(workspace: Path) -> Store:
    return Store.of(workspace, load_framework(workspace / "framework.yaml").name)


def test_a_sweep_is_one_run_with_its_curve_and_a_child_for_each_shortlisted_cut(company: Path) -> None:
    store = store_of(company)
    runs = runs_of(store)
    (run,) = (r for r in parents(runs) if r.data.tags["milestone"] == "activation")
    found = json.loads((company / "output" / "sweeps" / "activation" / "sweep.json").read_text())
    assert run.data.metrics["phi"] == pytest.approx(found["phi"])
    # The curve: a step is a cut, and what it shows is the row of the grid.
    grid = pd.read_parquet(company / "output" / "sweeps" / "activation" / "grid.parquet")
    curve = {m.step: m.value for m in store.client.get_metric_history(run.info.run_id, "curve.phi")}
    assert len(curve) > 20
    for cut, phi in curve.items():
        assert phi == pytest.approx(grid.loc[grid["cut"] == cut, "phi"].item())
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == run.info.run_id]
    by_role = {child.data.params["role"]: child for child in children}
    assert 2 <= len(children) <= 8
    operating = next(child for role, child in by_role.items() if "operating cut" in role)
    assert float(operating.data.params["cut"]) == found["operating_cut"]["value"]
    row = grid[grid["cut"] >= found["operating_cut"]["value"]].iloc[0]
    assert operating.data.metrics["phi"] == pytest.approx(row["phi"])
    assert operating.data.metrics["adoption"] == pytest.approx(row["share_reached"])
    names = {artifact.path for artifact in store.client.list_artifacts(run.info.run_id)}
    assert {"grid.json", "explored.json", "sweep.json", "figures", "grid.parquet"} <= names


@contextmanager
def started(workspace: Path, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "milestones", "sweep", *arguments, "-w", str(workspace)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def journal_of(workspace: Path) -> dict[str, Any]:
    for path in (workspace / "output" / "sweeps").glob("journal-*.json"):
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError):
            pass
    return {"states": {}, "runs": {}}


def wait_for(workspace: Path, process: "subprocess.Popen[str]", name: str, state: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        journal = journal_of(workspace)
        if journal["states"].get(name) == state:
            return journal
        time.sleep(0.02)
    raise AssertionError(f"{name} never became {state}: {journal_of(workspace)}")


@pytest.fixture
def workspace(company: Path, tmp_path: Path) -> Path:
    root = tmp_path / "w"
    left_out = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "sweeps", "reviews", "models")
    shutil.copytree(company, root, ignore=left_out)
    return root


def test_a_killed_sweep_goes_on_where_it_was_and_its_half_run_is_marked(workspace: Path) -> None:
    with started(workspace) as process:
        journal = wait_for(workspace, process, "activation", "open")
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    assert journal["states"]["setup"] == "recorded"
    done = workspace / "output" / "sweeps" / "setup" / "sweep.json"
    before = done.stat().st_mtime_ns
    with started(workspace, "--json") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    found = {one["milestone"]: one for one in json.loads(out)["sweeps"]}
    assert list(found) == NAMES
    assert done.stat().st_mtime_ns == before  # taken up, not computed again
    assert found["setup"]["run"]["run_id"] == journal["runs"]["setup"]
    store = store_of(workspace)
    half = store.client.get_run(journal["runs"]["activation"])
    assert (half.info.status, half.data.tags["cut_off"]) == ("KILLED", "true")
    ended = [run for run in parents(runs_of(store)) if run.info.status == "FINISHED"]
    assert sorted(run.data.tags["milestone"] for run in ended) == sorted(NAMES)
    assert not list((workspace / "output" / "sweeps").glob("journal-*.json"))


@contextmanager
def server(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--default-artifact-root",
        str(folder / "files"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_store_that_goes_away_loses_nothing_that_was_computed(workspace: Path, tmp_path: Path) -> None:
    folder, port = tmp_path / "server", free_port()
    folder.mkdir()
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with server(folder, port) as store, started(workspace, "activation", **address) as process:
        wait_for(workspace, process, "activation", "open")
        end(store)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, (out, err)
    assert "Nothing computed is lost" in err
    assert "Traceback" not in err
    result = workspace / "output" / "sweeps" / "activation" / "sweep.json"
    before = result.stat().st_mtime_ns
    # Still away: said before any work, and what is there stays there.
    with started(workspace, "activation", **address) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, (out, err)
    with server(folder, port), started(workspace, "activation", "--json", **address) as process:
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        (found,) = json.loads(out)["sweeps"]
        from mlflow import MlflowClient

        client = MlflowClient(address["MLFLOW_TRACKING_URI"])
        run = client.get_run(found["run"]["run_id"])
        experiment = run.info.experiment_id
        killed = [r for r in client.search_runs([experiment]) if r.data.tags.get("cut_off") == "true"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["phi"] == pytest.approx(found["phi"])
    assert len(killed) == 1
    assert result.stat().st_mtime_ns == before
