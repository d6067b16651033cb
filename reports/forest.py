"""The forest plot of the chain: every milestone from retention backwards, an outcome a row, an effect with its interval."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports import ink, wording
from reports.timelines import numbers

Row: TypeAlias = Mapping[str, Any]
ROW, HEADING = 1.0, 1.25  # in units of 0.3 inches
APART = 0.2  # of the marker by revenue below the other


def forest(rows: Sequence[Row], product: str) -> Figure:
    """The rows of `reports.chain.effect_rows`, in their order; those without an effect say so.

    Filled markers count every account alike, hollow ones by the revenue it paid. Going dormant is better the rarer it is:
    its name says which way is good.
    """
    groups = [(name, list(group)) for name, group in groupby(rows, key=lambda row: row["milestone"])]
    height = sum(HEADING + ROW * len(group) for _, group in groups)
    with ink.style():
        margins = {"left": 1.6, "right": 1.0, "top": 0.72, "bottom": 0.62}
        figure, (axes,) = ink.canvas(1.34 + 0.3 * max(height, 2.0), margins=margins)
        axes.set_title(
            f"What reaching each milestone goes with · {wording.line(product, 40)}", x=-0.55, pad=28
        )
        axes.set_xlabel(
            "points, among those that reached it minus those that did not (95 % interval)\nn counts accounts"
        )
        axes.axvline(0, color=ink.GREY, linewidth=0.9)
        axes.grid(axis="x", color=ink.PALE, linewidth=0.9)
        axes.spines["left"].set_visible(False)
        ticks: list[tuple[float, str]] = []
        y = 0.0
        for name, group in groups:
            y += HEADING
            where = axes.get_yaxis_transform()
            heading: dict[str, Any] = {"transform": where, "fontweight": "bold", "va": "center"}
            axes.text(-0.55, y - ROW / 2 - 0.1, wording.line(name, 40), **heading)
            for row in group:
                _effects(axes, y + ROW / 2 - 0.25, row)
                ticks.append((y + ROW / 2 - 0.25, _label(row)))
                y += ROW
        axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks], color=ink.BLACK)
        axes.set_ylim(y + 0.1, 0.0)
        _legend(axes, rows)
        if not any(row["effect"] for row in rows):
            ink.say_nothing(axes)
    return figure


def _label(row: Row) -> str:
    return wording.line(row["words"], 26)


def _effects(axes: Axes, y: float, row: Row) -> None:
    """The filled marker, the hollow one below it, and at the right how many accounts they rest on."""
    drawn = [effect for effect in (row["effect"], row["by_revenue"]) if effect]
    for effect, offset in zip(drawn, (-APART / 2, APART / 2 + 0.1), strict=False):
        hollow = effect is row["by_revenue"]
        value, lower, upper = (numbers([effect], key, scale=100)[0] for key in ("value", "lower", "upper"))
        look: dict[str, Any] = {"color": ink.BLUE, "linewidth": 1.1 if hollow else 1.8}
        axes.plot([lower, upper], [y + offset] * 2, **look, linestyle=":" if hollow else "-")
        face = "white" if hollow else ink.BLUE
        marker: dict[str, Any] = {"marker": "D" if hollow else "o", "markersize": 4.2 if hollow else 5.5}
        axes.plot([value], [y + offset], color=ink.BLUE, markerfacecolor=face, linestyle="none", **marker)
    said = f"n {wording.count(row['effect']['n_accounts'])}" if row["effect"] else wording.NOT_ENOUGH
    if row["effect"] and row["effect"]["in_definition"]:
        said += "*"
    axes.text(1.03, y, said, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=ink.GREY)


def _legend(axes: Axes, rows: Sequence[Row]) -> None:
    handles = [Line2D([], [], color=ink.BLUE, marker="o", markersize=5.5, label="every account alike")]
    if any(row["by_revenue"] for row in rows):
        look: dict[str, Any] = {
            "linestyle": ":",
            "marker": "D",
            "markersize": 4.2,
            "markerfacecolor": "white",
        }
        handles.append(Line2D([], [], color=ink.BLUE, label="by the revenue it paid", **look))
    if any(row["effect"] and row["effect"]["in_definition"] for row in rows):
        handles.append(Line2D([], [], linestyle="none", label="* on quarters it was chosen on"))
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.57, 1.0), "ncols": len(handles)}
    axes.legend(handles=handles, borderaxespad=0.2, columnspacing=1.4, **place)
