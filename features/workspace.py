"""The workspace: where commands find each other's results, and how a file gets its final name."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError, StoreError


@dataclass(frozen=True)
class Workspace:
    """A folder with a framework.yaml and everything that was made from it."""

    root: Path

    @property
    def framework(self) -> Path:
        """The framework file."""
        return self.root / "framework.yaml"

    @property
    def output(self) -> Path:
        """Everything in here can be made again."""
        return self.root / "output"

    @property
    def features(self) -> Path:
        """matrix.parquet and manifest.json."""
        return self.output / "features"

    @property
    def models(self) -> Path:
        """model.json, metrics.json, predictions and figures."""
        return self.output / "models"

    @property
    def quarantine(self) -> Path:
        """Rows set aside, a file per table."""
        return self.output / "quarantine"

    def sweep(self, milestone: str) -> Path:
        """sweep.json, grid.parquet and figures of one milestone."""
        return self.output / "sweeps" / milestone

    def review(self, quarter: str) -> Path:
        """review.html, review.json and observations.parquet of one quarter."""
        return self.output / "reviews" / quarter

    def require(self, path: Path, command: str) -> Path:
        """The path, if an earlier command made it. Raises DataError naming that command."""
        if not path.exists():
            raise DataError(f"{path} is not there yet: run `milestones {command} -w {self.root}` first")
        return path


@contextmanager
def set_aside(final: Path) -> Iterator[Path]:
    """Give a path to write to; only when the block succeeds does the file get its final name.

    A killed run leaves at most a hidden file beside it. Raises StoreError when the folder cannot be written.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=final.suffix, dir=final.parent)
        os.close(handle)
    except OSError as error:
        raise StoreError(
            f"cannot write {final}: {error.strerror}; make the folder writable or choose another"
        ) from error
    path = Path(name)
    try:
        yield path
        path.chmod(0o644)
        path.replace(final)
    except OSError as error:
        raise StoreError(
            f"cannot write {final}: {error.strerror}; free some space or choose another folder"
        ) from error
    finally:
        path.unlink(missing_ok=True)


def write_text(final: Path, text: str) -> None:
    """Write a text file under its final name in one step."""
    with set_aside(final) as path:
        path.write_text(text, encoding="utf-8")


def empty(folder: Path) -> None:
    """Remove a folder that commands made, whatever is in it."""
    if folder.exists():
        shutil.rmtree(folder)
