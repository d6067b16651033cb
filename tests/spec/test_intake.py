"""What becomes of every row: used, set aside with a reason, or left out by a declared rule; the three add up."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from features.declaration import Calendar, Data, Sources
from features.discovery import provisional
from features.engines import fetch
from features.errors import DataError
from features.faults import explain
from features.intake import ends_within_its_day, open_log
from features.log import Log
from features.observations import Question, observe, quarterly
from features.sources import Stores
from features.specs import Aggregation, FeatureSpec
from features.windows import EVER, Grid, day_number
from tests.spec.drawn import NOW, data_for, draw, table

ACCOUNTS = """
account_id | signed_up_at | plan
a          | 2024-01-01   | free
b          | 2024-01-05   | pro
"""
EVENTS = """
account_id | event | occurred_at
a          | login | 2024-02-01
b          | login | 2024-02-02
"""


def books(log: Log, name: str) -> tuple[int, dict[str, int], dict[str, int]]:
    return log.read[name], log.quarantined[name], log.excluded.get(name, {})


def kept_aside(log: Log, folder: Path, name: str) -> list[dict[str, Any]]:
    log.write_quarantine(folder / "quarantine")
    rows = pd.read_parquet(folder / "quarantine" / f"{name}.parquet")
    return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]


def test_every_bad_event_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    events = """
    account_id | event | occurred_at      | quantity
    a          | login | 2024-02-01       | 1
    -          | login | 2024-02-01       | 1
    nan        | login | 2024-02-01       | 1
    a          | -     | 2024-02-01       | 1
    a          | login | -                | 1
    a          | login | 2031-01-01       | 1
    zoe        | login | 2024-02-01       | 1
    a          | login | 2023-12-31T23:59 | 1
    a          | login | 2024-02-01       | -1
    a          | login | 2024-02-01       | -
    """
    log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": events.replace("| -1\n", "| -1.0\n")})
    read, aside, left_out = books(log, "events")
    assert aside == {
        "before signup": 1,
        "in the future": 1,
        "no account_id": 2,
        "no event name": 1,
        "quantity negative or not a number": 2,
        "time missing or unreadable": 1,
        "unknown account": 1,
    }
    assert read == 10 == log.n_events + sum(aside.values()) + sum(left_out.values())
    rows = kept_aside(log, tmp_path, "events")
    assert sorted(row["reason"] for row in rows) == sorted(r for r, n in aside.items() for _ in range(n))
    assert next(row for row in rows if row["reason"] == "unknown account")["account_id"] == "zoe"


def test_an_event_at_the_instant_of_signup_is_used(tmp_path: Path) -> None:
    events = """
    account_id | event | occurred_at
    a          | login | 2024-01-01T00:00
    a          | login | 2023-12-31T23:59:59
    """
    log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": events})
    assert log.n_events == 1


def test_an_event_at_the_instant_of_reading_is_no_future(tmp_path: Path) -> None:
    events = "account_id | event | occurred_at\na | login | 2024-06-01T10:00\na | login | 2024-06-01T10:00:01"
    data = data_for(tmp_path, {"accounts": table(ACCOUNTS), "events": table(events)})
    log = open_log(data, tmp_path, now=pd.Timestamp("2024-06-01T10:00"))
    assert log.n_events == 1
    assert log.quarantined["events"] == {"in the future": 1}


@pytest.mark.parametrize(
    ("now", "through"),
    [
        ("2024-03-31T19:05", "2024-03-31T19:05"),
        ("2024-03-31T23:59:59.999999", "2024-03-31T23:59:59.999999"),
        ("2024-04-01", "2024-04-01"),
        ("2024-05-01", "2024-04-01"),
    ],
)
@pytest.mark.parametrize(
    ("final", "resolution"), [("2024-03-31T19:00", "instant"), ("2024-03-31T09:00", "day")]
)
def test_a_day_is_whole_once_it_is_over(
    tmp_path: Path, now: str, through: str, final: str, resolution: str
) -> None:
    tables = {"accounts": table(ACCOUNTS), "events": table(f"{EVENTS}a | login | {final}")}
    data = data_for(tmp_path, tables, calendar={"resolution": resolution})
    log = open_log(data, tmp_path, now=pd.Timestamp(now))
    assert log.data_through == pd.Timestamp(through)
    # The first quarter closes on 1 April at midnight.
    closes = [day_number(pd.Timestamp("2024-04-01"))] if now >= "2024-04-01" else []
    assert [
        d for d in quarterly(log, data).as_of_days if pd.Timestamp(d, unit="D") <= log.data_through
    ] == closes
    assert ends_within_its_day(data, log.data_through) == (not closes)


def test_a_day_that_ends_early_is_as_long_as_its_last_event(tmp_path: Path) -> None:
    tables = {"accounts": table(ACCOUNTS), "events": table(f"{EVENTS}a | login | 2024-03-31T17:59")}
    data = data_for(tmp_path, tables)
    log = open_log(data, tmp_path, now=NOW)
    assert log.data_through == pd.Timestamp("2024-03-31T17:59")
    assert not ends_within_its_day(data, log.data_through)


def test_the_quarantine_keeps_what_could_not_be_read(tmp_path: Path) -> None:
    frame = table(EVENTS).astype({"occurred_at": str})
    frame.loc[1, "occurred_at"] = "some day"
    data = data_for(tmp_path, {"accounts": table(ACCOUNTS), "events": frame})
    log = open_log(data, tmp_path, now=NOW)
    assert kept_aside(log, tmp_path, "events") == [
        {
            "account_id": "b",
            "event": "login",
            "occurred_at": "some day",
            "reason": "time missing or unreadable",
        }
    ]


def test_a_quarantine_of_an_earlier_run_does_not_outlive_its_rows(tmp_path: Path) -> None:
    bad = EVENTS + "zoe | login | 2024-02-01"
    draw(tmp_path, {"accounts": ACCOUNTS, "events": bad})[0].write_quarantine(tmp_path / "quarantine")
    assert (tmp_path / "quarantine" / "events.parquet").exists()
    draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS})[0].write_quarantine(tmp_path / "quarantine")
    assert not (tmp_path / "quarantine" / "events.parquet").exists()


def test_of_two_rows_of_an_account_the_first_usable_one_is_kept(tmp_path: Path) -> None:
    accounts = """
    account_id | signed_up_at | plan | reason
    a          | -            | old  | x
    a          | 2024-01-01   | free | x
    a          | 2024-01-09   | pro  | x
    -          | 2024-01-09   | pro  | x
    b          | 2031-01-09   | pro  | x
    """
    events = "account_id | event | occurred_at\na | login | 2024-02-01"
    log, _ = draw(tmp_path, {"accounts": accounts, "events": events})
    assert log.accounts[["account_id", "plan"]].to_numpy().tolist() == [["a", "free"]]
    assert log.quarantined["accounts"] == {
        "account_id given before": 1,
        "no account_id": 1,
        "signup in the future": 1,
        "signup missing or unreadable": 1,
    }
    assert [row["plan"] for row in kept_aside(log, tmp_path, "accounts")] == ["old", "pro", "pro", "pro"]


def test_bad_spells_are_set_aside(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        [
            ("a", "2024-01-01", "NaN", "3", "10"),
            ("a", "2024-03-01", "2024-02-01", "3", "10"),
            ("a", "2024-03-01", "whenever", "3", "10"),
            ("a", "2024-03-01", "", "-3", "10"),
            ("a", "2024-03-01", "", "many", "10"),
            ("a", "2024-03-01", "", "3", "inf"),
            ("zoe", "2024-03-01", "", "3", "10"),
            ("a", "", "", "3", "10"),
        ],
        columns=["account_id", "started_at", "ended_at", "seats", "mrr"],
    )
    tables = {"accounts": table(ACCOUNTS), "events": table(EVENTS), "subscriptions": frame}
    log = open_log(data_for(tmp_path, tables), tmp_path, now=NOW)
    assert log.quarantined["subscriptions"] == {
        "end unreadable": 1,
        "ends before it starts": 1,
        "mrr negative or not a number": 1,
        "seats negative or not a number": 2,
        "start missing or unreadable": 1,
        "unknown account": 1,
    }
    assert log.subscriptions is not None
    assert log.subscriptions["ended_at"].isna().tolist() == [True]


def test_an_outcome_without_a_date_says_that_nothing_happened(tmp_path: Path) -> None:
    outcomes = """
    account_id | occurred_at
    a          | -
    b          | 2024-03-01
    zoe        | 2024-03-01
    b          | 2031-03-01
    """
    log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": EVENTS, "outcomes": outcomes})
    assert log.outcomes is not None
    assert len(log.outcomes) == 1
    assert books(log, "outcomes") == (4, {"in the future": 1, "unknown account": 1}, {})
    assert any("1 rows without a date" in note for note in log.notes)


def test_an_empty_table_of_outcomes_says_that_nobody_was_lost(tmp_path: Path) -> None:
    outcomes = table("account_id | occurred_at\na | 2024-03-01").head(0)
    tables = {"accounts": table(ACCOUNTS), "events": table(EVENTS), "outcomes": outcomes}
    log = open_log(data_for(tmp_path, tables), tmp_path, now=NOW)
    assert log.outcomes is not None
    assert log.outcomes.empty
    assert any("nobody was lost" in line for line in log.books())


@pytest.mark.parametrize("empty", ["accounts", "events", "subscriptions"])
def test_any_other_empty_table_is_refused_by_name(tmp_path: Path, empty: str) -> None:
    spells = "account_id | started_at\na | 2024-01-01"
    tables = {"accounts": table(ACCOUNTS), "events": table(EVENTS), "subscriptions": table(spells)}
    tables[empty] = tables[empty].head(0)
    with pytest.raises(DataError, match=f"^{empty}: .* has no rows"):
        open_log(data_for(tmp_path, tables), tmp_path, now=NOW)


def test_copies_are_used_and_counted_until_they_are_declared(tmp_path: Path) -> None:
    events = EVENTS + "a | login | 2024-02-01\na | login | 2024-02-01\na | logout | 2024-02-01"
    log, _ = draw(tmp_path / "kept", {"accounts": ACCOUNTS, "events": events})
    assert (log.n_events, log.duplicates()) == (5, 2)
    log, _ = draw(tmp_path / "once", {"accounts": ACCOUNTS, "events": events}, events={"deduplicate": True})
    assert (log.n_events, log.duplicates()) == (3, 0)
    assert books(log, "events") == (5, {}, {"exact duplicate (data.events.deduplicate)": 2})
    assert int(log.events.count().execute()) == 3


def test_a_user_or_a_quantity_tells_two_events_apart(tmp_path: Path) -> None:
    events = """
    account_id | event | occurred_at | user_id | quantity
    a          | login | 2024-02-01  | u1      | 1
    a          | login | 2024-02-01  | u2      | 1
    a          | login | 2024-02-01  | u1      | 2
    """
    log, _ = draw(tmp_path, {"accounts": ACCOUNTS, "events": events})
    assert log.duplicates() == 0


@pytest.mark.parametrize(
    ("values", "equals"),
    [
        ([True, False], True),
        (["yes", "no"], True),
        ([1, 0], True),
        ([1.0, None], True),
        (["TRUE", ""], True),
        ([0, 1], False),
        (["Staff ", "customer"], "staff"),
        ([7.0, 8.0], 7),
        (["7", "x"], 7),
    ],
)
def test_a_rule_leaves_out_accounts_however_their_source_writes_it(
    tmp_path: Path, values: list[Any], equals: Any
) -> None:
    accounts = table(ACCOUNTS).assign(excluded=values)
    rules = [{"column": "excluded", "equals": equals, "reason": "staff"}]
    data = data_for(tmp_path, {"accounts": accounts, "events": table(EVENTS)}, exclusions=rules)
    log = open_log(data, tmp_path, now=NOW)
    assert books(log, "accounts") == (2, {}, {"staff": 1})
    assert books(log, "events") == (2, {}, {"its account is left out by rule": 1})
    assert "excluded" in log.accounts


def test_a_log_whose_accounts_are_all_left_out_says_so(tmp_path: Path) -> None:
    rules = [{"column": "plan", "equals": plan, "reason": "trial"} for plan in ("free", "pro")]
    data = data_for(tmp_path, {"accounts": table(ACCOUNTS), "events": table(EVENTS)}, exclusions=rules)
    with pytest.raises(DataError, match=r"left out by rule: 2.*check data.exclusions"):
        open_log(data, tmp_path, now=NOW)


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path: Path) -> None:
    data = data_for(tmp_path, {"accounts": table(ACCOUNTS), "events": table(EVENTS)})
    mapping = {**data.mapping, "events": {**data.mapping["events"], "event": "act"}}
    with pytest.raises(DataError, match=r"has no column 'act' .mapped to event.; it has account_id, event"):
        open_log(data.model_copy(update={"mapping": mapping}), tmp_path, now=NOW)
    with pytest.raises(DataError, match=r"data.fixed_at_signup: .* no column 'region'; it has .*plan"):
        open_log(data.model_copy(update={"fixed_at_signup": ("region",)}), tmp_path, now=NOW)
    rule = {"exclusions": [{"column": "region", "equals": 1, "reason": "r"}]}
    with pytest.raises(DataError, match=r"data.exclusions: .* no column 'region'; it has .*plan$"):
        open_log(Data.model_validate({**data.model_dump(), **rule}), tmp_path, now=NOW)


def opened(
    folder: Path,
    events: str,
    accounts: str = "accounts.csv",
    zone: str = "UTC",
    formats: tuple[str, ...] = (),
) -> Log:
    """A log from written sources whose columns bear the contract's names."""
    mapping = {
        "events": {c: c for c in ("account_id", "event", "occurred_at")},
        "accounts": {"account_id": "account_id", "signed_up_at": "signed_up_at"},
    }
    sources = Sources(events=events, accounts=accounts)
    return open_log(
        provisional(sources, mapping, Calendar(timezone=zone, time_formats=formats)), folder, now=NOW
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accounts.csv").write_text("account_id,signed_up_at\n1,2020-01-01\n2,2020-01-01\n")
    return tmp_path


def times(log: Log) -> list[str]:
    found = log.events.order_by("event").select("occurred_at").to_pyarrow().to_pandas()["occurred_at"]
    return [str(time) for time in found]


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2024-07-01 10:00:00", "2024-07-01 08:00:00"),
        ("2024-07-01", "2024-06-30 22:00:00"),
        ("20240701", "2024-06-30 22:00:00"),
        ("2024-07-01T10:00:00+05:00", "2024-07-01 05:00:00"),
        ("2024-07-01 10:00 -0330", "2024-07-01 13:30:00"),
        ("2024-07-01T10:00:00.250Z", "2024-07-01 10:00:00.250000"),
        ("2024-07-01 10:00 UTC", "2024-07-01 10:00:00"),
        ("2024-07-01 10:00 America/New_York", "2024-07-01 14:00:00"),
        ("1719828000", "2024-07-01 10:00:00"),
        ("1719828000000", "2024-07-01 10:00:00"),
        (" 1719828000.5 ", "2024-07-01 10:00:00.500000"),
    ],
)
def test_a_written_time_is_read_in_its_own_zone_or_the_declared_one(
    folder: Path, written: str, utc: str
) -> None:
    (folder / "events.csv").write_text(f"account_id,event,occurred_at\n1,login,{written}\n")
    log = opened(folder, "events.csv", zone="Europe/Berlin")
    assert [time.rstrip("0").rstrip(".") if "." in time else time for time in times(log)] == [
        utc.rstrip("0") if "." in utc else utc
    ]


