"""The `milestones` command: mounts each room's commands, and turns what goes wrong into words and an exit code."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from experiments import commands as experiments_commands
from features import commands as features_commands
from features.errors import MilestonesError
from models import commands as models_commands
from reports import commands as reports_commands

INTERRUPTED = 130  # what Typer makes of Ctrl-C: 128 + SIGINT
STOPPED = "stopped; nothing half-written was left under a final name"

app = typer.Typer(
    name="milestones",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from features.version import code_version

        typer.echo(f"milestones {code_version()}")
        raise typer.Exit


@app.callback()
def of_all_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print which code this is.")
    ] = False,
) -> None:
    """Customer milestones: defined by data, swept honestly, reviewed every quarter."""


for room in (models_commands, features_commands, experiments_commands, reports_commands):
    room.mount(app)


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 data or framework unusable, 2 wrong usage, 3 a store is away."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app()
    except MilestonesError as error:
        _stop(str(error), error.exit_code)
    except SystemExit as stopped:
        if stopped.code == INTERRUPTED:
            _stop(STOPPED, INTERRUPTED)
        raise
    except Exception as error:
        if os.environ.get("MILESTONES_DEBUG"):
            raise
        _stop(*_words(error))


def _words(error: Exception) -> tuple[str, int]:
    """What to say of an error that no room has put into words, and its exit code."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    room = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}; make it accessible, or choose another", 3
    if isinstance(error, OSError) and error.errno is not None:
        return f"the system refuses: {error.strerror}; free some space or memory, and run it again", 3
    if isinstance(error, MemoryError):
        return "there is not enough memory: fewer windows under data.features need less", 1
    if isinstance(error, RuntimeError) and lines[0] == "Query interrupted":  # Ctrl-C, as DuckDB tells it
        return STOPPED, INTERRUPTED
    if room in ("duckdb", "_duckdb", "pyarrow"):
        return f"the tables cannot be read: {lines[0]}", 1
    report = "Please report it with the output of the same command under MILESTONES_DEBUG=1."
    return f"something this program did not foresee: {type(error).__name__}: {lines[0]}\n{report}", 1


def _stop(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"milestones: {message}\n")
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
