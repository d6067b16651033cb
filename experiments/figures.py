"""Pictures of a training: a model beside its baselines, and what mattered to it. Tables in, figures out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from features.adoption import BY_DEFINITION
from features.workspace import discard, set_aside
from models.evaluation import label

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#6b6b6b"  # Okabe & Ito 2008: told apart by everybody
MOST_FEATURES = 15
ENDS = ("niche", "ubiquitous", BY_DEFINITION)  # classes of adoption that propose no milestone
NAMES = ("auc", "importance")  # every figure of a training there can be


def write(figures: Mapping[str, Figure], folder: Path, names: Sequence[str] = NAMES) -> list[Path]:
    """Write each figure as a PNG of its name, and remove those of `names` that an earlier run drew and this one did not."""
    for name in names:
        if name not in figures:
            discard(folder / f"{name}.png")
    paths = [folder / f"{name}.png" for name in figures]
    for final, figure in zip(paths, figures.values(), strict=True):
        with set_aside(final) as path:
            figure.savefig(path, dpi=130)
    return paths


def of_model(record: Mapping[str, Any]) -> dict[str, Figure]:
    """auc: every model with its interval; importance: the features that matter most."""
    found = {"auc": auc(record)}
    if record["ranking"]:
        found["importance"] = importance(record["ranking"])
    return found


def auc(record: Mapping[str, Any]) -> Figure:
    """AUC within quarters of each model with its 95 % interval; 0.5 is chance."""
    models = [(name, found) for name, found in record["overall"].items() if found]
    figure = Figure(figsize=(7, 0.6 * len(models) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, (_, found) in enumerate(reversed(models)):
        error = [[found["value"] - found["lower"]], [found["upper"] - found["value"]]]
        axes.errorbar([found["value"]], [place], xerr=error, fmt="o", color=BLUE, capsize=4)
        axes.annotate(
            f"{found['value']:.3f}", (found["value"], place), (0, 7), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(models)), [label(name) for name, _ in reversed(models)])
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
    axes.set_ylim(-0.6, len(models) - 0.3)
    axes.set_xlabel("AUC within quarters, 95 % interval by account")
    return figure


def importance(ranking: list[dict[str, Any]]) -> Figure:
    """AUC lost when a feature is shuffled, with its interval; hatched bars are niche, ubiquitous or by definition."""
    rows = ranking[:MOST_FEATURES][::-1]
    figure = Figure(figsize=(8, 0.32 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(range(len(rows)), [row["importance"] for row in rows], color=BLUE)
    for bar, row in zip(bars, rows, strict=True):
        if row["class"] in ENDS:
            bar.set(facecolor="white", edgecolor=GREY, hatch="////")
        axes.hlines(bar.get_y() + bar.get_height() / 2, row["lower"], row["upper"], color=GREY, linewidth=1)
        share = "" if row["adoption"] is None else f"  {row['adoption']:.0%}"
        axes.annotate(
            share,
            (max(bar.get_width(), row["upper"], 0), bar.get_y() + bar.get_height() / 2),
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(rows)), [row["description"] for row in rows], fontsize=8)
    axes.set_xlabel("AUC lost when shuffled, held out\n(in per cent: the share of account-quarters with use)")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    if any(row["class"] in ENDS for row in rows):
        hatched = Patch(
            facecolor="white", edgecolor=GREY, hatch="////", label="niche, ubiquitous or by definition"
        )
        figure.legend(handles=[hatched], loc="outside upper left", fontsize=8, frameon=False)
    return figure
