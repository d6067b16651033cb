"""The simulated company with the framework that its own team would have adopted a year into its log."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from features.declaration import Calendar, Sources
from features.discovery import provisional
from features.document import validate
from features.errors import UsageError
from features.intake import open_log
from features.progress import ProgressCallback
from features.simulation import leaks
from features.simulation.plantings import ACTIVATION_DAYS, MATURITY_DAYS, SETUP_DAYS, UTILIZATION_DAYS
from features.simulation.scenario import Scenario, load_scenario
from features.simulation.simulator import draw_company, simulate
from features.simulation.truth import annotations
from features.tables import TABLES
from features.workspace import Workspace, write_text
from models.cohorts import Cohort, build_cohorts, chosen_on
from models.effects import difference_in
from models.framework import Framework
from models.framework_text import framework_text
from models.milestones import Milestone

ADOPTED_AFTER_QUARTERS = 6  # the cuts were chosen on the cohorts before


def make_company(
    workspace: Path,
    scenario: str,
    accounts: int | None,
    quarters: int | None,
    seed: int,
    progress: ProgressCallback,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Simulate, write tables and truth into WORKSPACE/data, and the framework beside them.

    Raises UsageError where a framework is there already, unless `force`; and where earlier versions of one are.
    """
    _require_free(Workspace(workspace), force=force)
    chosen = load_scenario(scenario).sized(accounts, quarters)
    # One account has every column: what cannot be a framework is said before anything is written.
    framework = adopted_framework(chosen, draw_company(chosen.sized(accounts=1), seed).columns)
    truth = simulate(chosen, seed, workspace / "data", progress)
    progress("what the team expected", 0.97)
    framework = _with_expectations(framework, workspace)
    notes = {"milestones": ["What this company's team adopted; truth.json says what was really planted."]}
    write_text(workspace / "framework.yaml", framework_text(framework, notes))
    return {
        "workspace": str(workspace),
        "scenario": chosen.name,
        "seed": seed,
        "accounts": truth["realised"]["n_accounts"],
        "events": truth["realised"]["n_events"],
        "framework": framework.hash,
    }


def _require_free(place: Workspace, *, force: bool) -> None:
    if place.framework.exists() and not force:
        raise UsageError(
            f"{place.framework} is there already: choose another folder, or --force to overwrite it"
        )
    if place.versions.exists():
        raise UsageError(
            f"{place.versions} holds earlier versions of another framework: choose another folder, or move it elsewhere"
        )


def adopted_framework(scenario: Scenario, columns: Mapping[str, Collection[str]]) -> Framework:
    """The framework as the team adopted it: the planted chain, at the planted cuts. `columns` are those of each table."""
    sources = Sources(**{table: f"data/{table}.parquet" for table in columns})
    mapping = {t: {c: c for c in TABLES[t].columns if c in there} for t, there in columns.items()}
    data = provisional(sources, mapping, Calendar()).model_dump() | _meaning(scenario)
    content = {
        "schema": 1,
        "name": f"{scenario.name}-company",
        "version": 1,
        "data": data,
        "milestones": _milestones(scenario),
        "review": {"annotations": annotations(scenario)},
    }
    return validate(Framework, content, Path(f"the framework of the scenario {scenario.name}"))


def _meaning(scenario: Scenario) -> dict[str, Any]:
    """The data half beyond its tables: what events mean, who is looked at, and which features there are."""
    talk = [scenario.conversations.started, scenario.conversations.resolved]
    categories = {name: list(events) for name, events in scenario.maturity.categories.items()}
    leaking = [leaks.WEEKLY] if "weekly_sums" in scenario.leaks else []
    reason = [leaks.REASON] if "set_after_churn" in scenario.leaks else []
    return {
        "exclusions": [{"column": "is_test", "equals": True, "reason": "the company's own test accounts"}],
        "fixed_at_signup": ["industry", "country", *reason],
        "adjust_for": ["seats", "plan"],
        "events": {
            "core": talk,
            "categories": {
                "setup": [name for name in scenario.setup.steps if name not in scenario.settings],
                "conversations": talk,
                **categories,
                "routine": list(scenario.events),
            },
            "success_metrics": _success_metrics(scenario),
        },
        "outcomes": {"kind": "subscription_end", "horizon_days": 180},
        "features": {
            "windows_days": [30, 90, 365],
            "event_windows_days": [30, 90],
            "events": [*talk, *scenario.maturity.events, *scenario.events, *leaking],
            "states": [str(step.state) for step in scenario.settings.values()],
        },
    }


