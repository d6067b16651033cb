"""The picture of a search for joint definitions: predictiveness against adoption, where it was chosen and on fresh quarters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import BLUE, GREY, VERMILLION


def pareto(record: Mapping[str, Any], trials: pd.DataFrame) -> Figure:
    """Left: every feasible definition and the front, on the quarters that chose; right: the front on fresh quarters.

    record: tuning.json; trials: its table. The definition in use is a diamond, the recommended one a star on both sides.
    """
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    able = trials[trials["feasible"]] if len(trials) else trials
    left.scatter(able["adoption"], able["phi"], s=5, color=GREY, alpha=0.35, linewidths=0, label="tried")
    front = sorted(record["pareto"], key=lambda one: float(one["adoption"]))
    share = [one["adoption"] for one in front]
    left.scatter(share, [one["phi_chosen"] for one in front], s=16, color=BLUE, label="front")
    _intervals(right, front, BLUE, "o", "front")
    for one, mark, colour, words in (
        (record["current"], "D", "black", "in use"),
        (record["recommended"], "*", VERMILLION, "recommended"),
    ):
        if one:
            left.plot([one["adoption"]], [one["phi_chosen"]], mark, color=colour, markersize=9, label=words)
            _intervals(right, [one], colour, mark, words)
    left.set_title(
        _title("Where it was chosen", record["choosing_quarters"], record["n_accounts"]), fontsize=9
    )
    right.set_title(_title("On fresh quarters", record["fresh_quarters"], record["n_fresh"]), fontsize=9)
    left.set_ylabel("phi with the outcome")
    for axes in (left, right):
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_xlabel("share of accounts that reach it")
        axes.xaxis.set_major_formatter(lambda x, _place: f"{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8, frameon=False
    )
    return figure


def _intervals(axes: Axes, placed: Sequence[Mapping[str, Any]], colour: str, mark: str, words: str) -> None:
    """Phi on fresh accounts with its interval, at the adoption there."""
    told = [one for one in placed if one["phi_fresh"]]
    if not told:
        return
    value, lower, upper = (
        np.array([one["phi_fresh"][key] for one in told]) for key in ("value", "lower", "upper")
    )
    share = [one["adoption_fresh"] for one in told]
    axes.errorbar(
        share, value, yerr=[value - lower, upper - value], fmt=mark, color=colour, capsize=2,
        markersize=9 if mark != "o" else 4, linewidth=0.8, label=words,
    )  # fmt: skip


def _title(words: str, quarters: Sequence[str], n: int) -> str:
    if not quarters:
        return f"{words}: none"
    return f"{words}: {quarters[0]} to {quarters[-1]}, {n:,} accounts"
