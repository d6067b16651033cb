"""Figures, read by their axes' data."""

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import figures
from reports.labels import bin_labels, edge, place
from reports.timelines import lettered, moment, positions
from tests.unit import sample_review


def line_of(axes: Axes, marker: str = "o") -> tuple[list[float], list[float]]:
    """x and y of the line drawn with this marker."""
    line = next(line for line in axes.lines if line.get_marker() == marker)
    return list(np.asarray(line.get_xdata(), float)), list(np.asarray(line.get_ydata(), float))


def gids(axes: Axes) -> list[str]:
    return [str(artist.get_gid()) for artist in [*axes.lines, *axes.patches, *axes.texts] if artist.get_gid()]


def named(axes: Axes, gid: str) -> Any:
    return next(artist for artist in [*axes.lines, *axes.patches] if artist.get_gid() == gid)


def ticks(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_xticklabels()]


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in [axes.title, *axes.texts])


ACTIVATION = sample_review.milestone("Activation", "hold")


# Time.


def test_quarters_stand_where_they_belong_and_leave_gaps() -> None:
    assert positions(["2024Q3", "2024Q4", "2025Q2"]) == [8098.0, 8099.0, 8101.0]
    assert positions(["spring", "summer"]) == [0.0, 1.0]


def test_a_date_stands_inside_its_quarter() -> None:
    (x,) = positions(["2024Q3"])
    assert moment({"quarter": "2024Q3", "share": 0.0}) == x - 0.5
    assert moment({"quarter": "2024Q3", "share": 0.5}) == x
    assert moment({"date": "2024-08-16"}) is None


def test_annotations_keep_their_letter_whatever_is_left_out() -> None:
    notes: list[dict[str, Any]] = [
        {"affects": "Setup"},
        {"affects": None},
        {"affects": ["Setup", "Activation"]},
        {"affects": "all"},
    ]
    assert [letter for letter, _ in lettered(notes, "Activation")] == ["B", "C", "D"]
    assert [letter for letter, _ in lettered(notes)] == ["A", "B", "C", "D"]


# History.


def test_history_draws_each_effect_in_points_at_its_quarter() -> None:
    effect, retained = figures.history(ACTIVATION).axes
    xs, ys = line_of(effect)
    rows = ACTIVATION["history"]
    assert xs == positions([row["quarter"] for row in rows])
    assert ys[:12] == pytest.approx([100 * row["effect"]["value"] for row in rows[:12]])
    assert np.isnan(ys[12:]).all()  # two cohorts are not mature
    assert line_of(retained, "s")[1][0] == pytest.approx(100 * rows[0]["retained_effect"]["value"])


def test_history_draws_the_interval_as_bars_and_band() -> None:
    (effect, _) = figures.history(ACTIVATION).axes
    bars = effect.collections[1].get_segments()  # type: ignore[attr-defined]
    assert bars[0][:, 1] == pytest.approx([10.0, 24.0])


def test_history_marks_minimum_expected_and_the_quarters_it_was_chosen_on() -> None:
    (effect, retained) = figures.history(ACTIVATION).axes
    minimum = named(effect, "minimum")
    assert list(minimum.get_ydata()) == pytest.approx([6.5, 6.5])
    assert minimum.get_linestyle() != "-"
    expected = named(effect, "expected").get_window_extent().transformed(effect.transData.inverted())
    assert (expected.y0, expected.y1) == pytest.approx((9.0, 17.0))
    assert named(effect, "expected").get_hatch()
    for axes in (effect, retained):
        assert gids(axes).count("chosen") == 1
        shade = named(axes, "chosen")
        first = positions(["2021Q1"])[0]
        assert (shade.get_x(), shade.get_x() + shade.get_width()) == (first - 0.5, first + 3.5)
    assert "chosen on these" in words(figures.history(ACTIVATION))


def test_history_draws_the_annotations_of_this_milestone_alone() -> None:
    notes = sample_review.rich()["annotations"]
    here = figures.history(ACTIVATION, notes).axes[0]
    assert gids(here).count("annotation") == 2
    drawn = [line.get_xdata()[0] for line in here.lines if line.get_gid() == "annotation"]  # type: ignore[index]
    assert drawn == [moment(note) for note in notes]
    there = figures.history(sample_review.rich()["milestones"][2], notes).axes[0]
    assert gids(there).count("annotation") == 1
    outside = figures.history(ACTIVATION, [{"quarter": "2031Q1", "share": 0.1, "text": "later"}]).axes[0]
    assert gids(outside).count("annotation") == 0


@pytest.mark.parametrize(("n", "most"), [(2, 7), (7, 7), (32, 7)])
def test_history_thins_its_ticks_and_keeps_the_newest_with_its_n(n: int, most: int) -> None:
    long = sample_review.milestone(
        "M", "hold", history=sample_review.history("2016Q2", [0.1] * n, 1, waiting=0)
    )
    axes = figures.history(long).axes[-1]
    labels = ticks(axes)
    assert min(n, 2) <= len(labels) <= most
    newest = long["history"][-1]
    assert labels[-1] == f"{newest['quarter']}\nn {newest['n_accounts']}"


