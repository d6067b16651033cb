"""`tune`: joint definitions of a milestone, chosen on the earlier quarters and measured once on the fresh ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.launch import Launch
from experiments.ledgers import checked
from experiments.studies import Found, Ledger, Plan, search
from features.document import hash_of
from features.fingerprints import of_inputs
from features.progress import ProgressCallback
from features.version import code_version
from features.workspace import held, write_text
from models.cohorts import build_cohorts
from models.cutpoints import minimum_support
from models.definitions import parts_of
from models.doubts import rule_doubts
from models.front import Front, front_of, insufficient
from models.joint import Judge, Rows, Score, drawn_rows, halves, refusals, rows_in
from models.milestones import CountRule, Milestone, Rule
from models.rivals import Rival, countable
from models.spaces import MOST_ENUMERATED, Point, Space, definitions, lattice, measures, space_of

EXHAUSTIVE_MOST = 5_000  # definitions, up to which every one is tried
TPE_TRIALS = 500
_LOCK_SECONDS = 10


@dataclass(frozen=True)
class Options:
    """The options of `tune` beside those of every run: how many trials, by how many processes, in which storage."""

    trials: int | None = None
    workers: int = 1
    storage: str | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """What is searched: the space on the rows that choose, and the fresh rows, which nothing looks at before the end.

    left_out: counts that are not tried, for people, with the share of accounts of which each is known.
    """

    milestone: Milestone
    space: Space
    choosing: Rows
    fresh: Rows
    excluded: dict[str, int]
    left_out: dict[str, float]
    refused: dict[str, str]
    doubts: list[str]


@dataclass(frozen=True, eq=False)
class Tuning:
    """A search with what it found; `tried` are the definitions with their scores, in the order of the search."""

    launch: Launch
    name: str
    material: Material
    plan: Plan | None
    found: Found
    tried: tuple[tuple[Rule, Score], ...]
    front: Front
    size: int
    opened_before: int


def tune(launch: Launch, name: str, options: Options, progress: ProgressCallback) -> Tuning:
    """Search the joint definitions of a milestone.

    Raises UsageError for a milestone there is not or an address without meaning, StoreError when the storage is away.
    """
    launch.require(name)
    journal = launch.workspace.tuning(name) / "journal.log"
    address = checked(options.storage) if options.storage else str(journal)
    rng = np.random.default_rng(launch.variation.seed)
    progress("reading the events", 0.02)
    material = _look(launch, name, rng)
    if material.choosing.lacking:
        front = insufficient(material.choosing.lacking)
        return Tuning(launch, name, material, None, Found((), 0, 0), (), front, lattice(material.space), 0)
    judge = _judge(launch, material)
    plan, size = _plan(launch, name, material, options.trials)
    found = search(
        Ledger(plan, address), judge, options.workers, lambda what, share: progress(what, 0.2 + 0.6 * share)
    )
    progress("the evidence, and the fresh quarters", 0.8)
    tried = tuple(_scored(judge, found.points))
    fresh = () if material.fresh.lacking else material.fresh.quarters
    before = _opened(launch, name, plan, fresh)
    front = front_of(judge, tried, material.milestone.rule, material.fresh, rng)
    return Tuning(launch, name, material, plan, found, tried, front, size, before)


def _look(launch: Launch, name: str, rng: np.random.Generator) -> Material:
    """One look at the events for every part of every definition, and the accounts in two halves."""
    framework, log = launch.framework, launch.log()
    milestone = framework.milestones[name]
    data = framework.data
    counted = countable(data, milestone)
    made = measures(milestone, counted.values(), has_seats=log.has_seats)
    landmark = milestone.rule.window_days if milestone.kind == "once" else None
    specs = {column: spec for rule in made for column, spec in parts_of(rule, landmark).items()}
    cohort = build_cohorts(framework, log, {name: tuple(specs.values())}).by_name[name]
    drawn = drawn_rows(cohort, list(specs), log.data_through, rng)
    chosen, later = halves(drawn.rows)
    choosing, fresh = rows_in(drawn.rows, chosen), rows_in(drawn.rows, later)
    left_out = _named(drawn.left_out, made, counted, landmark)
    space = space_of(milestone, made, choosing.parts, minimum_support(len(choosing)))
    refused, doubts = refusals(framework, name, made), rule_doubts({name: milestone}, log, data)[name]
    return Material(milestone, space, choosing, fresh, drawn.excluded, left_out, refused, doubts)


def _named(
    left_out: Mapping[str, float],
    made: Sequence[Rule],
    counted: Mapping[str, tuple[str, ...]],
    landmark: int | None,
) -> dict[str, float]:
    """Counts that are left out, by column, under the names that a sweep gives them."""
    labels = {frozenset(events): label for label, events in counted.items()}
    names = {
        column: Rival(labels.get(rule.all_events, " + ".join(rule.events)), rule, landmark).name
        for rule in made
        if isinstance(rule, CountRule)
        for column in parts_of(rule)
    }
    return {names[column]: share for column, share in left_out.items()}


def _judge(launch: Launch, material: Material) -> Judge:
    """What scores the points of a space, with the framework's own limits of adoption."""
    features = launch.framework.data.features
    return Judge(
        material.space, material.choosing, launch.framework.review.adoption_band,
        (features.niche_below, features.ubiquitous_above), frozenset(material.refused),
    )  # fmt: skip


