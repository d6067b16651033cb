"""Figures over quarters: the effect of a milestone, the model beside recency, the volumes.

What is drawn about effects is in points (a difference of 0.119 stands at 11.9).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from reports import ink, wording
from reports.glossary import model_words
from reports.shape import complete, complete_milestone

Row: TypeAlias = Mapping[str, Any]
NAN = float("nan")


def positions(quarters: Sequence[Any]) -> list[float]:
    """Where quarters stand on an axis, gaps kept: ["2024Q3", "2025Q1"] -> [8098.0, 8100.0].

    Names that are no quarters stand side by side.
    """
    found = [re.fullmatch(r"\D*(\d{4})\D*([1-4])", str(quarter)) for quarter in quarters]
    if not all(found):
        return [float(place) for place in range(len(quarters))]
    return [4.0 * int(match[1]) + int(match[2]) - 1 for match in found if match]


def moment(annotation: Row) -> float | None:
    """When an annotation was on the axis of `positions`, where a quarter reaches half to either side; else None.

    `quarter` and `share` (of it elapsed, 0 to 1) say when, so that fiscal years need no calendar here.
    """
    if not annotation.get("quarter") or not wording.known(annotation.get("share")):
        return None
    return positions([annotation["quarter"]])[0] - 0.5 + float(annotation["share"])


def lettered(annotations: Sequence[Row], name: Any = None) -> list[tuple[str, Row]]:
    """Annotations with their letters, kept where they affect the milestone `name` (None: all)."""
    letters = [(chr(ord("A") + i) if i < 26 else str(i + 1), row) for i, row in enumerate(annotations)]
    return [
        (letter, row) for letter, row in letters if name is None or _affects(row.get("affects"), str(name))
    ]


def _affects(affects: Any, name: str) -> bool:
    listed = affects if isinstance(affects, (list, tuple)) else [affects]
    return not affects or any(str(one) in (name, "all") for one in listed)


def numbers(rows: Sequence[Row], *path: str, scale: float = 1.0) -> list[float]:
    """One number per row, NaN where there is none: matplotlib leaves a gap."""
    out = []
    for row in rows:
        value: Any = row
        for key in path:
            value = (value or {}).get(key)
        out.append(float(value) * scale if wording.known(value) else NAN)
    return out


def _quarter_axis(
    axes: Axes, xs: Sequence[float], names: Sequence[Any], ns: Sequence[Any] = (), most: int = 7
) -> None:
    """Ticks at the quarters, thinned to `most` from the newest back, each with its n below."""
    step = max(1, -(-len(xs) // most))
    kept = sorted(range(len(xs) - 1, -1, -step))
    labels = [wording.line(names[i], 12) + (f"\nn {wording.count(ns[i], '–')}" if ns else "") for i in kept]
    axes.set_xticks([xs[i] for i in kept], labels)
    if xs:
        axes.set_xlim(min(xs) - 0.6, max(xs) + 0.6)


def _band(
    axes: Axes, xs: Sequence[float], rows: Sequence[Row], key: str, look: Row, scale: float = 1.0
) -> None:
    """A line with markers through the values of `key`, its interval as a band and as bars."""
    values, lower, upper = (numbers(rows, key, part, scale=scale) for part in ("value", "lower", "upper"))
    axes.fill_between(xs, lower, upper, color=look["color"], alpha=0.15, linewidth=0)
    axes.vlines(xs, lower, upper, color=look["color"], linewidth=0.9, alpha=0.5)
    axes.plot(xs, values, linewidth=1.7, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6, **look)


def history(milestone: Row, annotations: Sequence[Row] = ()) -> Figure:
    """The effect of a milestone per cohort quarter with its interval, and below it the effect on retention.

    Quarters it was chosen on are shaded and say so; the minimum effect is dashed, what was expected at
    adoption is a hatched band, an annotation a letter at its date, and n stands under each quarter.
    """
    milestone = complete_milestone(milestone)
    rows = milestone["history"]
    xs = positions([row["quarter"] for row in rows])
    retained = any(
        wording.known(row["retained_effect"]["value"]) and row["retained_effect"] != row["effect"]
        for row in rows
    )
    margins = {"left": 0.42, "right": 0.26, "top": 0.62, "bottom": 0.45, "gap": 0.5}
    with ink.style():
        figure, panels = ink.canvas(3.9, (1.5, 1.0) if retained else (1.0,), margins=margins)
        look = {"color": ink.BLUE, "marker": "o", "linestyle": "-"}
        _band(panels[0], xs, rows, "effect", look, 100)
        panels[0].set_title(
            f"Effect in points · {wording.line(milestone['outcome'] or 'its outcome', 44)}", pad=27
        )
        if retained:
            look = {"color": ink.PURPLE, "marker": "s", "linestyle": "--"}
            _band(panels[1], xs, rows, "retained_effect", look, 100)
            panels[1].set_title("Effect in points · staying (retained)", pad=7)
        for panel in panels:
            ink.horizontal_lines(panel)
            if rows:
                panel.axhline(0, color=ink.GREY, linewidth=0.9)
            _quarter_axis(panel, xs, [row["quarter"] for row in rows], [row["n_accounts"] for row in rows])
            _shade_chosen(panel, xs, rows, named=panel is panels[0])
            _annotate(panel, lettered(annotations, milestone["name"]), named=panel is panels[0])
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(low - 0.06 * (high - low), high + 0.08 * (high - low))  # room for the words
        _expectations(panels[0], milestone)
        panels[0].tick_params(labelbottom=not retained)
        if not any(wording.known(row["effect"]["value"]) for row in rows):
            ink.say_nothing(panels[0])
    return figure


def _expectations(axes: Axes, milestone: Row) -> None:
    """The band that was expected, the floor that was agreed, and the legend of all three."""
    handles: list[Artist] = [Patch(facecolor=ink.BLUE, alpha=0.25, label="95 % interval")]
    expected, minimum = milestone["expected"], milestone["minimum_effect"]
    if wording.known(expected["lower"]) and wording.known(expected["upper"]):
        look: dict[str, Any] = {
            "facecolor": "none",
            "edgecolor": ink.GREEN,
            "hatch": "////",
            "linewidth": 0.6,
        }
        axes.axhspan(
            100 * expected["lower"], 100 * expected["upper"], gid="expected", zorder=0.4, alpha=0.5, **look
        )
        handles.append(Patch(label="expected at adoption", alpha=0.7, **look))
    if wording.known(minimum):
        dashed: dict[str, Any] = {"color": ink.VERMILLION, "linestyle": (0, (4, 2.5)), "linewidth": 1.4}
        handles.append(axes.axhline(100 * minimum, gid="minimum", label="minimum effect", **dashed))
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=3,
        borderaxespad=0.25,
        handlelength=1.8,
        columnspacing=1.4,
    )


def _shade_chosen(axes: Axes, xs: Sequence[float], rows: Sequence[Row], *, named: bool) -> None:
    """Shade the runs of quarters the milestone was chosen on: it is never judged on them."""
    runs: list[list[float]] = []
    for x, row in zip(xs, rows, strict=True):
        if row["in_definition"] and runs and x - runs[-1][1] <= 1:
            runs[-1][1] = x
        elif row["in_definition"]:
            runs.append([x, x])
    for first, last in runs:
        axes.axvspan(first - 0.5, last + 0.5, color=ink.SHADE, zorder=0.2, linewidth=0, gid="chosen")
        if named:
            # The words grow into the axes, from whichever end of the run is nearer to the axes' end.
            late = first - 0.5 > sum(axes.get_xlim()) / 2
            x, side = (last + 0.44, "right") if late else (first - 0.44, "left")
            look: dict[str, Any] = {"ha": side, "fontsize": 8, "color": ink.GREY, "style": "italic"}
            axes.text(x, 0.965, "chosen on these", va="top", transform=axes.get_xaxis_transform(), **look)


def _annotate(axes: Axes, marks: Sequence[tuple[str, Row]], *, named: bool) -> None:
    """A dotted line at the date of each annotation inside the axis, with its letter in the first panel."""
    low, high = axes.get_xlim()
    for letter, row in marks:
        x = moment(row)
        if x is None or not low <= x <= high:
            continue
        axes.axvline(x, color=ink.BLACK, linestyle=":", linewidth=1.0, gid="annotation")
        if named:
            box: dict[str, Any] = {
                "boxstyle": "round,pad=0.2",
                "facecolor": "white",
                "edgecolor": ink.BLACK,
                "linewidth": 0.7,
            }
            where = axes.get_xaxis_transform()
            axes.text(x, 0.045, letter, transform=where, ha="center", va="bottom", fontsize=7.5, bbox=box)


def model_history(model: Row) -> Figure:
    """The AUC of the main model beside recency alone per quarter, with intervals."""
    main = str(model.get("name") or "random_forest")
    rows = complete({"model": model})["model"]["history"]
    xs = positions([row["quarter"] for row in rows])
    looks = (
        (
            main,
            wording.line(model_words(main), 30).lower(),
            {"color": ink.BLUE, "marker": "o", "linestyle": "-"},
        ),
        ("recency", "recency alone", {"color": ink.VERMILLION, "marker": "s", "linestyle": "--"}),
    )
    with ink.style():
        figure, (axes,) = ink.canvas(3.2, margins={"left": 0.42, "right": 0.26, "top": 0.62, "bottom": 0.45})
        for key, label, look in looks:
            _band(axes, xs, rows, key, look | {"label": label})
        axes.axhline(0.5, color=ink.GREY, linewidth=1.0, linestyle=":", label="coin toss")
        ink.horizontal_lines(axes)
        axes.set_title("How well departures are ranked (AUC)", pad=25)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderaxespad=0.25, columnspacing=1.4
        )
        _quarter_axis(axes, xs, [row["quarter"] for row in rows], [row["n_observations"] for row in rows])
        if not rows:
            ink.say_nothing(axes)
    return figure


def volumes(rows: Sequence[Row], annotations: Sequence[Row] = ()) -> Figure:
    """Events, active accounts and signups per quarter, a panel each from zero; the newest is darker."""
    rows = complete({"volumes_history": rows})["volumes_history"]
    xs = positions([row["quarter"] for row in rows])
    with ink.style():
        margins = {"left": 0.42, "right": 0.26, "top": 0.3, "bottom": 0.3, "gap": 0.42}
        figure, panels = ink.canvas(4.2, (1.0, 1.0, 1.0), margins=margins)
        titles = (("events", "Events"), ("active_accounts", "Active accounts"), ("signups", "Signups"))
        for panel, (key, title) in zip(panels, titles, strict=True):
            newest = [ink.SKY] * (len(rows) - 1) + [ink.BLUE]
            panel.bar(xs, numbers(rows, key), width=0.72, color=newest[-len(rows) :] if rows else ink.BLUE)
            ink.horizontal_lines(panel)
            panel.set_title(title, pad=5)
            panel.yaxis.set_major_locator(ink.few_ticks())
            panel.yaxis.set_major_formatter(lambda value, _: wording.compact(value))
            _quarter_axis(panel, xs, [row["quarter"] for row in rows])
            _annotate(panel, lettered(annotations), named=panel is panels[0])
            panel.tick_params(labelbottom=panel is panels[-1])
            if not rows:
                ink.say_nothing(panel)
    return figure