def test_history_leaves_the_second_panel_out_where_staying_is_the_outcome() -> None:
    rows = [row | {"retained_effect": row["effect"]} for row in ACTIVATION["history"]]
    assert len(figures.history(ACTIVATION | {"history": rows}).axes) == 1


@pytest.mark.parametrize("draw", [figures.history, figures.curve, figures.funnel, figures.model_history])
def test_a_figure_of_nothing_says_so(draw: Any) -> None:
    assert "not enough data yet" in words(draw({}))


@pytest.mark.parametrize("draw", [figures.ranking, figures.volumes])
def test_a_figure_of_no_rows_says_so(draw: Any) -> None:
    assert "not enough data yet" in words(draw([]))


# Curve.


@pytest.mark.parametrize(
    ("bounds", "names"),
    [
        ([(0, 0), (1, 1), (2, 4), (5, 39)], ["0", "1", "2–4", "5+"]),
        ([(0, 0), (3, 3)], ["0", "3"]),
        ([(0.5, 1.2), (1.25, 2)], ["0.5–1.2", "1.25+"]),
        ([(0.50001, 0.50002), (1, 1)], ["0.5", "1"]),  # nothing but one number to be seen
        ([], []),
    ],
)
def test_a_bin_is_named_by_its_least_and_its_largest_value(
    bounds: list[tuple[float, float]], names: list[str]
) -> None:
    assert bin_labels([{"value_from": a, "value_to": b} for a, b in bounds]) == names


def test_a_cut_stands_at_the_edge_below_its_value() -> None:
    rows = [{"value_from": a, "value_to": b} for a, b in [(0, 1), (1, 2), (2, 6), (6, 10)]]
    assert edge(rows, 0) == -0.5
    assert edge(rows, 2) == 1.5
    assert edge(rows, 4) == 2.0  # half way through the third bin
    assert edge(rows, 6) == 2.5
    assert edge(rows, 99) == 3.5


def test_curve_draws_rates_intervals_cuts_and_plateau() -> None:
    (axes,) = figures.curve(sample_review.rich()["milestones"][0]).axes
    rows = sample_review.rich()["milestones"][0]["curve"]
    xs, ys = line_of(axes)
    assert xs == list(range(8))
    assert ys == pytest.approx([100 * row["rate"] for row in rows])
    bars = axes.collections[0].get_segments()  # type: ignore[attr-defined]
    assert bars[2][:, 1] == pytest.approx([100 * rows[2]["lower"], 100 * rows[2]["upper"]])
    assert list(named(axes, "current").get_xdata()) == [4.5, 4.5]  # at least 5
    assert list(named(axes, "operating").get_xdata()) == [2.5, 2.5]  # at least 3
    assert named(axes, "current").get_linestyle() != named(axes, "operating").get_linestyle()
    plateau = named(axes, "plateau")
    assert (plateau.get_x(), plateau.get_x() + plateau.get_width()) == (1.5, 3.5)
    assert ticks(axes)[2] == "2\nn 300"


def test_curve_names_one_cut_that_is_both() -> None:
    (axes,) = figures.curve(ACTIVATION).axes
    assert "operating" not in gids(axes)
    assert "cut 5 (current and operating)" in words(axes.figure)  # type: ignore[arg-type]


# The others.


def test_funnel_bars_are_the_shares_from_the_top_down() -> None:
    review = sample_review.rich()
    (axes,) = figures.funnel(review).axes
    widths = [patch.get_width() for patch in axes.patches[5:]]  # type: ignore[attr-defined]
    assert widths == pytest.approx([100 * step["share"] for step in review["funnel"]["steps"]])
    low, high = axes.get_ylim()
    assert low > high
    assert "62 %, n 361" in words(axes.figure)  # type: ignore[arg-type]


def test_model_history_draws_the_main_model_beside_recency() -> None:
    model = sample_review.rich()["model"]
    (axes,) = figures.model_history(model).axes
    assert line_of(axes, "o")[1] == [row["random_forest"]["value"] for row in model["history"]]
    assert line_of(axes, "s")[1] == [row["recency"]["value"] for row in model["history"]]
    own = {"name": "boosted_trees", "history": [{"quarter": "2024Q1", "boosted_trees": {"value": 0.7}}]}
    (axes,) = figures.model_history(own).axes
    assert line_of(axes, "o")[1] == [0.7]


def test_ranking_puts_importance_against_adoption_by_class() -> None:
    rows = sample_review.rich()["ranking"]
    (axes,) = figures.ranking(rows).axes
    for word, marker in (("representative", "o"), ("niche", "^"), ("ubiquitous", "s")):
        own = [row for row in rows if row["class"] == word]
        xs, ys = line_of(axes, marker)
        assert (xs, ys) == ([100 * row["adoption"] for row in own], [row["importance"] for row in own])
    niche, ubiquitous = named(axes, "niche"), named(axes, "ubiquitous")
    assert max(row["adoption"] for row in rows if row["class"] == "niche") < niche.get_width() / 100
    assert 80 < ubiquitous.get_x() < 97


