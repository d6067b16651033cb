"""What a sweep costs: every cut of a large family, a million accounts, a record in MLflow; pandas beside it.

    python -m tests.benchmarks.sweeps sweep 20000

runs one program in a process of its own and prints one line of JSON: seconds, each the minimum of the runs, and the
peak in bytes. Time starts when the imports are done.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.tracking import Store
from features.arrays import Flags, Floats, Integers
from models.cutpoints import Candidate, CutFamily, association
from models.sweep import sweep
from tests.benchmarks.entries import GIGABYTE, MILLION, Entry, against, say
from tests.benchmarks.programs import peak_bytes

MOST_CUTS = 200  # of a rate
N_FEATURES, N_CUTS, N_QUARTERS = 60, 20, 8
SOME_ACCOUNTS = 20_000
CROSSED_CUTS = 2  # of the twenty of each feature: pandas is measured on a tenth, times ten
RUNS = 5
MOST_SECONDS, MOST_MILLION_SECONDS, MOST_GIGABYTES, MOST_LOG_SECONDS = 5.0, 120.0, 4.0, 2.0
LEAST_CROSSTAB = 100.0
N_CHILDREN, N_CURVES, N_POINTS, N_PICTURES = 8, 4, 200, 4  # the most that a sweep records
Found = dict[str, float]
World = tuple[list[Candidate], Flags, Integers]


def world(n: int, n_counts: int = N_FEATURES, n_rates: int = 0) -> World:
    """Candidates, outcome and quarter of n accounts: zero-heavy counts of 21 values, rates per seat of thousands.

    The outcome steps up where the first count reaches 7.
    """
    rng = np.random.default_rng(0)
    counts = [np.minimum(rng.negative_binomial(0.6, 0.07, n), N_CUTS) for _ in range(n_counts)]
    seats = rng.lognormal(2, 1, n) + 1
    rates = [rng.negative_binomial(0.6, 0.007, n) / seats for _ in range(n_rates)]
    columns = [(f"count {i}", False, values) for i, values in enumerate(counts)]
    columns += [(f"rate {i}", True, values) for i, values in enumerate(rates)]
    candidates = [
        Candidate(name, (name,), 30, per_seat, values.astype(np.float64))
        for name, per_seat, values in columns
    ]
    outcome = rng.random(n) < np.where(counts[0] >= 7, 0.8, 0.7)
    return candidates, outcome, rng.integers(0, N_QUARTERS, n)


def best_of(work: Callable[[], object], n_runs: int) -> float:
    """The least seconds of so many runs."""
    took = []
    for _ in range(n_runs):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return min(took)


def whole(n: int) -> Found:
    """`models.sweep.sweep`: the grid, a thousand shuffles, five folds, a thousand resamples, the shape."""
    candidates, outcome, block = world(n)

    def work() -> None:
        result = sweep(candidates, outcome, block, np.random.default_rng(1), current=("count 1", 5))
        assert result.verdict == "threshold"

    return {"seconds": best_of(work, RUNS if n < MILLION else 1)}


def family(n: int) -> Found:
    """The same with 300 candidates, of which half are rates with thousands of cuts, at most 200 of each."""
    candidates, outcome, block = world(n, 150, 150)

    def work() -> None:
        result = sweep(candidates, outcome, block, np.random.default_rng(1), most_cuts=MOST_CUTS)
        assert result.family["cuts"] == 150 * (N_CUTS + MOST_CUTS)

    return {"seconds": best_of(work, 2)}


def grid(n: int) -> Found:
    """The plain grid beside a cross-tabulation in pandas for each cut, in turns; pandas on a tenth of the cuts."""
    candidates, outcome, block = world(n)
    cuts = CutFamily.of(candidates, block).cuts
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(best_of(lambda: association(CutFamily.of(candidates, block), outcome), RUNS))
        theirs.append(best_of(lambda: crossed(candidates, outcome, [of[:CROSSED_CUTS] for of in cuts]), 1))
    return {"seconds": min(ours), "crosstab": min(theirs) * sum(map(len, cuts)) / (CROSSED_CUTS * len(cuts))}


def crossed(candidates: Sequence[Candidate], outcome: Flags, cuts: Sequence[Floats]) -> list[int]:
    """How many reached each cut and are good, by a cross-tabulation for each."""
    good = pd.Series(outcome)
    tables = (
        pd.crosstab(pd.Series(one.values) >= cut, good)
        for one, of in zip(candidates, cuts, strict=True)
        for cut in of
    )
    return [int(table.to_numpy()[-1, -1]) for table in tables]


def log(n_rows: int) -> Found:
    """A sweep in a local store that is there already: parent, grid as a table, curves, pictures, children."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.of(Path(folder), "bench")
        store.experiment("sweep")
        picture = Path(folder) / "picture.png"
        picture.write_bytes(np.random.default_rng(0).bytes(50_000))
        table = pd.DataFrame(np.random.default_rng(0).random((n_rows, 12))).add_prefix("column ")
        return {"seconds": best_of(lambda: _logged(store, table, [picture] * N_PICTURES), RUNS)}


