"""MLflow's pages on this machine: a light server over the store, and links straight to what matters."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from rich.console import Console

from experiments.addresses import shown
from experiments.tracking import SUPERSEDED
from features.errors import StoreError, UsageError

if TYPE_CHECKING:
    from experiments.tracking import Store

HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 8.0
REPORT = "review.html"
CURRENT = "searchFilter=" + quote(f"tags.{SUPERSEDED} = 'false'")


@dataclass(frozen=True)
class Link:
    """What a link leads to, in words, and where: a URL or the path of a file."""

    label: str
    target: str


class Server:
    """An MLflow server over a store, on loopback, as long as the `with` block lasts.

    It runs in a session of its own, so that ending it ends its workers with it.
    """

    def __init__(self, store: Store, port: int | None = None) -> None:
        self.port = free_port() if port is None else _unused(port)
        self.url = f"http://{HOST}:{self.port}"
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Server:
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                self._command(),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            _end_group(self._process)
        if self._log is not None:
            self._log.close()

    def wait_until_ready(self, limit_seconds: float = START_SECONDS) -> None:
        """Return when the server answers. Raises StoreError if it ends or the limit passes before."""
        until = time.monotonic() + limit_seconds
        while time.monotonic() < until:
            if not self.is_running:
                raise StoreError(f"the MLflow server ended while it started:\n{self._last_words()}")
            if _answers(f"{self.url}/health"):
                return
            time.sleep(0.2)
        raise StoreError(
            f"the MLflow server at {self.url} did not answer within {limit_seconds:.0f} seconds; "
            f"its last words were:\n{self._last_words()}"
        )

    def wait_until_ended(self) -> None:
        """Return never, but for an exception: Ctrl-C, or StoreError when the server ends by itself."""
        if self._process is not None:
            self._process.wait()
        raise StoreError(f"the MLflow server ended by itself:\n{self._last_words()}")

    @property
    def is_running(self) -> bool:
        """Whether the server's first process is alive."""
        return self._process is not None and self._process.poll() is None

    def _command(self) -> list[str]:
        root = (self._store.workspace / "mlartifacts").as_uri()
        listen = ["--host", HOST, "--port", str(self.port), "--workers", "1"]
        return [sys.executable, "-m", "mlflow", "server", "--default-artifact-root", root, *listen]

    def _environment(self) -> dict[str, str]:
        """One worker and no job runner take 0.6 GB and 2 processes instead of 2.6 GB and 14.

        The store goes in here and not on the command line, where anybody could read a password in it.
        """
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        return kept | {
            "MLFLOW_BACKEND_STORE_URI": self._store.uri,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": kept.get("MLFLOW_DISABLE_TELEMETRY", "true"),
        }

    def _last_words(self, lines: int = 8) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace")
        return shown("\n".join(text.strip().splitlines()[-lines:]))


_NOT_INHERITED = frozenset(
    {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"}
)


def serve(
    store: Store,
    port: int | None = None,
    open_browser: bool = False,
    console: Console | None = None,
    as_json: bool = False,
) -> None:
    """Start a server over the record, print links, stay until Ctrl-C or SIGTERM; link only to an http store.

    Raises UsageError if the port is taken, StoreError if the server does not start.
    """
    console = console or Console(stderr=as_json)
    if store.is_server:
        _show(console, shown(store.uri), links(store, shown(store.uri)), open_browser, as_json)
        return
    with _terminated_as_interrupted():
        try:
            with Server(store, port) as server:
                with console.status(f"Starting MLflow at {server.url}"):
                    server.wait_until_ready()
                _show(console, server.url, links(store, server.url), open_browser, as_json)
                console.print("Ctrl-C ends it.")
                server.wait_until_ended()
        except KeyboardInterrupt:
            console.print("MLflow has ended.")


def links(store: Store, base: str) -> list[Link]:
    """Where to look: the product's experiments as lists and as charts, the newest review, its file."""
    base = base.rstrip("/")
    found = []
    with store.asking("list its experiments"):
        client = store.client
        mine = [e for e in client.search_experiments() if e.name.startswith(f"{store.product}/")]
        for experiment in sorted(mine, key=lambda e: e.name):
            runs = f"{base}/#/experiments/{experiment.experiment_id}/runs"
            # Of a milestone's history each review writes a fresh copy: show the newest alone.
            only = CURRENT if experiment.name.endswith("/milestones") else ""
            found += [
                Link(f"{experiment.name}, runs", f"{runs}?{only}".rstrip("?")),
                Link(
                    f"{experiment.name}, charts", f"{runs}?{only}{'&' if only else ''}compareRunsMode=CHART"
                ),
            ]
            if experiment.name.endswith("/review"):
                newest = client.search_runs([experiment.experiment_id], max_results=1)
                found += [Link("newest review", f"{runs}/{r.info.run_id}/artifacts/{REPORT}") for r in newest]
    report = newest_report(store.workspace)
    return [*found, *([Link("newest report, as a file", str(report))] if report else [])]


def newest_report(workspace: Path) -> Path | None:
    """The report of the latest quarter that has one, WORKSPACE/output/reviews/<quarter>/review.html."""
    return max(
        (workspace / "output" / "reviews").glob(f"*/{REPORT}"), key=lambda p: p.parent.name, default=None
    )


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _unused(port: int) -> int:
    """The port, if one can listen on it. Raises UsageError."""
    if not 1 <= port <= 65535:
        raise UsageError(f"the port {port} is not between 1 and 65535: leave --port out to get a free one")
    with socket.socket() as probe:
        # As the server does, so that a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"the port {port} cannot be used ({error.strerror}): choose another, or leave --port out to "
                "get a free one"
            ) from error
    return port


def _answers(url: str) -> bool:
    # Loopback is never behind a proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process politely, and then whatever is left of all that it started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # The group outlives its first process as long as a worker does, so its number is not another's yet.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _show(console: Console, url: str, found: list[Link], open_browser: bool, as_json: bool) -> None:
    if as_json:
        answer = {"url": url, "links": [{"label": link.label, "target": link.target} for link in found]}
        sys.stdout.write(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        console.print(f"MLflow: {url}", soft_wrap=True, highlight=False, markup=False)
        for link in found:
            console.print(f"{link.label}:", style="bold")
            console.print(f"  {link.target}", soft_wrap=True, highlight=False, markup=False)
    pages = [link.target for link in found if link.target.startswith("http")]
    if open_browser and pages:
        webbrowser.open(pages[0])


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the server ends too."""

    def interrupt(_sign: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