def _success_metrics(scenario: Scenario) -> dict[str, str]:
    """What each area's product manager wants of it. Nothing of this is planted: maturing and volume follow utilization."""
    wanted = {
        "support_channels": "core_events_90d_per_seat",
        "automation": "category_conversations_90d",
        "support_operations": "core_active_days_90d",
        "interoperability": "distinct_categories_90d",
        "reporting": "users_90d",
    }
    return {area: feature for area, feature in wanted.items() if area in scenario.maturity.categories}


def _with_expectations(framework: Framework, workspace: Path) -> Framework:
    cohorts = build_cohorts(framework, open_log(framework.data, workspace))
    found = {name: with_expectation(cohort) for name, cohort in cohorts.by_name.items()}
    return framework.model_copy(update={"milestones": found})


def with_expectation(cohort: Cohort) -> Milestone:
    """The milestone with the effect that was seen on the quarters before it was adopted, as known then.

    For planted cuts alone: these accounts did not choose them, so that nothing has to be held out.
    """
    milestone = cohort.milestone
    rows = cohort.judged("primary", pd.Timestamp(str(milestone.adopted_at)))
    effect = difference_in(rows[chosen_on(milestone, rows)])
    if effect is None:
        return milestone
    interval = (round(effect.lower, 4), round(effect.upper, 4))
    return milestone.model_copy(
        update={"expected_effect": round(effect.value, 4), "expected_interval": interval}
    )


def _milestones(scenario: Scenario) -> dict[str, Any]:
    adopted = scenario.quarter_start(min(ADOPTED_AFTER_QUARTERS, scenario.quarters - 1))
    history = {
        "defined_on": [scenario.first_quarter, f"{adopted.year}Q{adopted.quarter}"],
        "adopted_at": adopted.date().isoformat(),
        "adopted_by": "framework review",
    }
    levels = {
        name: {"events": list(events), "basic": scenario.maturity.basic, "mature": scenario.maturity.mature}
        for name, events in scenario.maturity.categories.items()
    }
    steps = [
        {"state": step.state, "equals": step.value} if step.state else name
        for name, step in scenario.setup.steps.items()
    ]
    return {
        "setup": {
            "kind": "once",
            "rule": {"steps": steps, "window_days": SETUP_DAYS, "at_least": scenario.setup.at_least},
            "primary_outcome": "activation",
            "why": "Going live: accounts that finish most of the steps early get their conversations started.",
            **history,
        },
        "activation": {
            "kind": "once",
            "rule": {
                "events": [scenario.conversations.started],
                "window_days": ACTIVATION_DAYS,
                "at_least": scenario.activation.at_least,
            },
            "primary_outcome": "retained" if scenario.activation.retained else "utilization",
            "why": "First value: enough conversations in the first three months to make a habit of it.",
            **history,
        },
        "utilization": {
            "kind": "state",
            "rule": {
                "events": [scenario.conversations.resolved],
                "window_days": UTILIZATION_DAYS,
                "per_seat": True,
                "at_least": scenario.utilization.at_least,
            },
            "primary_outcome": "maturity",
            "why": "Core value relative to what was bought: per seat, so that small healthy customers count.",
            **history,
        },
        "maturity": {
            "kind": "state",
            "rule": {
                "categories": levels,
                "window_days": MATURITY_DAYS,
                "at_least": scenario.maturity.at_least,
            },
            "primary_outcome": "retained",
            "why": "The full platform: three of five product areas used at the mature level.",
            **history,
        },
    }
