"""`sweep`: every achievable cut of a milestone, corrected for everything tried, one MLflow run each."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import figures
from experiments.launch import Launch
from experiments.tracking import Store
from features.errors import UsageError
from features.log import Log
from features.matrix import attributes_at
from features.progress import ProgressCallback
from features.version import code_version
from features.workspace import set_aside, write_text
from models.cohorts import RIVAL, Cohort, build_cohorts
from models.doubts import rule_doubts
from models.effects import Effect
from models.milestones import CountRule
from models.sweep import Candidate, SweepEffect, SweepResult
from models.trial import Trial, build_trial, over_all_dates, rival_rules, rival_specs, run_trial

N_PERMUTATIONS = 1000
MOST_OVER_ALL_DATES = 100  # cuts


def sweep_milestones(launch: Launch, names: list[str], progress: ProgressCallback) -> list[dict[str, Any]]:
    """Sweep the named milestones, all without a name; returns what each sweep.json holds."""
    milestones = launch.framework.milestones
    unknown = [name for name in names if name not in milestones]
    if unknown:
        raise UsageError(
            f"there is no milestone {unknown[0]!r}; the framework has {', '.join(milestones) or 'none'}"
        )
    chosen = names or list(milestones)
    progress("reading the events", 0.05)
    log = launch.log()
    caveats = rule_doubts({name: milestones[name] for name in chosen}, log, launch.framework.data)
    rivals = {name: _rivals(launch, name) for name in chosen}
    cohorts = build_cohorts(
        launch.framework, log, {name: rival_specs(rules) for name, rules in rivals.items()}
    )
    store = Store.of(launch.workspace.root, launch.framework.name)
    made = []
    for i, name in enumerate(chosen):
        progress(f"sweeping {name}", 0.2 + 0.8 * i / len(chosen))
        cohort = _in_segment(launch, log, cohorts.by_name[name])
        made.append(_sweep_one(launch, log, store, cohort, rivals[name], caveats[name]))
    return made


def _rivals(launch: Launch, name: str) -> dict[str, CountRule]:
    """The events asked for with --features, as candidates beside the milestone's own score."""
    if not launch.variation.features:
        return {}
    data = launch.framework.data
    known = list(dict.fromkeys([*data.events.core, *data.features.events]))
    events = launch.variation.matching(known, "events")
    return rival_rules(launch.framework.milestones[name], events)


def _in_segment(launch: Launch, log: Log, cohort: Cohort) -> Cohort:
    if not launch.variation.segment:
        return cohort
    frame = cohort.frame.assign(**attributes_at(log, launch.framework.data, cohort.frame))
    return replace(cohort, frame=launch.in_segment(frame))


