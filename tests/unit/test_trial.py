"""The rows of a sweep: one per account, all accounted for, and a band that knows nothing of outcomes."""

# ruff: noqa: PD011 - the values of candidates are arrays of ours

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.quarters import Quarters
from models.cohorts import Cohort
from models.cutpoints import Candidate, CutFamily
from models.held_out import HeldOut
from models.label_clock import LabelClock
from models.milestones import Milestone
from models.rivals import rivals_by_event
from models.trial import Trial, build_trial, over_all_dates, run_trial, within_band

STATE = Milestone.model_validate(
    {"kind": "state", "rule": {"events": ["use"], "window_days": 30, "at_least": 3}}
)
RIVALS = rivals_by_event(STATE, ["mail"])
MAIL = RIVALS[0].column
LATE = pd.Timestamp("2030-01-01")


def cohort(rows: pd.DataFrame, milestone: Milestone = STATE) -> Cohort:
    """A cohort of rows (account, as_of, score, retained); everything else as usual unless it is given."""
    as_of = pd.to_datetime(rows["as_of"])
    usual: dict[str, Any] = {
        "fold": rows["account"] % 5,
        "quarter": Quarters().closed_by(as_of),
        "signed_up_at": pd.Timestamp("2023-01-01"),
        "status": np.where(rows["score"] >= milestone.rule.at_least, "reached", "not_reached"),
        "alive": True,
        "at_risk": True,
        "retained_known_from": as_of + pd.Timedelta(days=180),
    }
    frame = rows.assign(
        as_of=as_of,
        retained=rows["retained"].astype("boolean"),
        **{k: v for k, v in usual.items() if k not in rows},
    )
    maturity = LabelClock(Quarters(), {"retained": pd.Timedelta(days=180)})
    return Cohort("utilization", milestone, frame, maturity)


def world(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Accounts at three closes each; the score says nothing."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        [(a, d) for a in range(n) for d in ("2024-04-01", "2024-07-01", "2024-10-01")],
        columns=["account", "as_of"],
    )
    return rows.assign(score=rng.poisson(3, len(rows)).astype(float), retained=rng.random(len(rows)) < 0.8)


def test_an_account_gives_one_row_drawn_at_random() -> None:
    seen = cohort(world())
    first = build_trial(seen, "primary", LATE, np.random.default_rng(1))
    assert len(first.outcome) == 300
    assert np.bincount(first.block).min() > 60  # not always its first or its last
    again = build_trial(seen, "primary", LATE, np.random.default_rng(1))
    other = build_trial(seen, "primary", LATE, np.random.default_rng(2))
    assert (first.block == again.block).all()
    assert (first.block != other.block).any()
    # The row is one row: score, outcome, quarter and fold belong together.
    frame = seen.frame.set_index(["account", "quarter"])
    for account, (value, block, outcome, fold) in enumerate(
        zip(first.own.values, first.block, first.outcome, first.fold, strict=True)
    ):
        row = frame.loc[(account, ["2024Q1", "2024Q2", "2024Q3"][block])]
        assert (row["score"], row["retained"], row["fold"]) == (value, outcome, fold)


def test_a_date_is_drawn_from_the_quarters_that_are_swept() -> None:
    trial = build_trial(cohort(world()), "primary", LATE, np.random.default_rng(0), (), ["2024Q1", "2024Q2"])
    assert np.bincount(trial.block).min() > 120
    assert len(trial.outcome) == 300


def test_an_account_is_held_out_with_its_own_fold() -> None:
    seen = cohort(world())
    trial = build_trial(seen, "primary", LATE, np.random.default_rng(0))
    family = CutFamily.of(trial.candidates, trial.block)
    by_hand = HeldOut.of(family, trial.outcome, trial.fold).effects(clear=False)[0].estimate
    result = run_trial(trial, seen, np.random.default_rng(1), (0.2, 0.6), 20)
    assert result.effect("out_of_sample") == by_hand


