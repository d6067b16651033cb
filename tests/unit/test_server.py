"""The server behind `ui`: a real one over loopback, and stand-ins for what a real one seldom does."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments import server
from experiments.server import HOST, Server, free_port, links, newest_report, serve
from experiments.tracking import Store
from features.errors import StoreError, UsageError

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import sys
from pathlib import Path
from experiments.server import serve
from experiments.tracking import Store
serve(Store.of(Path(sys.argv[1]), "acme"))
"""


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A workspace with a training and two reviews in its record, and the reports of both."""
    workspace = tmp_path_factory.mktemp("work space")
    store = Store.of(workspace, "acme")
    with store.run("autumn", "train") as run:
        run.metrics({"auc": 0.7})
    for quarter in ("2024Q2", "2024Q3"):
        report = workspace / "output" / "reviews" / quarter / "review.html"
        report.parent.mkdir(parents=True)
        report.write_text(f"<h1>{quarter}</h1>")
        with store.run(quarter, "review") as run:
            run.file(report)
    with Store.of(workspace, "other").run("autumn", "train"):
        pass
    return store


@pytest.fixture
def served(reviewed: Store) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """`serve` in a process of its own, and the lines it has printed when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(reviewed.workspace)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.rstrip())
        if line.startswith("Ctrl-C"):
            break
    yield process, said
    if process.poll() is None:
        process.terminate()
        process.wait(20)
    process.communicate()


def descendants(pid: int) -> set[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = [(int(child), int(parent)) for child, parent in (line.split() for line in listed.splitlines())]
    found: set[int] = set()
    edge = {pid}
    while edge:
        edge = {child for child, parent in pairs if parent in edge}
        found |= edge
    return found


def still_alive(pids: set[int], seconds: float = 5.0) -> set[int]:
    """Those of the processes that are there after a moment of grace; zombies are not."""
    until = time.monotonic() + seconds
    while True:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)
        states = dict(line.split()[:2] for line in listed.stdout.splitlines())
        there = {pid for pid in pids if states.get(str(pid), "Z")[0] != "Z"}
        if not there or time.monotonic() > until:
            return there
        time.sleep(0.1)


def asked(url: str, body: object) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_the_pages_of_a_workspace_are_served_and_end_with_all_their_processes(
    reviewed: Store, served: tuple["subprocess.Popen[str]", list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, said = served
    train = reviewed.experiment("train").experiment_id
    url = next(line.strip() for line in said if f"/#/experiments/{train}/runs" in line).partition("/#/")[0]

    with urllib.request.urlopen(f"{url}/health", timeout=10) as response:
        assert response.status == 200
    found = asked(f"{url}/api/2.0/mlflow/experiments/search", {"max_results": 100})
    assert {"acme/train", "acme/review"} <= {experiment["name"] for experiment in found["experiments"]}
    runs = asked(f"{url}/api/2.0/mlflow/runs/search", {"experiment_ids": [train], "max_results": 10})
    assert [run["info"]["run_name"] for run in runs["runs"]] == ["autumn"]

    # The same server as a store of its own: runs go through it, and `serve` only points at it.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    remote = Store.of(reviewed.workspace, "acme")
    assert (remote.uri, remote.artifacts) == (url, None)
    with remote.run("winter", "train", params={"seed": 7}) as run:
        run.history([(step, {"phi": 0.1}) for step in range(1500)])
    assert run.links()["server"] == url
    assert reviewed.client.get_run(run.run_id).info.status == "FINISHED"
    assert len(reviewed.client.get_metric_history(run.run_id, "phi")) == 1500
    console = Console(file=io.StringIO(), width=40)
    serve(remote, console=console)
    assert f"{url}/#/experiments/{train}/runs?compareRunsMode=CHART\n" in console.file.getvalue()  # type: ignore[attr-defined]

    started = descendants(process.pid)
    assert len(started) >= 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert still_alive(started) == set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, int(url.rpartition(":")[2])), timeout=2)


