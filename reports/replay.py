"""A review replayed: as known at an instant that somebody names.

What was frozen at the instant is made again of what was frozen with it, whatever the tables say now. Of another instant
a review can be made only where rows say when they were recorded.
"""

from functools import cache, partial

import pandas as pd

from features.errors import UsageError
from features.instants import instant_of
from features.workspace import Workspace
from models.framework import Framework, load_framework
from reports.edition import Edition, again, clock, grounds_then, is_recorded, made_anew
from reports.frozen import Seal, seals, thaw
from reports.learned import Learned
from reports.review import Reviewer, shown

FIRST_YEAR, LAST_YEAR = 1970, 2200


def replayed(workspace: Workspace, quarter: str, asked: str, seed: int) -> Edition:
    """The edition of a quarter as known at `asked` (a date or time as text).

    Raises UsageError for an instant before the quarter closed or still to come, and for one that was neither frozen nor
    recorded.
    """
    framework = load_framework(workspace.framework)
    quarter, known_at = _occasion(workspace, framework, quarter, asked)
    kept = [seal for seal in seals(workspace, quarter) if seal.known_at == known_at]
    if kept:
        # Under the framework in force, where it was; else under the last one that was.
        seal = max(kept, key=lambda one: (one.framework_hash == framework.hash, one.framework_version))
        return again(thaw(seal))
    if not is_recorded(framework.data):
        raise UsageError(_not_there(workspace, framework, quarter, known_at))
    if known_at > clock():
        raise UsageError(
            f"nobody knows yet what will be known at {shown(known_at)}: choose a day that has come"
        )
    grounds = grounds_then(workspace, framework, quarter, known_at)
    reviewer = Reviewer(framework, grounds, seed, (quarter, known_at))
    return made_anew(
        workspace, reviewer, quarter, cache(partial(Learned.of, workspace, framework)), recorded=True
    )


def _occasion(
    workspace: Workspace, framework: Framework, quarter: str, asked: str
) -> tuple[str, pd.Timestamp]:
    """Which quarter, and the instant. Raises UsageError where the one had not closed at the other."""
    quarters = framework.data.calendar.quarters
    known_at = instant_of(asked, framework.data.calendar.timezone)
    if quarter == "all":
        raise UsageError("--known-at is for one quarter: `review all` makes each as known at its own close")
    for year in (str(known_at.year), quarter[:4]):
        if year.isdigit() and not FIRST_YEAR <= int(year) <= LAST_YEAR:
            raise UsageError(
                f"{quarter} as known at {asked}: years go from {FIRST_YEAR} to {LAST_YEAR}, correct the date"
            )
    if quarter == "latest":
        quarter = quarters.shift(quarters.containing(known_at), -1)
    # Reviews name the day of an instant, which begins in UTC.
    instants = (framework.review_due(quarter), *(seal.known_at for seal in seals(workspace, quarter)))
    known_at = next((one for one in instants if shown(one) == asked.strip()), known_at)
    if known_at < quarters.end(quarter):
        raise UsageError(
            f"{quarter} had not closed at {shown(known_at)}: it is over on {quarters.end(quarter).date()}, and its review"
            f" is due on {shown(framework.review_due(quarter))}; give a date from the one on"
        )
    return quarter, known_at


def _not_there(workspace: Workspace, framework: Framework, quarter: str, known_at: pd.Timestamp) -> str:
    """Why a review cannot be made as known at an instant, which there are, and what to do."""
    why = (
        f"{quarter} as known at {shown(known_at)} cannot be made: no review of it was frozen then, and no table says when"
        " its rows were recorded (data.mapping, recorded_at)"
    )
    kept = seals(workspace, quarter)
    if kept:
        return f"{why}. Frozen as known at: {', '.join(dict.fromkeys(_words(s, framework) for s in kept))}: choose one"
    due = shown(framework.review_due(quarter))
    return f"{why}. None is frozen yet: `milestones review {quarter} -w {workspace.root}` freezes it as known at {due}"


def _words(seal: Seal, framework: Framework) -> str:
    under = (
        ""
        if seal.framework_hash == framework.hash
        else f" (version {seal.framework_version} of the framework)"
    )
    return f"{shown(seal.known_at)}{under}"