def test_the_date_is_drawn_without_knowing_who_leaves() -> None:
    # Half leave a quarter after each close; of those still there nothing tells who will. Drawn among the rows that are
    # judged, the leavers would be too many: each has fewer rows to choose from.
    rng = np.random.default_rng(0)
    closes = [f"{2020 + i // 4}-{1 + 3 * (i % 4):02d}-01" for i in range(8)]
    rows = pd.DataFrame(
        [(a, c, i) for a in range(4000) for i, c in enumerate(closes)], columns=["account", "as_of", "i"]
    )
    stays = rng.geometric(0.3, 4000)[rows["account"]]
    rows = rows.assign(alive=rows["i"] < stays, retained=rows["i"] + 1 < stays, score=1.0, at_risk=True)
    judged = rows[rows["alive"]]
    trial = build_trial(cohort(rows), "primary", LATE, np.random.default_rng(1))
    assert trial.outcome.mean() == pytest.approx(judged["retained"].mean(), abs=0.03)
    among_judged = judged.sample(frac=1, random_state=0).drop_duplicates("account")["retained"].mean()
    assert among_judged < judged["retained"].mean() - 0.1


def test_over_all_dates_every_judged_row_counts_and_accounts_are_told_apart() -> None:
    rows = world().assign(retained=lambda f: f["score"] >= 4)
    found = over_all_dates(cohort(rows), "primary", LATE, np.array([3.0, 4.0, 99.0]))
    judged = cohort(rows).judged("primary", LATE)
    for cut, value in ((3.0, found["value"][0]), (4.0, 1.0)):
        reached = judged["score"] >= cut
        assert value == pytest.approx(
            judged.loc[reached, "outcome"].mean() - judged.loc[~reached, "outcome"].mean()
        )
    assert found["n_observations"].tolist()[:2] == [900, 900]
    assert found["n_accounts"].tolist()[:2] == [300, 300]
    assert found.loc[2].isna().all()  # nobody reached it


def test_what_is_left_out_and_what_is_swept_add_up() -> None:
    rows = world().astype({"retained": "boolean"}).assign(alive=True, at_risk=True, **{MAIL: 1.0})
    rows.loc[0:9, "alive"] = False
    rows["status"] = np.where(rows["score"] >= 3, "reached", "not_reached")
    rows.loc[5:14, "status"] = "not_eligible"  # half of them are gone already
    rows.loc[15:19, "status"] = "not_knowable"
    rows.loc[20:25, "at_risk"] = False
    rows.loc[26:29, "retained"] = pd.NA
    rows.loc[600:640, MAIL] = np.nan
    trial = build_trial(cohort(rows), "primary", LATE, np.random.default_rng(0), RIVALS, ["2024Q1", "2024Q2"])
    assert sum(trial.excluded.values()) + len(trial.outcome) == len(rows)
    assert trial.excluded["no longer alive at the landmark"] == 10
    assert trial.excluded["not eligible"] == 5
    assert trial.excluded["not knowable"] == 5
    assert trial.excluded["not at risk, or the outcome not yet known"] == 10
    lacking = (rows.loc[600:640, "as_of"] != "2024-10-01").sum()
    assert trial.excluded["another candidate is not known"] == lacking
    assert trial.quarters == ("2024Q1", "2024Q2")


def test_a_rival_that_few_could_use_leaves_and_takes_no_account_with_it() -> None:
    rows = world().assign(**{MAIL: 1.0})
    for known, left_out in ((0.91, {}), (0.89, {"mail in 30 days": 0.89})):
        seen = rows.assign(**{MAIL: rows[MAIL].where(rows["account"] < 300 * known)})
        trial = build_trial(cohort(seen), "primary", LATE, np.random.default_rng(0), RIVALS)
        assert trial.left_out == pytest.approx(left_out)
        assert len(trial.outcome) == (300 if left_out else 273)
        assert len(trial.candidates) == (1 if left_out else 2)


def test_rivals_that_are_each_known_of_most_take_few_accounts_together() -> None:
    rng = np.random.default_rng(0)
    rivals = [replace(RIVALS[0], label=f"r{i}") for i in range(8)]
    missing = {one.column: np.where(rng.random(300) < 0.04, np.nan, 1.0) for one in rivals}
    rows = world()
    rows = rows.assign(**{column: of[rows["account"]] for column, of in missing.items()})
    trial = build_trial(cohort(rows), "primary", LATE, np.random.default_rng(0), rivals)
    assert len(trial.outcome) >= 270
    assert 1 < len(trial.candidates) < 9
    assert len(trial.left_out) == 9 - len(trial.candidates)
    assert min(trial.left_out.values()) > 0.9


