"""Publish reviews: compute, freeze, render and record them, one folder per quarter."""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.tracking import Store
from features.document import read_yaml
from features.errors import DataError, UsageError
from features.intake import open_log
from features.progress import ProgressCallback
from features.version import code_version
from features.workspace import Workspace, discard, set_aside, write_text
from models.decisions import ADOPTIONS
from models.framework import Framework, load_framework
from reports.edition import Edition, clock, closed, grounds_then, is_recorded, made_anew
from reports.grounds import Grounds
from reports.learned import Learned
from reports.page import drawn, html_of
from reports.replay import replayed
from reports.review import Reviewer, shown

if TYPE_CHECKING:
    from experiments.recorded_run import Run


def publish(
    workspace: Workspace, quarter: str, seed: int, progress: ProgressCallback
) -> list[dict[str, Any]]:
    """Write the review of a quarter, of the latest closed one, or of all, each as known when it was due.

    Raises UsageError for one not closed.
    """
    framework = load_framework(workspace.framework)
    progress("reading the events", 0.02)
    log = open_log(framework.data, workspace.root)
    recorded, learned = is_recorded(framework.data), cache(partial(Learned.of, workspace, framework))
    today = cache(lambda: Reviewer(framework, Grounds.of(framework, log), seed))
    chosen = _chosen(closed(framework, log), quarter, lambda: today().proven.reviewable())
    store = Store.of(workspace.root, framework.name)
    made: list[dict[str, Any]] = []
    for i, name in enumerate(chosen):
        progress(f"reviewing {name}", 0.1 + 0.9 * i / len(chosen))
        try:
            reviewer = _then(workspace, framework, name, seed) if recorded else today()
        except (DataError, UsageError) as error:
            if quarter != "all":
                raise
            made.append({"quarter": name, "left_out": str(error)})
            continue
        edition = made_anew(workspace, reviewer, name, learned, recorded=recorded)
        made.append(_publish_one(workspace, store, edition, workspace.review(name), newest=True))
    return made


def replay(
    workspace: Workspace, quarter: str, known_at: str, seed: int, progress: ProgressCallback
) -> dict[str, Any]:
    """Write the review of a quarter as known at another instant, beside the newest one. Raises UsageError as `replayed`."""
    progress("looking for what was frozen", 0.02)
    edition = replayed(workspace, quarter, known_at, seed)
    store = Store.of(workspace.root, edition.reviewer.framework.name)
    folder = workspace.replay(edition.quarter, shown(edition.known_at).replace(":", ""))
    return _publish_one(workspace, store, edition, folder, newest=False)


def _then(workspace: Workspace, framework: Framework, quarter: str, seed: int) -> Reviewer:
    """The reviewer of what had been recorded when the review of a quarter was due."""
    due = framework.review_due(quarter)
    return Reviewer(framework, grounds_then(workspace, framework, quarter, due), seed)


def _chosen(closed: list[str], quarter: str, reviewable: Callable[[], list[str]]) -> list[str]:
    if not closed and quarter in ("all", "latest"):
        return []
    if not closed:
        raise UsageError(
            f"{quarter} has not closed: no quarter of the log has, and a review needs a whole one"
        )
    if quarter == "all":
        return reviewable()
    if quarter == "latest":
        return closed[-1:]
    if quarter not in closed:
        raise UsageError(
            f"{quarter} is no closed quarter of this log; it has {closed[0]} to {closed[-1]}, `latest` and `all`"
        )
    return [quarter]


def _decisions(workspace: Workspace, framework: Framework, quarters: list[str]) -> dict[str, Any] | None:
    """What people decided. Raises DataError for a name that is neither a milestone nor one of the quarters."""
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
    workspace: Workspace, store: Store, edition: Edition, folder: Path, *, newest: bool
) -> dict[str, Any]:
    """Write an edition and record it; only the newest of a quarter is part of the milestones' histories."""
    quarter, review, reviewer = edition.quarter, edition.review, edition.reviewer
    # Up to now: a replay knows less than those who decided later.
    over = reviewer.quarters.closed(reviewer.grounds.data_from, clock())
    decisions = _decisions(workspace, reviewer.framework, over)
    _write(folder, edition)
    # Where the store is away, the page is there all the same, and of these numbers.
    figures = drawn(review)
    write_text(folder / "links.json", "{}\n")
    write_text(folder / "review.html", html_of(figures, decisions, {}))
    known_at = shown(edition.known_at)
    tags = {
        "quarter": quarter,
        "known_at": known_at,
        "framework.version": reviewer.framework.version,
        "framework.hash": reviewer.framework.hash,
        "framework.proposed": reviewer.framework.proposed,
        "code_version": code_version(),
        "seed": reviewer.seed,
    }
    name = f"review {quarter}" if newest else f"review {quarter} as known at {known_at}"
    with store.run(name, "review", note=_note(review), tags=tags) as run:
        links: dict[str, Any] = {"review": run.links(), "milestones": {}}
        for milestone in review["milestones"] if newest else ():
            links["milestones"][milestone["name"]] = _record_history(store, reviewer, milestone, tags)
        write_text(folder / "links.json", json.dumps(links, indent=1) + "\n")
        write_text(folder / "review.html", html_of(figures, decisions, links))
        _record(run, review, folder)
    return {
        "quarter": quarter,
        "known_at": known_at,
        "headline": review["headline"],
        "restated": review["restated"],
        "notes": list(edition.notes),
        "report": str(folder / "review.html"),
        "run": links["review"],
    }


def _write(folder: Path, edition: Edition) -> None:
    """The tables, and review.json."""
    tables = {
        "observations": edition.reviewer.observations(edition.quarter),
        "accounts": edition.reviewer.accounts(edition.quarter),
        "restated": edition.restatement.rows,
    }
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        if name == "restated" and not edition.restatement.accounts:
            discard(path)  # of an earlier edition
            continue
        with set_aside(path) as aside:
            table.to_parquet(aside, index=False)
    write_text(folder / "review.json", edition.text)


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
    origin = reviewer.quarters.containing(reviewer.grounds.data_from)
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
