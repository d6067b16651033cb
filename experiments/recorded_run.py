"""One run in the record: what a training, a sweep or a review writes down about itself."""

from __future__ import annotations

import math
import posixpath
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import logged_model
from experiments.addresses import asking, shown
from experiments.logged_model import ModelRecord
from features.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# The longest values and the longest key that MLflow takes. It splits long lists into calls itself.
LONGEST_TAG = 8000
LONGEST_PARAM = 6000
LONGEST_KEY = 250

_NOTE = "mlflow.note.content"
_SHORTENED = "\n\n*Shortened: the whole of it is the artifact `note.md`.*"


@dataclass
class Run:
    """An open run. Every method raises StoreError when the store is away or refuses.

    Account ids never enter the record: give tables and examples without them.
    """

    uri: str
    run_id: str
    experiment_id: str
    _note: str = field(default="", repr=False)
    _cautions: list[str] = field(default_factory=list, repr=False)

    def link(self) -> str:
        """The path of the run in MLflow's pages, such as `#/experiments/1/runs/8f3a`."""
        return f"#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def links(self) -> dict[str, str | None]:
        """What links.json keeps: the ids, the path, and the server's address where the store is a server."""
        server = shown(self.uri).rstrip("/") if self.uri.startswith(("http://", "https://")) else None
        return {
            "experiment_id": self.experiment_id,
            "run_id": self.run_id,
            "path": self.link(),
            "server": server,
        }

    def metrics(
        self, values: Mapping[str, float | None], step: int | None = None, *, model_id: str | None = None
    ) -> None:
        """Log numbers, linked to a model by `model_id`; None, NaN and infinity are left out, never made 0."""
        self._log_metrics(_metrics(values, step or 0, model_id))

    def history(self, steps: Iterable[tuple[int, Mapping[str, float | None]]]) -> None:
        """Log numbers at many steps, such as a quarter's index: the pages draw one line per name."""
        self._log_metrics([metric for step, values in steps for metric in _metrics(values, step, None)])

    def params(self, values: Mapping[str, object]) -> None:
        """Log parameters. MLflow never changes one: where another stands, ours becomes a tag `param.<key>`.

        `mlflow run` logs its parameters itself, as the strings that were typed.
        """
        from mlflow.entities import Param

        texts = {key: _text(value, LONGEST_PARAM) for key, value in _keyed(values).items()}
        with self._asking("log its parameters"):
            standing = self._client.get_run(self.run_id).data.params if texts else {}
            fresh = [Param(key, text) for key, text in texts.items() if key not in standing]
            self._client.log_batch(self.run_id, params=fresh)
        self.tags({f"param.{k}": text for k, text in texts.items() if standing.get(k, text) != text})

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags; one that stands already is replaced, None is left out."""
        from mlflow.entities import RunTag

        texts = {key: _text(value, LONGEST_TAG) for key, value in _keyed(values).items() if value is not None}
        with self._asking("set its tags"):
            self._client.log_batch(self.run_id, tags=[RunTag(key, text) for key, text in texts.items()])

    def note(self, markdown: str) -> None:
        """Set the text on the run's page, in Markdown; cautions about a logged model stay below it."""
        self._note = markdown
        whole = "\n\n".join(part for part in (markdown, *self._cautions) if part)
        if not whole:
            return
        if len(whole) > LONGEST_TAG:
            self.text(whole, "note.md")
            cut = whole[: LONGEST_TAG - len(_SHORTENED)]
            whole = (cut.rpartition("\n")[0] or cut) + _SHORTENED
        self.tags({_NOTE: whole})

    def table(self, table: pd.DataFrame, name: str) -> None:
        """Log a table as `name`, which ends in .json; the pages show it sortable. The index is left out."""
        if "account_id" in table.columns:
            raise DataError(
                f"the table {name} holds account_id, and account ids never enter the record: aggregate it, "
                "or write it to the workspace instead"
            )
        with self._asking(f"log the table {name}"):
            self._client.log_table(self.run_id, table, name)

    def figure(self, figure: Figure, name: str) -> None:
        """Log a figure as `name`, which ends in .png or .svg."""
        with self._asking(f"log the figure {name}"):
            self._client.log_figure(self.run_id, figure, name)

    def file(self, path: Path, artifact_path: str | None = None) -> None:
        """Log a file, or a folder with all that is in it, under the folder `artifact_path`."""
        with self._asking(f"log {path}"):
            if path.is_dir():
                self._client.log_artifacts(self.run_id, str(path), artifact_path)
            else:
                self._client.log_artifact(self.run_id, str(path), artifact_path)

    def text(self, text: str, name: str) -> None:
        """Log a text as the artifact `name`."""
        with self._asking(f"log {name}"):
            self._client.log_text(self.run_id, text, name)

    def dataset(
        self,
        table: pd.DataFrame,
        name: str,
        *,
        source: str,
        targets: str | None = None,
        context: str,
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """Log which table went in: columns, size and digest, not its rows; `context` such as "training"."""
        import mlflow
        from mlflow.data.pandas_dataset import from_pandas

        with self._as_active("log a dataset"), self._asking(f"log the dataset {name}"), _quiet_dataset():
            dataset = from_pandas(table, source=source, targets=targets, name=name)
            mlflow.log_input(
                dataset, context=context, tags={k: _text(v, LONGEST_TAG) for k, v in (tags or {}).items()}
            )

    def model(
        self,
        estimator: Any,
        X_example: pd.DataFrame,
        name: str,
        *,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        registered_name: str | None = None,
    ) -> ModelRecord:
        """Log a fitted classifier by `logged_model.log`; `metrics` go to the run, linked to the model.

        MLflow links a model to the metrics its run has already, too: log those of other models after it.
        A model that had to be saved with cloudpickle gets the tag `model.format` and a sentence in the note.
        Raises DataError for an estimator that cannot be a model of its own.
        """
        with self._as_active("log a model"), self._asking(f"log the model {name}"):
            record = logged_model.log(
                estimator, X_example, name, params=params, registered_name=registered_name
            )
        self.metrics(metrics or {}, model_id=record.model_id)
        self.tags({"model.format": record.format})
        if record.caution:
            self._cautions.append(record.caution)
            self.note(self._note)
        return record

    @property
    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(self.uri, registry_uri=self.uri)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with asking(self.uri, f"{what} (run {self.run_id})"):
            yield

    @contextmanager
    def _as_active(self, what: str) -> Iterator[None]:
        """MLflow gives models and datasets to the run it holds active: refuse to give them to a child."""
        import mlflow

        active = mlflow.active_run()
        if active is None or active.info.run_id != self.run_id:
            raise UsageError(
                f"cannot {what}: the run {self.run_id} is not the one that is open; end the other first"
            )
        yield

    def _log_metrics(self, metrics: Sequence[Metric]) -> None:
        with self._asking("log its metrics"):
            self._client.log_batch(self.run_id, metrics=metrics)


def key_of(name: str) -> str:
    """The name as MLflow accepts it for a metric, parameter or tag, in 250 characters: `p(a)` becomes `p_a_`.

    Allowed are letters, digits and `_ - . : /` and space; slashes make groups, and may not lead out of one.
    """
    key = re.sub(r"[^/\w.\- :]", "_", name)[:LONGEST_KEY] or "_"
    # MLflow takes names for paths: "a//b", "./a", "..", "/a" are refused.
    if posixpath.normpath(key) != key or key.startswith(("/", "..")) or key == ".":
        key = re.sub(r"^\.+", "_", key.replace("/", "_"))
    return key


def _keyed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under names that MLflow accepts. Raises DataError where two names become one."""
    keyed: dict[str, Any] = {}
    for name, value in values.items():
        key = key_of(name)
        if key in keyed:
            raise DataError(
                f"two names in the record become {key!r}, one of them {name!r}: rename one of them"
            )
        keyed[key] = value
    return keyed


def _metrics(values: Mapping[str, float | None], step: int, model_id: str | None) -> list[Metric]:
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    return [
        Metric(key, float(value), now, step, model_id=model_id)
        for key, value in _keyed(values).items()
        if value is not None and math.isfinite(value)
    ]


def _text(value: object, most: int) -> str:
    """A value as text of at most `most` characters; MLflow shows an empty one as nothing at all: it gets a word."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "none" if value is None or value == "" else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


@contextmanager
def _quiet_dataset() -> Iterator[None]:
    """Silence what MLflow says about every table: what kind of source, and integers that could be missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*interpreted in multiple ways", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*integer column", category=UserWarning)
        warnings.filterwarnings("ignore", module=r"mlflow\.|pandas\.")
        yield