@pytest.mark.parametrize(
    ("written", "formats", "utc"),
    [
        ("07/05/2024", ("%d/%m/%Y",), "2024-05-06 22:00:00"),
        ("07/05/2024", ("%m/%d/%Y",), "2024-07-04 22:00:00"),
        ("07/05/2024 02:30 PM", ("%d/%m/%Y", "%m/%d/%Y %I:%M %p"), "2024-07-05 12:30:00"),
        ("2024-07-01 10:00:00", ("%d/%m/%Y",), "2024-07-01 08:00:00"),  # what is clear needs no declaration
        ("2024-07-01 10:00:00", ("%Y-%d-%m %H:%M:%S",), "2024-01-07 09:00:00"),  # unless there is one
    ],
)
def test_a_time_is_read_as_it_was_declared_to_be_written(
    folder: Path, written: str, formats: tuple[str, ...], utc: str
) -> None:
    (folder / "events.csv").write_text(f"account_id,event,occurred_at\n1,login,{written}\n")
    assert times(opened(folder, "events.csv", zone="Europe/Berlin", formats=formats)) == [utc]


@pytest.mark.parametrize(
    "written", ["05.07.2024", "07/05/2024", "2024-02-30", "soon", "20241301", "1e30", "-5"]
)
def test_a_time_that_could_be_read_in_two_ways_is_read_in_none(folder: Path, written: str) -> None:
    (folder / "events.csv").write_text(f"account_id,event,occurred_at\n1,login,{written}\n")
    with pytest.raises(
        DataError, match=r"time missing or unreadable: 1.; the first of them.*times are read as"
    ):
        opened(folder, "events.csv")


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_numbers_are_times_since_1970_in_the_unit_that_fits(folder: Path, scale: int, kind: str) -> None:
    frame = pd.DataFrame({"account_id": ["1"], "event": ["e"], "occurred_at": [1_719_828_000 * scale]})
    frame.astype({"occurred_at": kind}).to_parquet(folder / "events.parquet")
    assert times(opened(folder, "events.parquet")) == ["2024-07-01 10:00:00"]


