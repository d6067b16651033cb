"""One edition of a review: its numbers, and what was restated since the quarter was first reviewed.

An edition is compared with the one that was frozen first as known at the same instant; the first at its instant is
compared with the first of the quarter as known at an earlier one. What was frozen is never written again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from features.declaration import Data
from features.errors import UsageError
from features.intake import open_log
from features.log import Log
from features.tables import RECORDED
from features.version import code_version
from features.workspace import Workspace
from models.framework import Framework
from reports.frozen import Frozen, freeze, seals, thaw
from reports.grounds import Grounds
from reports.learned import Learned
from reports.restatement import Restatement, restated
from reports.review import Reviewer, shown


@dataclass(frozen=True)
class Edition:
    """A review that is made, and not yet written. notes: for whoever asked for it."""

    quarter: str
    reviewer: Reviewer
    review: dict[str, Any]
    restatement: Restatement
    notes: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """review.json."""
        return json.dumps(self.review, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def known_at(self) -> pd.Timestamp:
        """The instant it knows of."""
        return self.reviewer.proven.known_at(self.quarter)


def is_recorded(data: Data) -> bool:
    """Whether any table says when its rows were recorded."""
    return any(RECORDED in data.mapping[table] for table in data.sources.declared())


def closed(framework: Framework, log: Log) -> list[str]:
    """Every quarter of a log that has closed."""
    return framework.data.calendar.quarters.closed(log.data_from, log.data_through)


def grounds_then(workspace: Workspace, framework: Framework, quarter: str, known_at: pd.Timestamp) -> Grounds:
    """What had been recorded by an instant. Raises UsageError where a quarter had not closed in it, DataError as `open_log`."""
    log = open_log(framework.data, workspace.root, known_at=min(known_at, clock()))
    if quarter not in closed(framework, log):
        raise UsageError(
            f"{quarter} as known at {shown(known_at)} cannot be made: what had been recorded by then ends on"
            f" {log.data_through.date()}, before the quarter closed; give a later --known-at, or raise"
            " review.settling_lag_days in framework.yaml, if rows take longer to come in"
        )
    return Grounds.of(framework, log)


def clock() -> pd.Timestamp:
    """Now, naive UTC: what is due later is not frozen yet."""
    return pd.Timestamp.now("UTC").tz_localize(None)


def made_anew(
    workspace: Workspace, reviewer: Reviewer, quarter: str, learned: Callable[[], Learned], *, recorded: bool
) -> Edition:
    """The edition that rows give now; frozen, where it is the first at its instant and that has come.

    Where rows say when they were recorded the edition is one of then, and so is what it says of the model.
    """
    known_at = reviewer.proven.known_at(quarter)
    own, found = _held_against(workspace, reviewer, quarter, known_at)
    notes = []
    if own is not None and recorded:
        part = own.part
        notes.append(f"{quarter}: the model and the ranking are those it was first published with")
    else:
        features = reviewer.framework.data.features
        part = learned().part(known_at, reviewer.seed, features, recorded=recorded)
    review = {**reviewer.review(quarter, part), "restated": found.as_dict()}
    due = known_at <= clock()
    if not due:
        notes.append(f"{quarter} is due on {shown(known_at)}: until then it may change, and is not frozen")
    made = Edition(quarter, reviewer, review, found, tuple(notes))
    if own is None and due:
        freeze(workspace, reviewer, quarter, made.text, found.rows)
    return made


def again(frozen: Frozen) -> Edition:
    """The edition that was frozen, made once more of what was frozen with it."""
    seal = frozen.seal
    review = {**frozen.reviewer.review(seal.quarter, frozen.part), "restated": frozen.restatement.as_dict()}
    made = Edition(seal.quarter, frozen.reviewer, review, frozen.restatement)
    if made.text == frozen.text:
        return made
    other = (
        f"{seal.quarter}: this program ({code_version()}) makes other numbers of the same rows than the one that froze"
        f" them ({seal.code_version}); what was published then is review.json in {seal.path}"
    )
    return replace(made, notes=(other,))


def _held_against(
    workspace: Workspace, reviewer: Reviewer, quarter: str, known_at: pd.Timestamp
) -> tuple[Frozen | None, Restatement]:
    """The edition that was frozen at the same instant, if any, and what was restated since it, or since an earlier one."""
    mine = [s for s in seals(workspace, quarter) if s.framework_hash == reviewer.framework.hash]
    own = next((thaw(seal) for seal in mine if seal.known_at == known_at), None)
    earlier = [seal for seal in mine if seal.known_at < known_at]
    reference = thaw(earlier[0]) if own is None and earlier else own
    if reference is None:
        return None, Restatement.nothing()
    found = restated(reference.reviewer, reference.review, reviewer, quarter)
    # What was frozen at this instant says the same of earlier ones as it did when it was first published.
    return own, own.restatement if own is not None and not found.accounts else found