def _plan(launch: Launch, name: str, material: Material, trials: int | None) -> tuple[Plan, int]:
    """Every definition where there are few enough, else so many that TPE chooses; and how many there are (at most)."""
    space, size = material.space, lattice(material.space)
    points: list[Point] | None = None
    if size <= MOST_ENUMERATED:
        points = [point for point, _ in definitions(space)]
        size = len(points)
    if size > (trials or EXHAUSTIVE_MOST):
        points = None
    n_trials = (trials or TPE_TRIALS) if points is None else size
    fingerprint = hash_of(
        [
            launch.framework.hash, of_inputs(launch.framework.data, launch.workspace.root), code_version(),
            launch.variation.seed, [[one.name, *one.choices] for one in space.dimensions], points is None,
        ]
    )  # fmt: skip
    study = f"{launch.framework.name}/{name}/{fingerprint}"
    fixed = None if points is None else tuple(points)
    return Plan(study, space.dimensions, n_trials, fixed, launch.variation.seed), size


def _scored(judge: Judge, points: Sequence[Point]) -> list[tuple[Rule, Score]]:
    """The distinct definitions at some points with their scores; a point without a definition is left out.

    They are scored again, which takes less time than to read what the ledger says, and is as the data says.
    """
    found: dict[str, Rule] = {}
    for point in points:
        rule = judge.space.rule(point)
        if rule is not None:
            found.setdefault(rule.model_dump_json(), rule)
    return [(rule, judge.score_of(rule)) for rule in found.values()]


def _opened(launch: Launch, name: str, plan: Plan, quarters: tuple[str, ...]) -> int:
    """Write down that these fresh quarters are opened, once a study; returns how many other studies opened any of them before."""
    path = launch.workspace.tuning(name) / "opened.json"
    with held(path.with_suffix(".lock"), _LOCK_SECONDS):
        log = launch.workspace.read_json(path, "tune")["opened"] if path.exists() else []
        if not isinstance(log, list) or not all(isinstance(one, dict) for one in log):
            raise launch.workspace.damaged(path, "tune")
        place = next((i for i, one in enumerate(log) if one.get("study") == plan.study), len(log))
        if place == len(log) and quarters:
            log.append(
                {
                    "study": plan.study,
                    "quarters": list(quarters),
                    "seed": plan.seed,
                    "code_version": code_version(),
                }
            )
            write_text(path, json.dumps({"opened": log}, indent=1) + "\n")
    return sum(bool(set(one.get("quarters", ())) & set(quarters)) for one in log[:place])
