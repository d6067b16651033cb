"""sweep.json: what a sweep says of one milestone, and the sentences that people read of it."""

from typing import Any

from experiments.launch import Launch
from features.version import code_version
from models.adjustment import Kind
from models.cohorts import Cohort
from models.cutpoints import Candidate
from models.effects import Effect, occasion, population
from models.estimates import Estimate, in_points
from models.finding import SweepEffect
from models.segment_effects import one_cut_for_all
from models.swept import Swept

SCHEMA_VERSION = 3
ONE_DATE = "one per account"
TELLING: tuple[Kind, ...] = ("explained_by_size", "persistence")  # what takes the place of an effect


def sweep_json(launch: Launch, swept: Swept, caveats: list[str]) -> dict[str, Any]:
    """The record of one milestone, as JSON writes it."""
    cohort, trial, result, framework = swept.cohort, swept.trial, swept.result, launch.framework
    return {
        "schema_version": SCHEMA_VERSION,
        "milestone": cohort.name,
        "framework": {"version": framework.version, "hash": framework.hash},
        "definition": framework.definition(cohort.name),
        "code_version": code_version(),
        "seed": launch.variation.seed,
        "exploratory": launch.variation.exploratory,
        "feature": trial.own.name,
        "event": list(trial.own.events),
        "window_days": trial.own.window_days,
        "per_seat": trial.own.per_seat,
        "landmark_days": cohort.milestone.rule.window_days if cohort.milestone.kind == "once" else None,
        "outcome": cohort.milestone.primary_outcome,
        "same_behaviour": list(framework.shares_behaviour(cohort.name)),
        "horizon_days": cohort.horizon_days("primary"),
        "objective": "phi",
        "within": ["quarter", *filter(None, [launch.variation.within])],
        "phi": result.phi,
        "youden": result.youden,
        "n_accounts": result.n_accounts,
        "excluded": trial.excluded,
        "family": {**result.family, "hypotheses": len(swept.hypotheses)},
        "verdict": result.verdict,
        "sentence": swept.sentence,
        "current_threshold": swept.cut_in_use,
        "current_adoption": _adoption(trial.own, swept.cut_in_use),
        "threshold": result.threshold,
        "best_cut": result.best_cut,
        "operating_cut": result.operating_cut
        and {"value": result.operating_cut.value, "reason": result.operating_cut.reason},
        "plateau": result.plateau and list(result.plateau),
        "stability_range": result.stability_range and list(result.stability_range),
        "operating_adoption": result.operating_cut and _adoption(trial.own, result.operating_cut.value),
        "gain_over_current": result.gain_over_current and result.gain_over_current.brief(),
        "gain_beyond_slight": result.gain_beyond_slight and result.gain_beyond_slight.brief(),
        "p_corrected": result.p_corrected,
        "p_corrected_over_all": swept.p_over_all,
        "smallest_detectable": result.smallest_detectable,
        "excluded_above": result.excluded_above,
        "shape": result.shape and {"p_smooth": result.shape.p_smooth, "p_step": result.shape.p_step},
        "shown_cut": swept.shown_cut,
        "effects": _effects(swept),
        "fresh_quarters": swept.forward and {q: list(cuts) for q, cuts in swept.forward.cuts.items()},
        "e_value": swept.others.e_value and swept.others.e_value.value,
        "other_explanations": {k: v for k, v in swept.others.as_dict().items() if k != "effects"},
        "hypotheses": [one.as_dict() for one in swept.hypotheses],
        "by_segment": [one.as_dict() for one in swept.segments],
        "by_segment_sentences": _by_segment(swept),
        "exploration": swept.exploration and swept.exploration.as_dict(),
        "grid_file": "grid.parquet",
        "defined_on": _defined_on(framework.data.calendar.quarters, trial.quarters),
        "caveats": caveats,
    }


