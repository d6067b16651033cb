"""The chain worked backwards, as a record, as tables and as a picture: what `milestones chain` writes and says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from features.contracts import expansion_basis, paid_spells
from features.figures import save
from features.intake import open_log
from features.log import Log
from features.outcomes import EXPANDED
from features.phrases import listing
from features.progress import ProgressCallback
from features.workspace import Workspace, set_aside, write_text
from models.categories import NOT_DECLARED, categories_of, headline
from models.chain import chain
from models.cohorts import Cohorts, build_cohorts
from models.framework import Framework, load_framework
from models.milestones import DORMANT, RETAINED
from models.steps import steps_of
from models.success import metric_specs
from reports import wording
from reports.forest import forest

Record: TypeAlias = dict[str, Any]
SCHEMA_VERSION = 1


def work_backwards(workspace: Workspace, progress: ProgressCallback) -> Record:
    """Write chain.json and chain.png of a workspace; returns the record."""
    framework = load_framework(workspace.framework)
    progress("reading the events", 0.02)
    log = open_log(framework.data, workspace.root)
    cohorts = build_cohorts(framework, log, progress=progress)
    progress("comparing", 0.9)
    found = record(framework, log, cohorts)
    write_text(workspace.chain, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    with set_aside(workspace.chain.with_suffix(".png")) as path:
        save(forest(effect_rows(found), framework.name), path)
    return found


def record(framework: Framework, log: Log, cohorts: Cohorts) -> Record:
    """chain.json: what is known of the whole chain at the end of the log."""
    known_at, declared = log.data_through, framework.data.features
    spells = None if log.subscriptions is None else paid_spells(log.subscriptions)
    return {
        "schema_version": SCHEMA_VERSION,
        "product": framework.name,
        "framework": {
            "version": framework.version,
            "hash": framework.hash,
            "proposed": framework.proposed,
        },
        "known_at": known_at.isoformat(),
        "outcome": framework.data.outcomes.sentence,
        "expansion": expansion_basis(spells, framework.data),
        "chain": [link.as_dict() for link in chain(framework, cohorts.by_name, known_at)],
        "steps": [
            {"milestone": name, **step.as_dict()}
            for name, cohort in cohorts.by_name.items()
            for step in steps_of(cohort, declared, known_at)
        ],
        "headline": headline(framework, cohorts, known_at),
        "categories": [
            use.as_dict() for use in categories_of(framework, cohorts, metric_specs(framework, log), known_at)
        ],
    }


def effect_rows(found: Mapping[str, Any]) -> list[Record]:
    """The effects of chain.json, a row per milestone and outcome: with its twin by revenue, or why there is none."""
    rows: list[Record] = []
    for link in found["chain"]:
        outcomes = dict.fromkeys([*(e["outcome"] for e in link["effects"]), *link["missing"]])
        for outcome in outcomes:
            both = {e.get("weighted_by"): e for e in link["effects"] if e["outcome"] == outcome}
            rows.append(
                {
                    "milestone": link["milestone"],
                    "outcome": outcome,
                    "words": OUTCOMES.get(outcome, f"then {outcome}"),
                    "effect": both.get(None),
                    "by_revenue": both.get("revenue"),
                    "missing": link["missing"].get(outcome),
                    "same_behaviour": link["same_behaviour"].get(outcome, []),
                }
            )
    return rows


OUTCOMES: Mapping[str, str] = {
    DORMANT: "dormant (less is good)",
    RETAINED: "retained",
    EXPANDED: "expanded",
}


def chain_table(rows: Sequence[Mapping[str, Any]]) -> list[Record]:
    """`effect_rows` as a person reads them."""
    return [
        {
            "milestone": row["milestone"],
            "outcome": row["words"],
            "effect": wording.difference(row["effect"], "–"),
            "by_revenue": wording.difference(row["by_revenue"], "–"),
            "accounts": wording.count((row["effect"] or {}).get("n_accounts"), "–"),
            "note": _note(row),
        }
        for row in rows
    ]


def _note(row: Mapping[str, Any]) -> str:
    if row["missing"]:
        return str(row["missing"])
    said = ["chosen on these quarters"] if row["effect"]["in_definition"] else []
    return "; ".join([*said, *(["same behaviour"] if row["same_behaviour"] else [])])


def steps_table(found: Mapping[str, Any]) -> list[Record]:
    """The steps of chain.json as a person reads them."""
    rows = []
    for step in found["steps"]:
        by = {effect["method"]: effect for effect in step["effects"]}
        rows.append(
            {
                "step": step["step"],
                "done_by": wording.share(step["share"], "–"),
                "class": step["class"],
                "effect": wording.difference(by.get("crude"), "–"),
                "with_as_many_other_steps": wording.difference(by.get("stratified"), "–"),
                "accounts": wording.count(by.get("crude", {}).get("n_accounts"), "–"),
            }
        )
    return rows


def categories_table(found: Mapping[str, Any]) -> list[Record]:
    """The categories of chain.json at the newest close, with their success and their effect on staying."""
    rows = []
    for use in found["categories"]:
        newest = use["closes"][-1] if use["closes"] else {}
        retained = next((e for e in use["effects"] if "weighted_by" not in e), None)
        shares = {level: wording.percent(newest.get(level), "–") for level in ("unused", "basic", "mature")}
        rows.append(
            {
                "category": use["category"],
                **shares,
                "n": wording.count(newest.get("n"), "–"),
                "on_retained": wording.difference(retained, "–"),
                "success_at_the_next_close": _success(use),
            }
        )
    return rows


def _success(use: Mapping[str, Any]) -> str:
    success = use["success"]
    if success is None:
        return "none declared" if use["missing"] == NOT_DECLARED else str(use["missing"])
    mean, other = (wording.number(success[key]) for key in ("mean_mature", "mean_other"))
    shared = "; same behaviour" if success["same_behaviour"] else ""
    between = wording.score(success["difference"])
    n = wording.count(success["difference"]["n_accounts"])
    return f"{success['feature']}: {mean} against {other}, {between}, n {n}{shared}"


def closing_words(found: Mapping[str, Any]) -> list[str]:
    """What the tables do not say: the headline of maturity, what expansion means, and what could not be weighted."""
    said = []
    for milestone in dict.fromkeys(row["milestone"] for row in found["headline"]):
        newest = [row for row in found["headline"] if row["milestone"] == milestone][-1]
        said.append(
            f"{milestone}: at the close of {newest['quarter']} {wording.share(newest)} of {wording.count(newest['n'])}"
            f" accounts are mature in {newest['at_least']} or more of {newest['of']} categories."
        )
    if not found["chain"]:
        said.append("No milestone is defined: there is no chain.")
    undeclared = [use["category"] for use in found["categories"] if use["missing"] == NOT_DECLARED]
    if undeclared:
        said.append(
            f"No success metric is declared for {listing(undeclared)}: data.events.success_metrics names a feature each."
        )
    if found["expansion"]:
        bought = {"seats": "more seats", "mrr": "more recurring revenue"}[found["expansion"]]
        said.append(f"Expanded means {bought} at the end of the horizon than before it.")
    if not any("weighted_by" in effect for link in found["chain"] for effect in link["effects"]):
        said.append(
            "No effect is weighted by revenue: it is not known of enough accounts (mrr of the subscriptions)."
        )
    return said
