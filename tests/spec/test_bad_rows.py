"""What is wrong with a row has the same name, and the rest the same value, on every engine."""

from pathlib import Path

import pandas as pd
import pytest

from features.catalogue import catalogue
from features.engines import fetch, postgres
from features.errors import DataError, StoreError
from features.intake import open_log
from features.observations import Question, observe
from features.windows import Grid
from tests.spec.drawn import NOW, ON, data_for, draw, table

pytestmark = pytest.mark.usefixtures("engine")

ACCOUNTS = """
account_id | signed_up_at | staff
a          | 2024-01-01   | no
b          | 2024-01-05   | yes
O'Brien "é" \\ x | 2024-01-05 | no
"""
EVENTS = """
account_id | event | occurred_at                   | quantity | user_id
a          | login | 2024-01-01                    | 1        | u1
a          | login | 2024-01-01 00:00:00.000001    | 1        | u1
a          | login | 2024-02-29T10:00:00           | 2        | nan
a          | send  | 2024-03-01T01:30:00+02:00     | 1        | u2
a          | send  | 20240302                      | 1.5      | u2
a          | send  | 1709424000                    | 1        | NULL
a          | send  | 1709424000123                 | 1        | u2
a          | login | 2023-12-31T23:59:59           | 1        | u1
a          | login | 2024-02-30                    | 1        | u1
a          | login | 2023-02-29                    | 1        | u1
a          | login | 2024-13-01                    | 1        | u1
a          | login | 2024-03-05 24:30              | 1        | u1
a          | login | tomorrow                      | 1        | u1
a          | login | -                             | 1        | u1
a          | login | 2031-01-01                    | 1        | u1
a          | login | 9999-12-31                    | 1        | u1
a          | login | 2024-02-01                    | -1       | u1
a          | login | 2024-02-01                    | many     | u1
a          | login | 2024-02-01                    | 1_000    | u1
a          | login | 2024-02-01                    | -        | u1
a          | -     | 2024-02-01                    | 1        | u1
c          | login | 2024-02-01                    | 1        | u1
null       | login | 2024-02-01                    | 1        | u1
-          | login | 2024-02-01                    | 1        | u1
b          | login | 2024-02-01                    | 1        | u1
O'Brien "é" \\ x | it's "odd"; DROP TABLE events -- | 2024-02-01 | 1 | u1
"""


def texts(drawn: str) -> pd.DataFrame:
    """A drawn table in which every column is text, as a CSV is read."""
    rows = [[cell.strip() for cell in line.split("|")] for line in drawn.strip().splitlines()]
    return pd.DataFrame(rows[1:], columns=rows[0], dtype="str").mask(lambda f: f == "-")


def test_each_bad_row_has_its_reason(tmp_path: Path) -> None:
    frame = texts(EVENTS)
    staff = {"column": "staff", "equals": True, "reason": "staff"}
    log = open_log(
        data_for(tmp_path, {"events": frame, "accounts": table(ACCOUNTS)}, exclusions=[staff]),
        tmp_path,
        now=NOW,
    )
    assert log.read["events"] == 26
    assert log.quarantined["events"] == {
        "before signup": 1,
        "in the future": 2,
        "no account_id": 2,
        "no event name": 1,
        "quantity negative or not a number": 4,
        "time missing or unreadable": 6,
        "unknown account": 1,
    }
    assert log.excluded["events"] == {"its account is left out by rule": 1}
    assert log.n_events == 8
    used = fetch(log.events).to_pandas().sort_values("occurred_at", kind="stable")
    assert [str(t) for t in used.loc[used["account"] == 0, "occurred_at"]] == [
        "2024-01-01 00:00:00",
        "2024-01-01 00:00:00.000001",
        "2024-02-29 10:00:00",
        "2024-02-29 23:30:00",
        "2024-03-02 00:00:00",
        "2024-03-03 00:00:00",
        "2024-03-03 00:00:00.123000",
    ]
    assert used["quantity"].sum() == 9.5
    assert used["user_id"].isna().sum() == 2
    assert used.loc[used["account"] == 1, "event"].tolist() == ['it\'s "odd"; DROP TABLE events --']
    log.write_quarantine(tmp_path / "aside")
    aside = pd.read_parquet(tmp_path / "aside" / "events.parquet")
    assert len(aside) == 17
    assert "tomorrow" in set(aside["occurred_at"])


