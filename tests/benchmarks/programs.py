"""The programs that are measured, each in a process of its own so that its peak of memory is its own.

    python -m tests.benchmarks.programs engine FOLDER OUT 12

runs it at 12 as-of dates and prints one line of JSON: seconds by stage, and the peak in bytes. Time starts when
the imports are done.
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from features.specs import Aggregation, FeatureSpec
from features.windows import EVER, last

WINDOWS_DAYS = (30, 90, 365)
FEW_ACCOUNTS, MANY_ACCOUNTS, MANY_EVENTS = 20_000, 100_000, 100_000_000
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


def sequence_specs() -> tuple[FeatureSpec, ...]:
    """98 columns of order in time: streak, irregularity and active weeks of 22 events, first use of 30, and of all."""
    from tests.benchmarks.log import EVENT_NAMES

    kinds = (Aggregation.STREAK, Aggregation.IRREGULARITY, Aggregation.ACTIVE_WEEKS)
    ordered = [
        FeatureSpec(f"{kind}_{event}", f"{kind} of {event}", kind, last(365), (event,))
        for event in EVENT_NAMES[:22]
        for kind in kinds
    ]
    firsts = [
        FeatureSpec(f"first_{event}", f"First {event}", Aggregation.DAYS_TO_FIRST, EVER, (event,))
        for event in EVENT_NAMES
    ]
    of_all = [
        FeatureSpec("streak", "Streak", Aggregation.STREAK, last(365)),
        FeatureSpec("first", "First event", Aggregation.DAYS_TO_FIRST, EVER),
    ]
    return (*ordered, *firsts, *of_all)


class Stopwatch:
    """Seconds since it was made, by the clock and (`_cpu`) of all processors together."""

    def __init__(self) -> None:
        self.began, self.cpu_began = time.perf_counter(), time.process_time()
        self.seconds: Seconds = {}

    def mark(self, name: str) -> Seconds:
        """Note what it took so far; returns all that was noted."""
        self.seconds[name] = time.perf_counter() - self.began
        self.seconds[f"{name}_cpu"] = time.process_time() - self.cpu_began
        return self.seconds


def engine(folder: Path, out: Path, n_dates: int) -> Seconds:
    """Intake, then the features streamed to Parquet as the matrix is."""
    return _streamed(folder, out, n_dates, specs())


def sequences(folder: Path, out: Path, n_dates: int) -> Seconds:
    """The same for the order of days."""
    return _streamed(folder, out, n_dates, sequence_specs())


def _streamed(folder: Path, out: Path, n_dates: int, asked: tuple[FeatureSpec, ...]) -> Seconds:
    import pandas as pd

    from features.intake import open_log
    from features.matrix import write_frames
    from features.observations import Question, observe_in_blocks
    from features.windows import Grid
    from tests.benchmarks.log import as_of_days, declared

    watch = Stopwatch()
    data = declared()
    log = open_log(data, folder, now=pd.Timestamp(datetime(2030, 1, 1)))
    watch.mark("intake")
    question = Question(asked, Grid("calendar", as_of_days(n_dates)))
    write_frames(out, observe_in_blocks(log, data, question))
    took = watch.mark("whole")
    return {**took, "features": took["whole"] - took["intake"]}


def whole(folder: Path, out: Path, n_quarters: int) -> Seconds:
    """`milestones features` on a folder of files, a quarter each, from nothing."""
    from tests.benchmarks.quarters import build, workspace_of

    place = workspace_of(folder, out, n_quarters)
    watch = Stopwatch()
    build(place)
    return watch.mark("whole")


def quarter(folder: Path, out: Path, n_quarters: int) -> Seconds:
    """The same when all quarters but the last were built before, by another process; only the second build is timed."""
    from tests.benchmarks.quarters import build, workspace_of

    earlier = [sys.executable, "-m", __spec__.name, "whole", str(folder), str(out), str(n_quarters - 1)]
    subprocess.run(earlier, check=True, capture_output=True)
    place = workspace_of(folder, out, n_quarters, keep=True)
    watch = Stopwatch()
    build(place)
    return watch.mark("whole")


def status(folder: Path, out: Path, _n_quarters: int) -> Seconds:
    """`milestones status`: intake, then every account at every close under four milestones, to Parquet."""
    import pandas as pd

    from features.intake import open_log
    from models.status_record import write_status
    from tests.benchmarks.framework import four_milestones

    watch = Stopwatch()
    framework = four_milestones()
    log = open_log(framework.data, folder, now=pd.Timestamp(datetime(2030, 1, 1)))
    watch.mark("intake")
    write_status(framework, log, out)
    return watch.mark("whole")


def bare(folder: Path, _out: Path, _n_dates: int) -> Seconds:
    """The least that any program over the log must do: count by account, month and event, into a table."""
    import duckdb

    watch = Stopwatch()
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        "CREATE TABLE counted AS SELECT account_id, date_trunc('month', occurred_at) AS month, event, count(*) AS n"
        " FROM read_parquet(?) GROUP BY account_id, month, event",
        [str(folder / "events.parquet")],
    )
    return watch.mark("whole")


def pandas(folder: Path, out: Path, n_dates: int) -> Seconds:
    """The same columns as one would write them: a loop over the as-of dates."""
    from tests.benchmarks.baseline import features_in_pandas
    from tests.benchmarks.log import as_of_days

    watch = Stopwatch()
    frame = features_in_pandas(folder, as_of_days(n_dates), WINDOWS_DAYS)
    frame.to_parquet(out, index=False, compression="zstd")
    return watch.mark("whole")


def make(folder: Path, _out: Path, n_events: int) -> Seconds:
    """The log itself, of so many events; `uniform`, `quarters` and `accounts` are told by the folder's name."""
    import numpy as np

    from tests.benchmarks.log import Shape, make_log

    watch = Stopwatch()
    many = n_events >= MANY_EVENTS or "accounts" in folder.name
    n_accounts = MANY_ACCOUNTS if many else FEW_ACCOUNTS
    n_quarters = 13 if "quarters" in folder.name else 12
    shape = Shape(n_events, n_accounts, skewed="uniform" not in folder.name, n_quarters=n_quarters)
    make_log(shape, folder, np.random.default_rng(0))
    return watch.mark("whole")


def compare(folder: Path, _out: Path, _n_dates: int) -> Seconds:
    """Whether the engine and pandas wrote the same: every value of all 98 columns."""
    import pandas as pd

    from tests.benchmarks.baseline import largest_difference

    ours, theirs = (pd.read_parquet(folder / f"{name}.parquet") for name in ("engine", "pandas"))
    names = [spec.name for spec in specs()]
    return {"largest": largest_difference(ours, theirs, names), "values": float(len(ours) * len(names))}


PROGRAMS: dict[str, Callable[[Path, Path, int], Seconds]] = {
    "engine": engine,
    "sequences": sequences,
    "whole": whole,
    "quarter": quarter,
    "status": status,
    "bare": bare,
    "pandas": pandas,
    "make": make,
    "compare": compare,
}


def peak_bytes() -> int:
    """The most memory this process ever had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Run one program and print what it took."""
    importlib.import_module(
        "ibis.backends.duckdb"
    )  # an import, though Ibis puts it off until it is first needed
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=sorted(PROGRAMS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("number", type=int, help="as-of dates, or events for the log")
    asked = parser.parse_args()
    seconds = PROGRAMS[asked.program](asked.folder, asked.out, asked.number)
    print(json.dumps({**seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
