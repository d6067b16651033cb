"""An instant as people give it to a command: a day, or a time, in the declared zone unless it names one."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from features.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

DAY_IN_A_ZONE = re.compile(r"^(\d{4}-\d\d-\d\d)(Z|[+-]\d\d(?::?\d\d)?)$")

KnownAtOption = Annotated[
    str | None,
    typer.Option(
        help="As it was knowable when this day began, or at this time (2024-04-01, 2024-04-01T18:00, 2024-04-01Z), not as"
        " the tables say today."
    ),
]


def instant_of(text: str, zone: str) -> "pd.Timestamp":
    """A date or time of an option as naive UTC, in the declared zone where it names none. Raises UsageError."""
    import pandas as pd

    try:
        # Python reads a zone after a time of day only.
        moment = datetime.fromisoformat(DAY_IN_A_ZONE.sub(r"\1T00:00\2", text.strip()))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
        return pd.Timestamp(moment.astimezone(UTC).replace(tzinfo=None))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--known-at {text}: is no date or time: write it as 2024-03-31 or 2024-03-31T18:00, and a zone after it, such"
            f" as Z or +02:00, where it is not of {zone}"
        ) from error
