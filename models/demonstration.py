"""The simulated company with the framework that its own team would have adopted a year into its log."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features import planted
from features.declaration import Calendar, Sources
from features.discovery import provisional
from features.errors import UsageError
from features.intake import open_log
from features.planted import SCENARIOS, Scenario
from features.progress import ProgressCallback
from features.simulator import Company, simulate, write
from features.tables import TABLES
from features.workspace import write_text
from models.cohorts import build_cohorts
from models.framework import Framework
from models.framework_text import framework_text
from models.trial import build_trial, run_trial

ADOPTED_AFTER_QUARTERS = 6  # the cuts were chosen on the cohorts before


def make_company(
    workspace: Path,
    scenario: str,
    accounts: int | None,
    quarters: int | None,
    seed: int,
    progress: ProgressCallback,
) -> dict[str, Any]:
    """Simulate, write tables and truth into WORKSPACE/data, and the framework beside them."""
    if scenario not in SCENARIOS:
        raise UsageError(f"--scenario {scenario}: choose one of {', '.join(SCENARIOS)}")
    chosen = SCENARIOS[scenario]
    chosen = replace(
        chosen, seed=seed, n_accounts=accounts or chosen.n_accounts, n_quarters=quarters or chosen.n_quarters
    )
    company = simulate(chosen, np.random.default_rng(seed), progress)
    write(company, workspace / "data")
    progress("what the team expected", 1.0)
    framework = _with_expectations(adopted_framework(chosen, company), workspace, seed)
    notes = {"milestones": ["What this company's team adopted; truth.json says what was really planted."]}
    write_text(workspace / "framework.yaml", framework_text(framework, notes))
    return {
        "workspace": str(workspace),
        "scenario": scenario,
        "seed": seed,
        "accounts": company.accounts.num_rows,
        "events": company.events.num_rows,
        "framework": framework.hash,
    }


def adopted_framework(scenario: Scenario, company: Company) -> Framework:
    """The framework as the team adopted it: the planted chain, cuts as round numbers near the planted ones."""
    names = ("events", "accounts", "subscriptions")
    sources = Sources(**{table: f"data/{table}.parquet" for table in names})
    columns = {table: set(getattr(company, table).column_names) for table in names}
    mapping = {t: {c: c for c in TABLES[t].columns if c in columns[t]} for t in names}
    data = provisional(sources, mapping, Calendar()).model_dump()
    routine = (planted.UBIQUITOUS, planted.NICHE, planted.TWIN, *planted.NOISE)
    data |= {
        "exclusions": [{"column": "is_test", "equals": True, "reason": "the company's own test accounts"}],
        "fixed_at_signup": ["industry", "country"],
        "events": {
            "core": [planted.STARTED, planted.RESOLVED],
            "categories": {
                "setup": list(planted.SETUP_STEPS),
                "conversations": [planted.STARTED, planted.RESOLVED],
                **{category: list(events) for category, events in planted.CATEGORIES.items()},
                "routine": list(routine),
            },
        },
        "outcomes": {"kind": "subscription_end", "horizon_days": 180},
        "features": {
            "windows_days": [30, 90, 365],
            "event_windows_days": [30, 90],
            "events": [planted.STARTED, planted.RESOLVED, *planted.CATEGORY_EVENTS, *routine],
        },
    }
    return Framework.model_validate(
        {
            "schema": 1,
            "name": f"{scenario.name}-company",
            "version": 1,
            "data": data,
            "milestones": _milestones(scenario),
            "review": {"annotations": company.truth["annotations"]},
        }
    )


def _with_expectations(framework: Framework, workspace: Path, seed: int) -> Framework:
    """Every milestone with the effect that was seen out of sample on the quarters it was chosen on, as known then."""
    cohorts = build_cohorts(framework, open_log(framework.data, workspace))
    rng = np.random.default_rng(seed)
    found = {}
    for name, milestone in framework.milestones.items():
        adopted = pd.Timestamp(str(milestone.adopted_at))
        cohort = cohorts.by_name[name]
        chosen_on = cohort.quarters_in(milestone.defined_on) if milestone.defined_on else []
        trial = build_trial(cohort, "primary", adopted, rng, quarters=chosen_on)
        effect = run_trial(trial, cohort, rng, framework.review.adoption_band, 100).effect("out_of_sample")
        if effect is not None:
            interval = (round(effect.lower, 4), round(effect.upper, 4))
            update = {"expected_effect": round(effect.value, 4), "expected_interval": interval}
            milestone = milestone.model_copy(update=update)
        found[name] = milestone
    return framework.model_copy(update={"milestones": found})


def _milestones(scenario: Scenario) -> dict[str, Any]:
    first = str(scenario.first_quarter)
    adopted = scenario.quarter_start(min(ADOPTED_AFTER_QUARTERS, scenario.n_quarters - 1))
    until = f"{adopted.year}Q{adopted.quarter}"
    history = {
        "defined_on": [first, until],
        "adopted_at": adopted.date().isoformat(),
        "adopted_by": "framework review",
    }
    levels = {
        name: {"events": list(events), "basic": planted.BASIC_CUT, "mature": planted.MATURE_CUT}
        for name, events in planted.CATEGORIES.items()
    }
    return {
        "setup": {
            "kind": "once",
            "rule": {
                "steps": list(planted.SETUP_STEPS),
                "window_days": planted.SETUP_DAYS,
                "at_least": planted.SETUP_AT_LEAST,
            },
            "primary_outcome": "activation",
            "why": "Going live: accounts that finish most of the steps early get their conversations started.",
            **history,
        },
        "activation": {
            "kind": "once",
            "rule": {
                "events": [planted.STARTED],
                "window_days": planted.ACTIVATION_DAYS,
                "at_least": planted.ACTIVATION_CUT,
            },
            "primary_outcome": "utilization",
            "why": "First value: enough conversations in the first three months to make a habit of it.",
            **history,
        },
        "utilization": {
            "kind": "state",
            "rule": {
                "events": [planted.RESOLVED],
                "window_days": planted.UTILIZATION_DAYS,
                "per_seat": True,
                "at_least": planted.UTILIZATION_CUT,
            },
            "primary_outcome": "maturity",
            "why": "Core value relative to what was bought: per seat, so that small healthy customers count.",
            **history,
        },
        "maturity": {
            "kind": "state",
            "rule": {
                "categories": levels,
                "window_days": planted.MATURITY_DAYS,
                "at_least": planted.MATURITY_AT_LEAST,
            },
            "primary_outcome": "retained",
            "why": "The full platform: three of five product areas used at the mature level.",
            **history,
        },
    }
