"""The picture of the adoption benchmark: the newest year with its interval, by plan, by size, and over the quarters."""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from features.adoption import BY_DEFINITION
from features.declaration import Features
from features.recording import known_words
from features.segments import size_words

Row = Mapping[str, Any]

BLUE, ORANGE, PURPLE, GREY, SHADE = "#0072B2", "#E69F00", "#CC79A7", "#5a6470", "#e9ebef"  # Okabe & Ito 2008
MARKS = {  # told apart by shape as well as by colour
    "representative": ("o", BLUE),
    "niche": ("^", ORANGE),
    "ubiquitous": ("s", PURPLE),
    "unclear": ("X", GREY),
    BY_DEFINITION: ("D", GREY),
}
DRAWN = ("count", "state")
MOST_DRAWN = 50
USUAL_WINDOW = (
    90  # days: of a feature that is there for several windows, the one nearest to a quarter is drawn
)
ROW, CELL, QUARTER = 0.24, 0.62, 0.17  # inches
LEFT, DOTS, GAP, TOP, LINE, LETTER = 3.4, 3.6, 0.25, 0.61, 0.14, 0.055
LONGEST_NAME = 46
MOST_QUARTERS_NAMED = 12


def adoption_figure(found: Row, by_quarter: pd.DataFrame, declared: Features) -> Figure | None:
    """A row per behaviour and state, most adopted first; None where nobody was eligible for any.

    found: adoption.json; by_quarter: adoption.parquet. Days, users and rates of the same events are left out,
    because they are above zero just where the count is.
    """
    rows = drawn(found["features"])
    if not rows:
        return None
    over_time = _over_time(rows, by_quarter)
    segments = {by: labels for by in ("by_plan", "by_size") if (labels := _segments(rows, by))}
    widths = [DOTS, *(CELL * len(s) for s in segments.values()), QUARTER * max(over_time.shape[1], 4)]
    longest = max(len(label) for labels in [["1999Q9"], *segments.values()] for label in labels)
    said = _said(found, len(rows), sized="by_size" in segments)
    figure, panels = _panels(widths, ROW * len(rows), LETTER * longest + 0.5, TOP + LINE * len(said))
    _dots(panels[0], rows, declared)
    for axes, (by, labels) in zip(panels[1:-1], segments.items(), strict=True):
        _by_segment(axes, rows, by, labels)
    _heat(panels[-1], over_time.to_numpy(dtype=float), "over time")
    named = range(0, over_time.shape[1], -(-over_time.shape[1] // MOST_QUARTERS_NAMED))
    panels[-1].set_xticks(named, [str(over_time.columns[i]) for i in named], rotation=90, fontsize=7)
    _legend(figure, rows, over_time, said)
    return figure


def _said(found: Row, n_drawn: int, *, sized: bool) -> list[str]:
    """What the picture shows, in lines that fit the narrowest one."""
    size = size_words(found["size_by"]) if sized else ""
    when = f" {known_words(found['known_at'])}" if found["known_at"] else ""
    return [
        f"{n_drawn} of {len(found['features'])} features: of every count one window, no rates, days or users.{when}",
        f"Per cent of account-quarters, of {found['population']},",
        "that could use it and are known; cells from white (0) to blue (100). In brackets: accounts with use ever in the year.",
        *([size.capitalize() + "."] if size else []),
    ]


def _panels(widths: Sequence[float], tall: float, bottom: float, top: float) -> tuple[Figure, list[Axes]]:
    """A figure with a panel of each width side by side, all as tall; inches."""
    width, height = LEFT + sum(widths) + GAP * len(widths), tall + top + bottom
    figure = Figure(figsize=(width, height))
    left, panels = LEFT, []
    for wide in widths:
        panels.append(figure.add_axes((left / width, bottom / height, wide / width, tall / height)))
        left += wide + GAP
    return figure, panels


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG. A letter that the font does not have is a box, and no reason to warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(path, dpi=130)


def _line(text: str) -> str:
    """A name as one line, without what cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def drawn(features: Sequence[Row]) -> list[Row]:
    """The counts and states with eligible accounts, one per behaviour, most adopted first; at most 50, those that differ
    first."""
    found: dict[str, Row] = {}
    for feature in features:
        if feature["aggregation"] not in DRAWN or feature["per"] or not feature["applies"]:
            continue
        behaviour = re.sub(r"_\d+d$", "", feature["name"])
        if feature["adoption"]["n_accounts"] and _off(feature) < _off(found.get(behaviour)):
            found[behaviour] = feature
    kept = sorted(found.values(), key=lambda f: not f["differs"])[:MOST_DRAWN]
    return sorted(kept, key=lambda f: -f["adoption"]["value"])


def _off(feature: Row | None) -> float:
    """How far the window of a feature is from the usual one, by its name."""
    if feature is None:
        return np.inf
    match = re.search(r"_(\d+)d$", feature["name"])
    return abs(int(match[1]) - USUAL_WINDOW) if match else 0.0


def _over_time(rows: Sequence[Row], by_quarter: pd.DataFrame) -> pd.DataFrame:
    """Adoption of all eligible accounts, a row per feature and a column per quarter."""
    names = [row["name"] for row in rows]
    own = by_quarter[(by_quarter["dimension"] == "all") & by_quarter["feature"].isin(names)]
    return own.astype({"feature": str}).pivot_table("adoption", "feature", "quarter", dropna=False).loc[names]


def _segments(rows: Sequence[Row], by: str) -> list[str]:
    return list(dict.fromkeys(part["segment"] for row in rows for part in row[by]))


def _dots(axes: Axes, rows: Sequence[Row], declared: Features) -> None:
    """The newest year with its interval and class, and the earliest year before it."""
    axes.axvspan(0, 100 * declared.niche_below, color=SHADE, linewidth=0, zorder=0, gid="niche")
    axes.axvspan(100 * declared.ubiquitous_above, 100, color=SHADE, linewidth=0, zorder=0, gid="ubiquitous")
    for place, row in enumerate(rows):
        share = row["adoption"]
        marker, color = MARKS[row["class"]]
        if share["lower"] is not None:
            axes.hlines(place, 100 * share["lower"], 100 * share["upper"], color=color, linewidth=1.6)
        axes.plot(100 * share["value"], place, marker=marker, color=color, markersize=5.5, gid=row["name"])
        if row["earliest"]:
            axes.plot(
                100 * row["earliest"]["value"],
                place,
                marker="o",
                mfc="white",
                mec=GREY,
                markersize=4,
                zorder=1.5,
            )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=7.5, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-2.5, 102.5)  # room for the marks of none and all
    axes.set_xlabel("newest year, %", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="y", color=SHADE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title("adoption, with 95 % interval", fontsize=8.5, loc="left")


def _label(row: Row) -> str:
    text = _line(row["description"]).removeprefix("Events of the ")
    text = re.sub(r" in the last (\d+) days\b", r", \1 days", text)
    short = text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
    return f"{short}  ({row['adoption']['support']:,})"


def _by_segment(axes: Axes, rows: Sequence[Row], by: str, labels: Sequence[str]) -> None:
    """Adoption within each segment; those surely of another class than all accounts have a frame."""
    values = np.full((len(rows), len(labels)), np.nan)
    for place, row in enumerate(rows):
        for part in row[by]:
            if part["value"] is not None:
                values[place, labels.index(part["segment"])] = part["value"]
        for other in row["differs"]:
            if f"by_{other['by']}" == by:
                corner = (labels.index(other["segment"]) - 0.5, place - 0.5)
                axes.add_patch(
                    Rectangle(
                        corner, 1, 1, fill=False, edgecolor=ORANGE, linewidth=1.8, zorder=3, clip_on=False
                    )
                )
    _heat(axes, values, by.replace("_", " "))
    for (place, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            ink = "white" if value > 0.6 else "black"
            axes.text(column, place, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(
        range(len(labels)), [_line(label) for label in labels], rotation=90, fontsize=7, parse_math=False
    )


def _heat(axes: Axes, values: Any, title: str) -> None:
    axes.set_facecolor("white")
    axes.imshow(
        np.ma.masked_invalid(values), aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest"
    )
    axes.patch.set(hatch="....", edgecolor=SHADE)  # shows where nobody was eligible
    axes.set_ylim(values.shape[0] - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8.5, loc="left")


def _legend(figure: Figure, rows: Sequence[Row], over_time: pd.DataFrame, said: Sequence[str]) -> None:
    present = {row["class"] for row in rows}
    look: dict[str, Any] = {"linestyle": "none"}
    handles: list[Any] = [
        Line2D([], [], marker=marker, color=color, label=word, **look)
        for word, (marker, color) in MARKS.items()
        if word in present
    ]
    handles.append(Patch(color=SHADE, label="niche and ubiquitous shares"))
    if any(row["earliest"] for row in rows):
        handles.append(Line2D([], [], marker="o", mfc="white", mec=GREY, label="first year", **look))
    if any(row["differs"] for row in rows):
        handles.append(Patch(fill=False, edgecolor=ORANGE, linewidth=1.8, label="another class there"))
    if over_time.isna().any(axis=None) or any(
        p["value"] is None for r in rows for p in (*r["by_plan"], *r["by_size"])
    ):
        handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="....", label="nobody eligible"))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 1 - 0.05 / figure.get_figheight()), ncols=len(handles),
        fontsize=8, frameon=False, handletextpad=0.4, columnspacing=1.4,
        title="\n".join(said), title_fontsize=8, alignment="left",
    )  # fmt: skip