def test_a_number_that_is_no_time_is_set_aside(folder: Path) -> None:
    values = [20240701.0, 1e30, float("inf"), float("nan"), -1e30]
    frame = pd.DataFrame({"account_id": "1", "event": "e", "occurred_at": values})
    frame.to_parquet(folder / "events.parquet")
    log = opened(folder, "events.parquet")
    assert times(log) == ["2024-07-01 00:00:00"]
    assert log.quarantined["events"] == {"time missing or unreadable": 4}


def test_times_beyond_all_calendars_are_drawn_in(folder: Path) -> None:
    rows = [f"1,e{i},{t}" for i, t in enumerate(("2024-07-01", "infinity", "-infinity", "290000-01-01"))]
    (folder / "events.csv").write_text("account_id,event,occurred_at\n" + "\n".join(rows))
    (folder / "accounts.csv").write_text("account_id,signed_up_at\n1,2020-01-01\n2,-infinity\n3,infinity\n")
    log = opened(folder, "events.csv")
    assert log.quarantined["events"] == {"before signup": 1, "in the future": 2}
    assert log.accounts["signed_up_at"].min() == pd.Timestamp("0001-01-01")
    assert log.quarantined["accounts"] == {"signup in the future": 1}


@pytest.mark.parametrize("night", ["2024-10-27 02:30:00", "2025-03-30 02:30:00"])
def test_the_nights_of_the_clock_change_lose_no_event(folder: Path, night: str) -> None:
    # 02:30 came twice in the first night and never in the second.
    (folder / "events.csv").write_text(f"account_id,event,occurred_at\n1,login,{night}\n")
    log = opened(folder, "events.csv", zone="Europe/Berlin")
    (read,) = times(log)
    assert abs(pd.Timestamp(read) - pd.Timestamp(night)) <= pd.Timedelta(hours=2)


