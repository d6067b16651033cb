"""The workspace: where commands find each other's results, and how a file gets its final name."""

import fcntl
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from features.errors import DataError, StoreError

if TYPE_CHECKING:
    import pandas as pd


FRAMEWORK = "framework.yaml"
_LOOK_AGAIN_SECONDS = 0.05


@dataclass(frozen=True)
class Workspace:
    """A folder with a framework.yaml and everything that was made from it."""

    root: Path

    @property
    def framework(self) -> Path:
        """The framework file."""
        return self.root / FRAMEWORK

    @property
    def versions(self) -> Path:
        """Earlier frameworks, verbatim."""
        return self.root / "versions"

    def version(self, number: int) -> Path:
        """Where an earlier framework is kept."""
        return self.versions / f"{number}.yaml"

    @property
    def decisions(self) -> Path:
        """What people decided."""
        return self.root / "decisions.yaml"

    @property
    def adopting(self) -> Path:
        """The lock of whoever adopts."""
        return self.output / "adopt.lock"

    @property
    def output(self) -> Path:
        """Everything in here can be made again, but for what reviews froze."""
        return self.root / "output"

    @property
    def features(self) -> Path:
        """matrix.parquet and manifest.json."""
        return self.output / "features"

    @property
    def kept(self) -> Path:
        """What was counted before, for the next build; to remove it costs time, nothing else."""
        return self.features / "kept"

    @property
    def models(self) -> Path:
        """model.json, metrics.json, predictions and figures."""
        return self.output / "models"

    @property
    def quarantine(self) -> Path:
        """Rows set aside, a file per table."""
        return self.output / "quarantine"

    @property
    def status(self) -> Path:
        """Where every account stands at every close."""
        return self.output / "status.parquet"

    @property
    def card(self) -> Path:
        """The framework on a page, for everybody."""
        return self.output / "card.html"

    @property
    def leaks(self) -> Path:
        """What the leak audit found."""
        return self.output / "leaks.json"

    @property
    def chain(self) -> Path:
        """What the chain says, worked backwards; chain.png is beside it."""
        return self.output / "chain.json"

    def sweep(self, milestone: str) -> Path:
        """sweep.json, grid.parquet and figures of one milestone."""
        return self.output / "sweeps" / milestone

    def tuning(self, milestone: str) -> Path:
        """tuning.json, trials.parquet, the figure and the journal of the search for one milestone's definition."""
        return self.output / "tuning" / milestone

    def review(self, quarter: str) -> Path:
        """review.html, review.json and observations.parquet of one quarter."""
        return self.output / "reviews" / quarter

    def replay(self, quarter: str, known_at: str) -> Path:
        """The same of a review as known at another instant."""
        return self.review(quarter) / "known-at" / known_at

    def frozen(self, quarter: str) -> Path:
        """What reviews of a quarter rested on when they were first published, a file for each; written once."""
        return self.review(quarter) / "frozen"

    def require(self, path: Path, command: str) -> Path:
        """The path, if an earlier command made it. Raises DataError naming that command."""
        if not path.is_file():
            raise DataError(f"{path} is not there yet: {self._advice(command)} first")
        return path

    def read_json(self, path: Path, command: str) -> dict[str, Any]:
        """What an earlier command wrote. Raises DataError naming it where the file is missing or damaged."""
        text = self.require(path, command)
        try:
            found = json.loads(text.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self.damaged(path, command) from error
        if not isinstance(found, dict):
            raise self.damaged(path, command)
        return found

    def read_table(self, path: Path, command: str) -> "pd.DataFrame":
        """A Parquet file that an earlier command wrote. Raises DataError as `read_json` does."""
        import pandas as pd
        import pyarrow as pa

        try:
            return pd.read_parquet(self.require(path, command))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self.damaged(path, command) from error

    def damaged(self, path: Path, command: str) -> DataError:
        """The error for a result that cannot be used, naming the command that makes it anew."""
        return DataError(f"{path} is damaged, or was not made by this program: {self._advice(command)} again")

    def _advice(self, command: str) -> str:
        return f"run `milestones {command} -w {self.root}`"


@contextmanager
def held(lock: Path, seconds: float = 0) -> Iterator[bool]:
    """Whether this run alone holds a lock within the block, which it waits for so long at most.

    A run that is killed lets go of it. Raises StoreError when the folder cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
    except OSError as error:
        raise StoreError(
            f"cannot write {lock.parent}: {reason_of(error)}; make the folder writable or choose another"
        ) from error
    with handle:
        until = time.monotonic() + seconds
        alone = _taken(handle)
        while not alone and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_SECONDS)
            alone = _taken(handle)
        yield alone


def _taken(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def set_aside(final: Path) -> Iterator[Path]:
    """Give a path to write to; only when the block succeeds does the file get its final name.

    A killed run leaves at most a hidden file beside it. Raises StoreError when the folder cannot be written.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(final)
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=final.suffix, dir=final.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {final}: {reason_of(error)}; make the folder writable or choose another"
        ) from error
    path = Path(name)
    try:
        # Held while it is written: the lock tells a file in work from what a killed run left.
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield path
        path.chmod(0o644)
        path.replace(final)
    except OSError as error:
        raise StoreError(
            f"cannot write {final}: {reason_of(error)}; free some space or choose another folder"
        ) from error
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _remove_leftovers(final: Path) -> None:
    """Remove what killed runs left beside a file; what another run is writing is locked and stays."""
    for left in final.parent.glob(f".{glob.escape(final.stem)}-*{glob.escape(final.suffix)}"):
        with suppress(OSError), left.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def reason_of(error: OSError) -> str:
    """The system's words for what it refused."""
    return error.strerror or str(error) or type(error).__name__


def write_text(final: Path, text: str) -> None:
    """Write a text file under its final name in one step."""
    with set_aside(final) as path:
        path.write_text(text, encoding="utf-8")


def discard(final: Path) -> None:
    """Remove a file that an earlier run made, if it is there. Raises StoreError when the folder refuses."""
    try:
        final.unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise StoreError(
            f"cannot remove {final}: {reason_of(error)}; make the folder writable or choose another"
        ) from error


def empty(folder: Path) -> None:
    """Remove a folder that commands made, whatever is in it."""
    if folder.exists():
        shutil.rmtree(folder)