def _sweep_one(
    launch: Launch,
    log: Log,
    store: Store,
    cohort: Cohort,
    rivals: dict[str, CountRule],
    caveats: list[str],
) -> dict[str, Any]:
    rng = np.random.default_rng(launch.variation.seed)
    primary = cohort.milestone.primary_outcome
    trial = build_trial(cohort, "primary", log.data_through, rng, rivals)
    result = run_trial(trial, cohort, rng, launch.framework.review.adoption_band, N_PERMUTATIONS)
    caveats = [*caveats, *map(_left_out, trial.left_out.items())]
    record = {**sweep_record(launch, cohort, trial, result, primary), "caveats": caveats}
    folder = launch.folder(launch.workspace.sweep(cohort.name), "sweep", cohort.name)
    grid = _grid(cohort, log, trial, result)
    write_text(folder / "sweep.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    with set_aside(folder / "grid.parquet") as path:
        grid.to_parquet(path, index=False)
    drawn = figures.write(figures.of_sweep(record, result), folder)
    return {**record, "folder": str(folder), "run": _record(launch, store, record, grid, folder, drawn)}


def _left_out(rival: tuple[str, float]) -> str:
    name, known = rival
    return (
        f"the candidate {name!r} is left out: it could be used, and was tracked, for {known:.0%} of the accounts, and all"
        " candidates are judged on the same"
    )


def _grid(cohort: Cohort, log: Log, trial: Trial, result: SweepResult) -> pd.DataFrame:
    """grid.parquet; of a state the cuts of the winner also over all its dates, in the columns all_dates_*.

    Of many cuts some are measured so, those that are likely to be adopted among them; the others are missing.
    """
    grid = pd.DataFrame(dict(result.grid))
    if cohort.milestone.kind == "once" or grid.empty:
        return grid
    own = trial.candidates[0]
    best = next((c for c in trial.candidates if c.name == result.best), own)
    rows = np.flatnonzero(grid["candidate"] == best.name)
    rows = rows[:: -(-len(rows) // MOST_OVER_ALL_DATES)] if len(rows) else rows
    named = [result.best_cut, *(result.plateau or ()), result.operating_cut and result.operating_cut.value]
    chosen = np.union1d(rows, np.flatnonzero((grid["candidate"] == best.name) & grid["cut"].isin(named)))
    column = "score" if best is own else RIVAL + best.events[0]
    cuts = grid["cut"].to_numpy()[chosen]
    measured = over_all_dates(cohort, "primary", log.data_through, column, cuts)
    return grid.join(measured.set_index(chosen).add_prefix("all_dates_"))


def sweep_record(
    launch: Launch, cohort: Cohort, trial: Trial, result: SweepResult, outcome: str
) -> dict[str, Any]:
    """sweep.json."""
    own = trial.candidates[0]
    best = next((c for c in trial.candidates if c.name == result.best), own)
    cut = result.operating_cut
    framework = launch.framework
    return {
        "schema_version": 1,
        "milestone": cohort.name,
        "framework": {"version": framework.version, "hash": framework.hash},
        "definition": framework.definition(cohort.name),
        "code_version": code_version(),
        "seed": launch.variation.seed,
        "exploratory": launch.variation.exploratory,
        "feature": best.name,
        "event": list(best.events),
        "window_days": best.window_days,
        "per_seat": best.per_seat,
        "landmark_days": cohort.milestone.rule.window_days if cohort.milestone.kind == "once" else None,
        "outcome": outcome,
        "same_behaviour": list(framework.shares_behaviour(cohort.name)),
        "horizon_days": cohort.horizon_days("primary"),
        "objective": "phi",
        "phi": result.phi,
        "n_accounts": result.n_accounts,
        "excluded": trial.excluded,
        "family": {**result.family, "hypotheses": 0},
        "verdict": result.verdict,
        "sentence": result.sentence,
        "current_threshold": float(cohort.milestone.rule.at_least),
        "current_adoption": _adoption(own, cohort.milestone.rule.at_least),
        "threshold": result.threshold,
        "best_cut": result.best_cut,
        "operating_cut": None if cut is None else {"value": cut.value, "reason": cut.reason},
        "plateau": None if result.plateau is None else list(result.plateau),
        "stability_range": None if result.stability_range is None else list(result.stability_range),
        "gain_over_current": None if result.gain_over_current is None else result.gain_over_current.brief(),
        "p_corrected": result.p_corrected,
        "smallest_detectable": result.smallest_detectable,
        "effects": [_effect(cohort, outcome, effect) for effect in result.effects],
        "e_value": None,
        "hypotheses": [],
        "by_segment": [],
        "grid_file": "grid.parquet",
        "defined_on": _defined_on(framework.data.calendar.quarters, trial),
    }


def _adoption(candidate: Candidate, cut: float) -> float | None:
    reached = candidate.values >= cut  # noqa: PD011 - an array of ours
    return float(reached.mean()) if len(reached) else None


def current_sentence(record: dict[str, Any]) -> str:
    """How the cut in use does on the same accounts; empty where nothing can be said."""
    effect = next((e for e in record["effects"] if e["name"] == "current"), None)
    if effect is None:
        return ""
    return (
        f"The cut in use, {record['current_threshold']:g}: {record['current_adoption']:.0%} of accounts reach it,"
        f" {100 * effect['value']:+.1f} points ({100 * effect['lower']:+.1f} to {100 * effect['upper']:+.1f})."
    )


def _defined_on(quarters: Any, trial: Trial) -> list[str] | None:
    """[from, to): the cohort quarters this sweep looked at; a cut adopted from it is not judged on them."""
    return None if trial.quarters is None else [trial.quarters[0], quarters.shift(trial.quarters[1], 1)]


def _effect(cohort: Cohort, outcome: str, effect: SweepEffect) -> dict[str, Any]:
    once = cohort.milestone.kind == "once"
    when: dict[str, Any] = (
        {"landmark_day": cohort.milestone.rule.window_days} if once else {"as_of": "one per account"}
    )
    record = Effect.of(
        effect.estimate,
        outcome=outcome,
        horizon_days=cohort.horizon_days("primary"),
        population="alive at the landmark" if once else "alive at the as-of date",
        method=effect.method,
        in_definition=effect.in_sample,
        primary=True,
        **when,
    ).as_dict()
    return {"name": effect.name, "candidate": effect.candidate, "cut": effect.cut, **record}


def _record(
    launch: Launch,
    store: Store,
    record: dict[str, Any],
    grid: pd.DataFrame,
    folder: Path,
    drawn: Sequence[Path],
) -> dict[str, Any]:
    variation = launch.variation
    params = {
        "milestone": record["milestone"],
        "feature": record["feature"],
        "window_days": record["window_days"],
        "threshold": record["current_threshold"],
        "outcome": record["outcome"],
        "n_permutations": N_PERMUTATIONS,
        **variation.described(),
    }
    tags = {**launch.tags(), "milestone": record["milestone"], "verdict": record["verdict"]}
    name = variation.name or f"sweep {record['milestone']}"
    with store.run(name, "sweep", note=_note(variation.note, record), tags=tags, params=params) as run:
        cut = record["operating_cut"]
        run.metrics(
            {
                "phi": record["phi"],
                "p_corrected": record["p_corrected"],
                "operating_cut": cut["value"] if cut else None,
                "n_accounts": record["n_accounts"],
                "smallest_detectable": record["smallest_detectable"],
                **{f"effect.{e['name']}": e["value"] for e in record["effects"]},
            }
        )
        run.table(grid, "grid.json")
        for path in drawn:
            run.file(path, "figures")
        run.file(folder / "sweep.json")
        return run.links()


def _note(first: str | None, record: dict[str, Any]) -> str:
    lines = [first or "", f"**{record['verdict']}** — {record['sentence']}", ""]
    lines.append(current_sentence(record))
    lines.append(
        f"Tried {record['family']['cuts']} cuts of {record['family']['candidates']} candidates on {record['n_accounts']:,} accounts."
    )
    if record["p_corrected"] is not None:
        lines.append(f"Corrected p = {record['p_corrected']:.3f}; phi = {record['phi']:.3f}.")
    lines += ["", "| effect | points | 95 % interval |", "|---|---|---|"]
    for e in record["effects"]:
        lines.append(
            f"| {e['name']} | {100 * e['value']:+.1f} | {100 * e['lower']:+.1f} to {100 * e['upper']:+.1f} |"
        )
    return "\n".join(lines).strip()
