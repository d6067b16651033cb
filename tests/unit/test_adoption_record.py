"""The benchmark in the workspace: the three files, what the listing says of them, and what it says without them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from features import adoption as meaning
from features.adoption import recent_adoption
from features.adoption_record import differs, heading, listing, write_adoption
from features.benchmark import benchmark
from features.declaration import Data, Features
from features.document import read_data
from features.figures import MARKS, MOST_DRAWN, adoption_figure, drawn, save
from features.tables import TABLES
from features.workspace import Workspace
from tests.unit.small_log import run, small_log, sources


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A small product after `init` and `features`."""
    folder = tmp_path_factory.mktemp("adoption")
    tables = small_log()
    tables["subscriptions"]["plan"] = np.where(tables["subscriptions"]["seats"] > 4, "pro", "free")
    root = folder / "product"
    assert run("init", root, *sources(folder / "data", tables)).code == 0
    assert run("features", "-w", root).code == 0
    return Workspace(root)


def summary(place: Workspace) -> Any:
    return json.loads((place.features / "adoption.json").read_text())


def test_features_writes_who_uses_what(made: Workspace) -> None:
    found, manifest = summary(made), json.loads((made.features / "manifest.json").read_text())
    assert [f["name"] for f in found["features"]] == [f["name"] for f in manifest["features"]]
    by_name = {f["name"]: f for f in found["features"]}
    assert by_name["tenure_days"]["applies"] is False
    assert by_name["tenure_days"]["class"] is None
    assert {row["segment"] for row in by_name["events_30d"]["by_plan"]} >= {"free", "pro"}
    assert found["size_by"] == "seats"
    assert all("seats" in row["segment"] for row in by_name["events_30d"]["by_size"])
    assert (made.features / "adoption.png").read_bytes()[1:4] == b"PNG"
    frame = pd.read_parquet(made.features / "matrix.parquet")
    newest = frame[frame["quarter"].isin(found["newest_year"])]
    share = by_name["login_30d"]["adoption"]
    assert share["value"] == pytest.approx((newest["login_30d"] > 0).mean())
    assert share["support"] == newest.loc[newest["login_30d"] > 0, "account_id"].nunique()
    table = pd.read_parquet(made.features / "adoption.parquet")
    assert set(table["quarter"]) == set(frame["quarter"]) == set(found["quarters"])
    assert set(table["feature"]) == {f["name"] for f in found["features"] if f["applies"]}


