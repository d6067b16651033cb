"""Hostile input through the real commands: a clear message, the right exit code, nothing lost and no traceback."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
import yaml

import milestones
from features.errors import DataError, StoreError, UsageError
from features.version import code_version
from tests.unit.small_log import Said, run, small_log, sources

COMMANDS = (["check"], ["features"], ["train"], ["sweep"], ["review", "all"])
NASTY = (
    'it\'s "quoted"',
    "<script>alert(1)</script>",
    "two\nlines",
    "'; DROP TABLE events; --",
    "nul\0 \x1b[31m",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which init, features and train have run."""
    folder = tmp_path_factory.mktemp("made")
    assert run("init", folder / "w", *sources(folder / "data", small_log())).code == 0
    assert run("features", "-w", folder / "w").code == 0
    assert run("train", "-w", folder / "w").code == 0
    return folder


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    """A copy of it whose sources are where the framework says; its runs are a fresh record."""
    shutil.copytree(made / "data", tmp_path / "data")
    shutil.copytree(made / "w", tmp_path / "w", ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    return tmp_path / "w"


def whole_job(folder: Path, tables: dict[str, pd.DataFrame], *options: str) -> list[Said]:
    """init and everything after it; each must be done (exit 0)."""
    said = [run("init", folder / "w", *sources(folder / "data", tables), *options)]
    said += [run(*command, "-w", folder / "w") for command in COMMANDS]
    assert [s.code for s in said] == [0] * 6, [s.words for s in said]
    return said


def test_hostile_names_go_through_every_command(tmp_path: Path) -> None:
    tables = small_log(names=NASTY)
    whole_job(tmp_path, tables, "--name", "<b>a/b</b>\n../c")
    framework = yaml.safe_load((tmp_path / "w" / "framework.yaml").read_text())
    assert set(framework["data"]["events"]["core"]) == set(NASTY)
    assert framework["name"] == "<b>a/b</b> ../c"
    reports = list((tmp_path / "w" / "output" / "reviews").glob("*/review.html"))
    assert reports
    for report in reports:
        assert "<script>alert" not in report.read_text()
        assert "<b>a/b" not in report.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "w"]


def no_quarter() -> dict[str, pd.DataFrame]:
    tables = small_log(days=60)
    shift = pd.Timedelta(days=20)
    tables["events"]["occurred_at"] += shift
    tables["accounts"]["signed_up_at"] += shift
    return {name: tables[name] for name in ("events", "accounts")}


def no_outcomes() -> dict[str, pd.DataFrame]:
    tables = small_log()
    tables["outcomes"] = tables["events"][["account_id", "occurred_at"]].head(0)
    return tables


def one_account() -> dict[str, pd.DataFrame]:
    return {name: frame[frame["account_id"] == "a1"] for name, frame in small_log().items()}


@pytest.mark.parametrize("tables", [no_quarter, no_outcomes, one_account])
def test_a_log_that_says_too_little_is_insufficient_data(tmp_path: Path, tables: Any) -> None:
    said = whole_job(tmp_path, tables())
    assert "Insufficient data" in said[3].out
    assert "nsufficient data" in said[5].out
    assert (tmp_path / "w" / "output" / "models" / "metrics.json").read_text() == "{}\n"
    if tables is no_quarter:
        named = run("review", "2024Q1", "-w", tmp_path / "w")
        assert (named.code, named.words.partition(":")[0]) == (2, "2024Q1 has not closed")


def test_accounts_with_the_same_slugs_columns_and_reserved_words(tmp_path: Path) -> None:
    tables = small_log(names=("a-b", "a b", "A.B", "!!!", "events", "account_id", "as_of", "seats"))
    for column in ("account", "reason", "excluded", "retained", "known_id", "attribute_0"):
        tables["accounts"][column] = True
    tables["accounts"].loc[0, "account_id"] = None
    assert run("init", tmp_path / "w", *sources(tmp_path / "data", tables)).code == 0
    for command in (["check"], ["features"], ["train"]):
        assert run(*command, "-w", tmp_path / "w").code == 0
    aside = pd.read_parquet(tmp_path / "w" / "output" / "quarantine" / "accounts.parquet")
    assert aside["reason"].tolist() == ["no account_id"]


