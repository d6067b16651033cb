"""The log as it was knowable at an instant: what was recorded by then, in the version of then."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.declaration import Data
from features.errors import DataError
from features.intake import open_log
from features.log import Log
from features.observations import Question, observe
from features.outcomes import lives
from features.recording import as_known_at
from features.specs import Aggregation, FeatureSpec
from features.tables import TABLES
from features.windows import EVER, Grid, last
from tests.spec import reference
from tests.spec.drawn import NOW, data_for, feature, table
from tests.unit.small_log import run, small_log, sources

ACCOUNTS = """
account_id | signed_up_at
a          | 2024-01-01
b          | 2024-02-01
late       | 2024-03-31
"""
EVENTS = """
account_id | event | occurred_at         | recorded_at
a          | login | 2024-01-01          | -
a          | login | 2024-03-01          | 2024-03-05
a          | login | 2024-03-02          | 2024-04-01
a          | login | 2024-03-03          | 2024-03-31
b          | login | 2024-03-30T23:59:59 | -
b          | login | 2024-03-31          | -
late       | login | 2024-03-31          | -
a          | login | 2024-06-30T20:00    | -
"""


def opened(folder: Path, known_at: str | None, **tables: str) -> tuple[Log, Data]:
    drawn = {"accounts": ACCOUNTS, "events": EVENTS} | tables
    data = data_for(folder, {name: table(text) for name, text in drawn.items()})
    instant = None if known_at is None else pd.Timestamp(known_at)
    return open_log(data, folder, now=NOW, known_at=instant), data


COUNT = FeatureSpec("x", "x", Aggregation.COUNT, last(60))


@pytest.mark.usefixtures("engine")
def test_events_count_once_they_are_recorded(tmp_path: Path) -> None:
    log, data = opened(tmp_path, "2024-03-31")
    # Recorded on 31 March itself is known then; what happens on 31 March is not, nor what is recorded in April.
    assert feature(log, data, COUNT, "2024-03-31") == {("a", "2024-03-31"): 2, ("b", "2024-03-31"): 1}
    assert log.withheld == {
        "accounts": {"not yet recorded at 2024-03-31 00:00:00": 1},
        "events": {"not yet recorded at 2024-03-31 00:00:00": 4},
    }
    assert (log.n_events, log.quarantined["events"]) == (4, {})
    later, data = opened(tmp_path, "2024-04-01")
    assert feature(later, data, COUNT, "2024-03-31")[("a", "2024-03-31")] == 3
    assert feature(*opened(tmp_path, None), COUNT, "2024-03-31")[("a", "2024-03-31")] == 3


def test_the_books_say_as_of_when_they_are_and_add_up(tmp_path: Path) -> None:
    log, _ = opened(
        tmp_path, "2024-03-31", subscriptions="account_id | started_at\na | 2024-01-01\nlate | 2024-01-01"
    )
    books = log.books()
    assert books[0] == "as known at 2024-03-31 00:00:00"
    assert "accounts: 3 rows read, 2 used, 1 not yet recorded at 2024-03-31 00:00:00" in books
    assert "events: 8 rows read, 4 used, 4 not yet recorded at 2024-03-31 00:00:00" in books
    # The spell of an account that does not exist yet is no mistake.
    assert "subscriptions: 2 rows read, 1 used, 1 not yet recorded at 2024-03-31 00:00:00" in books
    assert any(line.startswith("subscriptions: without recorded_at, so") for line in books)
    assert not any("without recorded_at" in line for line in opened(tmp_path, None)[0].books())


def test_knowledge_ends_at_the_latest_at_the_instant(tmp_path: Path) -> None:
    assert opened(tmp_path, "2024-03-31")[0].data_through == pd.Timestamp("2024-03-31")
    assert opened(tmp_path, "2024-03-31T00:00:01")[0].data_through == pd.Timestamp("2024-03-31")
    assert opened(tmp_path, "2024-03-30T23:59:59.5")[0].data_through == pd.Timestamp("2024-03-30T23:59:59.5")
    assert opened(tmp_path, None)[0].data_through == pd.Timestamp("2024-07-01")


def test_an_end_is_known_when_it_comes_or_when_it_was_recorded(tmp_path: Path) -> None:
    spells = """
    account_id | started_at | ended_at   | renews_at  | seats
    a          | 2024-01-01 | 2024-04-30 | 2025-01-01 | 3
    a          | 2024-03-31 | -          | -          | 9
    b          | 2024-02-01 | 2024-03-30 | -          | 2
    b          | 2024-02-02 | 2024-03-31 | -          | 2
    """
    log, _ = opened(tmp_path / "plain", "2024-03-31", subscriptions=spells)
    assert log.subscriptions is not None
    assert log.subscriptions["seats"].tolist() == [3, 2, 2]
    assert log.subscriptions["ended_at"].tolist()[1:2] == [pd.Timestamp("2024-03-30")]
    assert log.subscriptions["ended_at"].isna().tolist() == [True, False, True]
    assert log.subscriptions["renews_at"].iloc[0] == pd.Timestamp("2025-01-01")
    lines = [line.strip() for line in spells.strip().splitlines()]
    announced = "\n".join(
        [lines[0] + " | recorded_at", lines[1] + " | 2024-03-01", lines[2] + " | 2024-03-01"]
    )
    log, _ = opened(tmp_path / "recorded", "2024-03-31", subscriptions=announced)
    assert log.subscriptions is not None
    assert log.subscriptions["ended_at"].tolist()[0] == pd.Timestamp("2024-04-30")
    assert log.subscriptions["seats"].tolist() == [3, 9]  # both were announced


ANNOUNCED = """
account_id | occurred_at         | recorded_at
a          | 2024-03-30T23:59:59 | 2024-03-01
a          | 2024-03-31          | 2024-03-01
b          | 2031-01-01          | 2024-03-01
b          | 2024-03-20          | 2024-04-02
b          | 2024-05-01          | -
b          | -                   | 2024-03-01
"""


def test_an_outcome_announced_ahead_is_no_mistake_and_not_known_yet(tmp_path: Path) -> None:
    # What is announced for the very instant, or for later, has not happened; what came to be known later is not there.
    log, _ = opened(tmp_path, "2024-03-31", outcomes=ANNOUNCED)
    assert log.quarantined["outcomes"] == {}
    assert log.withheld["outcomes"] == {
        "not yet recorded at 2024-03-31 00:00:00": 2,
        "still to come at 2024-03-31 00:00:00": 2,
    }
    assert log.outcomes is not None
    assert log.outcomes["occurred_at"].tolist() == [pd.Timestamp("2024-03-30T23:59:59")]
    assert "outcomes: 6 rows read, 2 used" in "\n".join(log.books())
    # Asked for what is known now, what lies ahead of now is set aside.
    now, _ = opened(tmp_path, None, outcomes=ANNOUNCED)
    assert now.quarantined["outcomes"] == {"in the future": 1}
    assert "outcomes" not in now.withheld


VERSIONS = """
account_id | attribute | value | valid_from | recorded_at
a          | sso       | off   | 2024-02-01 | -
a          | sso       | on    | 2024-02-01 | 2024-03-10
a          | sso       | maybe | 2024-02-01 | 2024-04-10
b          | sso       | on    | 2024-02-05 | 2024-02-06
"""


@pytest.mark.parametrize(
    ("known_at", "expected", "superseded"),
    [("2024-03-09", "off", 0), ("2024-03-10", "on", 1), ("2024-04-09", "on", 1), (None, "maybe", 2)],
)
def test_of_several_versions_the_last_one_recorded_by_then_stands(
    tmp_path: Path, known_at: str | None, expected: str, superseded: int
) -> None:
    log, data = opened(tmp_path, known_at, states=VERSIONS)
    asked = FeatureSpec("x", "x", Aggregation.STATE, EVER, attribute="sso", equals=expected)
    assert feature(log, data, asked, "2024-02-20")[("a", "2024-02-20")] == 1
    assert log.withheld.get("states", {}).get("superseded by a later version", 0) == superseded
    if superseded:
        assert any(f", {superseded} superseded by a later version" in line for line in log.books())


def test_without_a_time_of_recording_rows_are_no_versions(tmp_path: Path) -> None:
    spells = "account_id | started_at | seats\na | 2024-01-01 | 2\na | 2024-01-01 | 3"
    log, data = opened(tmp_path, None, subscriptions=spells)
    seats = FeatureSpec("x", "x", Aggregation.SEATS, EVER)
    assert feature(log, data, seats, "2024-02-01")[("a", "2024-02-01")] == 5


def test_outcomes_are_known_when_they_are_recorded(tmp_path: Path) -> None:
    outcomes = """
    account_id | occurred_at | recorded_at
    a          | 2024-02-01  | 2024-05-01
    a          | 2024-03-01  | -
    b          | 2024-03-31  | -
    """
    log, data = opened(tmp_path, "2024-03-31", outcomes=outcomes)
    assert log.outcomes is not None
    assert log.outcomes["occurred_at"].tolist() == [pd.Timestamp("2024-03-01")]
    assert log.withheld["outcomes"] == {"not yet recorded at 2024-03-31 00:00:00": 2}
    of_outcomes = data.model_copy(update={"outcomes": data.outcomes.model_copy(update={"kind": "outcomes"})})
    # An account that does not exist yet has no life either.
    assert lives(log, of_outcomes).account.tolist() == [0, 1]


def test_nothing_of_a_table_may_have_been_recorded_yet(tmp_path: Path) -> None:
    spells = "account_id | started_at | ended_at | plan | seats | trial\na | 2024-04-01 | - | pro | 3 | no"
    states = "account_id | attribute | value | valid_from\na | sso | on | 2024-04-01"
    log, data = opened(tmp_path, "2024-03-31", subscriptions=spells, states=states)
    assert log.subscriptions is not None
    assert log.subscriptions.empty
    paid = data.model_copy(update={"outcomes": data.outcomes.model_copy(update={"kind": "subscription_end"})})
    day = int(pd.Timestamp("2024-03-31").timestamp() // 86_400)
    seats = FeatureSpec("seats", "x", Aggregation.SEATS, EVER)
    frame = observe(log, paid, Question((seats,), Grid("calendar", (day,))))
    assert frame["seats"].isna().all()
    assert not frame["alive"].any()


@pytest.mark.parametrize(
    ("known_at", "words"),
    [
        (
            "2023-12-31",
            "accounts: nobody had signed up by 2023-12-31 .*the first does on 2024-01-01.*later date",
        ),
        ("2031-01-01", "nobody knows yet what will be known at 2031-01-01"),
    ],
)
def test_an_instant_at_which_nothing_can_be_known_is_refused(
    tmp_path: Path, known_at: str, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        opened(tmp_path, known_at)


def test_an_instant_before_the_first_event_is_refused(tmp_path: Path) -> None:
    events = "account_id | event | occurred_at\na | login | 2024-02-01"
    with pytest.raises(
        DataError, match=r"events: nothing usable was recorded by 2024-01-15.* first is of 2024-02-01"
    ):
        opened(tmp_path, "2024-01-15", events=events)


def test_a_time_of_recording_that_cannot_be_read_sets_a_row_aside(tmp_path: Path) -> None:
    data = data_for(
        tmp_path, {"accounts": table(ACCOUNTS), "events": table(EVENTS), "states": table(VERSIONS)}
    )
    for name in ("events", "states"):
        frame = pd.read_parquet(tmp_path / f"{name}.parquet").astype({"recorded_at": "object"})
        frame["recorded_at"] = frame["recorded_at"].astype("string")
        frame.loc[1, "recorded_at"] = "some day"
        frame.to_parquet(tmp_path / f"{name}.parquet")
    for known_at in (None, pd.Timestamp("2024-06-01")):
        log = open_log(data, tmp_path, now=NOW, known_at=known_at)
        assert log.quarantined["events"] == {"recorded_at unreadable": 1}
        assert log.quarantined["states"] == {"recorded_at unreadable": 1}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("name", ["subscriptions", "states", "outcomes"])
def test_a_small_table_at_an_instant_is_what_the_reference_says(name: str, seed: int, recorded: bool) -> None:
    contract = TABLES[name]
    rng = np.random.default_rng(seed)
    n = 200
    start = pd.Timestamp("2024-01-01")
    begins = start + pd.to_timedelta(rng.integers(0, 20, n), unit="D")
    frame = pd.DataFrame({"account": rng.integers(0, 4, n), str(contract.begins): begins})
    if "attribute" in contract.versioned_by:
        frame["attribute"] = rng.choice(["x", "y"], n)
    if contract.ends:
        ends = begins + pd.to_timedelta(rng.integers(0, 15, n), unit="D")
        frame[contract.ends] = pd.Series(ends).where(rng.random(n) < 0.7)
    if recorded:
        at = begins + pd.to_timedelta(rng.integers(-3, 10, n), unit="D")
        frame["recorded_at"] = pd.Series(at).where(rng.random(n) < 0.7)
    plain = [
        {str(k): None if v is pd.NaT else v for k, v in row.items()} | {"row": i}
        for i, row in enumerate(frame.to_dict("records"))
    ]
    key = ("account", *contract.versioned_by)
    for instant in (None, *pd.date_range(start, periods=30, freq="D")):
        found = as_known_at(frame, contract, instant)
        expected = reference.known(plain, str(contract.begins), contract.ends, key, instant)
        assert found.index.tolist() == [row["row"] for row in expected]
        if contract.ends:
            ends_of: list[Any] = [None if v is pd.NaT else v for v in found[contract.ends]]
            assert ends_of == [row[contract.ends] for row in expected]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known")
    assert run("init", folder / "w", *sources(folder / "data", small_log(30))).code == 0
    return folder / "w"


def test_the_command_says_as_of_when_its_matrix_is(made: Path) -> None:
    said = run("features", "-w", made, "--known-at", "2024-10-09")
    assert said.code == 0
    assert said.out.startswith("As known at 2024-10-09 00:00:00: ")
    manifest = json.loads((made / "output" / "features" / "manifest.json").read_text())
    assert manifest["known_at"] == "2024-10-09T00:00:00"
    assert manifest["withheld"]["events"]["not yet recorded at 2024-10-09 00:00:00"] > 0
    matrix = pd.read_parquet(made / "output" / "features" / "matrix.parquet")
    assert matrix["as_of"].max() == pd.Timestamp("2024-10-01")
    whole = run("features", "-w", made)
    assert "As known at" not in whole.out
    assert json.loads((made / "output" / "features" / "manifest.json").read_text())["known_at"] is None


def test_what_was_known_then_is_what_a_table_of_then_says(made: Path, tmp_path: Path) -> None:
    """The past rows of today's tables, as known then, give the matrix that the tables gave then."""
    folder = made.parent / "data"
    instant = pd.Timestamp("2024-10-01")
    run("features", "-w", made, "--known-at", "2024-10-01")
    known = pd.read_parquet(made / "output" / "features" / "matrix.parquet")
    then = {
        name: pd.read_parquet(folder / f"{name}.parquet") for name in ("events", "accounts", "subscriptions")
    }
    for name, begins in (
        ("events", "occurred_at"),
        ("accounts", "signed_up_at"),
        ("subscriptions", "started_at"),
    ):
        then[name] = then[name][then[name][begins] < instant]
    spells = then["subscriptions"]
    then["subscriptions"] = spells.assign(ended_at=spells["ended_at"].mask(spells["ended_at"] >= instant))
    sources(tmp_path / "data", then)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "framework.yaml").write_text((made / "framework.yaml").read_text())
    assert run("features", "-w", tmp_path / "w").code == 0
    pd.testing.assert_frame_equal(
        known, pd.read_parquet(tmp_path / "w" / "output" / "features" / "matrix.parquet")
    )