def test_the_matrix_is_read_a_few_columns_at_a_time_and_the_tables_are_the_same(
    made: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((made.features / "manifest.json").read_text())
    frame = pd.read_parquet(made.features / "matrix.parquet")
    asked: list[int] = []
    read = pq.read_table

    def counted(*arguments: Any, columns: list[str]) -> Any:
        asked.append(len(columns))
        return read(*arguments, columns=columns)

    monkeypatch.setattr(pq, "read_table", counted)
    monkeypatch.setattr(meaning, "BLOCK_CELLS", 3 * len(frame))
    write_adoption(made, read_data(made.framework), manifest)
    n = sum(feature["applies"] for feature in summary(made)["features"])
    assert max(asked[1:]) == 3  # the first read is of who, when and of what size
    assert sum(asked[1:]) == n
    assert asked[0] <= 6
    monkeypatch.undo()
    written = pd.read_parquet(made.features / "adoption.parquet")
    expected = benchmark(frame, manifest["features"]).by_quarter
    order = ["feature", "dimension", "segment", "quarter"]
    one, other = (
        t.astype(dict.fromkeys(order, str)).sort_values(order, ignore_index=True) for t in (written, expected)
    )
    pd.testing.assert_frame_equal(one, other)


def test_the_listing_shows_every_feature_and_json_the_file(made: Workspace) -> None:
    said = run("features", "--adoption", "-w", made.root)
    assert said.code == 0
    lines = said.out.splitlines()
    assert "niche below 5%, ubiquitous above 95%, unclear with fewer than 30" in " ".join(lines[:3])
    assert any(line.startswith("By plan: ") and "pro" in line for line in lines)
    assert any(line.startswith("By size (seats): up to ") for line in lines)
    assert "…" not in said.out
    names = [line.split()[0] for line in lines if line]
    assert {f["name"] for f in summary(made)["features"]} <= set(names)
    assert any("not applicable" in line for line in lines if line.startswith("tenure_days"))
    assert json.loads(run("features", "--adoption", "--json", "-w", made.root).out) == summary(made)


def test_the_listing_says_what_is_missing_damaged_or_out_of_date(made: Workspace, tmp_path: Path) -> None:
    framework = made.framework.read_text()
    path = made.features / "adoption.json"
    kept = path.read_text()
    try:
        made.framework.write_text(framework.replace("niche_below: 0.05", "niche_below: 0.1"))
        said = run("features", "--adoption", "-w", made.root)
        assert (said.code, "the data section of framework.yaml has changed" in said.words) == (1, True)
        made.framework.write_text(framework)
        whole = json.loads(kept)
        halves = [{**whole, "features": [1]}, {**whole, "rule": None}, {"features": []}]
        halves.append({key: value for key, value in whole.items() if key != "population"})
        for text in ("[]", "half", *map(json.dumps, halves)):
            path.write_text(text)
            assert "adoption.json is damaged" in run("features", "--adoption", "-w", made.root).words
        path.unlink()
        said = run("features", "--adoption", "-w", made.root)
        assert (said.code, said.words) == (
            1,
            f"{path} is not there yet: run `milestones features -w {made.root}` first",
        )
    finally:
        made.framework.write_text(framework)
        path.write_text(kept)


def test_a_benchmark_that_a_killed_run_left_out_is_counted_although_the_matrix_is_up_to_date(
    made: Workspace,
) -> None:
    path = made.features / "adoption.json"
    kept, built = path.read_text(), (made.features / "matrix.parquet").stat().st_mtime_ns
    for left in (None, kept.replace(json.loads(kept)["data_hash"], "another")):
        path.unlink() if left is None else path.write_text(left)
        assert "up to date" in run("features", "-w", made.root).out
        assert path.read_text() == kept
    counted = path.stat().st_mtime_ns
    assert run("features", "-w", made.root).code == 0
    assert (path.stat().st_mtime_ns, (made.features / "matrix.parquet").stat().st_mtime_ns) == (
        counted,
        built,
    )


def test_two_listings_at_once_are_refused(made: Workspace) -> None:
    said = run("features", "--adoption", "--list", "-w", made.root)
    assert (said.code, "give one of them" in said.words) == (2, True)


# --- the summary ---


def part(word: str, lower: float, upper: float) -> dict[str, Any]:
    return {"class": word, "lower": lower, "upper": upper}


@pytest.mark.parametrize(
    ("inside", "whole", "expected"),
    [
        (part("representative", 0.06, 0.2), part("niche", 0.01, 0.03), True),
        (part("representative", 0.05, 0.2), part("niche", 0.01, 0.049), True),
        (part("representative", 0.04, 0.2), part("niche", 0.01, 0.03), False),  # may be niche itself
        (part("representative", 0.06, 0.2), part("niche", 0.01, 0.06), False),  # may be the same share
        (part("niche", 0.0, 0.05), part("representative", 0.06, 0.2), True),
        (part("niche", 0.0, 0.051), part("representative", 0.06, 0.2), False),
        (part("ubiquitous", 0.96, 1.0), part("representative", 0.5, 0.6), True),
        (part("ubiquitous", 0.94, 1.0), part("representative", 0.5, 0.6), False),
        (part("representative", 0.5, 0.6), part("representative", 0.1, 0.2), False),
        (part("unclear", 0.5, 0.6), part("niche", 0.0, 0.01), False),
        (part("representative", 0.5, 0.6), part("unclear", 0.0, 0.01), False),
    ],
)
def test_a_segment_differs_where_it_is_surely_of_another_class(
    inside: dict[str, Any], whole: dict[str, Any], expected: bool
) -> None:
    assert differs(inside, whole, Features()) is expected


def declared(kind: str, horizon: int = 180, core: tuple[str, ...] = ("login",)) -> Data:
    """A data section with one kind of outcome."""
    tables = ("events", "accounts", "subscriptions", "outcomes")
    mapping = {table: {c: c for c in TABLES[table].columns} for table in tables}
    return Data.model_validate(
        {
            "sources": {table: f"{table}.csv" for table in tables},
            "mapping": mapping,
            "outcomes": {"kind": kind, "horizon_days": horizon},
            "events": {"core": core},
        }
    )


def premium(
    folder: Path, kind: str = "silent", known_at: str | None = None, other: str | None = "basic"
) -> Any:
    """adoption.json of 1,000 accounts of which 40 are on the premium plan, the only ones that use sla."""
    n = 1000
    frame = pd.DataFrame({"account_id": [f"a{i}" for i in range(n)], "quarter": "2024Q4"})
    frame["as_of"] = pd.Timestamp("2025-01-01")
    frame["plan"] = pd.Series(["premium"] * 40 + [other] * (n - 40), dtype="str")
    frame["sla_90d"] = (np.arange(n) < 20).astype(float)
    frame["gone_90d"] = np.nan
    frame["days"] = 1.0
    words = {"description": "x", "unit": "events", "category": "c", "per": None, "trend": False}
    words |= {"by_definition": False}
    names = {"days": "days_since", "gone_90d": "count", "sla_90d": "count"}
    features = [{"name": name, "aggregation": kind, **words} for name, kind in names.items()]
    place = Workspace(folder)
    place.features.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(place.features / "matrix.parquet")
    manifest: dict[str, Any] = {
        "features": features,
        "data_hash": "h",
        "inputs": {},
        "code": "c",
        "known_at": known_at,
        "n_signed_up": n + 7,
    }
    data = declared(kind)
    return write_adoption(place, data, manifest)


def test_a_premium_feature_is_niche_and_said_to_be_representative_in_its_plan(tmp_path: Path) -> None:
    by_name = {f["name"]: f for f in premium(tmp_path)["features"]}
    sla, gone = by_name["sla_90d"], by_name["gone_90d"]
    assert (sla["class"], sla["adoption"]["value"], sla["adoption"]["support"]) == ("niche", 0.02, 20)
    assert sla["differs"] == [{"by": "plan", "segment": "premium", "class": "representative"}]
    assert sla["earliest"] is None
    assert (gone["class"], gone["adoption"]["value"], gone["adoption"]["n_missing"]) == (
        "unclear",
        None,
        1000,
    )


def test_the_listing_puts_the_most_used_first_and_says_where_adoption_does_not_apply(tmp_path: Path) -> None:
    rows = listing(premium(tmp_path))
    assert [(row["feature"], row["class"]) for row in rows] == [
        ("sla_90d", "niche"), ("days", "not applicable"), ("gone_90d", "unclear"),
    ]  # fmt: skip
    assert rows[0] | {"interval": ""} == {
        "feature": "sla_90d", "class": "niche", "adoption": "2.0%", "interval": "", "support": "20 of 1,000 accounts",
        "by_plan": "0.0% / 50.0%", "by_size": "", "differs": "representative in premium",
    }  # fmt: skip
    assert (rows[2]["adoption"], rows[2]["interval"], rows[2]["support"]) == ("-", "", "0 of 0 accounts")


def test_a_segment_that_nobody_knows_is_listed_beside_the_others(tmp_path: Path) -> None:
    found = premium(tmp_path, other=None)
    assert "By plan: premium / unknown." in heading(found)
    assert listing(found)[0]["by_plan"] == "50.0% / 0.0%"


def test_what_was_known_at_an_instant_is_said_in_heading_and_picture(tmp_path: Path) -> None:
    found = premium(tmp_path, known_at="2025-02-01T00:00:00")
    assert heading(found)[0] == "As known at 2025-02-01 00:00:00."
    table = pd.read_parquet(tmp_path / "output" / "features" / "adoption.parquet")
    figure = adoption_figure(found, table, Features())
    assert figure is not None
    first, *_ = figure.legends[0].get_title().get_text().splitlines()
    assert first == (
        "1 of 3 features: of every count one window, no rates, days or users. As known at 2025-02-01 00:00:00."
    )


# --- the picture ---


def test_the_picture_has_a_row_per_behaviour_and_frames_what_differs(tmp_path: Path) -> None:
    found = premium(tmp_path)
    table = pd.read_parquet(tmp_path / "output" / "features" / "adoption.parquet")
    figure = adoption_figure(found, table, Features())
    assert isinstance(figure, Figure)
    dots, plans, time = figure.axes
    assert [text.get_text() for text in dots.get_yticklabels()] == ["x  (20)"]
    assert [text.get_text() for text in plans.get_xticklabels()] == ["basic", "premium"]
    assert [text.get_text() for text in time.get_xticklabels()] == ["2024Q4"]
    (frame,) = plans.patches
    assert frame.get_extents().x0 > plans.transData.transform((0.4, 0))[0]
    assert np.asarray(time.images[0].get_array()).tolist() == [[0.02]]


def test_a_matrix_in_which_nobody_was_eligible_has_no_picture(tmp_path: Path) -> None:
    found = premium(tmp_path)
    gone = {**found, "features": [f for f in found["features"] if f["name"] == "gone_90d"]}
    assert adoption_figure(gone, pd.DataFrame(), Features()) is None


def test_a_name_that_no_font_has_is_drawn_in_one_line_without_a_warning(tmp_path: Path) -> None:
    found = premium(tmp_path)
    table = pd.read_parquet(tmp_path / "output" / "features" / "adoption.parquet")
    named = [{**f, "description": "a\n$x^\0\x1b[31m \u4e2d\ue000"} for f in found["features"]]
    hostile = {**found, "features": named}
    figure = adoption_figure(hostile, table, Features())
    assert figure is not None
    assert figure.axes[0].get_yticklabels()[0].get_text().startswith("a $x^ [31m \u4e2d")
    save(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[1:4] == b"PNG"


def feature(name: str, value: float, **changes: Any) -> dict[str, Any]:
    share = {"value": value, "n_accounts": 9}
    return {"name": name, "aggregation": "count", "per": None, "applies": True, "adoption": share, "differs": [], **changes}  # fmt: skip


def test_of_one_behaviour_the_window_nearest_to_a_quarter_is_drawn_and_no_rate() -> None:
    rows = [
        feature("login_30d", 0.1),
        feature("login_90d", 0.2),
        feature("login_365d", 0.3),
        feature("own", 0.4),
        feature("events_90d_per_seat", 0.5, per="seat"),
        feature("active_days_90d", 0.5, aggregation="active_days"),
        feature("state_sso_on", 0.3, aggregation="state"),
    ]
    assert [row["name"] for row in drawn(rows)] == ["own", "state_sso_on", "login_90d"]


def test_of_too_many_those_that_differ_are_kept() -> None:
    rows = [feature(f"e{i}", 0.5) for i in range(MOST_DRAWN)] + [
        feature("last", 0.01, differs=[{"by": "plan"}])
    ]
    assert len(drawn(rows)) == MOST_DRAWN
    assert drawn(rows)[-1]["name"] == "last"


# --- whose use is counted, and what is used by definition ---


def test_the_heading_says_whose_use_is_counted_and_in_which_units(tmp_path: Path) -> None:
    found = premium(tmp_path)
    assert found["population"] == "accounts active in the last 180 days before each close (with a core event)"
    assert (found["n_accounts"], found["n_signed_up"]) == (1000, 1007)
    first, second, *_ = heading(found)
    assert "share of account-quarters with use, of accounts active in the last 180 days before each" in first
    assert "1,000 accounts ever in the year, of 1,007 that had signed up by its end" in first
    assert "Support counts accounts: those with use ever in the year" in second
    customers = premium(tmp_path, "subscription_end")
    assert "of accounts that were customers at each close, that could use" in heading(customers)[0]


def test_the_accounts_of_the_heading_are_those_of_the_newest_year() -> None:
    closes = pd.date_range("2023-04-01", periods=5, freq="QS")
    frame = pd.DataFrame(
        {"account_id": list("abcde"), "as_of": closes, "quarter": closes.astype(str), "x": 1.0}
    )
    words = {"name": "x", "aggregation": "count", "per": None, "trend": False, "by_definition": False}
    assert benchmark(frame, [words]).n_accounts == 4


def silent(folder: Path, made: Workspace) -> Workspace:
    """The small product without subscriptions, where lost means silent."""
    tables = {name: frame for name, frame in small_log().items() if name != "subscriptions"}
    assert run("init", folder / "product", *sources(folder / "data", tables)).code == 0
    assert run("features", "-w", folder / "product").code == 0
    return Workspace(folder / "product")


def test_what_is_used_by_definition_has_no_class_by_share_and_no_interval(
    made: Workspace, tmp_path: Path
) -> None:
    place = silent(tmp_path, made)
    found = summary(place)
    assert "days before each close" in found["population"]
    manifest = json.loads((place.features / "manifest.json").read_text())
    told = {f["name"] for f in manifest["features"] if f["by_definition"]}
    assert "events_365d" in told
    assert "events_7d" not in told
    for row in found["features"]:
        if row["applies"]:
            shares = [row["adoption"], *filter(None, [row["earliest"]]), *row["by_plan"], *row["by_size"]]
            words = {row["class"], *(part["class"] for part in row["by_size"])}
            assert (words == {"by definition"}) is (row["name"] in told)
            none = {
                share["lower"] is None and share["upper"] is None
                for share in shares
                if share["value"] is not None
            }
            assert none == {row["name"] in told}
        if row["name"] in told:
            assert (row["adoption"]["value"], row["differs"]) == (1.0, [])
    table = pd.read_parquet(place.features / "adoption.parquet")
    table = table[table["n_observations"] > 0]
    assert set(table.loc[table["lower"].isna(), "feature"]) == told == set(table["feature"]) & told
    said = run("features", "--adoption", "-w", place.root).out
    (line,) = [line for line in said.splitlines() if line.startswith("events_365d ")]
    assert re.match(r"events_365d +by definition +100\.0% +(\d+) of \1 accounts", line)
    assert "By definition: whoever is counted uses it" in said
    assert "Size by events is itself use: read it as light and heavy users." in said
    assert not any("By definition" in words or "itself use" in words for words in heading(summary(made)))
    frame = pd.read_parquet(place.features / "matrix.parquet")
    ranked = recent_adoption(frame, manifest["features"], Features())
    assert ranked["events_365d"] == {"adoption": 1.0, "class": "by definition"}
    assert {name for name, share in ranked.items() if share["class"] == "by definition"} == told


def boxes(figure: Figure) -> list[Any]:
    """Every text of a figure as it is drawn: names, titles, ticks, and the legend as a whole."""
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (axes.title, axes.xaxis.label, axes._left_title)]  # type: ignore[attr-defined]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        texts += [text for text in axes.get_xticklabels() if low <= text.get_position()[0] <= high]
        texts += axes.get_yticklabels()
    found = [text.get_window_extent() for text in texts if text.get_text()]
    return [*found, *(legend.get_window_extent() for legend in figure.legends)]


@pytest.mark.parametrize("long", [False, True])
def test_nothing_in_the_picture_overlaps_or_is_cut_off(tmp_path: Path, long: bool) -> None:
    found = premium(tmp_path)
    table = pd.read_parquet(tmp_path / "output" / "features" / "adoption.parquet")
    if long:
        sla = next(f for f in found["features"] if f["name"] == "sla_90d")
        parts = [{**sla["by_plan"][0], "segment": s} for s in ("up to 12,345 events", "over 12,345 events")]
        rows = [
            {
                **sla,
                "name": f"{word}_90d",
                "class": word,
                "description": word * 20,
                "by_size": parts,
                "earliest": sla["adoption"],
            }
            for word in MARKS
        ]
        parts[0]["value"] = None
        table = pd.concat([table[table["feature"] == "sla_90d"].assign(feature=row["name"]) for row in rows])
        found = {**found, "features": rows, "size_by": "events_365d"}
    figure = adoption_figure(found, table, Features())
    assert figure is not None
    drawn_boxes = boxes(figure)
    page = figure.bbox
    for i, box in enumerate(drawn_boxes):
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in drawn_boxes[i + 1 :])
    title = figure.legends[0].get_title().get_text()
    assert "Per cent of account-quarters, of accounts active in the last 180 days" in title
    assert ("light and heavy users" in title) is long


def test_what_is_used_by_definition_is_drawn_without_an_interval(tmp_path: Path) -> None:
    found = premium(tmp_path)
    table = pd.read_parquet(tmp_path / "output" / "features" / "adoption.parquet")
    (sla,) = [f for f in found["features"] if f["name"] == "sla_90d"]
    bare = {**sla, "class": "by definition", "adoption": {**sla["adoption"], "lower": None, "upper": None}}
    for row, lines in ((sla, 1), (bare, 0)):
        figure = adoption_figure({**found, "features": [row]}, table, Features())
        assert figure is not None
        assert len(figure.axes[0].collections) == lines
        assert figure.legends[0].get_texts()[0].get_text() == row["class"]