def test_check_shows_the_reasons_and_warns_of_copies_and_of_misspelt_events(workspace: Path) -> None:
    events = pd.read_parquet(workspace.parent / "data" / "events.parquet")
    n = len(events)
    bad = events.head(3).assign(account_id="zoe")
    pd.concat([events, events.head(7), bad]).to_parquet(workspace.parent / "data" / "events.parquet")
    path = workspace / "framework.yaml"
    framework = yaml.safe_load(path.read_text())
    framework["milestones"]["activation"]["rule"]["events"][0] = "Create  reprot"
    framework["data"]["features"]["extras"] = [{"name": "x", "aggregation": "count", "events": ["logn"]}]
    framework["version"] += 1  # results of the earlier one are there
    path.write_text(yaml.safe_dump(framework))
    said = run("check", "-w", workspace)
    assert said.code == 0
    assert f"events: {n + 10:,} rows read, {n + 7:,} used, 3 set aside (unknown account: 3)" in said.out
    assert f"warning: events: 7 of {n + 7:,} used rows are exact duplicates" in said.words
    assert "warning: milestones.activation.rule: the log has no event 'Create  reprot'" in said.words
    assert "warning: data.features.extras: 'x': the log has no event 'logn'" in said.words
    found = json.loads(run("check", "-w", workspace, "--json").out)
    assert found["quarantined"]["events"] == {"unknown account": 3}
    assert found["duplicates"] == {"events": 7}
    assert len(found["warnings"]) == 3
    assert len(pd.read_parquet(workspace / "output" / "quarantine" / "events.parquet")) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_framework_every_command_says_how_to_make_one(tmp_path: Path, command: list[str]) -> None:
    said = run(*command, "-w", tmp_path)
    assert said.code == 1
    assert "make one with `milestones init" in said.words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep", "nope"], "there is no milestone 'nope'; the framework has activation"),
        (["sweep", "--set", "nonsense"], "write key.path=value"),
        (["sweep", "--set", "a.b=1"], "there is no 'a' here; there is schema, name"),
        (["sweep", "--set", "name.x=1"], "'name' holds no keys"),
        (["sweep", "--set", "data.events.core=[a"], "the value is not valid YAML"),
        (["sweep", "--set", "data.outcomes.horizon_days=soon"], "--set would make a framework that cannot be used:\ndata.out"),
        (["train", "--outcome", "outcomes"], "needs a source for the table 'outcomes'"),
        (["train", "--outcome", "silent:soon"], "write kind or kind:days"),
        (["train", "--segment", "plan=gold"], "--segment plan=gold: nothing tells segments apart: subscriptions name no plan"),
        (["train", "--features", "zzz*"], "matches none of"),
        (["train", "--estimator", "os:system"], "--estimator os:system"),
        (["review", "2031Q1"], "2031Q1 is no closed quarter of this log; it has 2024Q1 to"),
        (["review", "../x"], "../x is no closed quarter"),
        (["train", "--seed=-1"], "Invalid value for '--seed'"),
        (["check", "--nope"], "No such option"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(made: Path, arguments: list[str], words: str) -> None:
    said = run(*arguments, "-w", made / "w")
    assert said.code == 2
    assert words in said.words
    assert said.out == ""


def test_the_program_says_which_code_it_is() -> None:
    said = run("--version")
    assert said.code == 0
    assert said.out == f"milestones {code_version()}\n"


def test_a_broken_file_is_not_blamed_on_the_options(workspace: Path) -> None:
    text = (workspace / "framework.yaml").read_text()
    (workspace / "framework.yaml").write_text(text.replace("outcomes:\n    kind", "outcomes:\n    knd"))
    said = run("sweep", "-w", workspace, "--set", "version=2")
    assert said.code == 1
    assert "data.outcomes.knd: is not a key here" in said.words


def test_init_does_not_overwrite_what_somebody_edited(made: Path) -> None:
    before = (made / "w" / "framework.yaml").read_text()
    said = run("init", made / "w", *sources(made / "data", {}), "--events=x", "--accounts=y")
    assert said.code == 2
    assert "--force to overwrite it" in said.words
    assert (made / "w" / "framework.yaml").read_text() == before


@pytest.mark.parametrize("source", ["", "  "])
def test_a_source_without_a_name_is_wrong_usage(tmp_path: Path, source: str) -> None:
    said = run("init", tmp_path / "w", "--events", source, "--accounts", "a.csv")
    assert said.code == 2
    assert "a source: name a file, a folder" in said.words


def test_a_run_cannot_write_outside_its_workspace(workspace: Path) -> None:
    said = run("train", "-w", workspace, "--features", "events_*", "--name", "../../../escaped")
    assert said.code == 0
    assert (workspace / "output" / "exploratory" / "escaped" / "model.json").exists()
    assert sorted(p.name for p in workspace.parent.iterdir()) == ["data", "w"]


def test_a_matrix_of_another_data_section_is_refused(workspace: Path) -> None:
    text = (workspace / "framework.yaml").read_text()
    assert "horizon_days: 90" in text
    (workspace / "framework.yaml").write_text(text.replace("horizon_days: 90", "horizon_days: 33"))
    for command in (["train"], ["review"]):
        said = run(*command, "-w", workspace)
        assert said.code == 1
        assert "the data section of framework.yaml has changed since" in said.words
        assert "run `milestones features" in said.words


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("features/manifest.json", "features"),
        ("features/matrix.parquet", "features"),
        ("models/model.json", "train"),
        ("models/predictions.parquet", "train"),
    ],
)
def test_what_a_killed_run_left_is_named_with_the_command_that_makes_it(
    workspace: Path, name: str, maker: str
) -> None:
    path = workspace / "output" / name
    path.write_bytes(path.read_bytes()[:20])
    said = run("review", "-w", workspace)
    assert said.code == 1
    assert f"{name} is damaged" in said.words
    assert f"run `milestones {maker} -w" in said.words
    path.unlink()
    assert f"{name} is not there yet: run `milestones {maker}" in run("review", "-w", workspace).words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "decisions.yaml must hold"),
        ("a: [", "decisions.yaml is not valid YAML at line 1"),
        (
            "activtion: keep",
            "'activtion' is neither a milestone (activation, utilization) nor a closed quarter",
        ),
        ("2024Q2: {activtion: keep}", "'activtion' is neither a milestone"),
        ("2031Q1: {activation: keep}", "'2031Q1' is neither a milestone"),
    ],
)
def test_decisions_that_cannot_be_read_are_not_passed_over(workspace: Path, text: str, words: str) -> None:
    (workspace / "decisions.yaml").write_text(text)
    said = run("review", "-w", workspace)
    assert said.code == 1
    assert words in said.words