def test_a_rival_that_was_launched_late_leaves_though_most_could_use_it_in_the_end() -> None:
    rows = world().assign(**{MAIL: 1.0})
    rows.loc[rows["as_of"] < rows["as_of"].max(), MAIL] = np.nan
    trial = build_trial(cohort(rows), "primary", LATE, np.random.default_rng(0), RIVALS)
    assert trial.left_out == {"mail in 30 days": pytest.approx(1 / 3)}  # of the observations
    assert len(trial.quarters) == 3


def test_an_account_whose_rival_is_missing_once_is_seen_at_another_date() -> None:
    rows = world().assign(**{MAIL: 1.0})
    rows.loc[rows["as_of"] == "2024-04-01", MAIL] = np.nan
    trial = build_trial(cohort(rows), "primary", LATE, np.random.default_rng(0), RIVALS)
    assert len(trial.outcome) == 300
    assert trial.quarters == ("2024Q2", "2024Q3")
    assert [len(c.values) for c in trial.candidates] == [300, 300]
    assert not np.isnan(trial.candidates[1].values).any()


def test_only_quarters_mature_at_known_at_are_swept() -> None:
    mature = pd.Timestamp("2024-07-01") + pd.Timedelta(days=180)
    trial = build_trial(cohort(world()), "primary", mature, np.random.default_rng(0))
    assert trial.quarters == ("2024Q1", "2024Q2")
    before = build_trial(
        cohort(world()), "primary", mature - pd.Timedelta(seconds=1), np.random.default_rng(0)
    )
    assert before.quarters == ("2024Q1",)


def test_an_empty_trial_is_a_verdict() -> None:
    seen = cohort(world())
    trial = build_trial(seen, "primary", pd.Timestamp("2024-04-02"), np.random.default_rng(0))
    assert trial.quarters == ()
    assert run_trial(trial, seen, np.random.default_rng(0), (0.2, 0.6), 20).verdict == "insufficient_data"


def trial_of(*values: list[float]) -> Trial:
    n = len(values[0])
    candidates = tuple(
        Candidate(str(i), (str(i),), 30, False, np.array(v, dtype=float)) for i, v in enumerate(values)
    )
    return Trial(candidates, np.zeros(n, bool), np.zeros(n, np.int64), np.arange(n) % 5, (), {})


def splits(trial: Trial, which: int = 0) -> dict[float, float]:
    """Adoption by achievable cut: every distinct value but the least."""
    values = trial.candidates[which].values
    return {float(cut): float((values >= cut).mean()) for cut in np.unique(values)[1:]}


def test_only_cuts_within_the_band_are_achievable() -> None:
    # value    0 0 1 2 2 3 4 5 9 9      reached by 80 % at 1, 70 at 2, 50 at 3, 40 at 4, 30 at 5, 20 at 9
    trial = trial_of([0, 0, 1, 2, 2, 3, 4, 5, 9, 9])
    assert splits(within_band(trial, (0.3, 0.5))) == {3: 0.5, 4: 0.4, 5: 0.3}  # both ends belong to it
    assert splits(within_band(trial, (0.2, 0.69))) == {3: 0.5, 4: 0.4, 5: 0.3, 9: 0.2}
    assert splits(within_band(trial, (0.55, 0.65))) == {}  # no cut makes such a split
    assert splits(within_band(trial_of([7, 7, 8, 8, 9, 9]), (0.5, 0.7))) == {8: pytest.approx(2 / 3)}


def test_the_band_never_looks_at_the_outcome() -> None:
    rng = np.random.default_rng(0)
    trial = trial_of(rng.poisson(5, 200).tolist(), rng.poisson(50, 200).tolist())
    kept = [c.values for c in within_band(trial, (0.2, 0.6)).candidates]
    for outcome in (rng.random(200) < 0.5, trial.own.values > 5, np.ones(200, bool)):
        turned = Trial(trial.candidates, outcome, trial.block, trial.fold, (), {})
        clipped = within_band(turned, (0.2, 0.6))
        assert (clipped.outcome == outcome).all()
        for one, before in zip(clipped.candidates, kept, strict=True):
            assert (one.values == before).all()