@pytest.mark.parametrize("engine", ["duckdb", "spark"], indirect=True)
def test_files_write_their_times_as_they_like(tmp_path: Path) -> None:
    """What one file holds in nanoseconds, the next holds in microseconds, with a zone or without."""
    whole = pd.DataFrame(
        {"account_id": "a", "event": "e", "occurred_at": pd.date_range("2024-02-01", periods=4)}
    )
    data = data_for(tmp_path, {"events": whole, "accounts": table(ACCOUNTS)})
    (tmp_path / "events").mkdir()
    for i, unit in enumerate(("us", "ns", "us", "ns")):
        part = whole.iloc[[i]].astype({"occurred_at": f"datetime64[{unit}]"})
        part.to_parquet(tmp_path / "events" / f"{i}.parquet", index=False)
    sources = data.sources.model_copy(update={"events": "events"})
    log = open_log(data.model_copy(update={"sources": sources}), tmp_path, now=NOW)
    assert sorted(fetch(log.events).to_pandas()["occurred_at"]) == whole["occurred_at"].tolist()


@pytest.mark.parametrize("engine", ["duckdb", "spark"], indirect=True)
@pytest.mark.parametrize("content", [b"PAR1 and nothing more", b"PAR1xxxxxxxx\x08\x00\x00\x00PAR1"])
def test_a_file_that_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    whole = table("account_id | event | occurred_at\na | e | 2024-02-01")
    data = data_for(tmp_path, {"events": whole, "accounts": table(ACCOUNTS)})
    (tmp_path / "events.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"events: cannot read .*events\.parquet"):
        open_log(data, tmp_path, now=NOW)


@pytest.mark.parametrize(
    "engine", ["duckdb", "postgres", pytest.param("spark", marks=pytest.mark.slow)], indirect=True
)
def test_declared_ways_of_writing_times(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "account_id": "a",
            "event": "e",
            "occurred_at": [
                "31/01/2024 14:05", "1/2/2024 4:05", "30/02/2024 10:00", "Feb 29, 24 01:02:03 PM",
                "Feb 29, 24 12:02:03 AM", "x", "2024-03-31T01:00:00Z",
            ],
        }
    )  # fmt: skip
    formats = {"time_formats": ["%d/%m/%Y %H:%M", "%b %d, %y %I:%M:%S %p"], "timezone": "Europe/Dublin"}
    log = open_log(
        data_for(
            tmp_path,
            {"events": frame, "accounts": table("account_id | signed_up_at\na | 2023-01-01")},
            calendar=formats,
        ),
        tmp_path,
        now=NOW,
    )
    times = sorted(str(t) for t in fetch(log.events).to_pandas()["occurred_at"])
    assert times == [
        "2024-01-31 14:05:00",
        "2024-02-01 04:05:00",
        "2024-02-29 00:02:03",
        "2024-02-29 13:02:03",
        "2024-03-31 01:00:00",
    ]
    assert log.quarantined["events"] == {"time missing or unreadable": 2}


def test_nights_in_which_the_clock_is_changed(tmp_path: Path) -> None:
    local = ["2024-03-31T00:30", "2024-03-31T01:30", "2024-03-31T02:30", "2024-10-27T00:30", "2024-10-27T01:30", "2024-10-27T02:30"]  # fmt: skip
    events = "account_id | event | occurred_at\n" + "\n".join(f"a | e | {t}" for t in local)
    log, _ = draw(
        tmp_path,
        {"events": events, "accounts": "account_id | signed_up_at\na | 2023-01-01"},
        calendar={"timezone": "Europe/Dublin"},
    )
    # 01:30 is skipped in spring, and stands for half an hour later; in autumn it comes twice, and the second is meant.
    assert sorted(str(t)[5:16] for t in fetch(log.events).to_pandas()["occurred_at"]) == [
        "03-31 00:30", "03-31 01:30", "03-31 01:30", "10-26 23:30", "10-27 01:30", "10-27 02:30",
    ]  # fmt: skip


