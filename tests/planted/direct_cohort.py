"""Cohorts of simulated companies without their files, for studies of many seeds: drawn as `draw_matrix` draws them."""

from typing import Any

from features.declaration import Data
from features.log import Log
from features.observations import quarterly
from features.simulation.direct import draw_log, draw_matrix
from features.simulation.scenario import Scenario
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
    log = draw_log(scenario, seed)
    milestone = framework.milestones[name]
    if milestone.kind == "once":
        question = tenure_question(framework)
        assert question is not None
        frame = draw_matrix(scenario, seed, question.specs, question.grid)
        return once_cohort(framework, name, frame, log), log
    grid = quarterly(log, framework.data)
    frame = draw_matrix(scenario, seed, [milestone.rule.spec(name)], grid)
    return state_cohort(framework, name, frame, log), log
