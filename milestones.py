"""The `milestones` command: mounts each room's commands, and turns what goes wrong into words and an exit code."""

import os
import sys

import typer

from experiments import commands as experiments_commands
from features import commands as features_commands
from features.errors import MilestonesError
from models import commands as models_commands
from reports import commands as reports_commands

app = typer.Typer(
    name="milestones",
    help="Customer milestones: defined by data, swept honestly, reviewed every quarter.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for room in (models_commands, features_commands, experiments_commands, reports_commands):
    room.mount(app)


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 data or framework unusable, 2 wrong usage, 3 a store is away."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app()
    except MilestonesError as error:
        sys.stderr.write(f"milestones: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("milestones: stopped; nothing half-written was left under a final name\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("MILESTONES_DEBUG"):
            raise
        words = str(error).strip().splitlines() or [type(error).__name__]
        sys.stderr.write(
            f"milestones: something this program did not foresee: {type(error).__name__}: {words[0]}\n"
            "Please report it with the output of the same command under MILESTONES_DEBUG=1.\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
