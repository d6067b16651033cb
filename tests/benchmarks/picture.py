"""Draw build/bench.json: seconds side by side, and what a million events cost by size, where several were measured.

python -m tests.benchmarks.picture docs/images/performance.png
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.entries import BUILD

COLOURS = {"bare query": "#9aa5b1", "features": "#1f6feb", "sequences": "#8250df", "pandas": "#bf8700"}


def seconds(entries: list[dict[str, Any]], kind: str, millions: int) -> dict[str, float]:
    """Seconds by what took them, of one log; without what was not measured."""
    by_name = {entry["name"]: entry for entry in entries}
    label = f"98 features of {millions} M events, {kind}"
    order = f"98 sequence features of {millions} M events, {kind}, against the bare query"
    bare, pandas = (by_name.get(f"{label} against {other}") for other in ("the bare query", "pandas"))
    known = {
        "bare query": bare and bare["baseline"],
        "features": bare and bare["value"],
        "sequences": order in by_name and by_name[order]["value"],
        "pandas": pandas and pandas["baseline"],
    }
    return {what: value for what, value in known.items() if value}


def draw(entries: list[dict[str, Any]]) -> Figure:
    """The figure of a list of entries as `tests.benchmarks.features` writes them."""
    sizes = sorted(
        {int(m[1]) for e in entries if (m := re.match(r"98 features of (\d+) M events", e["name"]))}
    )
    largest = 20 if 20 in sizes else sizes[-1]
    panels = 2 if len(sizes) > 1 else 1
    figure = Figure(figsize=(5.4 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _side_by_side(axes[0], entries, largest)
    if panels == 2:
        _by_size(axes[1], entries, sizes)
    return figure


def _side_by_side(axes: Axes, entries: list[dict[str, Any]], millions: int) -> None:
    kinds = ("skewed", "uniform")
    for group, kind in enumerate(kinds):
        for place, (what, value) in enumerate(seconds(entries, kind, millions).items()):
            at = group + (place - 1.5) * 0.2
            axes.bar(at, value, 0.19, color=COLOURS[what], label=what if group == 0 else None)
            axes.annotate(f"{value:.1f}", (at, value), ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(kinds)), [f"{kind} log" for kind in kinds])
    axes.set_ylabel("seconds, whole wait")
    axes.set_title(f"98 columns at 12 dates of {millions} million events", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _by_size(axes: Axes, entries: list[dict[str, Any]], sizes: list[int]) -> None:
    for kind, line in (("skewed", "-"), ("uniform", "--")):
        for what, colour in COLOURS.items():
            known = [(m, seconds(entries, kind, m)) for m in sizes]
            points = [(m, found[what] / m) for m, found in known if what in found]
            if not points:
                continue
            axes.plot(*zip(*points, strict=True), line, marker="o", color=colour, markersize=3)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xticks(sizes, [str(m) for m in sizes], minor=False)
    axes.set_xlabel("million events (— skewed, - - uniform)")
    axes.set_title("seconds a million events", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw what was measured last."""
    entries = json.loads((BUILD / "bench.json").read_text(encoding="utf-8"))
    draw(entries).savefig(Path(sys.argv[1]), dpi=150)


if __name__ == "__main__":
    main()
