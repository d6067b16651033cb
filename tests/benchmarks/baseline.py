"""The features as a careful analyst writes them in pandas: for every as-of date, for every window, a group-by."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

SECONDS_PER_DAY = 86_400


def features_in_pandas(
    folder: Path, as_of_days: tuple[int, ...], windows_days: tuple[int, ...]
) -> pd.DataFrame:
    """Account, as_of and the 98 columns of `tests.benchmarks.programs.specs`, by account and date."""
    accounts = pd.read_parquet(folder / "accounts.parquet")
    events = pd.read_parquet(folder / "events.parquet")
    codes = pd.Series(np.arange(len(accounts), dtype=np.int32), index=accounts["account_id"])
    # Codes instead of texts, once: group-bys by number are several times faster.
    names = events["event"].cat.categories
    events = pd.DataFrame(
        {
            "account": codes.reindex(events["account_id"].cat.categories).to_numpy()[
                events["account_id"].cat.codes
            ],
            "event": events["event"].cat.codes.astype(np.int32),
            "user": events["user_id"].cat.codes,
            "at": events["occurred_at"],
        }
    )
    events["day"] = (events["at"].astype("int64") // 86_400_000_000).astype(np.int32)
    tracked_from = events["at"].min().floor("D")
    dates = [pd.Timestamp(day, unit="D") for day in as_of_days]
    frames = [_at(date, events, accounts, list(names), windows_days, tracked_from) for date in dates]
    return pd.concat(frames).sort_values(["account", "as_of"], kind="stable", ignore_index=True)


def _at(
    date: pd.Timestamp,
    events: pd.DataFrame,
    accounts: pd.DataFrame,
    names: list[str],
    windows_days: tuple[int, ...],
    tracked_from: pd.Timestamp,
) -> pd.DataFrame:
    """One row for every account that had signed up by the date."""
    past = events.iloc[: events["at"].searchsorted(date)]  # the rows are in the order of time
    everybody = range(len(accounts))
    cells = pd.MultiIndex.from_product([everybody, range(len(names))])
    signed_up = accounts["signed_up_at"]
    tenure = _days(date - signed_up)
    seen = tenure.where(signed_up >= tracked_from, (date - tracked_from) / pd.Timedelta(days=1))
    columns: dict[str, pd.Series] = {}
    for days in windows_days:
        recent = past.iloc[past["at"].searchsorted(date - pd.Timedelta(days=days)) :]
        # Tracking that began within the window saw too little of an account that was there before.
        blind = tenure.clip(upper=days) > seen
        counts = recent.groupby(["account", "event"]).size().reindex(cells, fill_value=0)
        by_event = counts.to_numpy(float).reshape(len(accounts), len(names))
        for number, name in enumerate(names):
            columns[f"{name}_{days}d"] = pd.Series(by_event[:, number]).mask(blind)
        for name, column in (("active_days", "day"), ("distinct_users", "user")):
            distinct = recent[["account", column]].drop_duplicates().groupby("account").size()
            columns[f"{name}_{days}d"] = distinct.reindex(everybody, fill_value=0).astype(float).mask(blind)
    latest = past.groupby("account")["at"].max().reindex(everybody)
    columns["days_since"] = _days(date - latest).fillna(seen)
    columns["tenure_days"] = tenure
    frame = pd.DataFrame({"account": np.arange(len(accounts)), "as_of": date, **columns})
    return frame[(signed_up < date).to_numpy()]


def _days(spans: "pd.Series[pd.Timedelta]") -> "pd.Series[float]":
    return spans.dt.total_seconds() / SECONDS_PER_DAY


def largest_difference(ours: pd.DataFrame, theirs: pd.DataFrame, names: list[str]) -> float:
    """Over all values of the columns; infinite where the rows differ or only one of the two is missing."""
    rows = ["account", "as_of"]
    if len(ours) != len(theirs) or not (ours[rows].to_numpy() == theirs[rows].to_numpy()).all():
        return math.inf
    largest = 0.0
    for name in names:
        one, other = ours[name].to_numpy(float), theirs[name].to_numpy(float)
        missing = np.isnan(one)
        if (missing != np.isnan(other)).any():
            return math.inf
        largest = max(largest, float(np.abs(one[~missing] - other[~missing]).max(initial=0.0)))
    return largest
