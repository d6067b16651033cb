"""However the same tables are written - in any order, in many files, in local time - the features are the same."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import catalogue_of
from features.intake import open_log
from features.observations import Question, observe
from features.windows import Grid, day_number
from tests.spec.drawn import NOW, table
from tests.spec.test_engine import (
    ELIGIBILITY,
    START,
    assert_same_features,
    random_log,
    random_tables,
    reopened,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_and_the_split_into_files_do_not_matter(tmp_path: Path, seed: int) -> None:
    log, data = random_log(tmp_path / "one", seed, n_accounts=6, n_events=200, eligibility=ELIGIBILITY)
    grid = Grid(
        "calendar", tuple(day_number(pd.Timestamp(START + timedelta(days=d))) for d in (60, 100, 200))
    )
    specs = catalogue_of(log, data)
    before = observe(log, data, Question(specs, grid))
    tables = random_tables(seed, 6, 200) | {"eligibility": table(ELIGIBILITY)}
    # The accounts give the order of the answer.
    folder = tmp_path / "split"
    for name, frame in tables.items():
        mixed = frame if name == "accounts" else frame.sample(frac=1, random_state=seed)
        for i in range(3):
            (folder / name).mkdir(parents=True, exist_ok=True)
            part = slice(i * len(mixed) // 3, (i + 1) * len(mixed) // 3)
            mixed.iloc[part].to_parquet(folder / name / f"{i}.parquet", index=False)
    split = data.model_copy(update={"sources": data.sources.model_copy(update={n: n for n in tables})})
    after = observe(open_log(split, folder, now=NOW), split, Question(specs, grid))
    assert catalogue_of(open_log(split, folder, now=NOW), split) == specs
    assert_same_features(before, after, specs)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000), zone=st.sampled_from(["Europe/Dublin", "America/Sao_Paulo", "Asia/Kolkata"])
)
def test_local_times_in_their_zone_are_the_same_features(tmp_path: Path, seed: int, zone: str) -> None:
    log, data = random_log(tmp_path, seed, n_accounts=6, n_events=200, eligibility=ELIGIBILITY)
    grid = Grid("calendar", tuple(day_number(pd.Timestamp(START + timedelta(days=d))) for d in (100, 200)))
    specs = catalogue_of(log, data)
    before = observe(log, data, Question(specs, grid))
    tables = random_tables(seed, 6, 200) | {"eligibility": table(ELIGIBILITY)}
    local = {name: in_local_time(frame, zone) for name, frame in tables.items()}
    calendar = data.calendar.model_copy(update={"timezone": zone})
    there = data.model_copy(update={"calendar": calendar})
    after = observe(*reopened(tmp_path, there, local), Question(specs, grid))
    assert_same_features(before, after, specs)


def in_local_time(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Times as the clocks of a zone showed them. No time here is in the hour that an autumn night has twice."""
    times = {str(c): frame[c] for c in frame if str(c).endswith(("_at", "_from", "_to"))}
    shown = {c: t.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None) for c, t in times.items()}
    return frame.assign(**shown)
