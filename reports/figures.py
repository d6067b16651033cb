"""The figures of a review: each takes a part of review.json and returns a matplotlib Figure.

Parts are read as they come: an absent key is a hole in the figure, and a part without any numbers says so.
Those over quarters are drawn in `reports.timelines`; the tests read their axes' data, not pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.adoption import BY_DEFINITION
from reports import ink, wording
from reports.ink import svg
from reports.labels import bin_labels, edge, place
from reports.shape import complete, complete_milestone
from reports.timelines import history, lettered, model_history, numbers, volumes

__all__ = ["curve", "funnel", "history", "lettered", "model_history", "ranking", "svg", "volumes"]

Row: TypeAlias = Mapping[str, Any]


def curve(milestone: Row) -> Figure:
    """The rate of the outcome at each value of the milestone's score, with intervals, cuts and plateau.

    Bins stand side by side, so that a long tail does not squeeze the values where cuts are set; a cut stands
    at the edge below its value, since reached means a score at or above it.
    """
    milestone = complete_milestone(milestone)
    rows = [row for row in milestone["curve"] if wording.known(row["value_from"])]
    rows.sort(key=lambda row: float(row["value_from"]))
    with ink.style():
        figure, (axes,) = ink.canvas(3.9, margins={"left": 0.42, "right": 0.12, "top": 0.62, "bottom": 0.68})
        xs = [float(i) for i in range(len(rows))]
        rates, lower, upper = (numbers(rows, key, scale=100) for key in ("rate", "lower", "upper"))
        axes.vlines(xs, lower, upper, color=ink.BLUE, linewidth=1.6, alpha=0.45)
        axes.plot(xs, rates, color=ink.BLUE, marker="o", linewidth=1.2, markersize=5, markeredgecolor="white")
        ink.horizontal_lines(axes)
        axes.set_title(f"Rate in % · {wording.line(milestone['outcome'] or 'its outcome', 48)}", pad=31)
        axes.set_xlabel(wording.line(milestone["threshold"]["unit"] or "value", 70))
        step = max(1, -(-len(rows) // 8))
        labels = [
            f"{name}\nn {wording.count(row['n'], '–')}"
            for name, row in zip(bin_labels(rows), rows, strict=True)
        ]
        axes.set_xticks(xs[::step], labels[::step])
        if rows:
            axes.set_xlim(-0.6, len(rows) - 0.4)
            _cuts(axes, milestone["threshold"], rows)
        else:
            ink.say_nothing(axes)
    return figure


def _cuts(axes: Axes, threshold: Row, rows: Sequence[Row]) -> None:
    """The plateau as a shaded span, the current cut as a solid line, the operating cut as a dashed one."""
    plateau = [value for value in threshold["plateau"] if wording.known(value)]
    if len(plateau) == 2:
        # A plateau is a range of cuts, and a cut stands at the edge below its value: so do both ends.
        left, right = edge(rows, plateau[0]), edge(rows, plateau[1])
        if right <= left:
            left, right = left - 0.12, left + 0.12
        axes.axvspan(left, right, color=ink.SHADE, zorder=0.2, linewidth=0, gid="plateau")
        middle, where = (left + right) / 2, axes.get_xaxis_transform()
        look: dict[str, Any] = {"ha": "center", "fontsize": 8, "color": ink.GREY, "style": "italic"}
        box: dict[str, Any] = {"facecolor": ink.SHADE, "edgecolor": "none", "pad": 1.0}
        axes.text(middle, 0.03, "plateau", transform=where, bbox=box, **look)
    current, operating = threshold["current"], threshold["operating_cut"]["value"]
    if wording.known(current) and current == operating:
        both = f"cut {wording.number(current)} (current and operating)"
        found = [_Cut("current", both, current, ink.BLACK, "-")]
    else:
        found = [
            _Cut("current", f"current cut {wording.number(current)}", current, ink.BLACK, "-"),
            _Cut("operating", f"operating cut {wording.number(operating)}", operating, ink.VERMILLION, "--"),
        ]
    found = [cut for cut in found if wording.known(cut.value)]
    places = [edge(rows, cut.value) for cut in found]
    sides = [_side(axes, x, away_from=other) for x, other in zip(places, reversed(places), strict=True)]
    # A name that has to lie over the other's line stands on the upper of the two rows, above that line's end.
    first_is_upper = len(found) == 2 and (sides[0] == "left") == (places[0] < places[1])
    for i, (cut, x, side) in enumerate(zip(found, places, sides, strict=True)):
        upper = len(found) == 2 and (i == 0) == first_is_upper
        _cut(axes, x, cut, side, lift=1.075 if upper else 1.015)


@dataclass(frozen=True)
class _Cut:
    gid: str
    label: str
    value: float
    color: str
    line: str


def _side(axes: Axes, x: float, away_from: float) -> str:
    """How a name at x is aligned: within the axes first, then away from the other cut."""
    low, high = axes.get_xlim()
    far = (x - low) / (high - low)
    if far < 0.16 or far > 0.84:
        return "left" if far < 0.16 else "right"
    return "center" if x == away_from else "left" if x > away_from else "right"


def _cut(axes: Axes, x: float, cut: _Cut, side: str, lift: float) -> None:
    where = axes.get_xaxis_transform()
    axes.axvline(x, color=cut.color, linestyle=cut.line, linewidth=1.5, gid=cut.gid)
    axes.text(x, lift, cut.label, transform=where, ha=side, fontsize=8, color=cut.color)
    axes.plot([x, x], [1.0, lift], transform=where, color=cut.color, linewidth=0.8, clip_on=False)


def funnel(review: Row) -> Figure:
    """The share of the newest full cohort at each step, as bars from the left, with its n."""
    steps = [step for step in complete(review)["funnel"]["steps"] if step["name"] is not None]
    with ink.style():
        margins = {"left": 1.55, "right": 0.95, "top": 0.32, "bottom": 0.12}
        figure, (axes,) = ink.canvas(0.6 + 0.42 * max(2, len(steps)), margins=margins)
        ys = [float(i) for i in range(len(steps))]
        shares = numbers(steps, "share", scale=100)
        axes.barh(ys, [100.0] * len(steps), height=0.62, color=ink.PALE)
        axes.barh(ys, shares, height=0.62, color=ink.BLUE)
        for y, step in zip(ys, steps, strict=True):
            known = f"{wording.percent(step['share'], '–')}, n {wording.count(step['n'], '–')}"
            axes.text(103, y, known, va="center", fontsize=8.5)
        axes.set_yticks(ys, [wording.line(step["name"], 24) for step in steps], color=ink.BLACK)
        axes.set_xticks([])
        axes.set_xlim(0, 100)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.invert_yaxis()
        axes.set_title("Share of the cohort that got so far", x=-0.52, pad=6)
        if not steps:
            ink.say_nothing(axes)
    return figure


_CLASSES: Mapping[str, tuple[str, str, str]] = {
    "representative": ("o", ink.BLUE, "representative"),
    "niche": ("^", ink.ORANGE, "niche: few use it"),
    "ubiquitous": ("s", ink.PURPLE, "ubiquitous: nearly all use it"),
    "unclear": ("X", ink.GREY, "unclear"),
    BY_DEFINITION: ("D", ink.GREY, "by definition"),
}


# Adoption is drawn on a scale of odds: the features of a product crowd at both ends, and the ends matter.
_ENDS = (0.3, 99.7)
_SHARES = (1, 5, 20, 50, 80, 95, 99)


def _logit(percent: Any) -> Any:
    share = np.clip(percent, *_ENDS) / 100
    return np.log(share / (1 - share))


def _expit(odds: Any) -> Any:
    return 100 / (1 + np.exp(-np.asarray(odds)))


def _shown(row: Row) -> float:
    """Where an adoption stands, in per cent; none and all a little inside the frame."""
    return float(np.clip(100 * row["adoption"], 0.45, 99.55))


def ranking(rows: Sequence[Row], zones: tuple[float, float] | None = None, *, names: int = 8) -> Figure:
    """Importance against adoption on a scale of odds, with the niche and the ubiquitous zone shaded and the top `names` named.

    `zones` are the adoption below which a feature is niche and above which it is ubiquitous; left out, they
    are read off the classes. A feature without an adoption or an importance is in the table only.
    """
    rows = complete({"ranking": rows})["ranking"]
    rows = [row for row in rows if wording.known(row["importance"]) and wording.known(row["adoption"])]
    niche, ubiquitous = zones or _zones(rows)
    crowded = any(row["class"] == BY_DEFINITION for row in rows)  # the legend needs a second line
    with ink.style():
        top = 0.8 if crowded else 0.62
        figure, (axes,) = ink.canvas(4.4, margins={"left": 0.5, "right": 0.12, "top": top, "bottom": 0.48})
        axes.set_xscale("function", functions=(_logit, _expit))
        axes.set_xlim(*_ENDS)
        for left, right, word in (
            (_ENDS[0], 100 * niche, "niche"),
            (100 * ubiquitous, _ENDS[1], "ubiquitous"),
        ):
            axes.axvspan(left, right, color=ink.SHADE, zorder=0.2, linewidth=0, gid=word)
        for word, (marker, color, label) in _CLASSES.items():
            own = [row for row in rows if row["class"] == word]
            if word in ("unclear", BY_DEFINITION) and not own:
                continue
            xs, ys = [_shown(row) for row in own], numbers(own, "importance")
            axes.vlines(
                xs, numbers(own, "lower"), numbers(own, "upper"), color=color, linewidth=1.0, alpha=0.45
            )
            look: dict[str, Any] = {"marker": marker, "color": color, "label": label, "linestyle": "none"}
            axes.plot(xs, ys, markersize=6, markeredgecolor="white", markeredgewidth=0.7, **look)
        axes.axhline(0, color=ink.GREY, linewidth=0.9)
        ink.horizontal_lines(axes)
        axes.set_xticks(_SHARES, [f"{share} %" for share in _SHARES], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel("adoption among eligible accounts")
        axes.set_title("Importance on held-out accounts", pad=38 if crowded else 25)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.03, 1.0),
            ncols=3 if crowded else 4,
            borderaxespad=0.25,
            handletextpad=0.3,
            handlelength=1.2,
            columnspacing=1.2,
        )
        if rows:
            _name(axes, sorted(rows, key=lambda row: -float(row["importance"])), names)
        else:
            ink.say_nothing(axes)
    return figure


def _zones(rows: Sequence[Row]) -> tuple[float, float]:
    """Where niche ends and ubiquitous begins: halfway between the classes, or 5 % and 95 % without."""
    by_class: dict[str, list[float]] = {word: [] for word in _CLASSES}
    for row in rows:
        by_class.setdefault(str(row["class"]), []).append(float(row["adoption"]))
    low, middle, high = by_class["niche"], by_class["representative"], by_class["ubiquitous"]
    floor = (max(low) + min(middle)) / 2 if low and middle else max([0.05, *low])
    ceiling = (max(middle) + min(high)) / 2 if middle and high else min([0.95, *high])
    return floor, max(floor, ceiling)


def _name(axes: Axes, rows: Sequence[Row], most: int) -> None:
    """The names of the most important features beside their points, with a thin line where they stand off."""
    to_units = axes.transData.transform
    scale = 72 / axes.figure.get_figure(root=True).dpi
    points = [tuple(scale * to_units((_shown(row), row["importance"]))) for row in rows]
    texts = [wording.line(row["description"] or row["feature"] or "", 40) for row in rows[:most]]
    sizes = [(4.35 * len(text) + 2, 10.0) for text in texts] + [(0.0, 0.0)] * (len(rows) - len(texts))
    bars = []
    for row, (x, y) in zip(rows, points, strict=True):
        ends = [row[end] if wording.known(row[end]) else row["importance"] for end in ("lower", "upper")]
        low, high = (scale * to_units((50, end))[1] for end in ends)
        bars.append((x - 1, min(low, y), x + 1, max(high, y)))
    box = axes.get_window_extent()
    frame = (scale * box.x0, scale * box.y0, scale * box.x1, scale * box.y1)
    back = axes.transData.inverted().transform
    for text, point, spot in zip(texts, points, place(points, sizes, frame, bars), strict=False):
        if spot is None:
            continue
        side = "right" if spot[2] < point[0] else "left"
        start = spot[2] if side == "right" else spot[0]
        x, y = back((start / scale, (spot[1] + 2.5) / scale))
        axes.text(x, y, text, ha=side, fontsize=7.8, gid="name")
        near = (min(max(point[0], spot[0]), spot[2]), min(max(point[1], spot[1]), spot[3]))
        if abs(near[0] - point[0]) + abs(near[1] - point[1]) > 8:
            joined = [back((end[0] / scale, end[1] / scale)) for end in (point, near)]
            axes.plot(*zip(*joined, strict=True), color=ink.RULE, linewidth=0.8, zorder=1.5)
