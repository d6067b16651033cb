"""Cohorts of simulated companies without their files, for studies of many seeds: drawn as `draw_matrix` draws them."""

from typing import Any

import numpy as np
import pandas as pd

from features.declaration import Data
from features.log import Log
from features.simulation.blocks import blocks
from features.simulation.direct import draw_matrix
from features.simulation.plantings import PLANS
from features.simulation.scenario import Scenario
from features.simulation.tables import spells_of
from features.windows import Grid, day_number
from models.cohorts import Cohort, once_cohort, state_cohort, tenure_question
from models.framework import Framework

DATA = Data.model_validate(
    {
        "sources": {"events": "e.parquet", "accounts": "a.parquet", "subscriptions": "s.parquet"},
        "mapping": {
            "events": {"account_id": "a", "event": "e", "occurred_at": "t"},
            "accounts": {"account_id": "a", "signed_up_at": "t"},
            "subscriptions": {"account_id": "a", "started_at": "t", "seats": "s", "plan": "p"},
        },
        "adjust_for": ["seats", "plan"],
        "events": {"core": ["conversation_started"]},
        "outcomes": {"kind": "subscription_end", "horizon_days": 180},
    }
)


def framework_of(**milestones: Any) -> Framework:
    """A framework of these milestones over simulated tables."""
    return Framework.model_validate(
        {"schema": 1, "name": "drawn", "version": 1, "data": DATA, "milestones": milestones}
    )


def cohort_of(scenario: Scenario, seed: int, framework: Framework, name: str) -> tuple[Cohort, Log]:
    """The cohort of a milestone and what there is of its log: accounts and subscriptions."""
    log = _log(scenario, seed)
    milestone = framework.milestones[name]
    if milestone.kind == "once":
        question = tenure_question(framework)
        assert question is not None
        frame = draw_matrix(scenario, seed, question.specs, question.grid)
        return once_cohort(framework, name, frame, log), log
    closes = [scenario.quarter_start(i) for i in range(1, scenario.quarters)]
    grid = Grid("calendar", tuple(map(day_number, (*closes, scenario.end))))
    frame = draw_matrix(scenario, seed, [milestone.rule.spec(name)], grid)
    return state_cohort(framework, name, frame, log), log


def _log(scenario: Scenario, seed: int) -> Log:
    spells, accounts, first = [], [], 0
    for block in blocks(scenario, seed, with_records=False):
        people, made = block.history.population, spells_of(block.history)
        code = np.cumsum(~people.is_test) - 1 + first
        there = ~people.is_test[made.account]
        table = {
            "account": code[made.account],
            "started_at": made.starts.view("M8[us]"),
            "ended_at": pd.Series(made.ends.view("M8[us]")).where(made.ends.view("M8[us]") < scenario.end),
            "seats": made.seats.astype(np.float64),
            "plan": np.array(PLANS)[made.plan],
        }
        spells.append(pd.DataFrame(table)[there])
        accounts.append(pd.Series(people.signed_up[~people.is_test].view("M8[us]")))
        first += int((~people.is_test).sum())
    signed_up = pd.concat(accounts, ignore_index=True)
    ids = [f"A{i}" for i in range(len(signed_up))]
    return Log(
        events=None, accounts=pd.DataFrame({"account_id": ids, "signed_up_at": signed_up}),
        subscriptions=pd.concat(spells, ignore_index=True), states=None, outcomes=None, eligibility=None,
        data_from=scenario.start, data_through=scenario.end, known_at=None, n_events=0, read={}, quarantined={},
        excluded={}, withheld={}, notes=(), outages=(), rejected={},
    )  # fmt: skip
