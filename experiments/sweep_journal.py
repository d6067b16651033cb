"""The journal of a sweep over several milestones: what is done, so that a run that was cut off goes on where it was.

It stands beside the results while a sweep is at work and is gone when it ended. A result is computed, then written, then
recorded: whatever was written is never computed again, and the run that was open is marked as killed.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.document import hash_of
from features.workspace import discard, write_text

State = Literal["open", "written", "recorded"]
RESULTS = ("sweep.json", "grid.parquet", "explored.parquet")


class _Left(BaseModel):
    """What a journal says on disk."""

    model_config = ConfigDict(strict=True)

    process: int = Field(gt=0, lt=2**31)
    states: dict[str, State]
    runs: dict[str, Annotated[str, Field(pattern=re.compile(r"^\w[\w-]*$"))]]
    results: dict[str, str]

    def done(self, folder: Path) -> dict[str, State]:
        """How far each milestone is, of those whose results are still what was written: nobody else wrote there since."""
        return {
            name: state
            for name, state in self.states.items()
            if state != "open"
            and (state != "recorded" or name in self.runs)
            and self.results.get(name) == _digest(folder / name)
        }


@dataclass
class Journal:
    """What a sweep has done. key: of everything that its results depend on; runs: the run opened for each milestone."""

    path: Path
    key: str
    states: dict[str, State] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)  # a digest of what was written
    cut_off: tuple[str, ...] = ()  # runs that an earlier process left open

    @classmethod
    def open(cls, folder: Path, depends_on: Any) -> "Journal":
        """The journal that a sweep of the same content left behind, or a fresh one.

        Those of other content whose process is gone are removed; the runs they left open are told in `cut_off` too.
        """
        key = hash_of(depends_on)
        mine = cls(folder / f"journal-{key}.json", key)
        cut_off: list[str] = []
        for path in sorted(folder.glob("journal-*.json")):
            left = _read(path)
            if left is not None and _alive(left.process):
                continue
            if left is not None:
                cut_off += [run for name, run in left.runs.items() if left.states.get(name) != "recorded"]
            if path == mine.path and left is not None:
                mine.states = left.done(folder)
                mine.runs = {
                    name: run for name, run in left.runs.items() if mine.states.get(name) == "recorded"
                }
                mine.results = {name: left.results[name] for name in mine.states}
            else:
                discard(path)
        mine.cut_off = tuple(cut_off)
        return mine

    def note(self, milestone: str, state: State, run_id: str | None = None) -> None:
        """Write down how far a milestone is."""
        self.states[milestone] = state
        if run_id is not None:
            self.runs[milestone] = run_id
        if state == "written" or (state == "recorded" and milestone not in self.results):
            self.results[milestone] = _digest(self.path.parent / milestone)
        content = {
            "process": os.getpid(), "states": self.states, "runs": self.runs, "results": self.results,
        }  # fmt: skip
        write_text(self.path, json.dumps(content, indent=1) + "\n")

    def state(self, milestone: str) -> State | None:
        """How far a milestone was, None where it was not begun."""
        return self.states.get(milestone)

    def close(self) -> None:
        """The sweep has ended: nothing is to be taken up again."""
        discard(self.path)


def _read(path: Path) -> _Left | None:
    """What was left behind; a journal that cannot be read is none: everything is computed again."""
    try:
        return _Left.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _digest(folder: Path) -> str:
    """Of the results of one milestone as they are on disk, by which they are known again."""
    digest = hashlib.sha256()
    for name in RESULTS:
        with suppress(OSError):
            digest.update(f"{name}:{hashlib.sha256((folder / name).read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()


def _alive(process: int) -> bool:
    """Whether another process is still at it."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
