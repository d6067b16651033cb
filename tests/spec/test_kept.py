"""A build that starts from kept counts gives what a build from nothing gives, and notices when it must not."""

import importlib
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from features.declaration import Data
from features.errors import DataError
from features.fingerprints import of_inputs
from features.intake import open_increment, open_log
from features.kept import FileEvents, Kept, Shelf
from features.matrix import build_frame, build_matrix, read_matrix
from features.workspace import Workspace
from tests.spec.drawn import NOW, data_for
from tests.spec.test_engine import random_log
from tests.unit.small_log import run

CUTS = ("2024-02-01", "2024-04-01", "2024-06-15")


@pytest.fixture
def whole(tmp_path: Path) -> pd.DataFrame:
    """A random log of ten months; its other tables are in the workspace."""
    random_log(tmp_path, 5)
    (tmp_path / "files").mkdir()
    return pd.read_parquet(tmp_path / "events.parquet").sort_values("occurred_at", kind="stable")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The names of the files of every scan that was run for the counts."""
    found: list[set[str]] = []
    original = Shelf.add

    def recording(self: Shelf, scan: Any, fresh: FileEvents, *rest: Any) -> Kept:
        found.append({Path(name).name for name in fresh.files})
        return original(self, scan, fresh, *rest)

    monkeypatch.setattr(Shelf, "add", recording)
    return found


def declared(folder: Path) -> Data:
    frames = {
        name: pd.read_parquet(folder / f"{name}.parquet") for name in ("events", "accounts", "subscriptions")
    }
    data = data_for(
        folder,
        frames,
        events={"core": ["send"], "categories": {"one": ["send", "read"]}},
        features={"events": ["send", "read"], "windows_days": [30, 365], "event_windows_days": [90]},
        outcomes={"kind": "subscription_end", "horizon_days": 90},
    )
    return data.model_copy(
        update={
            "sources": data.sources.model_copy(update={"events": "files", "accounts": "accounts.parquet"})
        }
    )


def parts(whole: pd.DataFrame) -> list[pd.DataFrame]:
    edges = [pd.Timestamp.min, *map(pd.Timestamp, CUTS), pd.Timestamp.max]
    at = whole["occurred_at"]
    return [whole[(at >= a) & (at < b)] for a, b in pairwise(edges)]


def built(folder: Path, data: Data) -> pd.DataFrame:
    place, inputs = Workspace(folder), of_inputs(data, folder)
    log, counting = open_increment(data, folder, Shelf.of(place, data), NOW)
    build_matrix(log, data, place, inputs, counting=counting)
    return read_matrix(place, data).frame


def from_nothing(folder: Path, data: Data) -> pd.DataFrame:
    return build_frame(open_log(data, folder, now=NOW), data, folder).frame


def write(folder: Path, number: int, part: pd.DataFrame) -> None:
    part.to_parquet(folder / "files" / f"part_{number}.parquet", index=False)


def test_a_file_that_was_added_is_the_only_one_that_is_scanned(
    tmp_path: Path, whole: pd.DataFrame, counted: list[set[str]]
) -> None:
    data = declared(tmp_path)
    for number, part in enumerate(parts(whole)):
        write(tmp_path, number, part)
        counted.clear()
        found = built(tmp_path, data)
        assert counted == [{f"part_{number}.parquet"}]
        pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))
    assert len(found) > 40


def test_nothing_is_scanned_where_only_another_table_changed(
    tmp_path: Path, whole: pd.DataFrame, counted: list[set[str]]
) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
    counted.clear()
    spells = pd.read_parquet(tmp_path / "subscriptions.parquet")
    spells.assign(seats=spells["seats"] + 1).to_parquet(tmp_path / "subscriptions.parquet", index=False)
    found = built(tmp_path, data)
    assert counted == []
    assert (found["seats"] != before["seats"]).any()
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))


def test_events_out_of_the_order_of_files_are_counted_all_the_same(
    tmp_path: Path, whole: pd.DataFrame
) -> None:
    data = declared(tmp_path)
    shuffled = whole.sample(frac=1, random_state=1)
    write(tmp_path, 0, shuffled.iloc[:700])
    built(tmp_path, data)
    write(tmp_path, 1, shuffled.iloc[700:])
    pd.testing.assert_frame_equal(built(tmp_path, data), from_nothing(tmp_path, data))


@pytest.mark.parametrize("change", ["old file", "signup", "new account was unknown", "code", "question"])
def test_what_is_kept_is_not_used_where_it_does_not_hold(
    tmp_path: Path,
    whole: pd.DataFrame,
    counted: list[set[str]],
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    data = declared(tmp_path)
    accounts = pd.read_parquet(tmp_path / "accounts.parquet")
    if change == "new account was unknown":
        accounts.iloc[1:].to_parquet(tmp_path / "accounts.parquet", index=False)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
    counted.clear()
    if change == "old file":
        write(tmp_path, 0, whole.iloc[::2])
    elif change == "signup":
        later = accounts["signed_up_at"] + pd.Timedelta(days=20)
        accounts.assign(signed_up_at=later).to_parquet(tmp_path / "accounts.parquet", index=False)
    elif change == "new account was unknown":
        accounts.to_parquet(tmp_path / "accounts.parquet", index=False)
    elif change == "code":
        monkeypatch.setattr("features.kept.of_code", lambda: "another")
    else:
        data = data.model_copy(
            update={"features": data.features.model_copy(update={"event_windows_days": (45,)})}
        )
    assert not Shelf.of(Workspace(tmp_path), data).parts() or change not in ("code", "question")
    found = built(tmp_path, data)
    assert counted == [{"part_0.parquet"}]
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))
    if change != "code":
        assert not found.equals(before)


def test_an_account_that_comes_first_in_the_table_moves_no_count(
    tmp_path: Path, whole: pd.DataFrame, counted: list[set[str]]
) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    built(tmp_path, data)
    counted.clear()
    accounts = pd.read_parquet(tmp_path / "accounts.parquet")
    newcomer = accounts.iloc[:1].assign(account_id="a new one")
    pd.concat([newcomer, accounts]).to_parquet(tmp_path / "accounts.parquet", index=False)
    found = built(tmp_path, data)
    assert counted == []
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))


def test_accounts_in_another_order_move_no_count(
    tmp_path: Path, whole: pd.DataFrame, counted: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.scan.BLOCK_BYTES", 1)  # an account a block
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    built(tmp_path, data)
    counted.clear()
    accounts = pd.read_parquet(tmp_path / "accounts.parquet")
    accounts.iloc[::-1].to_parquet(tmp_path / "accounts.parquet", index=False)
    found = built(tmp_path, data)
    assert counted == []
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))


def test_what_is_damaged_is_counted_again(tmp_path: Path, whole: pd.DataFrame) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
    for name in ("cells.parquet", "part.json"):
        for path in Workspace(tmp_path).kept.glob(f"*/{name}"):
            path.write_text("{")
        pd.testing.assert_frame_equal(built(tmp_path, data), before)


def test_users_are_told_apart_when_later_slots_need_another_word(
    tmp_path: Path, whole: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.windows.SLOTS_PER_WORD", 5)
    data = declared(tmp_path)
    for number, part in enumerate(parts(whole)):
        write(tmp_path, number, part)
        found = built(tmp_path, data)
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))
    notes = Workspace(tmp_path).kept.glob("*/users.parquet")
    words = {len(pq.read_schema(path).names) for path in notes}
    assert len(words) > 1, "the log is long enough for another word"


def test_a_part_that_a_killed_run_left_is_not_counted_twice(tmp_path: Path, whole: pd.DataFrame) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
    (part,) = Shelf.of(Workspace(tmp_path), data).parts()
    shutil.copytree(part.folder, part.folder.with_name("left"))
    pd.testing.assert_frame_equal(built(tmp_path, data), before)


def test_many_parts_become_one(
    tmp_path: Path, whole: pd.DataFrame, counted: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.kept.MOST_PARTS", 2)
    data = declared(tmp_path)
    for number, part in enumerate(parts(whole)[:3]):
        write(tmp_path, number, part)
        found = built(tmp_path, data)
    assert [len(files) for files in counted] == [1, 1, 3]
    assert len(list(Workspace(tmp_path).kept.glob("*/part.json"))) == 1
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))


def test_one_run_at_a_time_uses_what_is_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "kept", "a question")
    with shelf.held() as first, shelf.held() as second:
        assert (first, second) == (True, False)
    with shelf.held() as third:
        assert third


def test_a_file_without_a_column_that_may_be_absent_has_nothing_there(
    tmp_path: Path, whole: pd.DataFrame, counted: list[set[str]]
) -> None:
    data = declared(tmp_path)
    assert "user_id" in data.mapping["events"]
    first, *_, final = parts(whole)
    write(tmp_path, 0, first)
    built(tmp_path, data)
    write(tmp_path, 1, final.drop(columns="user_id"))
    found = built(tmp_path, data)
    assert counted[-1] == {"part_1.parquet"}
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_without_a_column_that_must_be_there_is_named(
    tmp_path: Path, whole: pd.DataFrame, suffix: str
) -> None:
    data = declared(tmp_path)
    first, *_, final = parts(whole)

    def put(name: str, part: pd.DataFrame) -> None:
        path = tmp_path / "files" / f"{name}.{suffix}"
        part.to_parquet(path, index=False) if suffix == "parquet" else part.to_csv(path, index=False)

    put("a", first)
    built(tmp_path, data)
    put("b", final.rename(columns={"occurred_at": "ts"}))
    for build in (built, from_nothing):
        with pytest.raises(
            DataError, match=rf"files/b\.{suffix} has no column 'occurred_at', which other files of"
        ):
            build(tmp_path, data)


@pytest.mark.parametrize("arrives_after", ["of_inputs", "current_files", "open_increment"])
def test_a_file_that_arrives_during_a_build_is_counted_by_the_next(
    tmp_path: Path, whole: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, arrives_after: str
) -> None:
    data = declared(tmp_path)
    first, *_, final = parts(whole)
    write(tmp_path, 0, first)
    text = yaml.safe_dump({"schema": 1, "name": "x", "version": 1, "data": data.model_dump(mode="json")})
    (tmp_path / "framework.yaml").write_text(text)
    module = "features.fingerprints" if arrives_after == "of_inputs" else "features.intake"
    original = getattr(importlib.import_module(module), arrives_after)

    def and_then(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        if not (tmp_path / "files" / "part_1.parquet").exists():
            write(tmp_path, 1, final)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{arrives_after}", and_then)
        assert run("features", "-w", tmp_path).code == 0
    assert "up to date" not in run("features", "-w", tmp_path).out
    pd.testing.assert_frame_equal(
        read_matrix(Workspace(tmp_path), data).frame,
        build_frame(open_log(data, tmp_path), data, tmp_path).frame,
    )


def test_a_file_that_was_renamed_is_not_gone(tmp_path: Path, whole: pd.DataFrame) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    built(tmp_path, data)
    (tmp_path / "files" / "part_0.parquet").rename(tmp_path / "files" / "part_7.parquet")
    _, counting = open_increment(data, tmp_path, Shelf.of(Workspace(tmp_path), data), NOW)
    assert counting is not None
    assert counting.gone == ()


def test_files_that_would_be_read_wrong_together_are_refused_however_they_came(
    tmp_path: Path, whole: pd.DataFrame
) -> None:
    data = declared(tmp_path)
    first, *_, final = parts(whole)
    write(tmp_path, 0, first)
    built(tmp_path, data)
    write(tmp_path, 1, final.assign(occurred_at=final["occurred_at"].dt.tz_localize("Europe/Berlin")))
    for build in (built, from_nothing):
        with pytest.raises(
            DataError, match=r"_1\.parquet has times with a zone in the column 'occurred_at', other"
        ):
            build(tmp_path, data)
