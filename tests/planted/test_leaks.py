"""The leak audit finds what was planted, by name, and raises no alarm on the clean twin."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from features import observations
from features.attributes import Level
from features.catalogue import catalogue_of
from features.log import Log
from features.scan import scan
from features.specs import Aggregation, FeatureSpec
from features.windows import following
from models import leaks
from models.attribute_leaks import attributes
from models.feature_leaks import events_before_losses, single_features
from models.future_leaks import period_stamps, planting, windows
from models.leak_audit import CHECKS
from tests.planted.leaky import Tables, add_events, alarms, audited, ends, notes, recorded_soon, with_feature

DAY = pd.Timedelta(days=1)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]
)
def test_the_clean_twin_raises_no_alarm(tmp_path: Path, seed: int) -> None:
    checked = audited(tmp_path, seed, recorded_soon, CHECKS)
    assert alarms(checked) == []
    looked = {one.check: one.looked_at for one in checked}
    assert "124 features and scores of 150 accounts" in looked["planting"]
    assert "insufficient" not in " ".join(looked.values())
    assert len(notes(checked, "strongest feature")) == 1


def shifted(log: Log, back: Any) -> Log:
    """The log with every event so much earlier: windows that take in as much after their end."""
    return replace(log, events=log.events.mutate(occurred_at=log.events.occurred_at - back))


def inclusive(log: Log, *rest: Any) -> Any:
    """The scan of an engine whose windows take in their cutoff."""
    return scan(shifted(log, ibis.interval(microseconds=1)), *rest)


def test_an_engine_that_takes_in_its_cutoff_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "scan", inclusive)
    found = [f for f in alarms(audited(tmp_path, 1, checks=[planting])) if f.kind == "looks past its date"]
    names = {f.where for f in found}
    assert {"events_30d", "days_since_last_event", "users_30d", "active_days_30d"} <= names
    assert {"milestone setup", "milestone activation", "milestone utilization", "milestone maturity"} <= names
    assert {"seats", "tenure_days"}.isdisjoint(names)
    assert all(f.evidence["changes"] == "planted" for f in found)  # nothing of its own lies at midnight


def test_seats_of_the_as_of_date_itself_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = Level.at
    monkeypatch.setattr(
        Level, "at", lambda self, account, time, *, inclusive: at(self, account, time, inclusive=True)
    )
    found = alarms(audited(tmp_path, 1, checks=[planting]))
    assert [(f.kind, f.where) for f in found] == [("looks past its date", "seats")]


def test_an_engine_that_counts_the_days_after_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(log: Log, *rest: Any) -> Any:
        return scan(shifted(log, ibis.interval(days=1)), *rest)

    monkeypatch.setattr(observations, "scan", late)
    found = {
        f.where: f for f in alarms(audited(tmp_path, 1, checks=[planting])) if f.kind == "looks past its date"
    }
    assert found["events_30d"].evidence["changes"] == "removed or planted"


@pytest.mark.parametrize("opens", [True, False])
def test_a_weekly_sum_dated_at_the_start_of_its_week_is_found(tmp_path: Path, opens: bool) -> None:
    def plant(tables: Tables, _rng: np.random.Generator) -> None:
        events = tables["events"]
        week = events["occurred_at"].dt.floor("D") - pd.to_timedelta(
            events["occurred_at"].dt.day_of_week, unit="D"
        )
        weeks = pd.DataFrame({"account_id": events["account_id"], "week": week}).drop_duplicates()
        add_events(tables, weeks["account_id"], "weekly_usage", weeks["week"] + (0 if opens else 7) * DAY)

    checked = audited(tmp_path, 1, plant, [period_stamps])
    found = [(f.kind, f.where) for f in alarms(checked)]
    assert found == ([("cutoff inside a period", "weekly_usage")] if opens else [])
    assert [f.where for f in notes(checked, "dated by period")] == ([] if opens else ["weekly_usage"])


def backfilled(tables: Tables, rng: np.random.Generator) -> None:
    """Conversations of those who left, written a month after with times before."""
    recorded_soon(tables, rng)
    end = ends(tables).repeat(4)
    at = (end - pd.to_timedelta(rng.uniform(1, 120, len(end)), unit="D")).to_numpy()
    late = (end + 30 * DAY).to_numpy()
    add_events(tables, end.index, "conversation_started", at, recorded_at=late)


def test_backfilled_rows_are_found(tmp_path: Path) -> None:
    checked = audited(tmp_path, 1, backfilled)
    assert [(f.kind, f.where) for f in alarms(checked)] == [("backfilled rows", "conversation_started")]
    found = alarms(checked)[0].evidence
    assert found["late_lost"] > 5 * found["late_kept"]
    assert [f.where for f in notes(checked, "recorded after the close")] == ["events"]


def with_reason(tables: Tables, rng: np.random.Generator) -> None:
    """A column that is filled in when an account leaves, mostly."""
    left = tables["accounts"]["account_id"].isin(ends(tables).index)
    filled = left & (rng.random(len(left)) < 0.9)
    reasons = rng.choice(["price", "competitor", "no need"], len(left))
    tables["accounts"]["churn_reason"] = pd.Series(reasons).where(filled)


def test_a_field_set_after_churn_is_found(tmp_path: Path) -> None:
    listed = audited(
        tmp_path / "listed", 1, with_reason, fixed_at_signup=["industry", "country", "churn_reason"]
    )
    assert [(f.kind, f.where) for f in alarms(listed)] == [("set after churn", "accounts.churn_reason")]
    assert "kept ones: that is known of nobody at signup" in alarms(listed)[0].sentence
    # Not listed it is no feature, and nobody has to be alarmed.
    left = audited(tmp_path / "left", 1, with_reason, [attributes])
    assert alarms(left) == []
    assert [f.where for f in notes(left, "would leak")] == ["accounts.churn_reason"]


def test_a_time_that_is_overwritten_after_churn_is_found_by_its_order(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        accounts = tables["accounts"]
        final = tables["events"].groupby("account_id")["occurred_at"].max()
        accounts["updated_at"] = accounts["account_id"].map(final).fillna(accounts["signed_up_at"])

    checked = audited(tmp_path, 1, plant, [attributes], fixed_at_signup=["updated_at"])
    assert [(f.kind, f.where) for f in alarms(checked)] == [("set after churn", "accounts.updated_at")]
    assert "AUC" in alarms(checked)[0].sentence


def test_a_plan_that_is_overwritten_after_churn_is_found(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        spells = tables["subscriptions"]
        spells.loc[spells["account_id"].isin(ends(tables).index), "plan"] = "cancelled"

    found = alarms(audited(tmp_path, 1, plant, [attributes]))
    assert [(f.kind, f.where) for f in found] == [("set after churn", "subscriptions.plan")]


def closes(tables: Tables) -> pd.DatetimeIndex:
    """The closes of the company's quarters."""
    return pd.date_range("2022-04-01", tables["events"]["occurred_at"].max(), freq="QS")


