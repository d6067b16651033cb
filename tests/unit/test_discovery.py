"""Which column of a stranger's table is which: by name, then by type, and in words where neither tells."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.declaration import Calendar, Sources
from features.discovery import discover, parse_overrides, resolution_of
from features.errors import DataError, UsageError
from features.sources import Stores
from tests.unit.small_log import run, small_log, sources

TIMES = ["2024-03-01 10:00:00", "2024-03-02 11:00:00"]
ACCOUNTS = pd.DataFrame({"account_id": ["a", "b"], "signed_up_at": TIMES})


def mapped(folder: Path, events: pd.DataFrame, *overrides: str) -> dict[str, str]:
    events.to_parquet(folder / "events.parquet")
    ACCOUNTS.to_parquet(folder / "accounts.parquet")
    named = Sources(events="events.parquet", accounts="accounts.parquet")
    mapping, _ = discover(Stores(), named, folder, parse_overrides(list(overrides)), Calendar())
    return mapping["events"]


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("account", "event", "time"),
    [
        ("account_id", "event", "occurred_at"),
        ("Customer ID", "Event-Name", "TIMESTAMP"),
        ("org.id", "action", "created at"),
        ("workspace_id", "type", "Event Date"),
    ],
)
def test_usual_names_are_recognised_however_they_are_written(
    tmp_path: Path, account: str, event: str, time: str
) -> None:
    found = mapped(tmp_path, table(**{account: ["a", "b"], event: ["x", "y"], time: TIMES}))
    assert found == {"account_id": account, "event": event, "occurred_at": time}


def test_odd_names_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    found = mapped(tmp_path, table(**{"kunde_id": ["a", "b"], "was": ["x", "y"], "wann ü": TIMES}))
    assert found == {"account_id": "kunde_id", "event": "was", "occurred_at": "wann ü"}


def test_a_name_that_holds_something_else_is_not_believed(tmp_path: Path) -> None:
    frame = table(account_id=["a", "b"], event=["x", "y"], timestamp=["soon", "late"], noted=TIMES)
    assert mapped(tmp_path, frame)["occurred_at"] == "noted"


def test_two_columns_that_could_both_be_it_are_no_answer(tmp_path: Path) -> None:
    frame = table(account_id=["a", "b"], event=["x", "y"], begin=TIMES, finish=TIMES)
    with pytest.raises(DataError, match=r"recognised as occurred_at .* --map events.occurred_at=COLUMN"):
        mapped(tmp_path, frame)
    assert mapped(tmp_path, frame, "events.occurred_at=finish")["occurred_at"] == "finish"


def test_the_time_that_could_not_be_read_is_shown(tmp_path: Path) -> None:
    frame = table(account_id=["a", "b"], event=["x", "y"], occurred_at=["05.07.2024", "06.07.2024"])
    with pytest.raises(
        DataError, match=r"occurred_at holds '05.07.2024', but times are read as 2024-03-31 .*--time-format"
    ):
        mapped(tmp_path, frame)


@pytest.mark.parametrize("column", ["Select", 'wh"at', "from table", "é", "a.b", "x;--"])
def test_a_column_may_be_called_anything(tmp_path: Path, column: str) -> None:
    frame = table(**{"account_id": ["a", "b"], column: ["x", "y"], "occurred_at": TIMES})
    assert mapped(tmp_path, frame, f"events.event={column}")["event"] == column


@pytest.mark.parametrize(
    "pair", ["", "=", "x", "events", "events.event", "events.event=", "nope.event=x", "events.nope=x", ".=x"]
)
def test_a_pair_without_meaning_is_wrong_usage(pair: str) -> None:
    with pytest.raises(
        UsageError, match=r"write table.column=name, where .* events.account_id, events.event"
    ):
        parse_overrides([pair])


def test_an_override_may_hold_an_equals_sign(tmp_path: Path) -> None:
    assert parse_overrides(["events.event=a=b"]) == {"events": {"event": "a=b"}}


def test_an_override_of_a_column_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    frame = table(account_id=["a", "b"], event=["x", "y"], occurred_at=TIMES)
    with pytest.raises(
        DataError, match=r"--map events.event=act: the table has account_id, event, occurred_at"
    ):
        mapped(tmp_path, frame, "events.event=act")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2024-03-01", "2024-07-01"], "day"),
        (["20240301", "20240701"], "day"),
        (["2024-03-01", "2024-07-01 00:00:01"], "instant"),
        (["2024-03-01 00:00:00.000", "2024-07-01 16:53:09.413"], "instant"),
        ([1709251200000, 1719853989413], "instant"),
        ([1709251200.0, 1719853989.5], "instant"),
        (
            pd.to_datetime(["2024-03-01", "2024-07-01 00:00:00.000001"], format="ISO8601").astype(
                "datetime64[us]"
            ),
            "instant",
        ),
        (pd.to_datetime(["2024-03-01", "2024-07-01"]).astype("datetime64[ms]"), "day"),
        ([1709251200000, 1719792000000], "day"),
    ],
)
def test_a_log_of_dates_says_so(tmp_path: Path, times: Any, expected: str) -> None:
    frame = table(account_id=["a", "b"], event=["x", "y"], occurred_at=times)
    mapping = {"events": mapped(tmp_path, frame)}
    named = Sources(events="events.parquet", accounts="accounts.parquet")
    assert resolution_of(Stores(), named, tmp_path, mapping, Calendar(timezone="Europe/Berlin")) == expected


def test_init_refuses_a_zone_that_is_none_before_it_looks_at_the_data(tmp_path: Path) -> None:
    said = run("init", tmp_path / "w", "--events=gone", "--accounts=gone", "--timezone=Mars/Base")
    assert said.code == 2
    assert "--timezone 'Mars/Base' is not a time zone" in said.words


def test_init_writes_nothing_where_the_tables_cannot_be_used(tmp_path: Path) -> None:
    tables = small_log(5)
    tables["events"]["account_id"] = "zoe"
    said = run("init", tmp_path / "w", *sources(tmp_path / "data", tables))
    assert said.code == 1
    assert "account_id 'zoe'" in said.words
    assert not (tmp_path / "w" / "framework.yaml").exists()


FORMS: list[tuple[Any, ...]] = [
    (lambda t: t.dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3],),
    (lambda t: t.astype("datetime64[ms]").astype("int64"),),
    (lambda t: t.astype("datetime64[us]").astype("int64") / 1e6,),
    (lambda t: t.astype("datetime64[us]"),),
    (lambda t: t.astype("datetime64[ns]").dt.tz_localize("UTC"),),
    (lambda t: t.dt.strftime("%d/%m/%Y %H:%M:%S"), "--time-format", "%d/%m/%Y %H:%M:%S"),
    (lambda t: t.dt.strftime("%m/%d/%Y %I:%M:%S %p"), "--time-format", "%m/%d/%Y %I:%M:%S %p"),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_log_runs_however_its_times_are_written(tmp_path: Path, form: tuple[Any, ...]) -> None:
    write, *options = form
    tables = small_log(20)
    del tables["subscriptions"]
    tables["events"]["occurred_at"] += pd.Timedelta(milliseconds=413)
    for frame, column in ((tables["events"], "occurred_at"), (tables["accounts"], "signed_up_at")):
        frame[column] = write(frame[column])
    made = run("init", tmp_path / "w", *sources(tmp_path / "data", tables), *options)
    assert made.code == 0, made.words
    checked = run("check", "-w", tmp_path / "w")
    n = len(tables["events"])
    assert f"events: {n:,} rows read, {n:,} used" in checked.out


@pytest.mark.parametrize("pattern", ["", "dd/mm/yyyy", "%d/%m/%Q", "%"])
def test_a_way_of_writing_times_that_is_none_is_wrong_usage(tmp_path: Path, pattern: str) -> None:
    said = run("init", tmp_path / "w", "--events=gone", "--accounts=gone", f"--time-format={pattern}")
    assert said.code == 2
    assert "is not a way to write times: write one such as '%d/%m/%Y %H:%M'" in said.words
