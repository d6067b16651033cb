"""Features and status against a bare query, pandas and each other, side by side.

Every run is a process of its own, the programs take turns, and what counts is the minimum of each: on a shared
machine one and the same query moves by a factor of two. `--full` repeats it from one to a hundred million events.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.entries import BUILD, GIGABYTE, MILLION, Entry, against, say

LOGS = BUILD / "bench"
TARGET_EVENTS = 20 * MILLION
SIZES = (1, 5, 20, 100)  # million events, with --full
RUNS = 5
# Of the 15 minutes; what is left is for the sweep, the logs, the comparisons and a slow machine.
BUDGET_SECONDS = 9 * 60
LEAST_PANDAS, MOST_DATES, MOST_HELP_SECONDS = 4.0, 1.5, 0.5
MOST_BARE = {"skewed": 4.0, "uniform": 2.5}
MOST_SEQUENCES = 2.0  # times what the counts may take
MOST_GIGABYTES = {20: 1.2, 100: 3.0}  # by million events
MOST_QUARTER = 0.25  # of a build from nothing
MOST_STATUS, MOST_STATUS_SECONDS = 1.0, 20.0  # times the features of the same log

# name, program, as-of dates: what takes turns on each log
CASES = {
    "engine": ("engine", 12),
    "bare": ("bare", 12),
    "pandas": ("pandas", 12),
    "sequences": ("sequences", 12),
    "engine_24": ("engine", 24),
}
ON = {"skewed": tuple(CASES), "uniform": ("engine", "bare", "pandas", "sequences")}
QUARTERS = {"whole": ("whole", 13), "quarter": ("quarter", 13)}  # on the log in files by quarter
STATUS = {"status": ("status", 12), "engine": ("engine", 12)}  # on the log of 100,000 accounts
SLOW = {"pandas": 0.55, "sequences": 0.8}  # sit out past this share of the budget
Run = dict[str, float]


def run(program: str, folder: Path, out: Path, number: int) -> Run:
    """One program in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.programs", program, str(folder), str(out), str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def prepared(kind: str, n_events: int) -> Path:
    """The folder of a log of this kind and size, made if it is not there."""
    folder = LOGS / f"{kind}_{n_events}"
    if not (folder / "events.parquet").exists():
        say(f"making a {kind} log of {n_events:,} events")
        run("make", folder, folder, n_events)
    return folder


def take_turns(
    folder: Path, cases: dict[str, tuple[str, int]], n_runs: int, budget_seconds: float
) -> dict[str, list[Run]]:
    """Runs of every case, interleaved. Past its share of the budget a case that is slow sits out."""
    found: dict[str, list[Run]] = {name: [] for name in cases}
    begun = time.perf_counter()
    for turn in range(n_runs):
        for name, (program, number) in cases.items():
            spent = time.perf_counter() - begun
            least = 1 if name in SLOW else 2  # runs of it, however long they take
            if turn < least or spent < budget_seconds * SLOW.get(name, 1.0):
                out = folder / (f"{name}.parquet" if cases is not QUARTERS else name)
                found[name].append(run(program, folder, out, number))
                say(f"  {turn + 1}/{n_runs} {name}: {found[name][-1]['whole']:.2f} s")
    return found