def test_a_score_that_is_written_before_each_close_with_the_outcome_in_sight_is_found(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        final = ends(tables).reindex(tables["accounts"]["account_id"])
        for close in closes(tables):
            stays = ~((final >= close) & (final < close + 180 * DAY)).to_numpy()
            chosen = rng.random(len(final)) < np.where(stays, 0.95, 0.05)
            add_events(tables, final.index[chosen], "health_green", close - 2 * DAY)

    found = [
        f
        for f in alarms(audited(tmp_path, 1, plant, [single_features], **with_feature("health_green")))
        if f.kind == "knows too much"
    ]
    assert {"health_green_30d", "health_green_90d"} & {f.where for f in found}
    steep = next(f for f in found if f.where == "health_green_30d").evidence
    assert steep["steepness_lower"] > 0.1
    assert steep["auc"] > 0.85
    assert steep["auc_lagged"]["7"] < 0.6


def test_rows_that_stop_long_before_a_loss_know_too_much_whatever_the_recency(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        weeks = pd.date_range("2022-01-03", tables["events"]["occurred_at"].max(), freq="7D") + DAY / 2
        final = ends(tables).reindex(tables["accounts"]["account_id"]).fillna(pd.Timestamp("2100-01-01"))
        for week in weeks:
            add_events(tables, final.index[(final - week > 180 * DAY).to_numpy()], "synced", week)

    found = {
        f.where: f.evidence
        for f in alarms(audited(tmp_path, 1, plant, [single_features], **with_feature("synced")))
    }
    assert found["synced_30d"]["among_equals_lower"] > 0.85
    assert found["synced_30d"]["steepness_lower"] < 0.1


def test_an_event_that_announces_the_loss_is_found(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        end = ends(tables)
        add_events(tables, end.index, "cancel_planned", (end - 150 * DAY).to_numpy())

    found = [
        f
        for f in alarms(audited(tmp_path, 1, plant, [events_before_losses]))
        if f.kind == "announces the loss"
    ]
    assert [f.where for f in found] == ["cancel_planned"]


def test_a_window_that_reaches_into_the_outcome_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = FeatureSpec("events_next_week", "Events to come", Aggregation.COUNT, following(7))
    monkeypatch.setattr(leaks, "catalogue_of", lambda *a: (*catalogue_of(*a), early))
    found = [(f.kind, f.where) for f in alarms(audited(tmp_path, 1, checks=[windows, planting]))]
    assert ("overlaps the outcome", "events_next_week") in found
    assert ("looks past its date", "events_next_week") in found
    assert {where for _, where in found} == {"events_next_week"}