def current_sentence(record: dict[str, Any]) -> str:
    """How the cut in use does on the same accounts; empty where nothing can be said."""
    effect = next((e for e in record["effects"] if e["name"] == "current"), None)
    if effect is None:
        return ""
    return (
        f"The cut in use, {record['current_threshold']:g}: {record['current_adoption']:.0%} of accounts reach it,"
        f" {in_points(effect['value'], effect['lower'], effect['upper'])}."
    )


def sentences(record: dict[str, Any]) -> list[str]:
    """What a person reads of a sweep: hypotheses first, then the verdict, and what was explored beside."""
    said = [f"hypothesis of {one['by']}, {one['claim']!r}: {one['sentence']}" for one in record["hypotheses"]]
    said.append(f"{record['verdict']}. {record['sentence']} {current_sentence(record)}".rstrip())
    remarks = record["other_explanations"]["remarks"]
    said += [one["sentence"] for one in remarks if one["kind"] in TELLING]
    if record["operating_cut"]:
        said += record["by_segment_sentences"]
    if record["exploration"]:
        said.append(record["exploration"]["sentence"])
    return said


def _adoption(candidate: Candidate, cut: float) -> float | None:
    reached = candidate.values >= cut
    return float(reached.mean()) if len(reached) else None


def _by_segment(swept: Swept) -> list[str]:
    """Whether one cut serves every size and every plan, a sentence each."""
    said = []
    for dimension in dict.fromkeys(one.dimension for one in swept.segments):
        sentence = one_cut_for_all(list(swept.segments), swept.shown_cut, dimension)
        if dimension == "size" and swept.trial.own.per_seat and sentence:
            sentence += " A rate of few seats is coarse, which alone can make sizes differ."
        said.append(sentence)
    return [sentence for sentence in said if sentence]


def _defined_on(quarters: Any, looked_at: tuple[str, ...]) -> list[str] | None:
    """[from, to): the cohort quarters this sweep looked at; a cut adopted from it is not judged on them."""
    return [looked_at[0], quarters.shift(looked_at[-1], 1)] if looked_at else None


def _effects(swept: Swept) -> list[dict[str, Any]]:
    """Every effect with its name: of the search, and of what was measured at a cut."""
    found = [_of_search(swept.cohort, effect) for effect in swept.result.effects]
    if swept.forward is not None:
        effect = swept.forward.estimate
        found.append(_measured(swept.cohort, "forward", "out_of_sample", None, effect, chosen=False))
    found += [
        {"name": name, "candidate": swept.cohort.name, "cut": swept.shown_cut, **effect.as_dict()}
        for name, effect in swept.others.effects.items()
    ]
    if swept.current is not None:
        cut, chosen = swept.cut_in_use, swept.current_chosen_here
        found.append(_measured(swept.cohort, "current", "crude", cut, swept.current, chosen=chosen))
    return found


def _of_search(cohort: Cohort, effect: SweepEffect) -> dict[str, Any]:
    """An effect of the search, which sees an account at one date."""
    once = cohort.milestone.kind == "once"
    when: dict[str, Any] = occasion(cohort.milestone) if once else {"as_of": ONE_DATE}
    record = _effect(cohort, effect.estimate, effect.method, in_definition=effect.in_sample, when=when)
    return {"name": effect.name, "candidate": effect.candidate, "cut": effect.cut, **record}


def _measured(
    cohort: Cohort, name: str, method: str, cut: float | None, estimate: Estimate, *, chosen: bool
) -> dict[str, Any]:
    """An effect over every observation, as a review measures it. chosen: whether the cut was chosen on some of them."""
    record = _effect(cohort, estimate, method, in_definition=chosen, when=occasion(cohort.milestone))
    return {"name": name, "candidate": cohort.name, "cut": cut, **record}


def _effect(
    cohort: Cohort, estimate: Estimate, method: str, *, in_definition: bool, when: dict[str, Any]
) -> dict[str, Any]:
    outcome = cohort.milestone.primary_outcome
    return Effect.of(
        estimate,
        outcome=outcome,
        horizon_days=cohort.horizon_days("primary"),
        population=population(cohort.milestone, outcome),
        method=method,
        in_definition=in_definition,
        primary=True,
        **when,
    ).as_dict()
