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
from models.late_leaks import late_records
from models.leak_audit import CHECKS
from tests.planted.leaky import Tables, add_events, alarms, audited, ends, notes

DAY = pd.Timedelta(days=1)


def recorded_soon(tables: Tables, rng: np.random.Generator) -> None:
    delay = pd.to_timedelta(rng.exponential(600, len(tables["events"])), unit="s")
    tables["events"]["recorded_at"] = tables["events"]["occurred_at"] + delay


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]
)
def test_the_clean_twin_raises_no_alarm(tmp_path: Path, seed: int) -> None:
    checked = audited(tmp_path, seed, recorded_soon, CHECKS)
    assert alarms(checked) == []
    looked = {one.check: one.looked_at for one in checked}
    assert "122 features and scores of 150 accounts" in looked["planting"]
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
    found = {f.where: f for f in notes(checked, "late more often")}["conversation_started"]
    assert found.evidence["late_lost"] > 2 * found.evidence["late_kept"]
    assert found.evidence["after_loss"] < 0.2
    assert "most of them before that loss" in found.sentence


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


def test_a_plan_that_many_leave_is_worth_a_note(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        spells = tables["subscriptions"]
        left = spells["account_id"].isin(ends(tables).index)
        free = pd.Series(rng.random(len(spells)) < np.where(left, 0.9, 0.05), index=spells.index)
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


def with_feature(event: str) -> dict[str, Any]:
    """The features of the company with one more event among them, few of the rest."""
    return {"features": {"windows_days": [30, 90], "event_windows_days": [30, 90], "events": [event]}}


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


def test_what_only_the_young_do_announces_no_loss_of_the_young(tmp_path: Path) -> None:
    def plant(tables: Tables, rng: np.random.Generator) -> None:
        spells, signed_up = tables["subscriptions"], tables["accounts"]["signed_up_at"]
        early = (
            tables["accounts"].loc[rng.random(len(signed_up)) < 0.35].set_index("account_id")["signed_up_at"]
        )
        end = early + pd.to_timedelta(rng.uniform(60, 170, len(early)), unit="D")
        rest = (
            spells[~spells["account_id"].isin(early.index)]
            .drop_duplicates("account_id")
            .assign(ended_at=pd.NaT)
        )
        short = spells[spells["account_id"].isin(early.index)].drop_duplicates("account_id")
        short = short.assign(ended_at=short["account_id"].map(end))
        over = short["ended_at"] < tables["events"]["occurred_at"].max()
        tables["subscriptions"] = pd.concat([rest, short.assign(ended_at=short["ended_at"].where(over))])
        for days in (2, 12):
            at = (signed_up + pd.Timedelta(days=days)).to_numpy()
            add_events(tables, tables["accounts"]["account_id"].to_numpy(), "welcome_tour", at)

    checked = audited(tmp_path, 1, plant, [events_before_losses, single_features])
    assert "insufficient" not in " ".join(one.looked_at for one in checked)
    assert alarms(checked) == []


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


def test_a_window_that_reaches_into_the_outcome_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = FeatureSpec("events_next_week", "Events to come", Aggregation.COUNT, following(7))
    monkeypatch.setattr(leaks, "catalogue_of", lambda *a: (*catalogue_of(*a), early))
    found = [(f.kind, f.where) for f in alarms(audited(tmp_path, 1, checks=[windows, planting]))]
    assert ("overlaps the outcome", "events_next_week") in found
    assert ("looks past its date", "events_next_week") in found
    assert {where for _, where in found} == {"events_next_week"}
