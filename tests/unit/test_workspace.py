"""Files get their final names in one step, and what a killed run leaves is replaced or explained."""

import fcntl
import json
from pathlib import Path

import pandas as pd
import pytest

from features.declaration import Data
from features.document import content_hash
from features.errors import DataError, StoreError
from features.fingerprints import of_inputs
from features.matrix import SCHEMA_VERSION, read_matrix
from features.workspace import Workspace, discard, set_aside, write_text
from tests.spec.drawn import data_for


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_final_name_only_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "x.json"
    write_text(final, "old")
    with set_aside(final) as path:
        path.write_text("new")
        assert final.read_text() == "old"
        assert path.name.startswith(".")
    assert final.read_text() == "new"
    assert names(final.parent) == ["x.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, error: type[BaseException]
) -> None:
    final = tmp_path / "x.json"
    write_text(final, "old")

    def fail() -> None:
        with set_aside(final) as path:
            path.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert final.read_text() == "old"
    assert names(tmp_path) == ["x.json"]


def test_what_a_killed_run_left_goes_and_what_another_run_writes_stays(tmp_path: Path) -> None:
    (tmp_path / ".x-dead.json").write_text("half")
    (tmp_path / ".y-other.json").write_text("of another file")
    alive = tmp_path / ".x-alive.json"
    with alive.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        write_text(tmp_path / "x.json", "new")
        assert names(tmp_path) == [".x-alive.json", ".y-other.json", "x.json"]
    write_text(tmp_path / "x.json", "new")
    assert names(tmp_path) == [".y-other.json", "x.json"]


def test_two_writers_of_one_file_both_finish(tmp_path: Path) -> None:
    final = tmp_path / "x.json"
    with set_aside(final) as first:
        first.write_text("first")
        write_text(final, "second")
    assert final.read_text() == "first"


def test_a_folder_that_cannot_be_written_is_a_store_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"cannot write .*: Not a directory; make the folder writable"):
        write_text(tmp_path / "file" / "output" / "x.json", "x")


def test_a_full_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    write_text(tmp_path / "x.json", "old")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StoreError, match="No space left on device; free some space"):
        write_text(tmp_path / "x.json", "new")
    monkeypatch.undo()
    assert (tmp_path / "x.json").read_text() == "old"
    assert names(tmp_path) == ["x.json"]


def test_discarding_what_is_not_there_is_fine(tmp_path: Path) -> None:
    discard(tmp_path / "nowhere" / "x")
    (tmp_path / "file").write_text("x")
    discard(tmp_path / "file" / "x")
    discard(tmp_path / "file")
    assert names(tmp_path) == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot remove"):
        discard(tmp_path / "folder")


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """The data section of a log with one event, with its files in the workspace."""
    tables = {
        "events": pd.DataFrame(
            {"account_id": ["a"], "event": "x", "occurred_at": [pd.Timestamp("2024-02-01")]}
        ),
        "accounts": pd.DataFrame({"account_id": ["a"], "signed_up_at": [pd.Timestamp("2024-01-01")]}),
    }
    return data_for(tmp_path, tables)


@pytest.fixture
def workspace(tmp_path: Path, data: Data) -> Workspace:
    """A workspace with a matrix of one observation."""
    place = Workspace(tmp_path)
    row = {
        "account_id": ["a"],
        "quarter": "2024Q1",
        "as_of": pd.Timestamp("2024-04-01"),
        "signed_up_at": pd.Timestamp("2024-01-01"),
        "alive": True,
        "at_risk": True,
        "retained": True,
        "known_from": pd.Timestamp("2024-07-01"),
        "x": 1.0,
    }
    manifest = {"features": [{"name": "x"}], "n_observations": 1, "data_hash": content_hash(data)}
    manifest |= {"inputs": of_inputs(data, tmp_path), "schema_version": SCHEMA_VERSION}
    with set_aside(place.features / "matrix.parquet") as path:
        pd.DataFrame(row).to_parquet(path)
    write_text(place.features / "manifest.json", json.dumps(manifest))
    return place


def test_a_whole_matrix_is_read(workspace: Workspace, data: Data) -> None:
    assert read_matrix(workspace, data).features == ["x"]


def test_a_matrix_of_what_was_known_once_is_for_variations_alone(workspace: Workspace, data: Data) -> None:
    path = workspace.features / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "known_at": "2024-01-15T00:00:00"}))
    with pytest.raises(DataError, match="was built as known at 2024-01-15T00:00:00"):
        read_matrix(workspace, data)
    assert read_matrix(workspace, data, as_known_then=True).features == ["x"]


@pytest.mark.parametrize("name", ["matrix.parquet", "manifest.json"])
@pytest.mark.parametrize("left", [None, b"", b"half", b"[]", b"\xff\x00"])
def test_a_damaged_matrix_names_the_command_that_makes_it(
    workspace: Workspace, data: Data, name: str, left: bytes | None
) -> None:
    path = workspace.features / name
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-30] if left == b"half" else left)
    with pytest.raises(DataError, match=f"{name} is .*run `milestones features -w {workspace.root}`"):
        read_matrix(workspace, data)


@pytest.mark.parametrize(
    "change",
    [
        {"features": [{"name": "y"}]},
        {"n_observations": 2},
        {"features": None},
        {"features": [1]},
        {"schema_version": SCHEMA_VERSION - 1},
    ],
)
def test_a_matrix_and_a_manifest_of_two_runs_do_not_go_together(
    workspace: Workspace, data: Data, change: dict[str, object]
) -> None:
    path = workspace.features / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=r"matrix.parquet is damaged, .* run `milestones features .* again"):
        read_matrix(workspace, data)


def test_a_matrix_of_another_data_section_is_not_used(workspace: Workspace, data: Data) -> None:
    other = data.model_copy(update={"fixed_at_signup": ("country",)})
    with pytest.raises(
        DataError, match=r"the data section of framework.yaml has changed .* run `milestones features"
    ):
        read_matrix(workspace, other)


@pytest.mark.parametrize("table", ["events", "accounts"])
def test_a_matrix_of_other_files_is_not_used(workspace: Workspace, data: Data, table: str) -> None:
    path = workspace.root / f"{table}.parquet"
    twice = pd.concat([pd.read_parquet(path)] * 2)
    twice.to_parquet(path, index=False)
    with pytest.raises(DataError, match=rf"{table} has changed .* run `milestones features"):
        read_matrix(workspace, data)