def test_what_was_known_then_is_not_kept_for_what_is_known_now(made: Path) -> None:
    path = made / "output" / "features" / "matrix.parquet"
    assert run("features", "-w", made).code == 0
    now = pd.read_parquet(path)
    for known_at in ("2024-08-01", "2024-10-09"):
        assert "As known at" in run("features", "-w", made, "--known-at", known_at).out
        assert "is up to date" in run("features", "-w", made, "--known-at", known_at).out
        assert len(pd.read_parquet(path)) < len(now)
        assert "is up to date" not in run("features", "-w", made).out
        pd.testing.assert_frame_equal(pd.read_parquet(path), now)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2024-13-01", "31.03.2024", "0001-01-01T00:00+10:00", "2024-01-15X", "2024-01-15+99:00"],
)
def test_a_date_that_is_none_is_wrong_usage(made: Path, text: str) -> None:
    said = run("features", "-w", made, "--known-at", text)
    assert said.code == 2
    assert f"--known-at {text}: is no date or time: write it as 2024-03-31" in said.words
    assert "a zone after it, such as Z or +02:00, where it is not of UTC" in said.words


def test_a_date_before_the_data_is_refused_in_words(made: Path) -> None:
    said = run("features", "-w", made, "--known-at", "2020-01-01")
    assert said.code == 1
    assert "nobody had signed up by 2020-01-01" in said.words


def test_a_date_is_one_of_the_declared_zone(made: Path, tmp_path: Path) -> None:
    text = (made / "framework.yaml").read_text().replace("timezone: UTC", "timezone: America/New_York")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "framework.yaml").write_text(text.replace("../data", str(made.parent / "data")))
    for written, utc in (
        ("2024-10-01", "2024-10-01 04:00:00"),
        ("2024-10-01Z", "2024-10-01 00:00:00"),
        ("2024-10-01+02:00", "2024-09-30 22:00:00"),
        ("2024-10-01-0500", "2024-10-01 05:00:00"),
        ("2024-10-01T00:00+00:00", "2024-10-01 00:00:00"),
    ):
        said = run("features", "-w", tmp_path / "w", "--known-at", written)
        assert said.out.startswith(f"As known at {utc}: "), said.words
