"""A sweep in MLflow: one parent run, its curve as metrics with steps, its grid as a table, a child for each shortlisted cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.launch import Launch
from experiments.recorded_run import Run
from experiments.sweep_json import current_sentence, sentences
from experiments.tracking import Store
from models.permutations import ALPHA

# What a curve of the own score logs, a step a cut: "at step 20 phi was 0.21" where cuts are whole numbers.
CURVES = ("phi", "youden", "risk_difference", "share_reached")
MOST_STEPS = 200
MOST_EXPLORED = 3  # children for what was explored
LARGEST_STEP = 2**31 - 1


@contextmanager
def opened(store: Store, launch: Launch, milestone: str) -> Iterator[Run]:
    """Open the run of one milestone; what it asks is on record before the work begins."""
    rule, variation = launch.framework.milestones[milestone], launch.variation
    params = {
        "milestone": milestone,
        "threshold": float(rule.rule.at_least),
        "window_days": rule.rule.window_days,
        "outcome": rule.primary_outcome,
        **variation.described(),
    }
    tags = {**launch.tags(), "milestone": milestone}
    name = variation.name or f"sweep {milestone}"
    with store.run(name, "sweep", note=variation.note or "", tags=tags, params=params) as run:
        yield run


def record(run: Run, store: Store, launch: Launch, found: dict[str, Any], folder: Path) -> None:
    """Log what the files of a sweep hold, and its shortlisted cuts as child runs."""
    cut = found["operating_cut"]
    run.tags({"verdict": found["verdict"]})
    run.params({"feature": found["feature"]})
    run.metrics(
        {
            "phi": found["phi"],
            "youden": found["youden"],
            "p_corrected": found["p_corrected"],
            "p_corrected_over_all": found["p_corrected_over_all"],
            "operating_cut": cut["value"] if cut else None,
            "n_accounts": found["n_accounts"],
            "smallest_detectable": found["smallest_detectable"],
            "e_value": found["e_value"],
            **{f"effect.{e['name']}": e["value"] for e in found["effects"]},
        }
    )
    grid = pd.read_parquet(folder / found["grid_file"])
    run.history(_curve(grid))
    run.table(grid, "grid.json")
    explored = pd.DataFrame((found["exploration"] or {}).get("leading", []))
    if len(explored):
        run.table(explored, "explored.json")
    run.note(_note(launch.variation.note, found))
    for path in sorted(folder.glob("*.png")):
        run.file(path, "figures")
    for path in sorted([*folder.glob("*.parquet"), folder / "sweep.json"]):
        run.file(path)
    for child in _shortlist(found, grid):
        name, params, metrics = child["name"], child["params"], child["metrics"]
        with store.run(name, "sweep", tags={"shortlisted": child["role"]}, params=params, nested=True) as one:
            one.metrics(metrics)


def _curve(grid: pd.DataFrame) -> list[tuple[int, dict[str, float]]]:
    """The curves as metrics: a step is the cut where all cuts are whole numbers, else its place among them."""
    if grid.empty:
        return []
    shown = grid.iloc[:: -(-len(grid) // MOST_STEPS)]
    cuts = shown["cut"]
    whole = bool((cuts == cuts.round()).all()) and cuts.abs().max() < LARGEST_STEP
    steps = cuts.astype(int) if whole else shown.index
    rows = shown[list(CURVES)].to_numpy(np.float64)
    names = [f"curve.{name}" for name in CURVES]
    return [(int(step), dict(zip(names, row, strict=True))) for step, row in zip(steps, rows, strict=True)]


def _shortlist(found: dict[str, Any], grid: pd.DataFrame) -> list[dict[str, Any]]:
    """The few cuts worth comparing beside each other, in MLflow's table and its parallel coordinates.

    Of the own score the best, the operating cut, the one in use and the ends of the plateau; of what was explored the
    strongest that pass the correction.
    """
    roles: dict[float, str] = {}
    plateau = found["plateau"] or []
    operating = found["operating_cut"] and found["operating_cut"]["value"]
    for cut, role in (
        (operating, "operating cut"),
        (found["current_threshold"], "in use"),
        (found["best_cut"], "best"),
        *((end, "end of the plateau") for end in plateau),
    ):
        if cut is not None:
            roles[cut] = (
                f"{roles[cut]}, {role}" if cut in roles and role not in roles[cut] else roles.get(cut, role)
            )
    made = []
    for cut, role in roles.items():
        # A cut splits the accounts as the first of the grid that is not below it.
        at = grid[grid["cut"] >= cut].head(1)
        if len(at):
            made.append(_child(role, found["feature"], cut, at.iloc[0], found, found["p_corrected"]))
    leading = (found["exploration"] or {}).get("leading", [])
    others = [row for row in leading if row["feature"] != found["feature"] and row["p_corrected"] < ALPHA]
    made += [
        _child("explored", row["feature"], row["cut"], row, row, row["p_corrected"])
        for row in others[:MOST_EXPLORED]
    ]
    return made


def _child(
    role: str, feature: str, cut: float, row: Any, of: dict[str, Any], p_corrected: float | None
) -> dict[str, Any]:
    keys = ("phi", "youden", "risk_difference", "lower", "upper")
    return {
        "name": f"{feature} >= {cut:g}",
        "role": role,
        "params": {
            "feature": feature,
            "cut": cut,
            "window_days": of["window_days"],
            "per_seat": of["per_seat"],
            "role": role,
        },
        "metrics": {
            **{key: float(row[key]) for key in keys},
            "adoption": float(row["share_reached"]),
            "p_corrected": p_corrected,
        },
    }


def _note(first: str | None, found: dict[str, Any]) -> str:
    lines = [first or "", *(f"- {said}" for said in sentences(found)), "", current_sentence(found)]
    lines.append(f"Tried {found['family']['cuts']} cuts on {found['n_accounts']:,} accounts.")
    if found["p_corrected"] is not None:
        lines.append(f"Corrected p = {found['p_corrected']:.3f}; phi = {found['phi']:.3f}.")
    lines += ["", "| effect | measure | value | 95 % interval |", "|---|---|---|---|"]
    for e in found["effects"]:
        points = e["measure"] == "risk_difference"
        value, low, high = ((100 if points else 1) * e[key] for key in ("value", "lower", "upper"))
        shape = "+.1f" if points else ".2f"
        lines.append(f"| {e['name']} | {e['measure']} | {value:{shape}} | {low:{shape}} to {high:{shape}} |")
    return "\n".join(lines).strip()