def test_thousands_of_events_and_one_account_with_half_of_them(tmp_path: Path) -> None:
    n = 2_000
    names = [f"event {i}" for i in range(n)]
    at = pd.date_range("2024-01-02", periods=n, freq="h")
    many = pd.DataFrame({"account_id": "big", "event": names, "occurred_at": at})
    few = pd.DataFrame({"account_id": [f"s{i % 40}" for i in range(n)], "event": names[0], "occurred_at": at})
    later = pd.DataFrame({"account_id": ["s0"], "event": names[0], "occurred_at": pd.Timestamp("2024-06-01")})
    accounts = pd.DataFrame({"account_id": ["big", *(f"s{i}" for i in range(40))]})
    accounts["signed_up_at"] = pd.Timestamp("2024-01-01")
    data = data_for(
        tmp_path,
        {"events": pd.concat([many, few, later]), "accounts": accounts},
        features={"events": names[:40], "windows_days": [30], "event_windows_days": [90]},
    )
    log = open_log(data, tmp_path, now=NOW)
    specs = catalogue(data, has_users=False, has_seats=False, has_revenue=False)
    frame = observe(log, data, Question(specs, Grid("calendar", (19_814,))))
    counts = frame.set_index("account")["event_0_90d"]
    assert counts.loc[0] == 1
    assert counts.loc[1:].tolist() == [50.0] * 40
    assert frame["event_39_90d"].sum() == 1


def take_away(source: str) -> None:
    address, _, name = source.rpartition("::")
    postgres.connect(address).con.execute(f"DROP TABLE {name}")


def test_a_table_without_a_usable_row_says_why(tmp_path: Path) -> None:
    events = "account_id | event | occurred_at\nz | login | 2024-02-01"
    with pytest.raises(DataError, match=r"unknown account: 1.*the accounts table has 'a'"):
        draw(tmp_path, {"accounts": ACCOUNTS, "events": events})


def test_events_that_go_away_are_a_store_that_is_away(tmp_path: Path) -> None:
    log, data = draw(tmp_path, {"accounts": ACCOUNTS, "events": "account_id | event | occurred_at\na | e | 2024-02-01"})  # fmt: skip
    specs = catalogue(data, has_users=False, has_seats=False, has_revenue=False)
    if ON.get().startswith("postgresql"):
        take_away(data.sources.events)
        words = "no longer there"
    else:
        (tmp_path / "events.parquet").unlink()
        words = "taken away while it was read"
    with pytest.raises(StoreError, match=words):
        observe(log, data, Question(specs, Grid("calendar", (19_814,))))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_of_text_files(tmp_path: Path, separator: str) -> None:
    if ON.get().startswith("postgresql"):
        return  # a database has no text files
    _, data = draw(
        tmp_path, {"accounts": ACCOUNTS, "events": "account_id | event | occurred_at\na | e | 2024-02-01"}
    )
    rows = ["account_id,event,occurred_at", 'a,"say ""x,;""",2024-02-01 10:00:00', "a,e,2024-02-02"]
    text = "\n".join(row.replace(",", separator) if "say" not in row else row for row in rows)
    text = text.replace('a,"say ""x,;""",2024', f'a{separator}"say ""x,;"""{separator}2024')
    (tmp_path / "events.csv").write_text(text + "\n", encoding="utf-8")
    there = data.model_copy(update={"sources": data.sources.model_copy(update={"events": "events.csv"})})
    log = open_log(there, tmp_path, now=NOW)
    assert sorted(fetch(log.events).to_pandas()["event"]) == ["e", 'say "x,;"']
