"""A build that starts from kept counts gives what a build from nothing gives, and notices when it must not."""

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.declaration import Data
from features.intake import open_log
from features.kept import Shelf
from features.matrix import build_matrix, read_matrix
from features.sources import Stores
from features.workspace import Workspace
from tests.spec.drawn import NOW, data_for
from tests.spec.test_engine import random_log

CUTS = ("2024-02-01", "2024-04-01", "2024-06-15")


@pytest.fixture
def whole(tmp_path: Path) -> pd.DataFrame:
    """A random log of ten months; its other tables are in the workspace."""
    random_log(tmp_path, 5)
    (tmp_path / "files").mkdir()
    return pd.read_parquet(tmp_path / "events.parquet").sort_values("occurred_at", kind="stable")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The names of the files of events of each time they were opened for a scan of some of them."""
    found: list[set[str]] = []
    original = Stores.open

    def recording(
        self: Stores, source: str, folder: Path, table: str, only: Collection[str] | None = None
    ) -> Any:
        if only is not None:
            found.append({Path(name).name for name in only})
        return original(self, source, folder, table, only)

    monkeypatch.setattr(Stores, "open", recording)
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
    place = Workspace(folder)
    log = open_log(data, folder, now=NOW, keeping=True, kept=Shelf.of(place, data).parts())
    build_matrix(log, data, folder, place)
    return read_matrix(place, data).frame


def from_nothing(folder: Path, data: Data) -> pd.DataFrame:
    place = Workspace(folder / "elsewhere")
    build_matrix(open_log(data, folder, now=NOW), data, folder, place)
    return pd.read_parquet(place.features / "matrix.parquet")


def write(folder: Path, number: int, part: pd.DataFrame) -> None:
    part.to_parquet(folder / "files" / f"part_{number}.parquet", index=False)


def test_a_file_that_was_added_is_the_only_one_that_is_scanned(
    tmp_path: Path, whole: pd.DataFrame, opened: list[set[str]]
) -> None:
    data = declared(tmp_path)
    for number, part in enumerate(parts(whole)):
        write(tmp_path, number, part)
        opened.clear()
        found = built(tmp_path, data)
        # Once for the books, and never the files that were there.
        assert opened == ([{f"part_{number}.parquet"}] if number else [])
        pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))
    assert len(found) > 40


def test_nothing_is_scanned_where_only_another_table_changed(
    tmp_path: Path, whole: pd.DataFrame, opened: list[set[str]]
) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
    spells = pd.read_parquet(tmp_path / "subscriptions.parquet")
    spells.assign(seats=spells["seats"] + 1).to_parquet(tmp_path / "subscriptions.parquet", index=False)
    found = built(tmp_path, data)
    assert opened == []
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
    opened: list[set[str]],
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    data = declared(tmp_path)
    accounts = pd.read_parquet(tmp_path / "accounts.parquet")
    if change == "new account was unknown":
        accounts.iloc[1:].to_parquet(tmp_path / "accounts.parquet", index=False)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
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
    assert opened == []
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))
    if change != "code":
        assert not found.equals(before)


def test_an_account_that_comes_first_in_the_table_moves_no_count(
    tmp_path: Path, whole: pd.DataFrame, opened: list[set[str]]
) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    built(tmp_path, data)
    accounts = pd.read_parquet(tmp_path / "accounts.parquet")
    newcomer = accounts.iloc[:1].assign(account_id="a new one")
    pd.concat([newcomer, accounts]).to_parquet(tmp_path / "accounts.parquet", index=False)
    found = built(tmp_path, data)
    assert opened == []
    pd.testing.assert_frame_equal(found, from_nothing(tmp_path, data))


def test_what_is_damaged_is_counted_again(tmp_path: Path, whole: pd.DataFrame) -> None:
    data = declared(tmp_path)
    write(tmp_path, 0, whole)
    before = built(tmp_path, data)
    for name in ("cells.parquet", "part.json"):
        for path in Workspace(tmp_path).kept.glob(f"*/{name}"):
            path.write_text("{")
        pd.testing.assert_frame_equal(built(tmp_path, data), before)