def entries(kind: str, n_events: int, found: dict[str, list[Run]]) -> list[Entry]:
    """Minima, ratios of minima, and the worst peak of each."""
    millions = n_events // MILLION
    label = f"98 features of {millions} M events, {kind}"

    def least(case: str, stage: str = "whole") -> float:
        return min(one[stage] for one in found[case])

    def count(*cases: str) -> int:
        return min(len(found[case]) for case in cases)

    def peak(case: str, target: float | None = None) -> Entry:
        most = max(one["peak_bytes"] for one in found[case]) / GIGABYTE
        return Entry(f"{label}, peak of {case}", most, "GB", target=target, runs=count(case))

    engine, bare = least("engine"), least("bare")
    made = [
        against(f"{label} against the bare query", engine, bare, MOST_BARE[kind], count("engine", "bare"), "intake and features, the whole wait"),
        against(f"{label} against the bare query, processor seconds", least("engine", "whole_cpu"), least("bare", "whole_cpu"), MOST_BARE[kind], count("engine", "bare"), "the same by processor time, which moves less when others use the machine"),
        against(f"{label} against pandas", engine, least("pandas"), 1 / LEAST_PANDAS, count("engine", "pandas"), "the whole wait; pandas checks no row"),
        against(f"98 sequence features of {millions} M events, {kind}, against the bare query", least("sequences"), bare, MOST_SEQUENCES * MOST_BARE[kind], count("sequences", "bare"), "streaks, irregularity, active weeks, first use"),
        Entry(f"{label}, intake", least("engine", "intake"), "s", runs=count("engine"), note="open_log: the checking scan"),
        Entry(f"{label}, features", least("engine", "features"), "s", runs=count("engine"), note="scans, composition, Parquet"),
        Entry(f"{label}, a million events", least("engine") / millions, "s", runs=count("engine"), note="flat from 1 to 100 million, were it all"),
        peak("engine", MOST_GIGABYTES.get(millions)), peak("bare"), peak("pandas"), peak("sequences"),
    ]  # fmt: skip
    if "engine_24" in found:
        made += [
            against(f"{label}, 24 as-of dates against 12", least("engine_24"), engine, MOST_DATES, count("engine", "engine_24"), "the same log asked at twice as many dates"),
            peak("engine_24"),
        ]  # fmt: skip
    return made


def quarter_entries(found: dict[str, list[Run]]) -> list[Entry]:
    """What a thirteenth quarter costs where twelve were built before."""
    label = "milestones features, a thirteenth quarter of 20 M events"
    least = {case: min(one["whole"] for one in runs) for case, runs in found.items()}
    runs = min(map(len, found.values()))
    return [against(f"{label} against all from nothing", least["quarter"], least["whole"], MOST_QUARTER, runs, "a file a quarter; the matrix is written whole")]  # fmt: skip


def status_entries(found: dict[str, list[Run]]) -> list[Entry]:
    """What it costs to say where every account stands at every close."""
    label = "milestones status, 100,000 accounts, 12 quarters, four milestones, 20 M events"
    least = {case: min(one["whole"] for one in runs) for case, runs in found.items()}
    runs = min(map(len, found.values()))
    peak = max(one["peak_bytes"] for one in found["status"]) / GIGABYTE
    return [
        Entry(label, least["status"], "s", target=MOST_STATUS_SECONDS, runs=len(found["status"]), note="the whole wait, from the tables on"),
        against(f"{label}, against 98 features", least["status"], least["engine"], MOST_STATUS, runs, "the whole wait of both"),
        Entry(f"{label}, peak", peak, "GB", target=MOST_GIGABYTES[20], runs=len(found["status"])),
    ]  # fmt: skip


def help_seconds() -> Entry:
    """How long `milestones --help` takes, the interpreter's start included."""
    command = [str(Path(sys.executable).parent / "milestones"), "--help"]
    took = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append(time.perf_counter() - begun)
    return Entry("milestones --help", min(took), "s", target=MOST_HELP_SECONDS, runs=RUNS)


def measure(sizes: Sequence[int], budget_seconds: float) -> list[Entry]:
    """Every entry for logs of these sizes, in events."""
    found = [help_seconds()]
    share = budget_seconds / (len(ON) * len(sizes) + 1)
    for n_events in sizes:
        for kind, names in ON.items():
            folder = prepared(kind, n_events)
            turns = take_turns(folder, {name: CASES[name] for name in names}, RUNS, share)
            compared = run("compare", folder, folder, 12)
            say(f"  equal: {compared['values']:,.0f} values, largest difference {compared['largest']:.1e}")
            measured = entries(kind, n_events, turns)
            # The targets are stated for 20 million events; other sizes show how cost and memory grow.
            stated = [
                one if n_events == TARGET_EVENTS or one.unit == "GB" else replace(one, target=None)
                for one in measured
            ]
            equal = "largest difference from pandas, all values of the full log compared"
            name = f"98 features of {n_events // MILLION} M events, {kind}, equality"
            found += [*stated, Entry(name, compared["largest"], "", target=1e-9, runs=1, note=equal)]
            for case in CASES:
                (folder / f"{case}.parquet").unlink(missing_ok=True)
    if TARGET_EVENTS in sizes:
        folder = prepared("quarters", TARGET_EVENTS)
        found += quarter_entries(take_turns(folder, QUARTERS, RUNS, share / 2))
        folder = prepared("accounts", TARGET_EVENTS)
        found += status_entries(take_turns(folder, STATUS, RUNS, share / 2))
    return found
