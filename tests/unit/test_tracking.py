"""The record of runs on real SQLite stores: what is written, what is refused, where a model loads."""

import json
import math
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from experiments.addresses import asking, knock, shown, sqlite_path, sqlite_uri
from experiments.logged_model import TRUSTED_TYPES, example_rows
from experiments.recorded_run import LONGEST_TAG, key_of
from experiments.tracking import Run, Store
from features.errors import DataError, StoreError, UsageError
from features.workspace import write_text

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, made once: making one takes seconds."""
    folder = tmp_path_factory.mktemp("template")
    Store.of(folder, "template")
    return folder / "mlflow.db"


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Store:
    shutil.copy(template, tmp_path / "mlflow.db")
    return Store.of(tmp_path, "acme")


@pytest.fixture(scope="module")
def matrix() -> tuple[pd.DataFrame, "pd.Series[int]"]:
    """200 accounts, one whole-number feature and one with holes; who logs in more stays more."""
    rng = np.random.default_rng(7)
    logins = rng.poisson(5, 200)
    seats = rng.normal(10, 2, 200)
    seats[::9] = np.nan
    retained = (logins + rng.normal(0, 2, 200) > 5).astype(int)
    return pd.DataFrame({"logins_30d": logins, "seats": seats}), pd.Series(retained, name="retained")


def stored(store: Store, run: Run) -> Any:
    return store.client.get_run(run.run_id)


def artifacts(store: Store, run: Run, path: str | None = None) -> set[str]:
    return {artifact.path for artifact in store.client.list_artifacts(run.run_id, path)}


# --- where the store is


def test_a_store_is_the_database_and_the_folder_of_the_workspace(store: Store, tmp_path: Path) -> None:
    assert store.uri == f"sqlite:///{tmp_path}/mlflow.db"
    with store.run("first", "train") as run:
        run.text("hello", "greeting.txt")
    assert store.client.get_experiment(run.experiment_id).name == "acme/train"
    found = list((tmp_path / "mlartifacts" / "train").rglob("greeting.txt"))
    assert [path.read_text() for path in found] == ["hello"]
    assert not (Path.cwd() / "mlruns" / run.experiment_id).exists()


@pytest.mark.parametrize("name", ["a b", "50%", "a%20b", "c#1", "what?", "Zoë"])
def test_a_workspace_may_be_called_anything(template: Path, tmp_path: Path, name: str) -> None:
    workspace = tmp_path / name
    workspace.mkdir()
    shutil.copy(template, workspace / "mlflow.db")
    store = Store.of(workspace, "acme")
    with store.run("first", "train") as run:
        run.text("hello", "greeting.txt")
    assert sqlite_path(store.uri) == workspace / "mlflow.db"
    assert stored(store, run).info.status == "FINISHED"
    assert list((workspace / "mlartifacts").rglob("greeting.txt"))
    # No file was written beside it under a name that was read differently.
    assert [p for p in tmp_path.rglob("*") if p.is_file() and workspace not in p.parents] == []


def test_the_tracking_uri_of_the_user_comes_first(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(template, tmp_path / "team.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(tmp_path / "team.db"))
    store = Store.of(tmp_path, "acme")
    assert store.uri == sqlite_uri(tmp_path / "team.db")
    assert store.artifacts is None
    assert not (tmp_path / "mlflow.db").exists()


def test_a_run_leaves_no_trace_in_the_environment(store: Store, template: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(template, other / "mlflow.db")
    with store.run("first", "train"):
        # MLflow has put the address there; the same workspace is still known as its own.
        assert os.environ["MLFLOW_TRACKING_URI"] == store.uri
        assert Store.of(tmp_path, "acme") == store
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert "MLFLOW_REGISTRY_URI" not in os.environ
    assert Store.of(other, "acme").uri == sqlite_uri(other / "mlflow.db")


def test_a_copied_workspace_does_not_write_into_the_original(store: Store, tmp_path: Path) -> None:
    with store.run("first", "train"):
        pass
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "mlflow.db", copy / "mlflow.db")
    with (
        pytest.raises(StoreError, match="moved or copied"),
        Store.of(copy, "acme").run("second", "train"),
    ):
        pass


def test_a_deleted_experiment_says_how_to_get_it_back(store: Store) -> None:
    store.client.delete_experiment(store.experiment("train").experiment_id)
    with pytest.raises(StoreError, match="mlflow experiments restore"), store.run("first", "train"):
        pass


def a_missing_folder(folder: Path) -> Path:
    return folder / "nowhere"


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


def a_database_that_is_a_folder(folder: Path) -> Path:
    (folder / "mlflow.db").mkdir()
    return folder


def a_database_that_is_none(folder: Path) -> Path:
    (folder / "mlflow.db").write_text("not a database, but text that is long enough to be looked at\n" * 20)
    return folder


@pytest.mark.parametrize(
    "broken", [a_missing_folder, a_file, a_database_that_is_a_folder, a_database_that_is_none]
)
def test_a_workspace_that_cannot_be_written_is_a_store_error(
    tmp_path: Path, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = broken(tmp_path)
    # It is seen before MLflow is asked, which would try again for a hundred seconds.
    monkeypatch.setattr("mlflow.store.db.utils.create_sqlalchemy_engine_with_retry", None)
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_URI") as error:
        Store.of(workspace, "acme")
    assert str(workspace) in str(error.value)
    assert error.value.exit_code == 3


def test_a_database_of_another_version_is_a_store_error_that_says_what_to_do(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        database.execute("INSERT INTO alembic_version VALUES ('deadbeef1234')")
        database.commit()
    with pytest.raises(StoreError, match=r"deadbeef1234.*move the file away"):
        Store.of(tmp_path, "acme")


def test_a_run_that_the_store_does_not_have_has_no_links(store: Store) -> None:
    assert store.links("0" * 32) is None


def test_a_server_that_is_away_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_URI") as error:
        Store.of(tmp_path, "acme")
    assert "127.0.0.1:9" in str(error.value)
    assert "secret" not in str(error.value)
    # The patience of the first knock does not last: a long upload has longer than that.
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"


def test_a_server_that_never_answers_is_asked_once_for_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StoreError, match="read timeout=5"):
            Store.of(tmp_path, "acme")
        silent.settimeout(0.1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_a_database_server_that_is_away_is_found_out_at_once() -> None:
    # MLflow alone would ask ten times; where no driver is installed, the answer is its name.
    with (
        pytest.raises(StoreError, match="MLFLOW_TRACKING_URI"),
        asking("postgresql://127.0.0.1:9/mlflow", "open it"),
    ):
        knock("postgresql://127.0.0.1:9/mlflow")
    knock("http://127.0.0.1:9")


def test_two_processes_may_create_the_store_together(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from experiments.tracking import Store\n"
        "store = Store.of(Path(sys.argv[1]), 'acme')\n"
        "with store.run(sys.argv[2], 'train') as run: run.metrics({'auc': 0.7})\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), name],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [out for out, _ in said] == ["", ""]
    store = Store.of(tmp_path, "acme")
    runs = store.client.search_runs([store.experiment("train").experiment_id])
    assert {run.info.run_name for run in runs} == {"one", "two"}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_addresses_go_there_and_back_and_hide_passwords() -> None:
    assert sqlite_uri(Path("/w/a b/mlflow.db")) == "sqlite:////w/a b/mlflow.db"
    assert sqlite_path("sqlite:///relative.db?timeout=5") == Path("relative.db")
    assert sqlite_path("sqlite:///:memory:") is None
    assert sqlite_path("sqlite://") is None
    assert sqlite_path("postgresql://u:p@h/db") is None
    assert shown("postgresql://u:p@h/db") == "postgresql://***@h/db"


# --- what a run writes down


def test_a_run_keeps_what_it_was_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>")
    with store.run(
        "autumn",
        "review",
        note="**Held**",
        tags={"seed": 7, "framework.version": "2", "x": None},
        params={"w": ""},
    ) as run:
        run.metrics({"auc": 0.75, "lift": None, "gain": math.nan, "ratio": math.inf})
        run.table(pd.DataFrame({"cut": [1, 2], "phi": [0.1, np.nan]}), "grid.json")
        run.figure(Figure(), "curve.svg")
        run.figure(Figure(), "figures/curve.png")
        run.file(tmp_path / "report.html")
    found = stored(store, run)
    assert found.info.run_name == "autumn"
    assert found.data.metrics == {"auc": 0.75}
    assert found.data.params == {"w": "none"}
    assert found.data.tags["mlflow.note.content"] == "**Held**"
    assert found.data.tags["seed"] == "7"
    assert (found.data.tags["product"], found.data.tags["kind"]) == ("acme", "review")
    assert "x" not in found.data.tags
    assert artifacts(store, run) == {"grid.json", "curve.svg", "figures", "report.html"}
    assert run.link() == f"#/experiments/{run.experiment_id}/runs/{run.run_id}"
    assert run.links() == {
        "experiment_id": run.experiment_id,
        "run_id": run.run_id,
        "path": run.link(),
        "server": None,
    }


def test_a_history_of_more_than_one_call_keeps_every_step(store: Store) -> None:
    with store.run("grid", "sweep") as run:
        run.history(
            [(step, {"phi": step / 1000, "n": math.nan if step == 3 else 1.0}) for step in range(700)]
        )
    history = store.client.get_metric_history(run.run_id, "phi")
    assert [(point.step, point.value) for point in history] == [(s, s / 1000) for s in range(700)]
    assert {point.step for point in store.client.get_metric_history(run.run_id, "n")} == {*range(700)} - {3}


def test_more_parameters_and_tags_than_one_call_takes(store: Store) -> None:
    many = {f"k{i}": i for i in range(150)}
    with store.run("many", "train", params=many, tags=many) as run:
        pass
    assert len(stored(store, run).data.params) == 150
    assert many.keys() <= stored(store, run).data.tags.keys()


def test_a_parameter_too_long_for_the_store_ends_in_an_ellipsis(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store.run("long", "train", params={"rule": "x" * 7000, "fits": "y" * 6000}) as run:
        pass
    data = stored(store, run).data
    assert data.params == {"rule": "x" * 5999 + "…", "fits": "y" * 6000}
    assert "truncated" not in caplog.text


def test_a_parameter_that_stands_is_kept_and_the_other_value_becomes_a_tag(store: Store) -> None:
    with store.run("one", "train", params={"seed": "7", "horizon": "180"}) as run:
        run.params({"seed": 7, "horizon": 90, "fresh": True})
    data = stored(store, run).data
    assert data.params == {"seed": "7", "horizon": "180", "fresh": "true"}
    assert data.tags["param.horizon"] == "90"
    assert "param.seed" not in data.tags


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("auc", "auc"),
        ("p(reached | retained)", "p_reached _ retained_"),
        ("importance/logins_30d", "importance/logins_30d"),
        ("share %", "share _"),
        ("/rooted", "_rooted"),
        ("a//b", "a__b"),
        ("../up", "__up"),
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        ("x" * 300, "x" * 250),
        ("Zoë", "Zoë"),
    ],
)
def test_a_name_becomes_one_that_mlflow_accepts(store: Store, name: str, key: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    assert key_of(name) == key
    _validate_metric_name(key)  # type: ignore[no-untyped-call]


def test_two_names_that_become_one_are_refused(store: Store) -> None:
    with store.run("one", "train") as run, pytest.raises(DataError, match=r"p_a_.*rename"):
        run.metrics({"p(a)": 1.0, "p[a]": 2.0})


def test_a_long_note_is_shortened_and_kept_whole_as_an_artifact(store: Store) -> None:
    whole = "\n".join(f"line {i}" for i in range(2000))
    with store.run("one", "train") as run:
        run.note(whole)
    note = stored(store, run).data.tags["mlflow.note.content"]
    assert len(note) <= LONGEST_TAG
    assert note.startswith("line 0\nline 1\n")
    assert note.endswith("the artifact `note.md`.*")
    assert artifacts(store, run) == {"note.md"}


def test_account_ids_do_not_enter_a_table(store: Store) -> None:
    with store.run("one", "train") as run, pytest.raises(DataError, match="account_id"):
        run.table(pd.DataFrame({"account_id": ["a1"], "risk": [0.2]}), "scores.json")
    assert artifacts(store, run) == set()


def test_a_dataset_is_described_and_not_copied(
    store: Store, matrix: tuple[pd.DataFrame, "pd.Series[int]"]
) -> None:
    X, y = matrix
    with store.run("one", "train") as run:
        run.dataset(
            X.assign(retained=y),
            "features_2024Q3",
            source="output/features/matrix.parquet",
            targets="retained",
            context="training",
            tags={"as_of": "2024-07-01"},
        )
    (given,) = stored(store, run).inputs.dataset_inputs
    assert given.dataset.name == "features_2024Q3"
    assert {tag.key: tag.value for tag in given.tags} == {
        "as_of": "2024-07-01",
        "mlflow.data.context": "training",
    }
    assert artifacts(store, run) == set()


# --- how a run ends


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("boom"), "FAILED"), (SystemExit(1), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_run_that_breaks_says_so_and_lets_the_error_pass(
    store: Store, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), store.run("one", "train") as run:
        raise error
    assert stored(store, run).info.status == status
    assert mlflow.active_run() is None


def test_a_second_run_while_one_is_open_has_to_be_nested(store: Store) -> None:
    with store.run("parent", "sweep") as parent:
        with pytest.raises(UsageError, match="another is open"), store.run("stray", "sweep"):
            pass
        with store.run("finalist", "sweep", nested=True) as child:
            with pytest.raises(UsageError, match="end the other"):
                parent.dataset(pd.DataFrame({"x": [1.0]}), "d", source="s", context="training")
            parent.metrics({"phi": 0.4})
    assert stored(store, child).data.tags["mlflow.parentRunId"] == parent.run_id
    assert stored(store, parent).data.metrics == {"phi": 0.4}
    assert stored(store, child).data.metrics == {}
    assert {stored(store, run).info.status for run in (parent, child)} == {"FINISHED"}


def test_under_mlflow_run_the_first_run_joins_the_given_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `mlflow run . -e train -P seed=7` makes a run in another experiment and logs its parameters as typed.
    elsewhere = store.client.create_experiment("Projects", f"{store.artifacts}/projects")
    given = store.client.create_run(elsewhere, tags={"mlflow.source.type": "PROJECT"})
    store.client.log_param(given.info.run_id, "seed", "07")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", elsewhere)
    joined = Store.of(store.workspace, "acme")
    with joined.run("autumn", "train", params={"seed": 7, "horizon": 180}, tags={"seed": 7}) as run:
        run.metrics({"auc": 0.7})
    assert store.client.get_experiment_by_name("acme/train") is None
    with joined.run("second", "train") as second:
        pass
    found = stored(store, run)
    assert (run.run_id, run.experiment_id) == (given.info.run_id, elsewhere)
    assert found.data.params == {"seed": "07", "horizon": "180"}
    assert found.data.tags["param.seed"] == "7"
    assert found.data.tags["mlflow.source.type"] == "PROJECT"
    assert (found.info.status, found.info.run_name) == ("FINISHED", "autumn")
    assert second.run_id != run.run_id
    assert store.client.get_experiment(second.experiment_id).name == "acme/train"


def test_a_given_run_that_is_not_there_is_a_store_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(StoreError, match="not found"), store.run("one", "train"):
        pass
    assert mlflow.active_run() is None


# --- models and the registry


class Coin(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of a user's own, which skops does not know."""

    def fit(self, X: Any, y: Any) -> "Coin":
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return self.classes_[np.zeros(len(X), dtype=int)]

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), 0.5)