@pytest.mark.parametrize(
    ("blocked", "command"),
    [
        ("output/features", "features"),
        ("output/models", "train"),
        ("output/sweeps", "sweep"),
        ("output/reviews", "review"),
        ("mlflow.db", "train"),
    ],
)
def test_a_workspace_that_cannot_be_written_is_a_store_that_is_away(
    workspace: Path, blocked: str, command: str
) -> None:
    path = workspace / blocked
    if path.is_dir():
        shutil.rmtree(path)
    path.write_text("a plain file where a folder, or a database, should be")
    said = run(command, "-w", workspace)
    assert said.code == 3, said.words
    assert str(path) in said.words


def test_json_is_one_object_and_nothing_else(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seen from the file descriptor itself: MLflow and its libraries like to print past Python."""
    for arguments in (
        ["init", tmp_path / "w", *sources(tmp_path / "data", small_log(5))],
        ["features", "-w", made / "w"],
        ["sweep", "-w", made / "w"],
        ["review", "-w", made / "w"],
    ):
        monkeypatch.setattr(sys, "argv", ["milestones", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as stopped:
            milestones.main()
        assert stopped.value.code in (0, None)
        assert isinstance(json.loads(capfd.readouterr().out), dict)


def test_a_real_process_prints_one_object_or_one_message(made: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "milestones")]
    good = [*command, "train", "-w", str(made / "w"), "--json"]
    done = subprocess.run(good, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    bad = [*command, "check", "-w", str(tmp_path), "--json"]
    done = subprocess.run(bad, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("milestones: there is no ")
    assert done.stderr.count("\n") == 1


def test_a_killed_run_leaves_nothing_half_written_under_a_final_name(workspace: Path) -> None:
    folder = workspace / "output" / "features"
    shutil.rmtree(folder)
    program = (
        "import os, signal, sys, milestones, pyarrow.parquet as pq\n"
        "write = pq.ParquetWriter.write_table\n"
        "def half(self, table, *rest, **more):\n"
        "    write(self, table, *rest, **more)\n"
        "    if 'tenure_days' in table.column_names:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "pq.ParquetWriter.write_table = half\n"
        f"sys.argv = ['milestones', 'features', '-w', {str(workspace)!r}]\n"
        "milestones.main()\n"
    )
    root = Path(milestones.__file__).parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert [p.name[:8] for p in folder.iterdir() if p.is_file()] == [".matrix-"]
    assert "is not there yet" in run("train", "-w", workspace).words
    assert run("features", "-w", workspace).code == 0
    written = ["adoption.json", "adoption.parquet", "adoption.png", "manifest.json", "matrix.parquet"]
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == written


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("no rows"), 1, "milestones: no rows\n"),
        (UsageError("no such"), 2, "milestones: no such\n"),
        (StoreError("away"), 3, "milestones: away\n"),
        (
            PermissionError(13, "Permission denied", "/x"),
            3,
            "cannot use /x: Permission denied; make it accessible",
        ),
        (
            OSError(28, "No space left on device"),
            3,
            "the system refuses: No space left on device; free some space",
        ),
        (MemoryError(), 1, "there is not enough memory"),
        (KeyboardInterrupt(), 130, "nothing half-written was left"),
        (ZeroDivisionError("x"), 1, "did not foresee: ZeroDivisionError: x\nPlease report it"),
        (RuntimeError(), 1, "did not foresee: RuntimeError: RuntimeError"),
        (RuntimeError("Query interrupted"), 130, "stopped; nothing half-written"),
    ],
)
def test_whatever_happens_a_user_reads_words(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    words: str,
) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.delenv("MILESTONES_DEBUG", raising=False)
    monkeypatch.setattr(milestones, "app", app)
    monkeypatch.setattr("sys.argv", ["milestones"])
    with pytest.raises(SystemExit) as stopped:
        milestones.main()
    assert stopped.value.code == code
    assert words in capsys.readouterr().err


def test_what_duckdb_says_is_about_the_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        import duckdb

        raise duckdb.InvalidInputException("Invalid Input Error: CSV Error on Line: 5\nand an excerpt")

    monkeypatch.setattr(milestones, "app", fail)
    with pytest.raises(SystemExit) as stopped:
        milestones.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err == (
        "milestones: the tables cannot be read: Invalid Input Error: CSV Error on Line: 5\n"
    )


def test_a_csv_with_a_broken_line_names_the_line(workspace: Path) -> None:
    path = workspace.parent / "data" / "events.csv"
    lines = ["account_id,event,occurred_at"] + ["a1,login,2024-06-01 10:00:00"] * 30_000
    lines[25_000] = 'a1,login,2024-06-01 10:00:00,"one,too,many'
    path.write_text("\n".join(lines))
    framework = workspace / "framework.yaml"
    framework.write_text(framework.read_text().replace("events.parquet", "events.csv"))
    said = run("check", "-w", workspace)
    assert said.code == 1
    assert "25001" in said.words
