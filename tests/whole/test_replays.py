"""Reviews replayed: the same bytes as known then, with and without `recorded_at`, and what was restated since."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import DataError, UsageError
from features.workspace import Workspace
from models.framework import load_framework
from reports import edition, frozen, replay, restatement, review
from reports.frozen import seals, thaw
from reports.learned import TRAINED_TODAY, Learned
from reports.review import Reviewer
from tests.unit.small_log import run, small_log, sources

KNOWN = pd.Timestamp("2025-07-15")  # when the review of 2025Q2 is due
TABLES = ("review.json", "observations.parquet", "accounts.parquet")


def made(folder: Path, *, recorded: bool) -> Path:
    """A small product's workspace, up to a trained model."""
    tables = small_log(150, 800)
    if recorded:
        events, ghost = tables["events"], {"account_id": "ghost", "event": "login"}
        strays = pd.DataFrame([{**ghost, "occurred_at": events["occurred_at"].min()}] * 3)
        tables["events"] = pd.concat([events, strays], ignore_index=True)
        tables["events"]["recorded_at"] = tables["events"]["occurred_at"] + pd.Timedelta(hours=1)
    asked = (
        ["init", folder, *sources(folder / "data", tables)],
        ["features", "-w", folder],
        ["train", "-w", folder],
    )
    for command in asked:
        assert run(*command).code == 0
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("recorded") / "small", recorded=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without times of recording; the review of 2025Q2 is frozen."""
    folder = made(tmp_path_factory.mktemp("plain") / "small", recorded=False)
    assert run("review", "2025Q2", "-w", folder).code == 0
    return folder


def copied(folder: Path, to: Path, *without: str) -> Path:
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts", *without))
    text = (to / "framework.yaml").read_text()
    (to / "framework.yaml").write_text(text.replace(str(folder), str(to)))
    return to


def reviewed(folder: Path, *asked: object) -> dict[str, Any]:
    said = run("review", *asked, "-w", folder, "--json")
    assert said.code == 0, said.words
    (found,) = json.loads(said.out)["reviews"]
    return dict(found)


def content(folder: Path, quarter: str, known_at: str | None = None) -> list[bytes]:
    place = Workspace(folder)
    where = place.review(quarter) if known_at is None else place.replay(quarter, known_at)
    return [(where / name).read_bytes() for name in TABLES]


def with_events(folder: Path, change: Any) -> None:
    """The same workspace after its events were changed and measured again."""
    path = folder / "data" / "events.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    assert run("features", "-w", folder).code == 0


def without_some(events: pd.DataFrame) -> pd.DataFrame:
    """Forty accounts lose the most of what they did in their first days; the log begins as it did."""
    early = events.groupby("account_id")["occurred_at"].rank().between(2, 12)
    return events[~(events["account_id"].isin([f"a{i}" for i in range(40)]) & early)]


def backfilled(events: pd.DataFrame, days: int = 3) -> pd.DataFrame:
    """The events of ten accounts once more, which came in so many days after the review was due."""
    late = events[events["account_id"].isin([f"a{i}" for i in range(10)])]
    late = late[late["occurred_at"] < KNOWN - pd.Timedelta(days=20)]
    return pd.concat([events, late.assign(recorded_at=KNOWN + pd.Timedelta(days=days))], ignore_index=True)


# --- the same bytes ---


def test_all_reviews_are_those_that_are_asked_for_as_known_at_their_close(
    recorded: Path, tmp_path: Path
) -> None:
    every, one = copied(recorded, tmp_path / "every"), copied(recorded, tmp_path / "one")
    said = run("review", "all", "-w", every, "--json")
    assert said.code == 0
    made = json.loads(said.out)["reviews"]
    assert [item["quarter"] for item in made] == ["2024Q3", "2024Q4", "2025Q1", "2025Q2", "2025Q3", "2025Q4"]
    for item in made[2:]:
        reviewed(one, item["quarter"], "--known-at", item["known_at"])
        assert content(one, item["quarter"], item["known_at"]) == content(every, item["quarter"])


def test_what_was_recorded_later_does_not_move_a_review(recorded: Path, tmp_path: Path) -> None:
    folder = copied(recorded, tmp_path / "again")
    assert reviewed(folder, "2025Q2")["known_at"] == "2025-07-15"
    before = content(folder, "2025Q2")
    # Rows that could not be used, of those recorded by then.
    assert b"3 of 6,520 rows of events" in before[0]
    with_events(folder, backfilled)
    for asked in (("2025Q2",), ("2025Q2", "--known-at", "2025-07-15")):
        again = reviewed(folder, *asked)
        assert again["restated"] == {"accounts": 0, "moved": []}
    assert content(folder, "2025Q2") == content(folder, "2025Q2", "2025-07-15") == before
    # As known a week later it is another review, which says so; and it stays what it was first published as.
    later = reviewed(folder, "2025Q2", "--known-at", "2025-07-22T12:00")
    assert "known-at/2025-07-22T120000Z/" in later["report"]
    first = content(folder, "2025Q2", "2025-07-22T120000Z")
    assert reviewed(folder, "2025Q2", "--known-at", "2025-07-22T12:00Z")["restated"] == later["restated"]
    assert content(folder, "2025Q2", "2025-07-22T120000Z") == first
    told = pd.read_parquet(Path(later["report"]).parent / "restated.parquet")
    assert set(told["account_id"]) <= {f"a{i}" for i in range(10)}
    assert later["restated"]["accounts"] == told["account_id"].nunique() >= 5


def test_what_was_recorded_between_two_dates_is_told_by_the_later_review(
    recorded: Path, tmp_path: Path
) -> None:
    folder = copied(recorded, tmp_path / "again")
    assert reviewed(folder, "2025Q2", "--known-at", "2025-07-03")["restated"]["accounts"] == 0
    with_events(folder, lambda events: backfilled(events, days=-3))
    told = reviewed(folder, "2025Q2")["restated"]
    assert told["accounts"] >= 5
    # Made once more it says the same: what was first published at its own date stands.
    before = content(folder, "2025Q2")
    assert reviewed(folder, "2025Q2")["restated"] == told
    assert content(folder, "2025Q2") == before


def test_of_recorded_rows_the_model_is_that_of_the_first_review(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(recorded, tmp_path / "again")
    monkeypatch.setattr(Learned, "_model", lambda *_: {"sentence": "as told then", "overall": {}})
    assert reviewed(folder, "2025Q2")["notes"] == []
    before = content(folder, "2025Q2")
    assert TRAINED_TODAY in json.loads(before[0])["caveats"]
    monkeypatch.setattr(Learned, "_model", lambda *_: {"sentence": "as trained since", "overall": {}})
    (note,) = reviewed(folder, "2025Q2")["notes"]
    assert note == "2025Q2: the model and the ranking are those it was first published with"
    reviewed(folder, "2025Q2", "--known-at", "2025-07-15")
    assert content(folder, "2025Q2") == content(folder, "2025Q2", "2025-07-15") == before


def test_without_times_of_recording_what_was_frozen_is_replayed(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "again")
    with_events(folder, without_some)
    again = reviewed(folder, "2025Q2", "--known-at", "2025-07-15")
    assert again["notes"] == []
    assert content(folder, "2025Q2", "2025-07-15") == content(plain, "2025Q2")
    # The newest review of the quarter stays where it is until it is made again.
    assert content(folder, "2025Q2") == content(plain, "2025Q2")
    page = Path(again["report"]).read_text()
    assert "known at 15 Jul 2025" in page
    # It is recorded, and no part of the milestones' histories.
    assert json.loads((Path(again["report"]).parent / "links.json").read_text())["milestones"] == {}
    assert "restated.parquet" not in {path.name for path in Path(again["report"]).parent.iterdir()}
    # Neither the tables nor the model are asked.
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "output" / "models")
    (folder / "decisions.yaml").write_text("2025Q4: {utilization: keep}\n")  # decided since
    reviewed(folder, "latest", "--known-at", "2025-07-15")
    assert content(folder, "2025Q2", "2025-07-15") == content(plain, "2025Q2")


def test_what_was_frozen_is_replayed_under_the_framework_it_was_frozen_with(
    plain: Path, tmp_path: Path
) -> None:
    folder = copied(plain, tmp_path / "again")
    path = folder / "framework.yaml"
    text = path.read_text()
    assert "adoption_band: [0.2, 0.6]" in text
    path.write_text(text.replace("version: 1", "version: 2").replace("band: [0.2, 0.6]", "band: [0.1, 0.7]"))
    reviewed(folder, "2025Q2", "--known-at", "2025-07-15")
    assert content(folder, "2025Q2", "2025-07-15") == content(plain, "2025Q2")
    # Other definitions are no restatement of rows.
    assert reviewed(folder, "2025Q2")["restated"] == {"accounts": 0, "moved": []}
    assert len(seals(Workspace(folder), "2025Q2")) == 2
    reviewed(folder, "2025Q2", "--known-at", "2025-07-15")
    assert content(folder, "2025Q2", "2025-07-15") == content(folder, "2025Q2") != content(plain, "2025Q2")


def test_a_program_that_makes_other_numbers_of_the_same_rows_says_so(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(plain, tmp_path / "again")
    monkeypatch.setattr(review, "SCHEMA_VERSION", 2)
    (note,) = reviewed(folder, "2025Q2", "--known-at", "2025-07-15")["notes"]
    assert "makes other numbers of the same rows than the one that froze them" in note
    # And that is no restatement: no row is another.
    found = thaw(seals(Workspace(folder), "2025Q2")[0])
    published = json.loads(found.text)
    for milestone in published["milestones"]:
        milestone["verdict"] = "retire"
    same = restatement.restated(found.reviewer, published, found.reviewer, "2025Q2")
    assert same.as_dict() == {"accounts": 0, "moved": []}


def test_a_day_is_the_one_that_reviews_name_or_begins_where_the_company_is(plain: Path) -> None:
    utc = load_framework(plain / "framework.yaml")
    data = utc.data.model_copy(
        update={"calendar": utc.data.calendar.model_copy(update={"timezone": "Asia/Tokyo"})}
    )
    framework = utc.model_copy(update={"data": data})
    place = Workspace(plain)
    assert replay._occasion(place, framework, "2025Q2", "2025-07-15") == ("2025Q2", KNOWN)
    later = pd.Timestamp("2025-07-15T15:00")
    assert replay._occasion(place, framework, "latest", "2025-07-16") == ("2025Q2", later)
    # What was frozen bears its name, when reviews are due on another day since.
    patient = framework.model_copy(
        update={"review": framework.review.model_copy(update={"settling_lag_days": 20})}
    )
    assert replay._occasion(place, patient, "2025Q2", "2025-07-15") == ("2025Q2", KNOWN)


def test_where_nothing_tells_customers_apart_a_review_is_replayed_as_well(
    plain: Path, tmp_path: Path
) -> None:
    kept, place = thaw(seals(Workspace(plain), "2025Q2")[0]), Workspace(tmp_path)
    whole = kept.reviewer.grounds
    nothing = replace(whole, traits={name: traits[[]] for name, traits in whole.traits.items()})
    reviewer = Reviewer(kept.reviewer.framework, nothing, 0, ("2025Q2", KNOWN))
    frozen.freeze(place, reviewer, "2025Q2", kept.text, kept.restated_rows)
    again = thaw(seals(place, "2025Q2")[0]).reviewer
    assert again.observations("2025Q2").equals(reviewer.observations("2025Q2"))
    assert len(again.observations("2025Q2")) > 0


def test_customers_of_another_kind_are_restated_though_they_did_the_same(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "seats")
    path = folder / "data" / "subscriptions.parquet"
    spells = pd.read_parquet(path)
    ours = spells["account_id"].isin([f"a{i}" for i in range(20)])
    spells.assign(seats=spells["seats"].where(~ours, 50.0)).to_parquet(path, index=False)
    assert run("features", "-w", folder).code == 0
    told = reviewed(folder, "2025Q2")["restated"]
    rows = pd.read_parquet(Workspace(folder).review("2025Q2") / "restated.parquet")
    assert set(rows["account_id"]) <= {f"a{i}" for i in range(20)}
    assert told["accounts"] == rows["account_id"].nunique() >= 5
    assert rows["customer_is"].str.contains("50.0").any()


# --- what moved ---


def standing(folder: Path) -> set[tuple[Any, ...]]:
    """Every row of the two tables of a review, as a person would compare them."""
    where = Workspace(folder).review("2025Q2")
    found: set[tuple[Any, ...]] = set()
    for name, state in (("observations", "reached"), ("accounts", "status")):
        table = pd.read_parquet(where / f"{name}.parquet")
        outcome = table["outcome"] if "outcome" in table else [None] * len(table)
        rows = zip(table["account_id"], table["milestone"], table["as_of"], table["score"].astype(str), table[state], outcome, strict=True)  # fmt: skip
        found |= {(name, *row) for row in rows}
    return found


def test_restated_accounts_are_those_whose_rows_differ(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "again")
    with_events(folder, without_some)
    before, was = standing(folder), json.loads(content(folder, "2025Q2")[0])
    made = reviewed(folder, "2025Q2")
    after, now = standing(folder), json.loads(content(folder, "2025Q2")[0])
    by_hand = {row[1] for row in before ^ after}
    assert by_hand
    assert made["restated"]["accounts"] == len(by_hand)
    told = pd.read_parquet(Workspace(folder).review("2025Q2") / "restated.parquet")
    assert set(told["account_id"]) == by_hand
    moved = {(m["milestone"], m["what"]): (m["was"], m["is"]) for m in now["restated"]["moved"]}
    assert moved
    for then, since in zip(was["milestones"], now["milestones"], strict=True):
        for what in ("adoption", "realised", "recent"):
            values = [m[what] and m[what]["value"] for m in (then, since)]
            key = then["name"], what if what == "adoption" else f"{what} effect"
            assert (key in moved) == (len({v and round(v, 3) for v in values}) == 2)
            if key in moved:
                assert moved[key] == tuple(values)
    # A second review of the same rows is held against the first, too, and so is a third of the old ones.
    assert reviewed(folder, "2025Q2")["restated"] == made["restated"]
    assert content(folder, "2025Q2")[0] == json.dumps(now, indent=1, ensure_ascii=False).encode() + b"\n"


def test_a_page_says_what_was_restated_and_names_no_account(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "again")
    quiet = (Workspace(folder).review("2025Q2") / "review.html").read_text()
    assert "Restated:" not in quiet
    with_events(folder, without_some)
    n = reviewed(folder, "2025Q2")["restated"]["accounts"]
    assert f"restated: 2025Q2, {n} accounts have other rows" in run("review", "2025Q2", "-w", folder).out
    where = Workspace(folder).review("2025Q2")
    page = (where / "review.html").read_text()
    assert re.search(
        rf"<b>Restated:</b> {n} accounts? ha(s|ve) other rows than when this quarter was first reviewed", page
    )
    assert '<div class="block whole" id="restated">' in page
    ids = pd.read_parquet(folder / "data" / "accounts.parquet")["account_id"]
    for name in ("review.html", "review.json"):
        words = set(re.findall(r"\w+", (where / name).read_text()))
        assert words.isdisjoint(ids)


# --- in words ---


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("2025Q2", "2025-06-30"), "2025Q2 had not closed at 2025-06-30: it is over on 2025-07-01"),
        (
            ("2025Q2", "2025-08-01"),
            "no table says when its rows were recorded.*Frozen as known at: 2025-07-15: choose one",
        ),
        (
            ("2025Q1", "2025-04-15"),
            "None is frozen yet: `milestones review 2025Q1 -w .*` freezes it as known at 2025-04-15",
        ),
        (
            ("2025Q2", "2025-07-01"),
            "2025Q2 as known at 2025-07-01 cannot be made",
        ),  # the instant at which it is over
        (("latest", "2025-08-01"), "2025Q2 as known at 2025-08-01 cannot be made"),
        (("2025Q2", "2031-01-01"), "no table says when"),
        (("2025Q2", "soon"), "--known-at soon: is no date or time"),
        (("2025-06", "2025-08-01"), "'2025-06' is not a quarter: write it as 2024Q3"),
        (("all", "2025-08-01"), "--known-at is for one quarter"),
        (("9999Q4", "2025-08-01"), "9999Q4 as known at 2025-08-01: years go from 1970 to 2200"),
        (("latest", "0001-01-01"), "latest as known at 0001-01-01: years go from 1970 to 2200"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_words(plain: Path, asked: tuple[str, str], words: str) -> None:
    said = run("review", asked[0], "--known-at", asked[1], "-w", plain)
    assert said.code == UsageError.exit_code
    assert re.search(words, said.words), said.words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("2025Q2", "2199-01-01"), "nobody knows yet what will be known at 2199-01-01"),
        (("2023Q3", "2024-01-20"), "what had been recorded by then ends on 2024-01-"),
        (
            ("2026Q1", "2026-04-15"),
            "what had been recorded by then ends on 2026-03-11, before the quarter closed",
        ),
    ],
)
def test_what_was_not_recorded_by_then_is_refused_in_words(
    recorded: Path, asked: tuple[str, str], words: str
) -> None:
    said = run("review", asked[0], "--known-at", asked[1], "-w", recorded)
    assert said.code == UsageError.exit_code
    assert re.search(words, said.words), said.words


def test_quarters_whose_rows_came_in_too_late_are_left_out_of_all(recorded: Path, tmp_path: Path) -> None:
    folder = copied(recorded, tmp_path / "late")

    def loaded(events: pd.DataFrame) -> pd.DataFrame:
        late = pd.Timestamp("2025-09-01")
        return events.assign(recorded_at=events["recorded_at"].where(events["recorded_at"] > late, late))

    with_events(folder, loaded)
    said = run("review", "all", "-w", folder, "--json")
    assert said.code == 0
    items = json.loads(said.out)["reviews"]
    assert [item["quarter"] for item in items if "left_out" not in item] == ["2025Q3", "2025Q4"]
    assert "left out: events: nothing usable was recorded by 2025-07-15" in said.words


# --- the file ---


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day on which the review of 2025Q2 is not due yet."""
    monkeypatch.setattr(edition, "clock", lambda: pd.Timestamp("2025-07-10"))