def _logged(store: Store, table: pd.DataFrame, pictures: Sequence[Path]) -> None:
    some = {f"number {i}": i / 7 for i in range(12)}
    with store.run("sweep", "sweep", note="A sweep.", tags=some, params=some) as run:
        run.metrics(some)
        run.table(table, "grid.json")
        run.history((step, {f"curve {i}": step / 7 for i in range(N_CURVES)}) for step in range(N_POINTS))
        for picture in pictures:
            run.file(picture, "figures")
        for i in range(N_CHILDREN):
            with store.run(f"cut {i}", "sweep", tags=some, params=some, nested=True) as child:
                child.metrics(some)


PROGRAMS: dict[str, Callable[[int], Found]] = {
    "sweep": whole,
    "family": family,
    "grid": grid,
    "log": log,
}


def run(program: str, number: int) -> Found:
    """One program in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, program, str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    say(f"  {program} {number}: {found['seconds']:.3f} s")
    return found


def measure() -> list[Entry]:
    """Every entry."""
    some, many = f"{N_FEATURES} features x {N_CUTS} cuts x {SOME_ACCOUNTS:,} accounts", "1,000,000 accounts"
    made, plain, wide = run("sweep", SOME_ACCOUNTS), run("grid", SOME_ACCOUNTS), run("family", SOME_ACCOUNTS)
    logged, large = run("log", N_FEATURES * N_CUTS), run("sweep", MILLION)
    peak, large_peak = wide["peak_bytes"] / GIGABYTE, large["peak_bytes"] / GIGABYTE
    children = f"parent, {N_CHILDREN} children, {N_CURVES} x {N_POINTS} points, {N_PICTURES} pictures"
    pandas = (
        f"its cuts, phi and all; pandas on {CROSSED_CUTS} cuts of {N_CUTS}, times {N_CUTS // CROSSED_CUTS}"
    )
    return [
        Entry(f"a sweep of {some}", made["seconds"], "s", target=MOST_SECONDS, runs=RUNS, note="1,000 shuffles, 1,000 resamples, folds, shape"),
        against(f"the plain grid of {some} against pd.crosstab", plain["seconds"], plain["crosstab"], 1 / LEAST_CROSSTAB, RUNS, pandas),
        Entry(f"a sweep of 300 features, half of them rates, {SOME_ACCOUNTS:,} accounts", wide["seconds"], "s", runs=2, note=f"at most {MOST_CUTS} cuts of each"),
        Entry("the same, peak", peak, "GB", runs=2),
        Entry(f"a sweep of {N_FEATURES} features x {N_CUTS} cuts x {many}", large["seconds"], "s", target=MOST_MILLION_SECONDS, note="1,000 shuffles, 1,000 resamples, folds, shape"),
        Entry("the same, peak", large_peak, "GB", target=MOST_GIGABYTES),
        Entry("a sweep of 1,200 cuts into MLflow", logged["seconds"], "s", target=MOST_LOG_SECONDS, runs=RUNS, note=children),
    ]  # fmt: skip


def main() -> None:
    """Run one program and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=sorted(PROGRAMS))
    parser.add_argument("number", type=int, help="accounts, or rows of the grid for the log")
    asked = parser.parse_args()
    found = PROGRAMS[asked.program](asked.number)
    print(json.dumps({**found, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
