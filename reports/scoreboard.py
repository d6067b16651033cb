"""The scoreboard: every recovery bar on so many simulated companies, and which verdict which truth was given.

A bar passes or fails only where the whole 95 % interval of what was measured says so; with few seeds most are
undecided, and that is the truth of it.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from features.errors import UsageError
from features.progress import ProgressCallback
from features.version import code_version
from features.workspace import write_text
from models.finding import Verdict
from reports.bars.bar import Bar, Experiment, Outcome, Score, score
from reports.bars.catalogue import BARS, TABLE
from reports.bars.thresholds import verdicts

SCHEMA_VERSION = 1
COLUMNS = ("bar", "what", "target", "measured", "interval", "seeds", "outcome")
TABLE_BAR = 11  # the bar that the table of truths and verdicts belongs to


@dataclass(frozen=True)
class Scoreboard:
    """What was seen. table: (truth, n) -> how often each verdict was given; seconds: wall time."""

    seeds: range
    scores: tuple[Score, ...]
    table: Mapping[tuple[str, int], Mapping[str, int]]
    seconds: float

    @property
    def failed(self) -> tuple[Score, ...]:
        """The bars whose whole interval is on the wrong side."""
        return tuple(one for one in self.scores if one.outcome == "fail")

    @property
    def summary(self) -> str:
        """How many of each outcome, in a sentence."""
        found = [one.outcome for one in self.scores]
        return (
            ", ".join(f"{found.count(word)} {word}" for word in get_args(Outcome))
            + f" on {_seeds(len(self.seeds))}"
        )


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n:,} seeds"


def chosen_bars(numbers: str | None) -> tuple[Bar, ...]:
    """The bars with these numbers ("1,3,8"), all without. Raises UsageError for what is no bar."""
    known = dict.fromkeys(bar.number for bar in BARS)
    if numbers is None:
        return BARS
    asked = [part.strip() for part in numbers.split(",")]
    strange = [part for part in asked if not part.isdecimal() or int(part) not in known]
    if strange:
        raise UsageError(
            f"--bars {numbers}: {strange[0]!r} is no bar: name some of {min(known)} to {max(known)}, as in 1,3,8"
        )
    return tuple(bar for bar in BARS if str(bar.number) in {str(int(part)) for part in asked})


def run_scoreboard(
    bars: Sequence[Bar], seeds: range, progress: ProgressCallback, n_jobs: int = -1
) -> Scoreboard:
    """Run every experiment of the bars on every seed, in as many processes as there are cores, and score them."""
    started = time.monotonic()
    table = TABLE if any(bar.number == TABLE_BAR for bar in bars) else {}
    experiments = list(dict.fromkeys([*(bar.experiment for bar in bars), *table.values()]))
    found: dict[Experiment, list[Any]] = {one: [None] * len(seeds) for one in experiments}
    tasks = [(i, seed) for seed in seeds for i in range(len(experiments))]
    for done, (i, seed, seen) in enumerate(_run(experiments, tasks, n_jobs), 1):
        found[experiments[i]][seeds.index(seed)] = seen
        progress(f"seed {seed}", done / len(tasks))
    scores = tuple(score(bar, found[bar.experiment]) for bar in bars)
    counted = {cell: verdicts(found[experiment]) for cell, experiment in table.items()}
    return Scoreboard(seeds, scores, counted, time.monotonic() - started)


def _run(
    experiments: Sequence[Experiment], tasks: Sequence[tuple[int, int]], n_jobs: int
) -> Iterator[tuple[int, int, Any]]:
    from sklearn.utils.parallel import Parallel, delayed

    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    made: Iterator[tuple[int, int, Any]] = parallel(
        delayed(_numbered)(i, experiments[i], seed) for i, seed in tasks
    )
    return made


def _numbered(i: int, experiment: Experiment, seed: int) -> tuple[int, int, Any]:
    return i, seed, experiment(seed)


# What it says.


def rows(board: Scoreboard) -> list[dict[str, str]]:
    """A row of text per bar, by COLUMNS."""
    return [_row(one) for one in board.scores]


def _row(one: Score) -> dict[str, str]:
    rate = one.rate
    return {
        "bar": f"{one.bar.number} {one.bar.name}",
        "what": one.bar.words,
        "target": one.bar.target.words,
        "measured": "-" if rate is None else f"{100 * rate.value:.1f} %",
        "interval": "-" if rate is None else f"{100 * rate.lower:.1f} to {100 * rate.upper:.1f} %",
        "seeds": str(one.n_seeds),
        "outcome": one.outcome,
    }


def table_rows(board: Scoreboard) -> list[dict[str, str]]:
    """A row of text per truth and number of accounts: the share of seeds with each verdict."""
    return [
        {"truth": truth, "n": f"{n:,}"}
        | {word: _share(counted.get(word, 0), len(board.seeds)) for word in get_args(Verdict)}
        for (truth, n), counted in board.table.items()
    ]


def _share(count: int, n: int) -> str:
    return f"{100 * count / n:.0f} %" if count else "-"


def as_dict(board: Scoreboard) -> dict[str, Any]:
    """The scoreboard as JSON writes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "code_version": code_version(),
        "first_seed": board.seeds.start,
        "n_seeds": len(board.seeds),
        "seconds": round(board.seconds, 1),
        "bars": [_record(one) for one in board.scores],
        "verdicts": [
            {"truth": truth, "n": n, **{word: counted.get(word, 0) for word in get_args(Verdict)}}
            for (truth, n), counted in board.table.items()
        ],
    }


def _record(one: Score) -> dict[str, Any]:
    bar, rate = one.bar, one.rate
    return {
        "number": bar.number,
        "name": bar.name,
        "words": bar.words,
        "target": {bar.target.side.replace(" ", "_"): bar.target.share},
        "rate": None if rate is None else rate.brief(),
        "n_seeds": one.n_seeds,
        "n_trials": 0 if rate is None else rate.n_observations,
        "outcome": one.outcome,
    }


def advice(board: Scoreboard) -> str:
    """What to do about bars that failed: an interval may lie off by chance."""
    numbers = ",".join(str(n) for n in dict.fromkeys(one.bar.number for one in board.failed))
    return (
        "One interval of 95 % in twenty misses the truth by chance: measure what failed again, on more and other seeds"
        f" (milestones scoreboard --bars {numbers} --seeds 200 --start {board.seeds[-1] + 1})."
    )


def as_markdown(board: Scoreboard) -> str:
    """The scoreboard as a page of two tables."""
    first, last = board.seeds[0], board.seeds[-1]
    head = f"Seeds {first} to {last}, {board.seconds / 60:.1f} minutes. {board.summary}."
    parts = [head, _markdown(rows(board), COLUMNS)]
    if board.table:
        parts.append(_markdown(table_rows(board), ("truth", "n", *get_args(Verdict))))
    return "\n\n".join(parts) + "\n"


def _markdown(lines: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    head = [columns, ["---"] * len(columns)]
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in [*head, *([line[c] for c in columns] for line in lines)]
    )


def write_scoreboard(board: Scoreboard, path: Path) -> None:
    """Write a page (.md) or JSON (.json)."""
    if path.suffix == ".md":
        write_text(path, as_markdown(board))
    else:
        write_text(path, json.dumps(as_dict(board), indent=1, ensure_ascii=False) + "\n")


def require_writable(path: Path) -> None:
    """Raises UsageError for a file of another kind, before an hour is spent."""
    if path.suffix not in (".md", ".json"):
        raise UsageError(f"--out {path}: end it with .md for a page or .json for the figures")