@pytest.mark.parametrize("ids", [[1, 2], [1.0, 2.0], [1.0, None], ["1", "2"]])
def test_an_id_is_the_same_whatever_its_type(folder: Path, ids: list[Any]) -> None:
    frame = pd.DataFrame({"account_id": ids, "event": "e", "occurred_at": pd.Timestamp("2024-07-01")})
    frame.to_parquet(folder / "events.parquet")
    log = opened(folder, "events.parquet")
    assert log.n_events == int(frame["account_id"].count())


NASTY = [
    "it's",
    '"quoted"',
    "<script>alert(1)</script>",
    "two\nlines",
    "'; DROP TABLE events; --",
    "a,b;c|d",
    "é💥",
]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_event_names_are_what_their_source_says(folder: Path, suffix: str) -> None:
    frame = pd.DataFrame({"account_id": "1", "event": NASTY, "occurred_at": "2024-07-01 10:00:00"})
    path = folder / f"events.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    assert opened(folder, path.name).event_names() == set(NASTY)


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("comma", [",", ";", "\t", "|"])
def test_csv_is_read_with_any_separator_and_byte_order_mark(folder: Path, start: str, comma: str) -> None:
    lines = ["account_id,event,occurred_at", "1,login,2024-07-01 10:00:00", "2,,2024-07-01 10:00:00"]
    text = start + "\n".join(lines).replace(",", comma)
    (folder / "events.csv").write_text(text, encoding="utf-8")
    log = opened(folder, "events.csv")
    assert books(log, "events") == (2, {"no event name": 1}, {})


