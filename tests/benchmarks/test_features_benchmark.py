"""What is compared is the same: the pandas baseline and the engine give equal columns on a small skewed log."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks import programs
from tests.benchmarks.baseline import features_in_pandas, largest_difference
from tests.benchmarks.log import Shape, as_of_days, make_log


def test_engine_and_pandas_give_equal_columns(tmp_path: Path) -> None:
    make_log(Shape(n_events=20_000, n_accounts=150), tmp_path, np.random.default_rng(1))
    programs.engine(tmp_path, tmp_path / "engine.parquet", 12)
    ours = pd.read_parquet(tmp_path / "engine.parquet")
    theirs = features_in_pandas(tmp_path, as_of_days(12), programs.WINDOWS_DAYS)
    names = [spec.name for spec in programs.specs()]
    assert len(set(names)) == 98
    assert len(ours) > 1000
    # Accounts that were there before tracking began make some values unknowable, and both say so.
    assert 0 < ours[names].isna().to_numpy().mean() < 0.5
    assert largest_difference(ours, theirs, names) < 1e-9


def test_a_single_event_moved_shows_as_a_difference(tmp_path: Path) -> None:
    make_log(Shape(n_events=2_000, n_accounts=20), tmp_path, np.random.default_rng(2))
    theirs = features_in_pandas(tmp_path, as_of_days(4), programs.WINDOWS_DAYS)
    events = pd.read_parquet(tmp_path / "events.parquet")
    events["occurred_at"] = events["occurred_at"].where(
        events.index != len(events) - 1, events["occurred_at"].iloc[0]
    )
    events.sort_values("occurred_at").to_parquet(tmp_path / "events.parquet")
    moved = features_in_pandas(tmp_path, as_of_days(4), programs.WINDOWS_DAYS)
    names = [spec.name for spec in programs.specs()]
    assert largest_difference(moved, theirs, names) > 1e-9


def test_the_log_is_skewed_grows_and_comes_in_the_order_of_time(tmp_path: Path) -> None:
    make_log(Shape(n_events=50_000, n_accounts=500), tmp_path, np.random.default_rng(3))
    events = pd.read_parquet(tmp_path / "events.parquet")
    accounts = pd.read_parquet(tmp_path / "accounts.parquet")
    assert len(events) == 50_000
    assert events["occurred_at"].is_monotonic_increasing
    per_account = events["account_id"].value_counts()
    assert per_account.iloc[:50].sum() > 0.4 * len(events)
    per_quarter = events["occurred_at"].dt.to_period("Q").value_counts().sort_index()
    assert len(per_quarter) == 12
    assert per_quarter.iloc[-1] > 2 * per_quarter.iloc[0]
    signed_up = accounts.set_index("account_id")["signed_up_at"]
    assert (
        events["occurred_at"].to_numpy() >= signed_up.reindex(events["account_id"].astype("str")).to_numpy()
    ).all()


def test_the_status_of_every_account_is_what_is_measured(tmp_path: Path) -> None:
    make_log(Shape(n_events=20_000, n_accounts=150), tmp_path, np.random.default_rng(4))
    programs.status(tmp_path, tmp_path / "status.parquet", 12)
    rows = pd.read_parquet(tmp_path / "status.parquet")
    assert rows["quarter"].nunique() == 12
    assert set(rows["milestone"]) == {"setup", "activation", "utilization", "maturity"}
    assert set(rows["status"]) == {"reached", "not_reached", "not_knowable", "open"}
