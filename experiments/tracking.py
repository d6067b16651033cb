"""The record of runs in MLflow: a store per workspace, a run per training, sweep, review or milestone.

MLflow is the record, never the transport: results are found under WORKSPACE/output, and nothing is read back
from here but the registry's alias `champion` and the tags that mark a run as superseded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from experiments.addresses import asking, knock, shown, sqlite_path, sqlite_uri, try_writing
from experiments.logged_model import ModelRecord, registry_name
from experiments.mlflow_environment import briefly, settle, using
from experiments.recorded_run import Run
from features.errors import StoreError, UsageError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

Kind = Literal["train", "sweep", "tune", "review", "milestones"]

__all__ = ["ModelRecord", "Run", "Store"]

CHAMPION = "champion"
SUPERSEDED = "superseded"
CUT_OFF = "cut_off"

NOTES: dict[Kind, str] = {
    "train": "Retention models: one run per training, with its metrics, ranking of features and model.",
    "sweep": "Threshold sweeps: one run per milestone and sweep; its grid is a table among the artifacts, its shortlisted "
    "cuts are its child runs: select them and compare.",
    "tune": "Joint definitions: one run per search, its trials a table; the definitions on its front are runs below it.",
    "review": "Framework reviews: one run per quarter, with the report that the meeting reads.",
    "milestones": "How predictive each milestone has been: one run per milestone and version, a step per "
    f"quarter. Runs tagged {SUPERSEDED} have a fresher one.",
}

_LOCK_SECONDS = 120


@dataclass(frozen=True)
class Store:
    """Where the runs of one product are recorded: the tracking URI, which is the registry's too.

    `artifacts` is the file URI that new experiments keep their files under; None where the store decides.
    """

    product: str
    workspace: Path
    uri: str
    artifacts: str | None = None

    @classmethod
    def of(cls, workspace: Path, product: str) -> Store:
        """The store at MLFLOW_TRACKING_URI, else `mlflow.db` and `mlartifacts` in the workspace; opened once.

        Raises StoreError when it does not answer within some seconds, or cannot be written.
        """
        settle()
        workspace = workspace.resolve()
        own = sqlite_uri(workspace / "mlflow.db")
        # While a run is open MLflow names its store in the environment: our own there is nobody's wish.
        uri = os.environ.get("MLFLOW_TRACKING_URI") or own
        store = cls(product, workspace, uri, (workspace / "mlartifacts").as_uri() if uri == own else None)
        store._open()
        return store

    @property
    def client(self) -> MlflowClient:
        """MLflow's client for this store."""
        from mlflow import MlflowClient

        return MlflowClient(self.uri, registry_uri=self.uri)

    @property
    def is_server(self) -> bool:
        """Whether the store is a server with pages of its own to look at."""
        return self.uri.startswith(("http://", "https://"))

    @contextmanager
    def run(
        self,
        name: str,
        kind: Kind,
        *,
        note: str = "",
        tags: Mapping[str, object] | None = None,
        params: Mapping[str, object] | None = None,
        nested: bool = False,
    ) -> Iterator[Run]:
        """Open a run of the experiment `<product>/<kind>`; it ends FINISHED, FAILED, or KILLED by Ctrl-C.

        Under `mlflow run`, which opens a run first, the first run of the process joins that one.
        Raises StoreError when the store refuses, UsageError when another run is open and `nested` is False.
        """
        with using(self.uri):
            run = self._start(name, kind, nested)
            status = "FINISHED"
            try:
                run.tags({"product": self.product, "kind": kind, **(tags or {})})
                run.params(params or {})
                run.note(note)
                yield run
            except BaseException as error:
                status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
                raise
            finally:
                self._end(run, status)

    def links(self, run_id: str) -> dict[str, str | None] | None:
        """What links.json keeps of a run that was recorded earlier; None where this store does not have it."""
        from mlflow.exceptions import MlflowException

        with self.asking(f"look up the run {run_id}"):
            try:
                found = self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
        return Run(self.uri, run_id, found.info.experiment_id).links()

    def mark_killed(self, run_id: str) -> None:
        """Mark a run that a process left open when it was cut off; one that was deleted since is none."""
        from mlflow.exceptions import MlflowException

        with self.asking(f"mark the run {run_id} as killed"):
            try:
                if self.client.get_run(run_id).info.status != "RUNNING":
                    return
                self.client.set_tag(run_id, CUT_OFF, "true")
                self.client.set_terminated(run_id, "KILLED")
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise

    def set_champion(self, name: str, version: str) -> None:
        """Point the alias `champion` of the registered model at a version."""
        with self.asking(f"set the champion of {name}"):
            self.client.set_registered_model_alias(registry_name(name), CHAMPION, version)

    def champion(self, name: str) -> str | None:
        """The version that the alias `champion` points at; None where there is no such model or alias."""
        from mlflow.exceptions import MlflowException

        with self.asking(f"look up the champion of {name}"):
            try:
                return str(self.client.get_model_version_by_alias(registry_name(name), CHAMPION).version)
            except MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

    def supersede(self, kind: Kind, tags: Mapping[str, object]) -> int:
        """Tag the runs of an experiment that bear all of `tags` as superseded; returns how many were not yet.

        Called before a fresh run of the same milestone and version is written: charts can leave the old out.
        """
        wanted = {key: str(value) for key, value in tags.items()}
        with self.asking(f"mark earlier runs of {self.product}/{kind} as superseded"):
            client = self.client
            experiment = client.get_experiment_by_name(f"{self.product}/{kind}")
            if experiment is None:
                return 0
            marked, page = 0, None
            while True:
                # Compared here: MLflow's filter has no way to write a quote within a value.
                found = client.search_runs([experiment.experiment_id], max_results=1000, page_token=page)
                for run in found:
                    bears = wanted.items() <= run.data.tags.items()
                    if bears and run.data.tags.get(SUPERSEDED) != "true":
                        client.set_tag(run.info.run_id, SUPERSEDED, "true")
                        marked += 1
                page = found.token
                if not page:
                    return marked

    def experiment(self, kind: Kind) -> Experiment:
        """The experiment `<product>/<kind>`, made if it is not there. Raises StoreError if it was deleted."""
        from mlflow.exceptions import MlflowException

        name = f"{self.product}/{kind}"
        with self.asking(f"open the experiment {name}"):
            client = self.client
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                location = f"{self.artifacts}/{kind}" if self.artifacts else None
                try:
                    client.create_experiment(name, location, tags={"mlflow.note.content": NOTES[kind]})
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":  # made by another process just now
                        raise
                experiment = client.get_experiment_by_name(name)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise StoreError(
                f"the experiment {name} was deleted in {shown(self.uri)}: bring it back with `mlflow "
                "experiments restore`, or give the framework another name"
            )
        self._refuse_elsewhere(experiment)
        return experiment

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn what MLflow raises when the store is away or refuses into a StoreError."""
        with asking(self.uri, what):
            yield

    def _open(self) -> None:
        """Create or check the database, or knock at the server."""
        from filelock import FileLock

        with self.asking("open it"):
            database = sqlite_path(self.uri)
            if database is None:
                with briefly():
                    knock(self.uri)
                    self.client.search_experiments(max_results=1)
                return
            if not database.parent.is_dir():
                raise NotADirectoryError(f"{database.parent} is not a folder")
            # Of two processes that create the same database together, one would die.
            with FileLock(f"{database}.lock", timeout=_LOCK_SECONDS):
                try_writing(database)
                self.client.search_experiments(max_results=1)
                self.client.search_registered_models(max_results=1)

    def _start(self, name: str, kind: Kind, nested: bool) -> Run:
        import mlflow

        if mlflow.active_run() is not None and not nested:
            raise UsageError(
                f"the run {name} cannot start while another is open: end that with mlflow.end_run()"
            )
        # Under `mlflow run` the experiment was chosen by the caller; setting another is an error in MLflow.
        joins = "MLFLOW_RUN_ID" in os.environ
        experiment_id = None if joins else self.experiment(kind).experiment_id
        with self.asking(f"start the run {name}"):
            started = mlflow.start_run(experiment_id=experiment_id, run_name=name, nested=nested)
        return Run(self.uri, started.info.run_id, started.info.experiment_id)

    def _end(self, run: Run, status: str) -> None:
        import mlflow

        try:
            with self.asking(f"end the run {run.run_id}"):
                mlflow.end_run(status)
        except StoreError as away:
            if status == "FINISHED":
                raise
            logging.getLogger(__name__).warning("%s", away)  # the failure that is on its way up matters more

    def _refuse_elsewhere(self, experiment: Experiment) -> None:
        """MLflow keeps absolute paths: in a copied workspace it would write into the original."""
        location = experiment.artifact_location
        if self.artifacts and location.startswith("file:") and not location.startswith(f"{self.artifacts}/"):
            raise StoreError(
                f"the experiment {experiment.name} keeps its files in {unquote(location)}, outside the "
                f"workspace {self.workspace}, which was moved or copied: move it back, or move "
                "its mlflow.db away to begin a fresh record"
            )