def test_ranking_marks_what_is_unclear_only_where_something_is() -> None:
    rows = sample_review.rich()["ranking"]
    (axes,) = figures.ranking(rows).axes
    assert axes.get_legend_handles_labels()[1][3:] == []
    figure = figures.ranking([{**rows[0], "class": "unclear"}, *rows[1:]])
    (axes,) = figure.axes
    assert line_of(axes, "X") == ([100 * rows[0]["adoption"]], [rows[0]["importance"]])
    assert axes.get_legend_handles_labels()[1][3:] == ["unclear"]
    figure = figures.ranking(
        [{**rows[0], "class": "by definition"}, {**rows[1], "class": "unclear"}, *rows[2:]]
    )
    (axes,) = figure.axes
    assert line_of(axes, "D") == ([100 * rows[0]["adoption"]], [rows[0]["importance"]])
    assert axes.get_legend_handles_labels()[1][3:] == ["unclear", "by definition"]
    figure.draw_without_rendering()
    legend, title = axes.get_legend().get_window_extent(), axes._left_title.get_window_extent()  # type: ignore[attr-defined, union-attr]
    assert legend.x1 <= figure.bbox.x1
    assert legend.y1 <= title.y0
    assert title.y1 <= figure.bbox.y1


def test_ranking_takes_declared_zones() -> None:
    (axes,) = figures.ranking(sample_review.rich()["ranking"], (0.2, 0.8)).axes
    assert named(axes, "niche").get_x() + named(axes, "niche").get_width() == pytest.approx(20)
    assert named(axes, "ubiquitous").get_x() == pytest.approx(80)


def test_ranking_names_the_top_without_overlap() -> None:
    figure = figures.ranking(sample_review.rich()["ranking"])
    figure.draw_without_rendering()
    names = [text for text in figure.axes[0].texts if text.get_gid() == "name"]
    assert names[0].get_text() == "Days since the last event"
    assert len(names) >= 6
    boxes = [text.get_window_extent() for text in names]
    frame = figure.axes[0].get_window_extent()
    for i, box in enumerate(boxes):
        assert frame.x0 - 3 <= box.x0
        assert box.x1 <= frame.x1 + 3
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_labels_are_left_out_rather_than_laid_over_each_other() -> None:
    crowd = [(50.0, 50.0 + i) for i in range(30)]
    boxes = place(crowd, [(40.0, 10.0)] * 30, (0, 0, 100, 100))
    found = [box for box in boxes if box is not None]
    assert 0 < len(found) < 30
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart


def test_volumes_start_at_zero_and_draw_every_quarter() -> None:
    rows = sample_review.rich()["volumes_history"]
    panels = figures.volumes(rows).axes
    assert len(panels) == 3
    for panel, key in zip(panels, ("events", "active_accounts", "signups"), strict=True):
        heights = [patch.get_height() for patch in panel.patches]  # type: ignore[attr-defined]
        assert heights == [row[key] for row in rows]
        assert panel.get_ylim()[0] == 0


# Inline SVG.


def test_svg_is_the_same_bytes_and_its_ids_are_its_own() -> None:
    first = figures.svg(figures.history(ACTIVATION), "m1-history", "label")
    again = figures.svg(figures.history(ACTIVATION), "m1-history", "label")
    other = figures.svg(figures.history(ACTIVATION), "m2-history", "label")
    assert first == again
    ids, others = (re.findall(r'\sid="([^"]*)"', text) for text in (first, other))
    assert len(ids) == len(set(ids)) > 0
    assert not set(ids) & set(others)
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]*)', first))
    assert referred <= set(ids)


def test_svg_keeps_text_as_text_and_asks_for_nothing() -> None:
    text = figures.svg(figures.history(ACTIVATION), "a", 'say "this" & <that>')
    assert "chosen on these</text>" in text
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert text.count("http") == 1
    assert 'role="img" aria-label="say &quot;this&quot; &amp; &lt;that&gt;"' in text
    assert "<metadata" not in text
    assert "<style" not in text
    assert 'aria-hidden="true"' in figures.svg(figures.funnel({}), "b")


def test_a_hostile_text_is_neither_markup_nor_mathematics() -> None:
    hostile = sample_review.hostile()
    for i, figure in enumerate(
        [
            figures.history(hostile["milestones"][0], hostile["annotations"]),
            figures.curve(hostile["milestones"][0]),
            figures.funnel(hostile),
            figures.ranking(hostile["ranking"]),
            figures.volumes(hostile["volumes_history"], hostile["annotations"]),
        ]
    ):
        text = figures.svg(figure, f"h{i}")
        assert "<script" not in text
        assert "<img" not in text
    priced = figures.svg(figures.curve({"outcome": "$\\frac{1}{2}$", "curve": []}), "x")
    assert "Rate in % · $\\frac{1}{2}$</text>" in priced