def test_a_folder_and_a_glob_are_read_as_one_table(folder: Path) -> None:
    frame = pd.DataFrame({"account_id": ["1", "2"], "event": "e", "occurred_at": pd.Timestamp("2024-07-01")})
    (folder / "log [1]" / "deep").mkdir(parents=True)
    frame.to_parquet(folder / "log [1]" / "x1.parquet")
    frame.to_parquet(folder / "log [1]" / "deep" / "x2.parquet")
    frame.to_parquet(folder / "log [1]" / ".x3.parquet")  # half-written ones are hidden
    (folder / "log 1").mkdir()
    frame.head(1).to_parquet(folder / "log 1" / "x1.parquet")
    assert opened(folder, "log [1]").n_events == 4
    assert opened(folder, "log [1]/x*.parquet").n_events == 2


def test_a_text_is_a_table_where_it_is_meant(folder: Path) -> None:
    (folder / "log").mkdir()
    (folder / "log" / "README.txt").write_text("What these files are.")
    for name in ("may.csv", "june.txt", "july.txt"):
        (folder / "log" / name).write_text("account_id,event,occurred_at\n1,e,2024-07-01\n")
    assert opened(folder, "log/june.txt").n_events == 1
    assert opened(folder, "log/ju*.txt").n_events == 2
    assert opened(folder, "log").n_events == 1