def test_links_lead_to_the_runs_and_to_the_newest_review(reviewed: Store) -> None:
    found = {link.label: link.target for link in links(reviewed, "http://127.0.0.1:5000/")}
    review = reviewed.experiment("review").experiment_id
    newest = next(
        run for run in reviewed.client.search_runs([review]) if run.info.run_name == "2024Q3"
    ).info.run_id
    base = f"http://127.0.0.1:5000/#/experiments/{review}/runs"
    train = reviewed.experiment("train").experiment_id
    assert found == {
        "acme/review, runs": base,
        "acme/review, charts": f"{base}?compareRunsMode=CHART",
        "newest review": f"{base}/{newest}/artifacts/review.html",
        "acme/train, runs": f"http://127.0.0.1:5000/#/experiments/{train}/runs",
        "acme/train, charts": f"http://127.0.0.1:5000/#/experiments/{train}/runs?compareRunsMode=CHART",
        "newest report, as a file": str(reviewed.workspace / "output/reviews/2024Q3/review.html"),
    }


def test_a_workspace_without_reports_has_no_newest_one(tmp_path: Path) -> None:
    assert newest_report(tmp_path) is None


def test_a_port_that_is_taken_or_none_is_refused_with_a_remedy(tmp_path: Path) -> None:
    store = Store("acme", tmp_path, "sqlite://")
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"{port} cannot be used .*choose another") as error:
            Server(store, port)
        assert error.value.exit_code == 2
    with pytest.raises(UsageError, match="between 1 and 65535"):
        Server(store, 70000)
    free = free_port()
    assert Server(store, free).url == f"http://127.0.0.1:{free}"


def stands_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(Server, "_command", lambda _server: [sys.executable, "-c", code])


def wait_for_up(started: Server) -> None:
    until = time.monotonic() + 10
    while "up" not in started._last_words() and time.monotonic() < until:
        time.sleep(0.05)


def test_a_server_that_ends_while_it_starts_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands_in(monkeypatch, "raise SystemExit('disk full at postgresql://ann:secret@db/mlflow')")
    with (
        Server(Store("acme", tmp_path, "sqlite://")) as broken,
        pytest.raises(StoreError, match=r"ended while it started:\ndisk full at postgresql://\*\*\*@db"),
    ):
        broken.wait_until_ready()


def test_a_server_that_does_not_get_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands_in(monkeypatch, "import time; print('migrating', flush=True); time.sleep(60)")
    with (
        Server(Store("acme", tmp_path, "sqlite://")) as slow,
        pytest.raises(StoreError, match=r"(?s)did not answer within 1 seconds.*migrating"),
    ):
        slow.wait_until_ready(limit_seconds=1)
    assert not slow.is_running


def test_a_worker_that_will_not_end_is_ended_with_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    worker = f"{ignore}; import time; print('up', flush=True); time.sleep(60)"
    stands_in(
        monkeypatch,
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {worker!r}]); time.sleep(60)",
    )
    monkeypatch.setattr(server, "STOP_SECONDS", 1.0)
    others = descendants(os.getpid())
    with Server(Store("acme", tmp_path, "sqlite://")) as stubborn:
        wait_for_up(stubborn)
        started = descendants(os.getpid()) - others
    assert len(started) >= 2
    assert still_alive(started) == set()
    assert not stubborn.is_running


def test_a_server_is_asked_to_end_before_it_is_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands_in(
        monkeypatch,
        "import signal, time; from pathlib import Path\n"
        f"signal.signal(signal.SIGTERM, lambda *_: exit(Path({str(tmp_path / 'bye')!r}).touch()))\n"
        "print('up', flush=True); time.sleep(60)",
    )
    with Server(Store("acme", tmp_path, "sqlite://")) as polite:
        wait_for_up(polite)
    assert (tmp_path / "bye").exists()


def test_the_store_stays_off_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    private = Server(Store("acme", tmp_path, "postgresql://ann:secret@db/mlflow"))
    assert "secret" not in " ".join(private._command())
    environment = private._environment()
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://ann:secret@db/mlflow"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "MLFLOW_RUN_ID" not in environment
