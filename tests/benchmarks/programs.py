"""The programs that are measured, each in a process of its own so that its peak of memory is its own.

    python -m tests.benchmarks.programs engine FOLDER OUT --dates 12

prints one line of JSON: seconds by stage and the peak in bytes. Time starts when the imports are done.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from features.specs import Aggregation, FeatureSpec
from features.windows import EVER, last

WINDOWS_DAYS = (30, 90, 365)
Seconds = dict[str, float]


def specs() -> tuple[FeatureSpec, ...]:
    """The 98 columns: 30 events x 3 windows, active days and users x 3, days since the last event, tenure."""
    from tests.benchmarks.log import EVENT_NAMES

    counts = [
        FeatureSpec(f"{event}_{days}d", f"{event} in {days} days", Aggregation.COUNT, last(days), (event,))
        for event in EVENT_NAMES
        for days in WINDOWS_DAYS
    ]
    others = [
        FeatureSpec(f"{kind}_{days}d", f"{kind} in {days} days", kind, last(days))
        for kind in (Aggregation.ACTIVE_DAYS, Aggregation.DISTINCT_USERS)
        for days in WINDOWS_DAYS
    ]
    since = FeatureSpec("days_since", "Days since the last event", Aggregation.DAYS_SINCE, EVER)
    tenure = FeatureSpec("tenure_days", "Days since signup", Aggregation.TENURE, EVER)
    return (*counts, *others, since, tenure)


def engine(folder: Path, out: Path, n_dates: int) -> Seconds:
    """Intake, then the features streamed to Parquet as the matrix is."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from features.intake import open_log
    from features.observations import Question, observe_in_batches
    from features.windows import Grid
    from tests.benchmarks.log import as_of_days, declared

    begun = time.perf_counter()
    data = declared()
    log = open_log(data, folder, now=pd.Timestamp(datetime(2030, 1, 1)))
    opened = time.perf_counter()
    question = Question(specs(), Grid("calendar", as_of_days(n_dates)))
    writer: pq.ParquetWriter | None = None
    for batch in observe_in_batches(log, data, question):
        table = pa.Table.from_pandas(batch, preserve_index=False)
        writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table.cast(writer.schema))
    assert writer is not None
    writer.close()
    done = time.perf_counter()
    return {"intake": opened - begun, "features": done - opened, "whole": done - begun}


def bare(folder: Path, _out: Path, _n_dates: int) -> Seconds:
    """The least that any program over the log must do: count by account, month and event, into a table."""
    import duckdb

    begun = time.perf_counter()
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        "CREATE TABLE counted AS SELECT account_id, date_trunc('month', occurred_at) AS month, event, count(*) AS n"
        " FROM read_parquet(?) GROUP BY account_id, month, event",
        [str(folder / "events.parquet")],
    )
    return {"whole": time.perf_counter() - begun}


def pandas(folder: Path, out: Path, n_dates: int) -> Seconds:
    """The same columns as one would write them: a loop over the as-of dates."""
    from tests.benchmarks.baseline import features_in_pandas
    from tests.benchmarks.log import as_of_days

    begun = time.perf_counter()
    frame = features_in_pandas(folder, as_of_days(n_dates), WINDOWS_DAYS)
    frame.to_parquet(out, index=False, compression="zstd")
    return {"whole": time.perf_counter() - begun}


def make(folder: Path, _out: Path, n_events: int) -> Seconds:
    """The log itself; here `--dates` is the number of events."""
    import numpy as np

    from tests.benchmarks.log import Shape, make_log

    begun = time.perf_counter()
    make_log(Shape(n_events), folder, np.random.default_rng(0))
    return {"whole": time.perf_counter() - begun}


PROGRAMS: dict[str, Callable[[Path, Path, int], Seconds]] = {
    "engine": engine,
    "bare": bare,
    "pandas": pandas,
    "make": make,
}


def peak_bytes() -> int:
    """The most memory this process ever had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Run one program and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=sorted(PROGRAMS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dates", type=int, default=12)
    asked = parser.parse_args()
    seconds = PROGRAMS[asked.program](asked.folder, asked.out, asked.dates)
    print(json.dumps({**seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
