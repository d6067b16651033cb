"""`make bench`: the features against a bare query and against pandas, side by side, into build/bench.json.

Every run is a process of its own, the programs take turns, and what counts is the minimum of each: on a shared
machine one and the same query moves by a factor of two. `--full` repeats it from one to a hundred million events.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

BUILD = Path("build")
LOGS = BUILD / "bench"
MILLION = 1_000_000
TARGET_EVENTS = 20 * MILLION
SIZES = (1, 5, 20, 100)  # million events, with --full
RUNS = 5
BUDGET_SECONDS = 12 * 60  # of the 15 minutes; what is left is for the log, the comparison and a slow machine
GIGABYTE = 1e9
MOST_BARE, LEAST_PANDAS, MOST_DATES, MOST_GIGABYTES, MOST_HELP_SECONDS = 4.0, 4.0, 1.5, 1.2, 0.5

# name, program, as-of dates: what takes turns
CASES = {
    "engine": ("engine", 12),
    "bare": ("bare", 12),
    "engine_24": ("engine", 24),
    "pandas": ("pandas", 12),
}
Run = dict[str, float]


@dataclass(frozen=True)
class Entry:
    """One line of bench.json. `ratio` is value / baseline; `target` is the most that the ratio may be.

    Where there is no baseline, `target` is the most that the value may be.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: float | None = None
    runs: int = RUNS
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None without one."""
        measured = self.value if self.ratio is None else self.ratio
        return None if self.target is None else measured <= self.target


def against(name: str, value: float, baseline: float, target: float, runs: int, note: str) -> Entry:
    """Seconds beside the seconds of something else."""
    return Entry(name, value, "s", baseline, value / baseline, target, runs, note)


def run(program: str, folder: Path, out: Path, number: int) -> Run:
    """One program in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.programs", program, str(folder), str(out), str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Run = json.loads(done.stdout.splitlines()[-1])
    return found


def prepared(n_events: int) -> Path:
    """The folder of a log of this size, made if it is not there."""
    folder = LOGS / f"log_{n_events}"
    if not (folder / "events.parquet").exists():
        say(f"making a log of {n_events:,} events")
        run("make", folder, folder, n_events)
    return folder


def take_turns(folder: Path, n_runs: int, budget_seconds: float) -> dict[str, list[Run]]:
    """Runs of every case, interleaved. Past its share of the budget a case that is slow sits out."""
    found: dict[str, list[Run]] = {name: [] for name in CASES}
    begun = time.perf_counter()
    for turn in range(n_runs):
        for name, (program, n_dates) in CASES.items():
            spent = time.perf_counter() - begun
            # Always two runs of everything; pandas, the slowest, is the first to sit out.
            if turn < 2 or spent < budget_seconds * (0.6 if name == "pandas" else 1.0):
                out = folder / f"{name}.parquet"
                found[name].append(run(program, folder, out, n_dates))
                say(f"  {turn + 1}/{n_runs} {name}: {found[name][-1]['whole']:.2f} s")
    return found


