"""The chain worked backwards: on which rows each effect rests, what it is weighted by, and why there is none."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.declaration import Features
from features.specs import Aggregation, FeatureSpec
from features.windows import last
from models.categories import NOT_DECLARED, categories_of, headline
from models.chain import NOT_BOUGHT, asked_of, backwards, link
from models.cohorts import Cohort, Cohorts
from models.dormancy import quiet_spec
from models.framework import Framework
from models.label_clock import LabelClock
from models.steps import ROUTINE, steps_of
from models.success import METRIC

LATE = pd.Timestamp("2030-01-01")
DATA: dict[str, Any] = {
    "sources": {"events": "e", "accounts": "a"},
    "mapping": {
        "events": {"account_id": "a", "event": "e", "occurred_at": "t"},
        "accounts": {"account_id": "a", "signed_up_at": "t"},
    },
    "events": {"core": ["go", "use"], "success_metrics": {"reports": "exports_30d"}},
    "outcomes": {"kind": "silent", "horizon_days": 180},
}
AREAS = {"reports": {"events": ["export"], "basic": 2, "mature": 5}, "bots": {"events": ["bot"], "mature": 3}}
MILESTONES: dict[str, Any] = {
    "setup": {
        "kind": "once", "primary_outcome": "activation",
        "rule": {"steps": ["invite", "connect", "import"], "window_days": 30, "at_least": 2},
    },
    "activation": {
        "kind": "once", "primary_outcome": "utilization",
        "rule": {"events": ["go"], "window_days": 90, "at_least": 3},
    },
    "utilization": {
        "kind": "state", "primary_outcome": "maturity",
        "rule": {"events": ["use"], "window_days": 30, "at_least": 2},
    },
    "maturity": {"kind": "state", "rule": {"categories": AREAS, "window_days": 90, "at_least": 1}},
}  # fmt: skip


def framework(**milestones: dict[str, Any]) -> Framework:
    changed = {name: {**content, **milestones.get(name, {})} for name, content in MILESTONES.items()}
    return Framework.model_validate(
        {"schema": 1, "name": "drawn", "version": 1, "data": DATA, "milestones": changed}
    )


def rows(n: int, seed: int = 0, quarters: tuple[str, ...] = ("2024Q1", "2024Q2")) -> pd.DataFrame:
    """n accounts at a landmark; the reached do better by 40 points at everything, the large ones only by 10."""
    rng = np.random.default_rng(seed)
    reached, large = rng.random(n) < 0.5, rng.random(n) < 0.3
    lift = np.where(large, 0.1, 0.4)
    quarter = np.asarray(quarters)[np.arange(n) % len(quarters)]
    as_of = pd.PeriodIndex(quarter, freq="Q").start_time
    frame = pd.DataFrame({"account": np.arange(n), "fold": 0, "as_of": as_of, "quarter": quarter})
    frame["score"] = np.where(reached, 3.0, 0.0)
    frame["status"] = np.where(reached, "reached", "not_reached")
    frame["mrr"] = np.where(large, 1000.0, 10.0)
    frame["alive"], frame["at_risk"] = True, np.arange(n) % 10 > 0
    for outcome in ("retained", "outcome", "expanded", "dormant"):
        good = rng.random(n) < np.where(reached, 0.4 + lift, 0.4)
        frame[outcome] = pd.array(~good if outcome == "dormant" else good, dtype="boolean")
        frame[f"{outcome}_known_from"] = as_of + pd.Timedelta(days=90 if outcome == "dormant" else 180)
    return frame


def cohort(made: Framework, name: str, frame: pd.DataFrame) -> Cohort:
    long, short = pd.Timedelta(days=180), pd.Timedelta(days=90)
    lag: dict[str, pd.Timedelta | None] = {
        "retained": long,
        "expanded": long,
        "outcome": long,
        "dormant": short,
    }
    return Cohort(name, made.milestones[name], frame, LabelClock(made.data.calendar.quarters, lag))


def test_the_chain_runs_from_retention_backwards() -> None:
    assert backwards(framework()) == ["maturity", "utilization", "activation", "setup"]
    two_ends = framework(utilization={"primary_outcome": "retained"})
    assert backwards(two_ends) == ["maturity", "utilization", "activation", "setup"]
    # Two states that lead to each other have an end, too.
    circle = framework(maturity={"primary_outcome": "utilization"})
    assert sorted(backwards(circle)) == sorted(MILESTONES)


def test_each_milestone_is_asked_for_its_link_and_for_what_all_are_asked() -> None:
    made, frame = framework(), rows(10)
    asked = {name: list(asked_of(cohort(made, name, frame))) for name in MILESTONES}
    assert asked["activation"] == ["utilization", "dormant", "retained", "expanded"]
    assert asked["utilization"] == ["maturity", "retained", "expanded"]
    assert asked["maturity"] == ["retained", "expanded"]


def test_effects_stand_alike_and_by_revenue() -> None:
    made = framework()
    found = link(made, cohort(made, "activation", rows(4000)), LATE)
    for outcome, sign in {"utilization": 1, "retained": 1, "expanded": 1, "dormant": -1}.items():
        plain, weighted = found.effect(outcome), found.effect(outcome, weighted=True)
        assert plain is not None
        assert weighted is not None
        assert sign * plain.value == pytest.approx(0.31, abs=0.06)
        assert sign * weighted.value == pytest.approx(0.1, abs=0.1)
        assert weighted.upper - weighted.lower > plain.upper - plain.lower
        assert "weighted_by" not in plain.as_dict()
        assert weighted.as_dict()["weighted_by"] == "revenue"
        assert plain.landmark_day == 90
        assert plain.primary == (outcome == "utilization")
    retained, expanded = found.effect("retained"), found.effect("expanded")
    assert retained is not None
    assert expanded is not None
    # Only who could leave is asked about staying; everybody could buy more.
    assert (retained.n_accounts, expanded.n_accounts) == (3600, 4000)
    # To be retained, and so to have expanded, takes a core event where leaving means silence.
    assert found.same_behaviour == dict.fromkeys(("dormant", "retained", "expanded"), ("go",))
    assert found.missing == {}


def test_accounts_whose_revenue_is_not_known_are_left_out_of_the_weighted_effect() -> None:
    made, frame = framework(), rows(800)
    frame.loc[frame.index[::2], "mrr"] = np.nan
    found = link(made, cohort(made, "activation", frame), LATE)
    both = [found.effect("expanded", weighted=weighted) for weighted in (False, True)]
    assert [e.n_accounts for e in both if e is not None] == [800, 400]
    without = link(made, cohort(made, "activation", frame.drop(columns="mrr")), LATE)
    assert all(e.weighted_by is None for e in without.effects)


def test_the_quarters_a_milestone_was_chosen_on_count_only_where_there_are_no_others() -> None:
    frame = rows(800)
    for defined_on, n, inside in ((["2024Q1", "2024Q2"], 400, False), (["2024Q1", "2024Q3"], 800, True)):
        made = framework(activation={"defined_on": defined_on})
        effect = link(made, cohort(made, "activation", frame), LATE).effect("expanded")
        assert effect is not None
        assert (effect.n_accounts, effect.in_definition) == (n, inside)


def test_what_is_not_known_yet_is_no_effect() -> None:
    made, frame = framework(), rows(800)
    of = cohort(made, "activation", frame)
    # The landmarks of 2024Q1 are mature 90 days after 2024-04-01 for going dormant, 180 for the rest.
    found = link(made, of, pd.Timestamp("2024-06-30"))
    assert {e.outcome for e in found.effects} == {"dormant"}
    assert found.missing["retained"] == "no quarter is mature yet: the first will be on 2024-09-28"
    assert {e.n_accounts for e in found.effects} == {400}
    assert not link(made, of, pd.Timestamp("2024-06-29")).effects


@pytest.mark.parametrize(("lost", "told"), [(29, False), (30, True)])
def test_too_few_of_a_class_say_nothing(lost: int, *, told: bool) -> None:
    made, frame = framework(), rows(400)
    frame["at_risk"] = True
    frame["retained"] = pd.array(np.arange(400) >= lost, dtype="boolean")
    found = link(made, cohort(made, "activation", frame), LATE)
    assert (found.effect("retained") is not None) is told
    said = "29 of 400 accounts had the rarer outcome, at least 30 are needed"
    assert found.missing.get("retained") == (None if told else said)


def test_what_cannot_be_told_says_why() -> None:
    made, frame = framework(), rows(60)

    def reason(changed: pd.DataFrame, outcome: str) -> str:
        return link(made, cohort(made, "activation", changed), LATE).missing[outcome]

    assert reason(frame.drop(columns="expanded"), "expanded") == NOT_BOUGHT
    assert "all 54 accounts of which it is known reached activation" in reason(
        frame.assign(status="reached"), "retained"
    )
    assert "none of 60 accounts of which" in reason(frame.assign(status="not_reached"), "expanded")
    assert "no account has come to where activation" in reason(frame[:0], "retained")
    assert "of 60 observations none can be judged" in reason(frame.assign(alive=False), "retained")


# --- steps ---


def setup_rows(n: int) -> pd.DataFrame:
    """Steps come together; only `connect` helps. Hardly anybody imports, everybody invites."""
    rng, frame = np.random.default_rng(1), rows(n)
    keen = rng.random(n) < 0.5
    frame["carried:step:connect"] = (rng.random(n) < np.where(keen, 0.8, 0.3)).astype(float)
    frame["carried:step:import"] = (rng.random(n) < np.where(keen, 0.6, 0.1)).astype(float)
    frame["carried:step:invite"] = 1.0
    frame["score"] = frame[["carried:step:connect", "carried:step:import", "carried:step:invite"]].sum(axis=1)
    frame["outcome"] = pd.array(rng.random(n) < 0.3 + 0.4 * frame["carried:step:connect"], dtype="boolean")
    return frame


def test_a_step_is_judged_beside_as_many_others() -> None:
    made = framework()
    found = {s.step: s for s in steps_of(cohort(made, "setup", setup_rows(3000)), Features(), LATE)}
    effects = {step: {e.method: e for e in use.effects} for step, use in found.items()}
    assert effects["import"]["crude"].lower > 0.02  # who imports has mostly connected
    assert effects["import"]["stratified"].lower < 0 < effects["import"]["stratified"].upper
    assert effects["connect"]["stratified"].value == pytest.approx(0.4, abs=0.06)
    assert (found["invite"].word, found["invite"].effects) == ("everybody", ())
    assert {use.word for step, use in found.items() if step != "invite"} == {"representative"}
    assert {e.outcome for e in found["connect"].effects} == {"activation"}


def test_a_step_has_its_class_by_the_rule_of_adoption_of_the_newest_year() -> None:
    made = framework()
    frame = setup_rows(1000).assign(quarter=lambda f: np.where(f.index % 2, "2021Q1", "2024Q1"))
    old = (frame["quarter"] == "2021Q1").to_numpy()
    for i, quarter in enumerate(("2023Q2", "2023Q3", "2023Q4")):  # with 2024Q1 the newest four
        frame.loc[frame.index[~old][i::7], "quarter"] = quarter
    share = {"carried:step:connect": 0.97, "carried:step:import": 0.03, "carried:step:invite": 0.5}
    for step, p in share.items():
        frame[step] = np.where(old, 0.4, np.random.default_rng(2).random(len(frame)) < p)
        frame.loc[old, step] = (np.arange(old.sum()) % 2).astype(float)
    found = {s.step: s for s in steps_of(cohort(made, "setup", frame), Features(), LATE)}
    assert {step: use.word for step, use in found.items()} == {
        "connect": ROUTINE, "import": "niche", "invite": "representative",
    }  # fmt: skip
    used = found["connect"].share
    assert used is not None
    assert used.n_observations == int((~old).sum())
    frame.loc[frame.index[:985], "carried:step:connect"] = np.nan  # only a few could do it
    few = {s.step: s.word for s in steps_of(cohort(made, "setup", frame), Features(), LATE)}
    assert few["connect"] == "unclear"


# --- categories ---


def closes(n: int) -> pd.DataFrame:
    """n accounts at three closes: the mature in reports stay and export more at the next."""
    rng, parts = np.random.default_rng(3), []
    mature = rng.random(n) < 0.5
    for date in ("2024-04-01", "2024-07-01", "2024-10-01"):
        frame = pd.DataFrame({"account": np.arange(n), "as_of": pd.Timestamp(date)})
        frame["alive"], frame["at_risk"], frame["mrr"] = True, True, 10.0
        frame["known_from"] = frame["as_of"] + pd.Timedelta(days=180)
        frame["retained"] = pd.array(rng.random(n) < np.where(mature, 0.9, 0.6), dtype="boolean")
        frame["maturity:reports:mature"] = mature.astype(float)
        frame["maturity:reports:basic"] = np.where(mature, 1.0, rng.choice([0.0, 1.0], n))
        frame["maturity:bots:basic"] = np.where(np.arange(n) % 2, np.nan, 1.0)
        frame["maturity:bots:mature"] = frame["maturity:bots:basic"]
        frame["maturity"] = mature.astype(float)
        frame[METRIC + "reports"] = rng.normal(np.where(mature, 5.0, 3.0), 1.0)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


EXPORTS = FeatureSpec("metric:reports", "Exports", Aggregation.COUNT, last(30), events=("export", "view"))


def areas(frame: pd.DataFrame, **changes: Any) -> dict[str, Any]:
    made = framework(maturity=changes)
    whole = Cohorts({"maturity": cohort(made, "maturity", rows(10))}, frame)
    return {use.category: use for use in categories_of(made, whole, {"reports": EXPORTS}, LATE)}


def test_an_area_is_unused_basic_or_mature_among_those_that_could_use_it() -> None:
    found = areas(closes(400))
    newest = found["reports"].closes[-1]
    assert newest["quarter"] == "2024Q3"
    assert newest["n"] == 400
    assert newest["unused"] + newest["basic"] + newest["mature"] == pytest.approx(1.0)
    assert newest["mature"] == pytest.approx(0.5, abs=0.08)
    assert newest["basic"] == pytest.approx(0.25, abs=0.08)
    assert found["bots"].closes[-1]["n"] == 200
    assert (found["bots"].closes[-1]["mature"], found["bots"].effects) == (1.0, ())


def test_an_area_is_judged_by_its_own_metric_at_the_next_close() -> None:
    frame = closes(400)
    # What is seen at the same close says nothing: only the rows after the first are looked at.
    frame.loc[frame["as_of"] == pd.Timestamp("2024-04-01"), METRIC + "reports"] = -100.0
    found = areas(frame)
    success = found["reports"].success
    assert success is not None
    assert success.difference.value == pytest.approx(2.0, abs=0.25)
    assert success.difference.lower < 2.0 < success.difference.upper
    assert (success.difference.n_observations, success.difference.n_accounts) == (800, 400)
    assert success.feature == "exports_30d"
    assert success.same_behaviour == ("export",)
    assert found["reports"].missing is None
    assert (found["bots"].success, found["bots"].missing) == (None, NOT_DECLARED)
    retained = {e.weighted_by: e for e in found["reports"].effects}
    assert retained[None].value == pytest.approx(0.3, abs=0.08)
    assert retained["revenue"].value == pytest.approx(retained[None].value)
    # Who has left by the next close is in the effect on staying alone.
    frame.loc[(frame["as_of"] > pd.Timestamp("2024-04-01")) & (frame["account"] < 100), "alive"] = False
    found = areas(frame)
    success = found["reports"].success
    assert success is not None
    assert success.difference.n_accounts == 300
    assert [row["n"] for row in found["reports"].closes] == [400, 300, 300]
    missing = areas(frame[frame["as_of"] == pd.Timestamp("2024-04-01")])["reports"].missing
    assert missing == "fewer than 30 accounts that are there a close later are mature in it, or are not"


@pytest.mark.parametrize(("mature", "told"), [(29, False), (30, True)])
def test_an_area_with_few_mature_accounts_has_no_success_to_tell(mature: int, *, told: bool) -> None:
    frame = closes(400)
    column = "maturity:reports:mature"
    assert column in frame
    frame[column] = (frame["account"] < mature).astype(float)
    assert (areas(frame)["reports"].success is not None) is told


def test_areas_are_judged_outside_the_quarters_that_chose_them() -> None:
    found = areas(closes(400), defined_on=["2024Q1", "2024Q2"])["reports"]
    assert found.success is not None
    assert (found.success.difference.n_observations, found.success.in_definition) == (400, False)
    assert {(e.n_observations, e.in_definition) for e in found.effects} == {(800, False)}


def test_the_headline_is_the_share_mature_in_enough_areas() -> None:
    made, frame = framework(), closes(400)
    whole = Cohorts({"maturity": cohort(made, "maturity", rows(10))}, frame)
    found = headline(made, whole, pd.Timestamp("2024-07-01"))
    assert [row["quarter"] for row in found] == ["2024Q1", "2024Q2"]
    expected = frame.loc[frame["as_of"] == pd.Timestamp("2024-04-01"), "maturity"].mean()
    assert (found[0]["value"], found[0]["n"], found[0]["of"]) == (expected, 400, 2)
    assert found[0]["lower"] < expected < found[0]["upper"]


def test_quiet_counts_every_event_where_none_is_core() -> None:
    data = framework().data
    assert quiet_spec(data).events == ("go", "use")
    bare = data.model_copy(update={"events": data.events.model_copy(update={"core": ()})})
    assert quiet_spec(bare).events is None