LOAD = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1])
X = pd.read_parquet(sys.argv[2])
models = {name: mlflow.pyfunc.load_model(f"models:/{name}/1") for name in sys.argv[3:]}
found = {name: model.predict(X).tolist() for name, model in models.items()}
print(json.dumps(found))
ours = {"features", "models", "experiments", "reports", "milestones"} & set(sys.modules)
assert not ours, ours
"""


def test_a_logged_model_loads_without_this_repository_and_gives_the_same_risk(
    store: Store,
    matrix: tuple[pd.DataFrame, "pd.Series[int]"],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    X, y = matrix
    estimators = {
        "forest": make_pipeline(SimpleImputer(), RandomForestClassifier(10, random_state=0)),
        "logit": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        "boosted": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    }
    records = {}
    with store.run("one", "train") as run:
        for name, estimator in estimators.items():
            records[name] = run.model(
                estimator.fit(X, y),
                X,
                name,
                params={"seed": 0},
                metrics={f"auc_{name}": 0.7},
                registered_name=f"acme-{name}",
            )
    assert capfd.readouterr() == ("", "")
    assert {(r.version, r.format, r.caution) for r in records.values()} == {("1", "skops", "")}
    logged = store.client.get_logged_model(records["forest"].model_id)
    assert {metric.key: metric.value for metric in logged.metrics or []} == {"auc_forest": 0.7}
    assert stored(store, run).data.metrics == {f"auc_{name}": 0.7 for name in estimators}

    later = X.head(20).astype("float64")
    later.loc[0, "logins_30d"] = np.nan  # a whole number when the model was trained, unknown today
    later.to_parquet(tmp_path / "later.parquet")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | {
        "PYTHONPATH": "",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    names = [f"acme-{name}" for name in estimators]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, store.uri, str(tmp_path / "later.parquet"), *names],
        cwd="/",
        env=clean,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, estimator in estimators.items():
        assert np.allclose(found[f"acme-{name}"], estimator.predict_proba(later), rtol=0, atol=1e-12)


def test_the_champion_is_an_alias_and_everything_works_without_one(
    store: Store, matrix: tuple[pd.DataFrame, "pd.Series[int]"]
) -> None:
    X, y = matrix
    assert store.champion("acme/retained") is None
    with store.run("one", "train") as run:
        for _ in range(2):
            record = run.model(Coin().fit(X, y), X, "coin", registered_name="acme/retained")
    assert record.version == "2"
    assert store.champion("acme/retained") is None
    store.set_champion("acme/retained", "1")
    store.set_champion("acme/retained", "2")
    assert store.champion("acme/retained") == "2"
    with pytest.raises(StoreError, match="champion"):
        store.set_champion("acme/retained", "9")


def test_an_estimator_that_skops_refuses_is_saved_with_a_caution(
    store: Store, matrix: tuple[pd.DataFrame, "pd.Series[int]"]
) -> None:
    X, y = matrix
    with store.run("one", "train", note="before") as run:
        record = run.model(Coin().fit(X, y), X, "coin")
        warned = stored(store, run).data.tags["mlflow.note.content"]
        run.note("after")
    data = stored(store, run).data
    assert warned == f"before\n\n{record.caution}"
    assert (record.format, record.version) == ("cloudpickle", None)
    assert data.tags["model.format"] == "cloudpickle"
    assert data.tags["mlflow.note.content"].startswith("after\n\nThe model Coin was saved with cloudpickle")
    assert "test_tracking.Coin" in record.caution


def test_a_model_with_a_function_of_this_repository_is_refused(
    store: Store, matrix: tuple[pd.DataFrame, "pd.Series[int]"]
) -> None:
    X, y = matrix
    ours = make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, y)
    ours.steps.insert(0, ("ours", FunctionTransformer(key_of)))
    with store.run("one", "train") as run:
        with pytest.raises(DataError, match=r"experiments\.recorded_run"):
            run.model(ours, X, "ours")
        # Hidden in an attribute, where a walk over the steps would not look.
        hidden = Coin().fit(X, y)
        hidden.writers_ = {"text": [write_text]}
        with pytest.raises(DataError, match=r"features\.workspace"):
            run.model(hidden, X, "hidden")
    assert not list(store.client.search_logged_models([run.experiment_id]))


def test_an_estimator_that_gives_no_risk_or_cannot_be_saved_is_refused(
    store: Store, matrix: tuple[pd.DataFrame, "pd.Series[int]"]
) -> None:
    X, y = matrix
    with store.run("one", "train") as run:
        with pytest.raises(DataError, match="CalibratedClassifierCV"):
            run.model(LinearSVC().fit(X.fillna(0), y), X, "svc")
        locked = Coin().fit(X, y)
        locked.file_ = sys.stdout
        with pytest.raises(DataError, match="cannot be saved"):
            run.model(locked, X, "locked")


def test_the_example_is_made_of_quantiles_and_accepts_missing_numbers() -> None:
    X = pd.DataFrame(
        {
            "logins": [1, 2, 3, 4, 100],
            "seats": pd.array([1, None, 3, 5, 7], dtype="Int64"),
            "sso": [True, False, True, True, True],
            "plan": ["pro", "pro", "free", "pro", "free"],
        },
        index=["acc-1", "acc-2", "acc-3", "acc-4", "acc-5"],
    )
    example = example_rows(X)
    assert list(example["logins"]) == [2.0, 3.0, 4.0]
    assert list(example["seats"]) == [2.5, 4.0, 5.5]
    assert list(example["plan"]) == ["pro", "pro", "pro"]
    assert [str(example[c].dtype) for c in ("logins", "seats", "sso")] == ["float64"] * 3
    assert list(example.index) == [0, 1, 2]


def test_the_trusted_types_are_few_and_of_scikit_learn_and_numpy() -> None:
    assert len(TRUSTED_TYPES) <= 8
    assert all(name.startswith(("sklearn.", "numpy.")) for name in TRUSTED_TYPES)


def test_superseding_marks_the_runs_of_one_milestone_and_version(store: Store) -> None:
    def write(milestone: str, version: str) -> Run:
        with store.run(
            milestone, "milestones", tags={"milestone": milestone, "milestone_version": version}
        ) as run:
            return run

    assert store.supersede("milestones", {"milestone": "activation"}) == 0
    old, newer = write("bob's activation", "1"), write("bob's activation", "1")
    others = [write("bob's activation", "2"), write("setup", "1")]
    of_it = {"milestone": "bob's activation", "milestone_version": 1}
    assert store.supersede("milestones", of_it) == 2
    assert store.supersede("milestones", of_it) == 0
    fresh = write("bob's activation", "1")
    assert [stored(store, r).data.tags.get("superseded") for r in (old, newer)] == ["true", "true"]
    assert [stored(store, r).data.tags.get("superseded") for r in (*others, fresh)] == [None] * 3