def entries(label: str, found: dict[str, list[Run]]) -> list[Entry]:
    """Minima, ratios of minima, and the worst peak of each."""

    def least(case: str, stage: str) -> float:
        return min(one[stage] for one in found[case])

    def count(*cases: str) -> int:
        return min(len(found[case]) for case in cases)

    def peak(case: str) -> float:
        return max(one["peak_bytes"] for one in found[case]) / GIGABYTE

    whole = least("engine", "whole")
    few = "" if count("pandas") >= RUNS else f"pandas: {count('pandas')} runs only, for want of time; "
    return [
        against(f"{label} against the bare query", whole, least("bare", "whole"), MOST_BARE, count("engine", "bare"), "intake and features, the whole wait"),
        against(f"{label} against the bare query, processor seconds", least("engine", "whole_cpu"), least("bare", "whole_cpu"), MOST_BARE, count("engine", "bare"), "the same by processor time, which moves less when others use the machine"),
        against(f"{label} against pandas", whole, least("pandas", "whole"), 1 / LEAST_PANDAS, count("engine", "pandas"), f"{few}whole wait; pandas checks no row"),
        against(f"{label}, 24 as-of dates against 12", least("engine_24", "whole"), whole, MOST_DATES, count("engine", "engine_24"), "the same log asked at twice as many dates"),
        against(f"{label}, 24 as-of dates against 12, features alone", least("engine_24", "features"), least("engine", "features"), MOST_DATES, count("engine", "engine_24"), "without intake, which is the same for both"),
        Entry(f"{label}, intake", least("engine", "intake"), "s", runs=count("engine"), note="open_log: the checking scan"),
        Entry(f"{label}, features", least("engine", "features"), "s", runs=count("engine"), note="scans, composition, Parquet"),
        Entry(f"{label}, peak", peak("engine"), "GB", target=MOST_GIGABYTES, runs=count("engine"), note="worst of the runs"),
        Entry(f"{label}, peak at 24 dates", peak("engine_24"), "GB", runs=count("engine_24")),
        Entry(f"{label}, peak of the bare query", peak("bare"), "GB", runs=count("bare")),
        Entry(f"{label}, peak of pandas", peak("pandas"), "GB", runs=count("pandas")),
    ]  # fmt: skip


def help_seconds() -> Entry:
    """How long `milestones --help` takes, the interpreter's start included."""
    command = [str(Path(sys.executable).parent / "milestones"), "--help"]
    took = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append(time.perf_counter() - begun)
    return Entry("milestones --help", min(took), "s", target=MOST_HELP_SECONDS)


def measure(sizes: Sequence[int], budget_seconds: float) -> list[Entry]:
    """Every entry for logs of these sizes, in events."""
    found = [help_seconds()]
    for n_events in sizes:
        folder = prepared(n_events)
        turns = take_turns(folder, RUNS, budget_seconds)
        compared = run("compare", folder, folder, 12)
        say(f"  equal: {compared['values']:,.0f} values, largest difference {compared['largest']:.1e}")
        label = f"98 features of {n_events // MILLION} M events"
        # The targets are stated for 20 million events; other sizes show how cost grows.
        measured = entries(label, turns)
        found += measured if n_events == TARGET_EVENTS else [replace(one, target=None) for one in measured]
        equal = "largest difference from pandas, all values of the full log compared"
        found.append(Entry(f"{label}, equality", compared["largest"], "", target=1e-9, runs=1, note=equal))
        for case in CASES:
            (folder / f"{case}.parquet").unlink(missing_ok=True)
    return found


def table(found: Iterable[Entry]) -> str:
    """The entries for people."""
    lines = [f"{'what':<62} {'value':>10} {'baseline':>9} {'ratio':>6} {'target':>7}  runs"]
    for entry in found:
        baseline = "" if entry.baseline is None else f"{entry.baseline:.2f}"
        ratio = "" if entry.ratio is None else f"{entry.ratio:.2f}"
        target = "" if entry.target is None else f"{entry.target:g}"
        missed = "  MISSED" if entry.met is False else ""
        value = f"{entry.value:.2f} {entry.unit}" if entry.unit else f"{entry.value:.1e}"
        lines.append(
            f"{entry.name:<62} {value:>10} {baseline:>9} {ratio:>6} {target:>7}  {entry.runs}{missed}"
        )
        if entry.note:
            lines.append(f"    {entry.note}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Print at once: the runs are minutes apart."""
    print(text, flush=True)


def main() -> None:
    """Measure, write build/bench.json, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--full", action="store_true", help="at 1, 5, 20 and 100 million events, without limit of time"
    )
    parser.add_argument("--millions", type=int, nargs="+", help="these sizes instead, in million events")
    asked = parser.parse_args()
    millions = asked.millions or (SIZES if asked.full else (20,))
    budget = float("inf") if asked.full else BUDGET_SECONDS / len(millions)
    found = measure([MILLION * size for size in millions], budget)
    BUILD.mkdir(exist_ok=True)
    lines = [json.dumps(asdict(entry), ensure_ascii=False) for entry in found]
    (BUILD / "bench.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    say("\n" + table(found))


if __name__ == "__main__":
    main()