def test_two_tables_of_one_duckdb_file(folder: Path) -> None:
    import duckdb

    with duckdb.connect(str(folder / "x.duckdb")) as database:
        database.execute("CREATE TABLE accounts AS SELECT 1 AS account_id, DATE '2020-01-01' AS signed_up_at")
        database.execute("CREATE SCHEMA raw")
        database.execute(
            "CREATE VIEW raw.events AS SELECT 1 AS account_id, 'e' AS event, now() AS occurred_at"
        )
    assert opened(folder, "x.duckdb::raw.events", "x.duckdb::main.accounts").n_events == 1
    stores = Stores()
    for _ in range(2):
        assert stores.open("x.duckdb::raw.events", folder, "events").count().execute() == 1
    with pytest.raises(DataError, match=r"has no table 'nope'; it has accounts, raw.events"):
        opened(folder, "x.duckdb::nope")
    with pytest.raises(DataError, match="is a DuckDB file; say which table"):
        opened(folder, "x.duckdb")


def test_a_source_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "half.parquet").write_bytes(b"PAR1 and nothing more")
    (folder / "nothing.csv").write_text("")
    (folder / "fake.duckdb").write_text("hello")
    (folder / "x.xlsx").write_text("hello")
    (folder / "mixed").mkdir()
    (folder / "mixed" / "a.csv").write_text("x\n1\n")
    (folder / "latin.csv").write_bytes(b"account_id,event,occurred_at\na,caf\xe9,2024-01-01\n")
    (folder / "mixed" / "b.parquet").write_text("x")
    (folder / "many").mkdir()
    (folder / "many" / "a.csv").write_text("account_id,event,occurred_at\na,x,2024-01-01\n")
    (folder / "many" / "b.csv").write_bytes((folder / "latin.csv").read_bytes())
    for source, words in {
        "half.parquet": "events: cannot read .*half.parquet",
        "nothing.csv": "events: .*nothing.csv is empty: it has not even a header",
        "fake.duckdb::events": "events: cannot read .*fake.duckdb",
        "gone.duckdb::events": "events: there is no DuckDB file",
        "latin.csv": "latin.csv.*not written in UTF-8: convert it",
        "many": "CSV Error on Line: 2 of .*many/b.csv. It is not written in UTF-8: convert it",
        "gone.parquet": "events: there is no file .*gone.parquet",
        "gone/*.csv": "events: there is no file",
        "x.xlsx": "is of no known kind",
        "mixed": "mixes .csv, .parquet files",
        "mysql://me@host/x::events": "mysql://me@host/x::events is an address of a kind",
        "postgres://me@host/x": "names no table; write postgres://me@host/x::schema.table",
    }.items():
        with pytest.raises(DataError, match=words):
            opened(folder, source)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@host/x::events", "me:***@host/x::events"),
        ("postgresql://me:/secret@host/x::events", "me:***@host"),
        ("postgresql://me:a?secret/b@host/x::events", "me:***@host"),
        ("postgresql://me:a@secret@host/x::events", "me:***@host"),
        ("postgresql://me@corp:secret@host/x::events", "me@corp:***@host"),
        ("postgresql://me:secret::1@host/x", "me:***@host"),
        ("postgresql://me@host/x?password=secret::events", "me@host/x?***"),
        ("postgresql://me@host/x?user=me&pass%77ord=secret::events", "me@host/x?***"),
        ("postgresql://host/x?sslmode=require&sslpassword=secret::events", "host/x?***"),
        ("mysql://me:secret@host/x::events", "me:***@host"),
    ],
)
def test_a_password_is_no_part_of_a_source(address: str, shown: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sources(events=address, accounts="a.csv")
    words = explain(caught.value)
    assert "PGPASSWORD" in words
    assert shown in words
    assert "secret" not in words


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://me@host:5432/x::public.events",
        "postgresql://me@host/x?sslmode=require&passfile=p::events",
        "postgres://[::1]:5432/x::events",
        "log?password=1/*.csv",
        "data/me:you@home.csv",
    ],
)
def test_what_holds_no_password_is_a_source(source: str) -> None:
    assert Sources(events=source, accounts="a.csv").events == source


