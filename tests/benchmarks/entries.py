"""The lines of build/bench.json: what was measured, beside what, and how much of it may be."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

BUILD = Path("build")
MILLION = 1_000_000
GIGABYTE = 1e9


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
    runs: int = 1
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None without one."""
        measured = self.value if self.ratio is None else self.ratio
        return None if self.target is None else measured <= self.target


def against(name: str, value: float, baseline: float, target: float, runs: int, note: str) -> Entry:
    """Seconds beside the seconds of something else."""
    return Entry(name, value, "s", baseline, value / baseline, target, runs, note)


def table(found: Iterable[Entry]) -> str:
    """The entries for people."""
    lines = [f"{'what':<62} {'value':>10} {'baseline':>9} {'ratio':>6} {'target':>7}  runs"]
    for entry in found:
        baseline = "" if entry.baseline is None else f"{entry.baseline:.2f}"
        ratio = "" if entry.ratio is None else f"{entry.ratio:.3g}"
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


def write(found: Iterable[Entry]) -> Path:
    """build/bench.json, an entry a line."""
    BUILD.mkdir(exist_ok=True)
    lines = [json.dumps(asdict(entry), ensure_ascii=False) for entry in found]
    (BUILD / "bench.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return BUILD / "bench.json"
