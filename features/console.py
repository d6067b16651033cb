"""How commands talk to people: sentences on standard output, progress on standard error, JSON when asked."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from features.progress import ProgressCallback

WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", "-w", help="The folder with framework.yaml.", file_okay=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")]


QUIET_SECONDS = 10.0
WIDEST = 1000  # characters of a table: a line too long for the page is broken there, and not cut short here


class Console:
    """One command's voice."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = RichConsole(highlight=False, markup=False, soft_wrap=True)
        self._err = RichConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def say(self, text: str = "") -> None:
        """A line for people; silent when JSON was asked for."""
        if not self.as_json:
            self._out.print(text)

    def warn(self, text: str) -> None:
        """A line that must be seen either way."""
        self._err.print(text)

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Rows under their column names, for people; silent when JSON was asked for. Never narrower than its text."""
        if self.as_json:
            return
        made = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            made.add_column(column.replace("_", " "), no_wrap=True)
        for row in rows:
            made.add_row(*(Text(str(row[column])) for column in columns))
        wide = RichConsole(highlight=False, markup=False, width=max(self._out.width, WIDEST))
        wide.print(made)

    def result(self, content: dict[str, Any]) -> None:
        """What the command made, as JSON when that was asked for."""
        if self.as_json:
            typer.echo(json.dumps(content, indent=1, ensure_ascii=False, default=str))

    @contextmanager
    def progress(self, title: str) -> Iterator[ProgressCallback]:
        """A bar on standard error that the work moves by calling it with what it does and the share done.

        Where nobody sees a bar move (a pipe, a log of CI), a line of it every ten seconds.
        """
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._err, disable=not self._err.is_terminal) as bar:
            task = bar.add_task(title, total=1.0)

            said_at = time.monotonic()

            def advance(what: str, share: float) -> None:
                nonlocal said_at
                bar.update(task, description=f"{title}: {what}", completed=min(max(share, 0.0), 1.0))
                if not self._err.is_terminal and time.monotonic() - said_at > QUIET_SECONDS:
                    self._err.print(f"{title}: {what} ({share:.0%})")
                    said_at = time.monotonic()

            yield advance
            bar.update(task, description=title, completed=1.0)
