"""Publish reviews: compute, freeze, render and record them, one folder per quarter."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.tracking import Store
from features.document import read_yaml
from features.errors import DataError, UsageError
from features.intake import open_log
from features.matrix import read_matrix
from features.progress import ProgressCallback
from features.version import code_version
from features.workspace import Workspace, set_aside, write_text
from models.cohorts import build_cohorts
from models.decisions import ADOPTIONS
from models.framework import Framework, load_framework
from reports.page import render
from reports.review import Learned, Reviewer

if TYPE_CHECKING:
    from experiments.recorded_run import Run


def publish(
    workspace: Workspace, quarter: str, seed: int, progress: ProgressCallback
) -> list[dict[str, Any]]:
    """Write the review of a quarter, of the latest closed one, or of all. Raises UsageError for one not closed."""
    framework = load_framework(workspace.framework)
    progress("reading the events", 0.02)
    log = open_log(framework.data, workspace.root)
    learned = _learned(workspace, framework)
    cohorts = build_cohorts(framework, log)
    reviewer = Reviewer(framework, log, cohorts, learned, seed)
    chosen = _chosen(reviewer, quarter)
    store = Store.of(workspace.root, framework.name)
    decisions = _decisions(workspace, framework, reviewer.proven.closed())
    made = []
    for i, name in enumerate(chosen):
        progress(f"reviewing {name}", 0.1 + 0.9 * i / len(chosen))
        made.append(_publish_one(workspace, store, reviewer, name, decisions))
    return made


def _chosen(reviewer: Reviewer, quarter: str) -> list[str]:
    closed, reviewable = reviewer.proven.closed(), reviewer.proven.reviewable()
    if not closed and quarter in ("all", "latest"):
        return []
    if not closed:
        raise UsageError(
            f"{quarter} has not closed: no quarter of the log has, and a review needs a whole one"
        )
    if quarter == "all":
        return reviewable
    if quarter == "latest":
        return closed[-1:]
    if quarter not in closed:
        raise UsageError(
            f"{quarter} is no closed quarter of this log; it has {closed[0]} to {closed[-1]}, `latest` and `all`"
        )
    return [quarter]


def _learned(workspace: Workspace, framework: Framework) -> Learned:
    matrix = read_matrix(workspace, framework.data)
    record = workspace.read_json(workspace.models / "model.json", "train")
    predictions = workspace.read_table(workspace.models / "predictions.parquet", "train")
    return Learned(record, predictions, matrix)


def _decisions(workspace: Workspace, framework: Framework, quarters: list[str]) -> dict[str, Any] | None:
    path = workspace.decisions
    if not path.exists():
        return None
    decided = read_yaml(path, "the meeting writes it") or {}
    nested = [name for key in quarters if isinstance(decided.get(key), dict) for name in decided[key]]
    unknown = [name for name in decided if name not in (*framework.milestones, *quarters, ADOPTIONS)]
    unknown += [name for name in nested if name not in framework.milestones]
    if unknown:
        raise DataError(
            f"{path}: {unknown[0]!r} is neither a milestone ({', '.join(framework.milestones)}) nor a closed quarter"
            " such as 2024Q3: correct the name"
        )
    return decided


def _publish_one(
    workspace: Workspace, store: Store, reviewer: Reviewer, quarter: str, decisions: dict[str, Any] | None
) -> dict[str, Any]:
    review = reviewer.review(quarter)
    folder = workspace.review(quarter)
    tables = {"observations": reviewer.observations(quarter), "accounts": reviewer.accounts(quarter)}
    for name, table in tables.items():
        with set_aside(folder / f"{name}.parquet") as path:
            table.to_parquet(path, index=False)
    write_text(
        folder / "review.json", json.dumps(review, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    tags = {
        "quarter": quarter,
        "framework.version": reviewer.framework.version,
        "framework.hash": reviewer.framework.hash,
        "framework.proposed": reviewer.framework.proposed,
        "code_version": code_version(),
        "seed": reviewer.seed,
    }
    with store.run(f"review {quarter}", "review", note=_note(review), tags=tags) as run:
        links: dict[str, Any] = {"review": run.links(), "milestones": {}}
        for milestone in review["milestones"]:
            links["milestones"][milestone["name"]] = _record_history(store, reviewer, milestone, tags)
        write_text(folder / "links.json", json.dumps(links, indent=1) + "\n")
        write_text(folder / "review.html", render(review, decisions, links))
        _record(run, review, folder)
    return {
        "quarter": quarter,
        "headline": review["headline"],
        "report": str(folder / "review.html"),
        "run": links["review"],
    }


def _record(run: "Run", review: dict[str, Any], folder: Path) -> None:
    metrics: dict[str, float | None] = {}
    for milestone in review["milestones"]:
        name, realised, share = milestone["name"], milestone["realised"], milestone["adoption"]
        metrics[f"{name}.realised"] = realised["value"] if realised else None
        metrics[f"{name}.adoption"] = share["value"] if share else None
    model = review["model"]
    for name, auc in (model["overall"] if model else {}).items():
        metrics[f"auc.{name}"] = auc["value"] if auc else None
    run.metrics(metrics)
    run.tags({f"verdict.{m['name']}": m["verdict"] for m in review["milestones"]})
    run.file(folder / "review.html")
    run.file(folder / "review.json")


def _record_history(
    store: Store, reviewer: Reviewer, milestone: dict[str, Any], tags: dict[str, Any]
) -> dict[str, Any]:
    """A fresh run of the milestone's version with its history: the quarter's running index is the step."""
    name = milestone["name"]
    identity = {"milestone": name, "milestone.version": reviewer.framework.version}
    store.supersede("milestones", identity)
    identity["superseded"] = "false"
    origin = reviewer.quarters.containing(reviewer.log.data_from)
    note = f"**{milestone['verdict']}** as of the review of {tags['quarter']}. {milestone['sentence']}\n\nStep 0 is {origin}."
    params = {
        "rule": milestone["rule"],
        "threshold": milestone["threshold"]["current"],
        "first_quarter": origin,
    }
    with store.run(f"{name} v{reviewer.framework.version}", "milestones", note=note, tags={**tags, **identity}, params=params, nested=True) as run:  # fmt: skip
        run.history(
            [(reviewer.quarters.distance(origin, row["quarter"]), _step(row)) for row in milestone["history"]]
        )
        return run.links()


def _step(row: dict[str, Any]) -> dict[str, float | None]:
    effect, retained = row["effect"] or {}, row["retained_effect"] or {}
    return {
        "adoption": row["adoption"],
        "n_mature": row["n_mature"],
        "effect": effect.get("value"),
        "effect.lower": effect.get("lower"),
        "effect.upper": effect.get("upper"),
        "retained_effect": retained.get("value"),
    }


def _note(review: dict[str, Any]) -> str:
    lines = [review["headline"], "", "| milestone | verdict | realised since | why |", "|---|---|---|---|"]
    for m in review["milestones"]:
        realised = m["realised"]
        shown = "not enough data yet" if not realised else f"{100 * realised['value']:+.1f} points ({100 * realised['lower']:.1f} to {100 * realised['upper']:.1f})"  # fmt: skip
        words = " ".join(m["sentence"].replace("|", "/").split())
        lines.append(f"| {m['name']} | {m['verdict']} | {shown} | {words} |")
    if review["model"]:
        lines += ["", review["model"]["sentence"]]
    return "\n".join(lines)