def test_a_review_before_it_is_due_is_not_frozen(plain: Path, tmp_path: Path, early: None) -> None:
    folder = copied(plain, tmp_path / "early", "reviews")
    made = reviewed(folder, "2025Q2")
    assert made["notes"] == ["2025Q2 is due on 2025-07-15: until then it may change, and is not frozen"]
    assert seals(Workspace(folder), "2025Q2") == ()


def test_a_run_that_is_killed_leaves_what_was_frozen_whole(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    folder = copied(plain, tmp_path / "killed")
    (kept,) = seals(Workspace(folder), "2025Q2")
    whole = kept.path.read_bytes()
    with_events(folder, without_some)

    def killed(self: Reviewer, quarter: str) -> pd.DataFrame:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Reviewer, "accounts", killed)
        with pytest.raises(RuntimeError, match="killed"):
            run("review", "2025Q2", "-w", folder)
    reviewed(folder, "2025Q2")
    assert [seal.path.read_bytes() for seal in seals(Workspace(folder), "2025Q2")] == [whole]


def test_a_run_that_is_killed_while_it_freezes_leaves_nothing(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    folder = copied(plain, tmp_path / "killed", "reviews")

    def killed(*_: object) -> dict[str, pd.DataFrame]:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(frozen, "_tables", killed)
        with pytest.raises(RuntimeError, match="killed"):
            run("review", "2025Q2", "-w", folder)
    assert not [path for path in (folder / "output" / "reviews").rglob("*") if path.is_file()]
    assert reviewed(folder, "2025Q2")["restated"] == {"accounts": 0, "moved": []}
    assert content(folder, "2025Q2") == content(plain, "2025Q2")


def test_a_damaged_file_is_told_in_words(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "damaged")
    (kept,) = seals(Workspace(folder), "2025Q2")
    kept.path.write_bytes(kept.path.read_bytes()[:2000])
    said = run("review", "2025Q2", "--known-at", "2025-07-15", "-w", folder)
    assert said.code == DataError.exit_code
    assert f"{kept.path} is damaged: what was frozen cannot be made again" in said.words


def test_what_is_frozen_knows_nothing_from_later(plain: Path) -> None:
    (seal,) = seals(Workspace(plain), "2025Q2")
    assert seal.framework_hash == load_framework(plain / "framework.yaml").hash
    assert thaw(replace(seal, seed=5)).reviewer.seed == 5
    grounds = thaw(seal).reviewer.grounds
    assert grounds.data_through == KNOWN
    assert grounds.volumes["quarter"].max() == "2025Q2"
    for cohort in grounds.cohorts.by_name.values():
        frame = cohort.frame
        assert frame["as_of"].max() <= KNOWN
        assert frame.loc[frame["retained_known_from"] > KNOWN, "retained"].isna().all()
        assert frame.loc[frame["retained_known_from"] <= KNOWN, "retained"].notna().any()
