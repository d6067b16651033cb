"""Pictures of a sweep: the curve along every cut, the noise it had to pass, and the figures of all methods side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from experiments.figures import BLUE, GREY, VERMILLION
from experiments.figures import write as write_figures
from experiments.sweep_json import ONE_DATE
from features.arrays import Floats
from models.estimates import rounded_points
from models.plateau import CurvePoint
from models.swept import Swept

NAMES = ("cuts", "noise", "methods")  # every figure of a sweep there can be
MOST_MARKED = 60  # cuts that get a dot each
# How each effect is called beside the others, from the least to be trusted on.
METHODS = {
    "naive": "naive: counts who left early as not reached\n(immortal time, do not use)",
    "at_landmark": "from the landmark on",
    "later_landmark": "the same quarters, from a later landmark on",
    "best": "best cut, on the accounts that chose it",
    "crude": "as it is, of who was there",
    "stratified": "within accounts of the same size",
    "weighted": "weighted to the same customers",
    "after_prior_use": "after recency and prior use",
    "out_of_sample": "on accounts that did not choose the cut",
    "forward": "in fresh quarters, chosen before",
}


def write(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write each figure as a PNG of its name, and remove those that an earlier sweep drew and this one did not."""
    return write_figures(figures, folder, NAMES)


def of_sweep(record: Mapping[str, Any], swept: Swept) -> dict[str, Figure]:
    """cuts: the effect along every cut; noise: the permutations; methods: every estimate. Empty where there is no cut."""
    result = swept.result
    if not result.grid or not len(result.grid["cut"]):
        return {}
    points = result.curves.get(swept.trial.own.name, ())
    found = {"cuts": cuts(record, result.grid, points)}
    if result.null is not None and record["phi"] is not None:
        found["noise"] = noise(record, result.null, _explored(swept))
    if any(_drawable(effect) for effect in record["effects"]):
        found["methods"] = methods(record)
    return found


def _explored(swept: Swept) -> Floats | None:
    return swept.exploration.result.null if swept.exploration else None


