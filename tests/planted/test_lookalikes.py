"""Honest logs that look as if they leaked: the audit raises no alarm on them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.attribute_leaks import attributes
from models.feature_leaks import events_before_losses, single_features
from models.late_leaks import late_records
from tests.planted.leaky import Tables, add_events, alarms, audited, ends, notes, recorded_soon, with_feature

DAY = pd.Timedelta(days=1)


@pytest.mark.parametrize("seed", range(2))
def test_rows_that_come_late_for_everybody_alike_are_worth_a_note(tmp_path: Path, seed: int) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        recorded_soon(tables, rng)
        late = rng.random(len(tables["events"])) < 0.03
        delay = pd.to_timedelta(rng.uniform(15, 90, len(late)), unit="D")
        tables["events"].loc[late, "recorded_at"] += delay[late]

    checked = audited(tmp_path, seed, plant, [late_records])
    assert alarms(checked) == []
    assert len(notes(checked, "recorded after the close")) == 1


def test_a_history_that_was_imported_in_one_go_tells_nothing(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        tables["events"]["recorded_at"] = tables["events"]["occurred_at"].max()

    checked = audited(tmp_path, 1, plant, [late_records])
    assert alarms(checked) == []
    assert notes(checked, "recorded after the close")[0].evidence["unknown"] > 100_000


@pytest.mark.parametrize("seed", range(2))
def test_rows_of_a_monthly_batch_are_no_backfill_however_many_of_its_users_leave(
    tmp_path: Path, seed: int
) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        recorded_soon(tables, rng)
        accounts, events = tables["accounts"], tables["events"]
        left = accounts["account_id"].isin(ends(tables).index)
        batch = pd.Series(rng.random(len(left)) < np.where(left, 0.6, 0.03), index=accounts["account_id"])
        delay = pd.to_timedelta(rng.uniform(15, 32, len(events)), unit="D")
        events["recorded_at"] += delay.where(events["account_id"].map(batch), pd.Timedelta(0))

    checked = audited(tmp_path, seed, plant, [late_records])
    assert alarms(checked) == []
    found = {f.where: f for f in notes(checked, "late more often")}["report_viewed"]
    assert found.evidence["late_lost"] > 2 * found.evidence["late_kept"]
    assert found.evidence["after_loss"] < 0.2
    assert "most of them before that loss" in found.sentence


def test_a_plan_that_many_leave_is_worth_a_note(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        spells = tables["subscriptions"]
        left = spells["account_id"].isin(ends(tables).index)
        free = pd.Series(rng.random(len(spells)) < np.where(left, 0.95, 0.02), index=spells.index)
        spells["plan"] = np.where(free.groupby(spells["account_id"]).transform("first"), "free", "paid")

    checked = audited(tmp_path, 1, plant, [attributes])
    assert alarms(checked) == []
    found = notes(checked, "goes with the loss")
    assert [f.where for f in found] == ["subscriptions.plan"]
    assert "A plan that many leave looks so" in found[0].sentence


def test_a_signal_that_is_strong_and_honest_at_signup_is_no_alarm(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        left = tables["accounts"]["account_id"].isin(ends(tables).index)
        trial = rng.random(len(left)) < np.where(left, 0.6, 0.3)
        tables["accounts"]["came_by"] = np.where(trial, "trial", "sales")

    assert alarms(audited(tmp_path, 1, plant, [attributes], fixed_at_signup=["came_by"])) == []


def quitting(tables: Tables, rng: np.random.Generator) -> None:
    """A product used daily, from one day on never again: recency is a near-perfect predictor, and by right."""
    accounts = tables["accounts"]
    n = len(accounts)
    stop = accounts["signed_up_at"] + pd.to_timedelta(rng.exponential(400, n), unit="D")
    close = tables["events"]["occurred_at"].max()
    kept = []
    for account, start, final in zip(accounts["account_id"], accounts["signed_up_at"], stop, strict=True):
        days = pd.date_range(start, min(final, close), freq="D")
        kept.append(
            pd.DataFrame(
                {
                    "account_id": account,
                    "occurred_at": days + pd.to_timedelta(rng.random(len(days)), unit="D"),
                }
            )
        )
    daily = pd.concat(kept, ignore_index=True)
    tables["events"] = daily[daily["occurred_at"] <= close].assign(event="conversation_started", user_id="u")


def test_recency_that_is_nearly_perfect_is_no_leak(tmp_path: Path) -> None:
    checked = audited(
        tmp_path,
        1,
        quitting,
        outcomes={"kind": "silent", "horizon_days": 90},
        **with_feature("conversation_started"),
    )
    assert alarms(checked) == []
    strongest = notes(checked, "strongest feature")[0].evidence
    assert strongest["auc"] > 0.95  # as good as a leak, and yet it fades week by week
    assert abs(strongest["steepness"]) < 0.05


def test_mails_that_go_to_everybody_hide_no_silence(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        quitting(tables, rng)
        accounts, close = tables["accounts"], tables["events"]["occurred_at"].max()
        days = pd.date_range(accounts["signed_up_at"].min(), close, freq="D")[:-1]
        for day in days:
            drawn = accounts["account_id"][(rng.random(len(accounts)) < 0.7).tolist()].to_numpy()
            add_events(tables, drawn, "mail_delivered", day + DAY * rng.random(len(drawn)))

    checked = audited(
        tmp_path,
        1,
        plant,
        [events_before_losses, single_features],
        outcomes={"kind": "silent", "horizon_days": 90},
        **with_feature("conversation_started"),
    )
    assert alarms(checked) == []
