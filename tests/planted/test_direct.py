"""The observation matrix drawn directly is the one that the platform makes of the company's own files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import UsageError
from features.intake import open_log
from features.log import Log
from features.observations import Question, observe, quarterly
from features.simulation.direct import draw_log, draw_matrix
from features.simulation.scenario import Scenario, load_scenario
from features.simulation.simulator import columns_in, simulate
from features.specs import Aggregation, FeatureSpec, Group, Per, StateTest
from features.windows import Grid, last
from models.demonstration import adopted_framework
from models.framework import Framework

SEED = 5
SCENARIOS = ("default", "step", "annual-contracts", "tracking-outage", "feedback", "mix-shift")


def written(scenario: Scenario, folder: Path) -> tuple[Framework, Log]:
    simulate(scenario, SEED, folder / "data")
    framework = adopted_framework(scenario, columns_in(folder / "data"))
    return framework, open_log(framework.data, folder)


def counted(name: str, event: str, days: int, per: Per | None = None) -> FeatureSpec:
    return FeatureSpec(name, name, Aggregation.COUNT, last(days), events=(event,), per=per)


def same(drawn: pd.DataFrame, observed: pd.DataFrame) -> None:
    """Every row and every column, but for the way in which flags are kept."""
    shared = [column for column in observed if column in drawn]
    pd.testing.assert_frame_equal(
        drawn[shared], observed[shared].reset_index(drop=True), check_dtype=False, check_exact=True
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_equals_the_matrix_of_the_files(tmp_path: Path, name: str) -> None:
    scenario = load_scenario(name).sized(accounts=400)
    framework, log = written(scenario, tmp_path)
    scores = [milestone.rule.spec(name) for name, milestone in framework.milestones.items()]
    specs = [
        *scores,
        counted("started_30d", "conversation_started", 30),
        counted("resolved_per_seat_90d", "conversation_resolved", 90, Per.SEAT),
    ]
    grids = (Grid("tenure", (30, 90, 180)), Grid("tenure", (14, 45)), quarterly(log, framework.data))
    for grid in grids:
        observed = observe(log, framework.data, Question(tuple(specs), grid))
        drawn = draw_matrix(scenario, SEED, specs, grid)
        assert len(drawn) > 300
        assert {"alive", "at_risk", "retained", *(spec.name for spec in specs)} <= set(drawn)
        same(drawn, observed)


@pytest.mark.parametrize("name", ["default", "mix-shift"])
def test_the_log_without_its_events_is_that_of_the_files(tmp_path: Path, name: str) -> None:
    scenario = load_scenario(name).sized(accounts=400)
    _, log = written(scenario, tmp_path)
    drawn = draw_log(scenario, SEED)
    pd.testing.assert_frame_equal(drawn.accounts, log.accounts[[*drawn.accounts]])
    assert log.subscriptions is not None
    assert drawn.subscriptions is not None
    pd.testing.assert_frame_equal(
        drawn.subscriptions, log.subscriptions[[*drawn.subscriptions]].reset_index(drop=True)
    )
    assert (drawn.data_from, drawn.data_through) == (log.data_from, log.data_through)


def test_blocks_of_accounts_follow_each_other(tmp_path: Path) -> None:
    scenario = load_scenario("null").sized(accounts=6000, quarters=4)
    framework, log = written(scenario, tmp_path)
    specs, grid = [framework.milestones["activation"].rule.spec("activation")], Grid("tenure", (90,))
    drawn = draw_matrix(scenario, SEED, specs, grid)
    assert drawn["account"].max() > 4200
    same(drawn, observe(log, framework.data, Question(tuple(specs), grid)))


def test_months_and_instants_count_alike() -> None:
    # A landmark is read from the months that were lived; a second date between months makes it read the instants.
    scenario = load_scenario("default").sized(accounts=300)
    spec = counted("started", "conversation_started", 90)
    by_month = draw_matrix(scenario, 1, [spec], Grid("tenure", (90,)))
    by_instant = draw_matrix(scenario, 1, [spec], Grid("tenure", (90, 91)))
    first = by_instant[by_instant["as_of"] - by_instant["signed_up_at"] == pd.Timedelta(days=90)]
    pd.testing.assert_frame_equal(by_month, first.reset_index(drop=True))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (counted("odd", "no_such_event", 90), "'odd' cannot be drawn directly because of 'no_such_event'"),
        (counted("niche", "custom_sla_rule_edited", 90), "because of 'custom_sla_rule_edited': simulate the files"),
        (FeatureSpec("all", "all", Aggregation.COUNT, last(90)), "because of its window, or its events"),
        (
            FeatureSpec("sso", "sso", Aggregation.GROUPS, last(30), groups=(Group((), states=(StateTest("sso", True),)),)),
            "because of 'sso'",
        ),
        (
            FeatureSpec("days", "days", Aggregation.ACTIVE_DAYS, last(30), events=("signed_up",)),
            "counts, rates per seat and groups can",
        ),
    ],
)  # fmt: skip
def test_what_it_cannot_draw_is_said(spec: FeatureSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw_matrix(load_scenario("default").sized(accounts=60), 0, [spec], Grid("tenure", (90,)))


def test_leaks_are_in_the_files_alone() -> None:
    with pytest.raises(UsageError, match="scenario leaky has leaks"):
        draw_matrix(load_scenario("leaky"), 0, [], Grid("tenure", (90,)))


def test_the_same_seed_draws_the_same_matrix() -> None:
    scenario = load_scenario("step").sized(accounts=500)
    spec, grid = counted("started", "conversation_started", 90), Grid("tenure", (90,))
    one, again, other = (draw_matrix(scenario, seed, [spec], grid) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert not np.array_equal(one["started"].head(400), other["started"].head(400))