def cuts(record: Mapping[str, Any], grid: Mapping[str, Any], points: tuple[CurvePoint, ...]) -> Figure:
    """Above the share with the good outcome along the score; below the effect of each cut, and how many reach it."""
    figure = Figure(figsize=(8.5, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    _curve(above, points)
    _effects(below, grid)
    for axes in (above, below):
        _marks(axes, record)
        axes.spines[["top", "right"]].set_visible(False)
    other = below.twinx()
    other.plot(grid["cut"], grid["share_reached"], color=GREY, linestyle=":", label="adoption")
    other.set_ylabel("share of accounts that reach the cut")
    other.set_ylim(0, 1)
    other.yaxis.set_major_formatter(PercentFormatter(1))
    other.spines["top"].set_visible(False)
    _scale(below, np.asarray(grid["cut"], dtype=float))
    drawn = "" if record["landmark_days"] else " (one close of each account)"
    below.set_xlabel(f"{record['feature']}: at least{drawn}")
    figure.suptitle(
        f"{record['milestone']}: {record['verdict'].replace('_', ' ')}", x=0.01, ha="left", fontsize=12
    )
    handles = [*below.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, fontsize=8, frameon=False)
    return figure


def _curve(axes: Axes, points: tuple[CurvePoint, ...]) -> None:
    if points:
        at = [point.mean for point in points]
        rate = np.array([point.rate for point in points])
        error = [rate - [p.rate_lower for p in points], [p.rate_upper for p in points] - rate]
        axes.errorbar(at, rate, yerr=error, fmt="o", markersize=4, color=BLUE, ecolor=BLUE, elinewidth=1)
    axes.set_ylabel("share with the outcome\nat this score")
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _effects(axes: Axes, grid: Mapping[str, Any]) -> None:
    cut, value, lower, upper = (
        np.asarray(grid[key], dtype=float) for key in ("cut", "risk_difference", "lower", "upper")
    )
    few = len(cut) <= MOST_MARKED
    axes.plot(
        cut, 100 * value, color=BLUE, marker="o" if few else None, markersize=3, label="effect of the cut"
    )
    axes.fill_between(
        cut, 100 * lower, 100 * upper, color=BLUE, alpha=0.12, label="95 % interval, of one cut alone"
    )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_ylabel("points between those who\nreached the cut and the others")


def _marks(axes: Axes, record: Mapping[str, Any]) -> None:
    """The plateau, the operating cut and the cut in use, with the adoption of the last two.

    A cut in use far from all that could be tried would squeeze everything else: it is named and not drawn.
    """
    low, high = axes.get_xlim()
    if record["plateau"] and record["operating_cut"]:
        # The line keeps a plateau of one cut to be seen.
        axes.axvspan(*record["plateau"], color=GREY, alpha=0.15, linewidth=3, label="as good as the best")
    operating, current = record["operating_cut"], record["current_threshold"]
    if operating:
        said = f"operating cut {operating['value']:g}{_reached(record['operating_adoption'])}"
        axes.axvline(operating["value"], color=VERMILLION, label=said)
    said = f"cut in use {current:g}{_reached(record['current_adoption'])}"
    if 2 * low - high <= current <= 2 * high - low:
        axes.axvline(current, color=GREY, linestyle="--", label=said)
    else:
        axes.plot([], [], color=GREY, linestyle="--", label=f"{said}: out of the picture")


def _reached(share: float | None) -> str:
    return "" if share is None else f", reached by {share:.0%}"


def _scale(axes: Axes, cut: Floats) -> None:
    if len(cut) > 1 and cut[0] > 0 and cut[-1] / cut[0] > 50:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")


def noise(
    record: Mapping[str, Any],
    null: Floats,
    explored: Floats | None,
) -> Figure:
    """What the best of all cuts reaches where outcomes are shuffled within quarters, and what was observed."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    parts = [(null, BLUE, "best of the own cuts, outcomes shuffled")]
    if explored is not None:
        parts.append((explored, GREY, "best of everything explored, outcomes shuffled"))
    edges = np.linspace(0, max(float(part.max()) for part, _, _ in parts) * 1.02 + 1e-9, 40)
    for part, colour, label in parts:
        axes.hist(part, edges.tolist(), color=colour, alpha=0.45, label=label)
    axes.axvline(
        record["phi"], color=VERMILLION, linewidth=2,
        label=f"observed: phi {record['phi']:.3f}, corrected p {record['p_corrected']:.3f}",
    )  # fmt: skip
    figure.suptitle(
        f"{record['milestone']}: noise and what was observed, n {record['n_accounts']:,}",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    axes.set_xlabel("largest phi within quarters of all cuts")
    axes.set_ylabel("permutations")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", fontsize=8, frameon=False)
    return figure


def _drawable(effect: Mapping[str, Any]) -> bool:
    """Of a state only what was measured at every close: figures side by side are of the same observations."""
    of_all = effect.get("as_of") != ONE_DATE
    return effect["name"] in METHODS and effect["measure"] == "risk_difference" and of_all


def _at(effect: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """At which cut, where it is not the one that the picture is of."""
    if effect["name"] == "forward":
        cuts = [cut for of in (record["fresh_quarters"] or {}).values() for cut in of]
        return f"\n(cuts {min(cuts):g} to {max(cuts):g})" if cuts else ""
    if effect["cut"] is None:
        return "\n(cuts of their own)"
    return "" if effect["cut"] == record["shown_cut"] else f"\n(at {effect['cut']:g})"


def _of_another(effect: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return "" if effect["outcome"] == record["outcome"] else f"\n(of being {effect['outcome']})"


def methods(record: Mapping[str, Any]) -> Figure:
    """Every estimate of the effect with its interval, from the least to be trusted on; the naive one hollow and labelled."""
    by_name = {effect["name"]: effect for effect in record["effects"] if _drawable(effect)}
    rows = [(words, by_name[name]) for name, words in METHODS.items() if name in by_name]
    figure = Figure(figsize=(8, 0.6 * len(rows) + 1.6), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(
        f"{record['milestone']} >= {record['shown_cut']:g}: what it goes with, by method",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    for place, (_, effect) in enumerate(reversed(rows)):
        value, lower, upper = (rounded_points(effect[key]) for key in ("value", "lower", "upper"))
        naive = effect["method"] == "naive"
        colour = GREY if naive or effect["in_definition"] else BLUE
        axes.plot([lower, upper], [place, place], color=colour, linestyle=":" if naive else "-")
        axes.plot([value], [place], "o", color=colour, markerfacecolor="white" if naive else colour)
        said = f"{value:+.1f} ({lower:+.1f} to {upper:+.1f}), n {effect['n_accounts']:,}"
        axes.annotate(said, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    named = [words + _at(effect, record) + _of_another(effect, record) for words, effect in reversed(rows)]
    axes.set_yticks(range(len(rows)), named, fontsize=8)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(
        f"points of {record['outcome']} where nothing else is said, 95 % interval\n"
        "grey: on accounts that took part in choosing the cut; blue: on others"
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
