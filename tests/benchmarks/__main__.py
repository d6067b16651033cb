"""`make bench`: the sweep, then the features, each side by side with something else, into build/bench.json."""

import argparse

from tests.benchmarks import features, sweeps
from tests.benchmarks.entries import MILLION, Entry, say, table, write


def main() -> None:
    """Measure, write build/bench.json, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=["features", "sweeps"], help="one of the two")
    parser.add_argument(
        "--full", action="store_true", help="at 1, 5, 20 and 100 million events, without limit of time"
    )
    parser.add_argument("--millions", type=int, nargs="+", help="these sizes instead, in million events")
    parser.add_argument(
        "--minutes", type=float, help="for about so long instead; of everything one or two runs at least"
    )
    asked = parser.parse_args()
    millions = asked.millions or (features.SIZES if asked.full else (20,))
    budget = float("inf") if asked.full else features.BUDGET_SECONDS
    budget = budget if asked.minutes is None else 60 * asked.minutes
    found: list[Entry] = []
    if asked.only != "features":
        found += sweeps.measure()
    if asked.only != "sweeps":
        found += features.measure([MILLION * size for size in millions], budget)
    write(found)
    say("\n" + table(found))


if __name__ == "__main__":
    main()
