"""`sweep`: every achievable cut of a milestone, what else it could count, and one MLflow run each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import sweep_figures
from experiments.launch import Launch
from experiments.sweep_journal import Journal
from experiments.sweep_json import sweep_json
from experiments.sweep_run import opened, record
from experiments.tracking import Store
from features.catalogue import catalogue_of
from features.errors import StoreError, UsageError
from features.fingerprints import of_inputs
from features.log import Log
from features.matrix import attributes_at
from features.progress import ProgressCallback
from features.specs import FeatureSpec
from features.version import code_version
from features.workspace import held, set_aside, write_text
from models.cohorts import STRATUM, Cohort, build_cohorts
from models.covariates import known_before, prior_use_specs, strata_at_begin
from models.doubts import rule_doubts
from models.framework import Framework
from models.hypotheses import believed_specs
from models.rivals import Field, countable, field_of
from models.swept import Swept, sweep_cohort
from models.trial import over_all_dates

N_PERMUTATIONS = 1000
MOST_OVER_ALL_DATES = 100  # cuts
_WAIT_SECONDS = 600


@dataclass(frozen=True)
class _Material:
    """What a sweep of some milestones looks at, beside their own scores."""

    fields: dict[str, Field]
    believed: tuple[FeatureSpec, ...]
    prior: dict[str, tuple[FeatureSpec, ...]]
    caveats: dict[str, list[str]]
    log: Log

    def specs(self, name: str) -> list[FeatureSpec]:
        return [*(one.spec for one in self.fields[name].rivals), *self.believed, *self.prior[name]]


def sweep_milestones(launch: Launch, names: list[str], progress: ProgressCallback) -> list[dict[str, Any]]:
    """Sweep the named milestones, all without a name; returns what each sweep.json holds, its folder and its run.

    What an earlier run of the same content finished before it was cut off is taken up, not computed again.
    """
    launch.require(*names)
    chosen = names or list(launch.framework.milestones)
    # Whether the store answers is found out before the work, not after it.
    store = Store.of(launch.workspace.root, launch.framework.name)
    folder = launch.folder(launch.workspace.output / "sweeps", "sweep")
    journal = Journal.open(folder, _depends_on(launch, chosen))
    for run_id in journal.cut_off:
        store.mark_killed(run_id)
    left = [name for name in chosen if journal.state(name) is None]
    made = _Work(launch, store, journal, folder, progress)
    made.begin(left)
    found = [made.milestone(name, i / len(chosen)) for i, name in enumerate(chosen)]
    journal.close()
    return found


def _depends_on(launch: Launch, chosen: list[str]) -> list[Any]:
    """Everything that the results depend on."""
    variation, data = launch.variation, launch.framework.data
    inputs = of_inputs(data, launch.workspace.root)
    return [launch.framework.hash, launch.framework.version, repr(variation), chosen, inputs, code_version()]


class _Work:
    """One sweep of some milestones, step by step."""

    def __init__(
        self, launch: Launch, store: Store, journal: Journal, folder: Path, progress: ProgressCallback
    ) -> None:
        self.launch, self.store, self.journal, self.folder = launch, store, journal, folder
        self.progress = progress
        self.material: _Material | None = None
        self.cohorts: dict[str, Cohort] = {}

    def begin(self, names: list[str]) -> None:
        """Look at the data, for the milestones that are left to do."""
        if not names:
            return
        self.progress("reading the events", 0.05)
        log = self.launch.log()
        self.material = material = _look(self.launch, log, names)
        extra = {name: material.specs(name) for name in names}
        cohorts = build_cohorts(self.launch.framework, log, extra)
        chosen = {name: _in_segment(self.launch, log, cohorts.by_name[name]) for name in names}
        self.cohorts = {name: _in_strata(self.launch, log, cohort) for name, cohort in chosen.items()}

    def milestone(self, name: str, done: float) -> dict[str, Any]:
        """Compute, write and record one milestone, or what of it is left to do; another sweep of it is waited for."""
        with held(self.folder / f"{name}.lock", _WAIT_SECONDS) as alone:
            if not alone:
                raise StoreError(
                    f"{self.folder / name}: another sweep of {name} has been at it for {_WAIT_SECONDS} seconds: end it, or"
                    " wait for it"
                )
            return self._milestone(name, done)

    def _milestone(self, name: str, done: float) -> dict[str, Any]:
        folder, state = self.folder / name, self.journal.state(name)
        place = self.launch.workspace
        if state == "recorded" and (links := self.store.links(self.journal.runs[name])):
            found = place.read_json(folder / "sweep.json", f"sweep {name}")
            return {**found, "folder": str(folder), "run": links}
        self.progress(f"sweeping {name}", 0.2 + 0.8 * done)
        try:
            with opened(self.store, self.launch, name) as run:
                if state is None:
                    self.journal.note(name, "open", run.run_id)
                    self._compute(name, folder)
                    self.journal.note(name, "written", run.run_id)
                found = place.read_json(folder / "sweep.json", f"sweep {name}")
                record(run, self.store, self.launch, found, folder)
        except StoreError as away:
            if self.journal.state(name) in (None, "open"):
                raise
            raise StoreError(
                f"{away}\nNothing computed is lost: the result is in {folder}; run the same command again to record it and"
                " to go on"
            ) from away
        self.journal.note(name, "recorded", run.run_id)
        return {**found, "folder": str(folder), "run": run.links()}

    def _compute(self, name: str, folder: Path) -> None:
        material, launch = self.material, self.launch
        assert material is not None  # `begin` looked for every milestone that is computed
        swept = sweep_cohort(
            launch.framework, self.cohorts[name], material.log, launch.variation.seed,
            n_permutations=N_PERMUTATIONS, field=material.fields[name], believed=material.believed,
        )  # fmt: skip
        _write(launch, swept, material.log.data_through, material.caveats[name], folder)


def _look(launch: Launch, log: Log, names: list[str]) -> _Material:
    framework = launch.framework
    milestones = {name: framework.milestones[name] for name in names}
    return _Material(
        {name: _field(launch, log, name) for name in names},
        _believed(framework, log),
        {name: prior_use_specs(name, milestone) for name, milestone in milestones.items()},
        rule_doubts(milestones, log, framework.data),
        log,
    )


def _believed(framework: Framework, log: Log) -> tuple[FeatureSpec, ...]:
    if not framework.review.hypotheses:
        return ()
    return believed_specs(framework, catalogue_of(log, framework.data))


def _field(launch: Launch, log: Log, name: str) -> Field:
    """Everything that could be counted for a milestone; with --features the events that it matches."""
    milestone = launch.framework.milestones[name]
    counted = countable(launch.framework.data, milestone)
    if launch.variation.features:
        matching = launch.variation.matching(list(counted), "events")
        counted = {label: counted[label] for label in matching}
    return field_of(launch.framework, name, counted, has_seats=log.has_seats)


def _in_segment(launch: Launch, log: Log, cohort: Cohort) -> Cohort:
    if not launch.variation.segment:
        return cohort
    frame = cohort.frame.assign(**attributes_at(log, launch.framework.data, cohort.frame))
    return replace(cohort, frame=launch.in_segment(frame))


def _in_strata(launch: Launch, log: Log, cohort: Cohort) -> Cohort:
    """With --within: accounts are compared, and outcomes shuffled, within strata of a covariate too."""
    name = launch.variation.within
    if name is None:
        return cohort
    known = known_before(log, launch.framework.data, cohort.milestone.kind)
    if name not in known:
        remedy = (
            f"choose one of {', '.join(known)}" if known else "no table says what accounts were like before"
        )
        raise UsageError(f"--within {name}: {remedy}")
    strata = strata_at_begin(cohort.frame, log, cohort.milestone.rule.window_days, name)
    return replace(cohort, frame=cohort.frame.assign(**{STRATUM: strata}))


def _write(
    launch: Launch, swept: Swept, known_at: pd.Timestamp, caveats: Sequence[str], folder: Path
) -> None:
    """sweep.json, grid.parquet, explored.parquet and the pictures, each under its final name in one step."""
    explored = pd.DataFrame(dict(swept.exploration.result.grid)) if swept.exploration else pd.DataFrame()
    for name, table in (("grid", _grid(swept, known_at)), ("explored", explored)):
        with set_aside(folder / f"{name}.parquet") as path:
            table.to_parquet(path, index=False)
    found = sweep_json(launch, swept, list(caveats))
    sweep_figures.write(sweep_figures.of_sweep(found, swept), folder)
    # Last, because it names the others.
    write_text(folder / "sweep.json", json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _grid(swept: Swept, known_at: pd.Timestamp) -> pd.DataFrame:
    """grid.parquet; of a state the cuts also over all its dates, in the columns all_dates_*.

    Of many cuts some are measured so, those that are likely to be adopted among them; the others are missing.
    """
    grid, result = pd.DataFrame(dict(swept.result.grid)), swept.result
    if swept.cohort.milestone.kind == "once" or grid.empty:
        return grid
    rows = np.arange(len(grid))[:: -(-len(grid) // MOST_OVER_ALL_DATES)]
    named = [result.best_cut, *(result.plateau or ()), result.operating_cut and result.operating_cut.value]
    chosen = np.union1d(rows, np.flatnonzero(grid["cut"].isin(named)))
    measured = over_all_dates(swept.cohort, "primary", known_at, grid["cut"].to_numpy()[chosen])
    return grid.join(measured.set_index(chosen).add_prefix("all_dates_"))
