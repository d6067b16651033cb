"""What a search leaves behind: tuning.json, trials.parquet, the figure, and a run in MLflow with the front below it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import figures
from experiments.pareto import pareto
from experiments.tracking import Store
from experiments.tuning import EXHAUSTIVE_MOST, Tuning
from features.errors import StoreError
from features.phrases import listing
from features.version import code_version
from features.workspace import set_aside, write_text
from models.definitions import full_words
from models.estimates import Estimate
from models.front import Placed
from models.joint import Score
from models.milestones import Rule

# Of the front, below the run of the search: a run costs a hundred times what a row of a table does.
MOST_RUNS = 12
OBJECTIVES = {
    "phi": "correlation of reaching the milestone and its outcome, within the quarters that choose",
    "balance": "1 where adoption is in the middle of the declared band, falling to 0 at the farther of none and all",
}
CONSTRAINTS = {
    "support": "enough accounts on both sides",
    "adoption": "adoption neither niche nor ubiquitous",
    "refused": "not counted again in the window of its outcome, as the framework has it",
}


def _record(made: Tuning) -> dict[str, Any]:
    """tuning.json: the same for the same data, framework, code and seed."""
    launch, material, front, plan = made.launch, made.material, made.front, made.plan
    framework, milestone = launch.framework, material.milestone
    space = {
        "size": made.size,
        "dimensions": {one.name: list(one.choices) for one in material.space.dimensions},
    }
    chosen = None if front.recommended is None else front.placed[front.recommended]
    return {
        "schema_version": 2,
        "milestone": made.name,
        "framework": {"version": framework.version, "hash": framework.hash},
        "code_version": code_version(),
        "seed": launch.variation.seed,
        "outcome": milestone.primary_outcome,
        "space": space,
        "sampler": None if plan is None else plan.sampler,
        "n_trials": 0 if plan is None else plan.n_trials,
        "n_definitions": len(made.tried),
        "objectives": OBJECTIVES,
        "constraints": _constraints(made),
        "n_accounts": len(material.choosing),
        "n_fresh": len(material.fresh),
        "excluded": material.excluded,
        "left_out": material.left_out,
        "choosing_quarters": list(material.choosing.quarters),
        "fresh_quarters": list(material.fresh.quarters),
        "fresh_opened_before": made.opened_before,
        "verdict": front.verdict,
        "sentence": front.sentence,
        "p_corrected": front.p_corrected,
        "current": None if front.current is None else _placed(made, front.current),
        "recommended": None if chosen is None else _placed(made, chosen),
        "gain_over_current": _brief(front.gain),
        "pareto": [_placed(made, one) for one in front.placed],
        "caveats": _caveats(made),
        "trials_file": "trials.parquet",
    }


def _constraints(made: Tuning) -> dict[str, Any]:
    broken = {name: sum(score.constraints[name] > 0 for _, score in made.tried) for name in CONSTRAINTS}
    return {name: {"meaning": words, "broken": broken[name]} for name, words in CONSTRAINTS.items()}


def _caveats(made: Tuning) -> list[str]:
    """What a reader should hold against the figures, in sentences."""
    material, plan = made.material, made.plan
    said = list(material.doubts)
    if plan is not None and plan.points is None:
        said.append(
            "TPE looked where it had found something, and the shuffles answer only for the definitions that were tried: the"
            " corrected p is somewhat too small; the fresh figures are not touched by it"
        )
    if plan is not None and material.fresh.lacking:
        said.append(f"nothing is measured on fresh quarters: {material.fresh.lacking}")
    if made.opened_before:
        said.append(
            f"{made.opened_before} other searches have opened some of these fresh quarters before: what was changed"
            " because of them is not fresh any more"
        )
    if made.front.recommended is not None:
        habit = _shared(made, made.front.placed[made.front.recommended].rule)
        if habit:
            said.append(
                f"the recommended definition and its outcome {material.milestone.primary_outcome!r} both count"
                f" {listing(habit)}, in disjoint windows: part of what it goes with may be that a habit persists"
            )
    seen = [quarter for quarter in material.fresh.quarters if material.milestone.defined_in(quarter)]
    if seen:
        said.append(
            f"the definition in use was chosen on {', '.join(seen)}, which are not fresh to it: its figures there are"
            " too good"
        )
    if material.refused:
        said.append(
            f"{len(material.refused)} of the counts that were tried are refused by the framework, such as:"
            f" {next(iter(material.refused.values()))}"
        )
    return said


def _placed(made: Tuning, one: Placed) -> dict[str, Any]:
    return {
        "rule": one.rule.model_dump(mode="json"),
        "words": full_words(one.rule),
        "phi_chosen": one.score.phi,
        "phi_fresh": _brief(one.phi_fresh),
        "effect_fresh": _brief(one.effect_fresh),
        "adoption": one.score.adoption,
        "adoption_fresh": one.adoption_fresh,
        "balance": one.score.balance,
        "distance": one.distance,
        "same_behaviour": list(_shared(made, one.rule)),
    }


def _shared(made: Tuning, rule: Rule) -> tuple[str, ...]:
    """What a definition and the outcome both count, in disjoint windows: what it goes with may be a habit that persists."""
    framework = made.launch.framework
    redefined = made.material.milestone.model_copy(update={"rule": rule})
    milestones = {**framework.milestones, made.name: redefined}
    return framework.model_copy(update={"milestones": milestones}).shares_behaviour(made.name)


def _brief(one: Estimate | None) -> dict[str, float] | None:
    return None if one is None else one.brief()


def _trials_table(tried: Sequence[tuple[Rule, Score]], front: Sequence[Placed]) -> pd.DataFrame:
    """One row a definition that was tried, in the order of the search."""
    on_front = {one.rule.model_dump_json() for one in front}
    limits = [f"constraint_{name}" for name in CONSTRAINTS]
    columns = ["definition", "rule", "phi", "adoption", "balance", *limits, "feasible", "on_front"]
    rows = [
        [
            full_words(rule), said, score.phi, score.adoption, score.balance, *(score.constraints[c] for c in CONSTRAINTS),
            score.feasible, said in on_front,
        ]
        for rule, score in tried
        for said in [rule.model_dump_json()]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def keep(made: Tuning) -> dict[str, Any]:
    """Write the files, then the run. Raises StoreError when a store is away; what is on disk by then stays."""
    folder = made.launch.workspace.tuning(made.name)
    record, table = _record(made), _trials_table(made.tried, made.front.placed)
    with set_aside(folder / "trials.parquet") as path:
        table.to_parquet(path, index=False)
    pictures = {"pareto": pareto(record, table)} if record["pareto"] or record["current"] else {}
    drawn = figures.write(pictures, folder, ("pareto",))
    write_text(folder / "tuning.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    try:
        run = _recorded(made, record, table, [*drawn, folder / "tuning.json"])
    except StoreError as error:
        raise StoreError(f"{error}. What was found is in {folder}, and in no run") from error
    return {**record, "folder": str(folder), "run": run}


def _recorded(
    made: Tuning, record: Mapping[str, Any], table: pd.DataFrame, files: Sequence[Path]
) -> dict[str, Any]:
    variation = made.launch.variation
    store = Store.of(made.launch.workspace.root, made.launch.framework.name)
    params = {key: record[key] for key in ("milestone", "sampler", "n_trials", "outcome", "seed")}
    params |= {"space_size": record["space"]["size"]}
    tags = {**made.launch.tags(), "milestone": made.name, "verdict": record["verdict"]}
    name = variation.name or f"tune {made.name}"
    with store.run(name, "tune", note=note(variation.note, record), tags=tags, params=params) as run:
        run.metrics({"p_corrected": record["p_corrected"], "n_accounts": record["n_accounts"]})
        for which in ("current", "recommended"):
            if record[which]:
                run.metrics({f"{which}.{key}": value for key, value in _metrics(record[which]).items()})
        run.table(table, "trials.json")
        for path in files:
            run.file(path)
        for place, one in enumerate(record["pareto"][:MOST_RUNS]):
            with store.run(
                f"{name}: {place + 1}", "tune", note=one["words"], tags={**tags, "front": place + 1},
                params=_parameters(one["rule"]), nested=True,
            ) as below:  # fmt: skip
                below.metrics(_metrics(one))
        return run.links()


def _metrics(one: Mapping[str, Any]) -> dict[str, float | None]:
    fresh = one["phi_fresh"] or {}
    return {
        **{key: one[key] for key in ("phi_chosen", "adoption", "balance", "distance")},
        **{f"phi_fresh.{key}": fresh.get(key) for key in ("value", "lower", "upper")},
    }


def _parameters(rule: Mapping[str, Any]) -> dict[str, object]:
    """The rule as parameters of a run, numbers as such: the pages draw them as axes."""
    return {
        key: value if isinstance(value, int | float | bool) else json.dumps(value)
        for key, value in rule.items()
    }


def _size_sentence(record: Mapping[str, Any]) -> str:
    """How many definitions there are, and how they are searched."""
    size, n_left_out = record["space"]["size"], len(record["left_out"])
    left_out = f" ({n_left_out:,} more counts were left out: they are known of too few)" if n_left_out else ""
    if record["sampler"] == "exhaustive":
        return f"{size:,} joint definitions, every one of them tried{left_out}."
    return (
        f"{size:,} joint definitions (at most), more than the {EXHAUSTIVE_MOST:,} or --trials up to which every one is tried:"
        f" {record['n_trials']:,} trials of TPE{left_out}."
    )


def lines(made: Tuning, record: Mapping[str, Any]) -> list[str]:
    """What the command says."""
    found = made.found
    said = [_size_sentence(record)] if record["sampler"] else []
    if found.before:
        said.append(
            f"{found.before:,} of {record['n_trials']:,} were there already: the search was taken up again."
        )
    elif found.others:
        said.append(
            f"The storage holds {found.others} other searches of {made.name}, of another framework, data, code, space or seed:"
            " this is a new one."
        )
    said.append(f"{made.name}: {record['verdict']}. {record['sentence']}")
    said += [
        f"  {one['words']}: phi {one['phi_chosen']:.3f}, fresh {_fresh_words(one)}, adoption {_adoption_words(one)}"
        for one in record["pareto"][:MOST_RUNS]
    ]
    return said


def note(first: str | None, record: Mapping[str, Any]) -> str:
    """The run's page, in Markdown."""
    lines = [first or "", f"**{record['verdict']}** — {record['sentence']}", ""]
    lines += [_size_sentence(record)] if record["sampler"] else []
    if record["current"]:
        lines += ["", "| definition | phi, chosen | phi, fresh | adoption |", "|---|---|---|---|"]
        lines += map(_row, (record["current"], *record["pareto"][:MOST_RUNS]))
    lines += ["", *(f"- {caveat}" for caveat in record["caveats"])]
    return "\n".join(lines).strip()


def _row(one: Mapping[str, Any]) -> str:
    return f"| {one['words']} | {one['phi_chosen']:.3f} | {_fresh_words(one)} | {_adoption_words(one)} |"


def _adoption_words(one: Mapping[str, Any]) -> str:
    """Adoption where it was chosen and on fresh quarters."""
    fresh = one["adoption_fresh"]
    return f"{one['adoption']:.0%}" if fresh is None else f"{one['adoption']:.0%}, fresh {fresh:.0%}"


def _fresh_words(one: Mapping[str, Any]) -> str:
    """Phi on fresh quarters with its interval, for people."""
    found = one["phi_fresh"]
    return f"{found['value']:.3f} ({found['lower']:.3f} to {found['upper']:.3f})" if found else "-"