@pytest.mark.parametrize("place", ["host:54x", "host:99999", "host:-1", "[::1"])
def test_an_address_that_is_none_is_named_with_what_to_correct(place: str) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed (make engines)")
    address = f"postgresql://me@{place}/x"
    with pytest.raises(DataError) as refused:
        Stores().open(f"{address}::events", Path(), "events")
    assert str(refused.value).startswith(f"{address} is no address of a database (")
    assert "write postgresql://user@host:port/database, the port a number up to 65535" in str(refused.value)


def test_events_that_are_used_are_as_many_as_the_books_say(tmp_path: Path) -> None:
    events = """
    account_id | event | occurred_at         | quantity | user_id
    a          | login | 2024-01-01T00:00:00 | 1        | u1
    a          | login | 2023-12-31T23:59:59 | 1        | u1
    a          | -     | 2024-02-01          | 1        | u1
    a          |       | 2024-02-01          | 1        | u1
    a          | login | -                   | 1        | u1
    a          | login | 2031-01-01          | 1        | u1
    a          | login | 2024-02-01          | -1       | u1
    a          | login | 2024-02-01          | -        | u1
    c          | login | 2024-02-01          | 1        | u1
    -          | login | 2024-02-01          | 1        | u1
    b          | login | 2024-02-01          | 1        | u1
    """
    frame = table(events)
    frame.loc[3, "event"] = "  \t"
    accounts = table(ACCOUNTS).assign(plan=["free", "staff"])
    rule = {"column": "plan", "equals": "staff", "reason": "staff"}
    log = open_log(
        data_for(tmp_path, {"events": frame, "accounts": accounts}, exclusions=[rule]), tmp_path, now=NOW
    )
    used = fetch(log.events).to_pylist()
    assert [(row["account"], str(row["occurred_at"])) for row in used] == [(0, "2024-01-01 00:00:00")]
    assert log.n_events == 1
    assert books(log, "events")[0] == 11
    assert sum(log.quarantined["events"].values()) == 9
    assert log.excluded["events"] == {"its account is left out by rule": 1}


def test_who_is_left_out_is_nobody_to_observe(tmp_path: Path) -> None:
    accounts = "account_id | signed_up_at | staff\nb | 2024-01-05 | yes\na | 2024-01-01 | no"
    events = "account_id | event | occurred_at\na | login | 2024-03-15\na | login | 2024-08-01\nb | login | 2024-02-01"
    outcomes = "account_id | occurred_at\na | 2024-07-01"
    log, data = draw(
        tmp_path,
        {"accounts": accounts, "events": events, "outcomes": outcomes},
        exclusions=[{"column": "staff", "equals": True, "reason": "staff"}],
        outcomes={"kind": "outcomes", "horizon_days": 90},
    )
    assert log.accounts["account_id"].tolist() == ["a"]
    spec = FeatureSpec("n", "", Aggregation.DAYS_SINCE, EVER)
    frame = observe(log, data, Question((spec,), Grid("calendar", (19_802,))))  # 2024-03-20
    assert frame[["account", "n", "alive"]].to_numpy().tolist() == [[0, 5.0, True]]
