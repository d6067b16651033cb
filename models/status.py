"""The status of every account at every quarter's close, under any version of a framework.

A worked example, of activation within 90 days and an account that signed up on 2024-03-01: at the close of 2024Q1 its
window is still running, and it is `open`, or `reached` where the threshold is met already; at every close from
2024-05-30 on it is what it was when the window ended. A state is met or not at each close anew, and what changed since
the close before is told: entered, kept, lost, regained or out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.access import Eligibility
from features.arrays import Flags, Floats
from features.eligibility import eligibility
from features.log import Log
from features.observations import Question, observe_in_blocks, quarterly
from features.progress import ProgressCallback
from features.windows import Grid
from models.framework import Framework
from models.milestones import Milestone
from models.standing import NOT_REACHED, REACHED, STATUSES, standing

Codes = NDArray[np.int8]

WORDS = (*STATUSES, "open")
OPEN = len(STATUSES)
CHANGES = ("entered", "kept", "lost", "regained", "out")
ENTERED, KEPT, LOST, REGAINED, OUT = range(len(CHANGES))
NO_CHANGE = -1  # of a milestone that is reached once


@dataclass(frozen=True)
class StatusBlock:
    """Some accounts at every close since their signup, in that order: n rows, and what they are of each milestone.

    account: (n,) codes. close: (n,) places in the closes of the log. alive: (n,). status, change: (n,) places in WORDS
    and CHANGES, by milestone; score: (n,), missing where there is none to be had.
    """

    account: NDArray[np.int64]
    close: NDArray[np.int64]
    alive: Flags
    status: dict[str, Codes]
    change: dict[str, Codes]
    score: dict[str, Floats]


def closes(framework: Framework, log: Log) -> tuple[pd.Timestamp, ...]:
    """The closes at which accounts have a status: the end of every quarter that is over."""
    days = quarterly(log, framework.data).as_of_days
    found = (pd.Timestamp(day, unit="D") for day in days)
    return tuple(time for time in found if time <= log.data_through)


def statuses(
    framework: Framework, log: Log, progress: ProgressCallback | None = None
) -> Iterator[StatusBlock]:
    """Every account at every close, by blocks of accounts; nothing where no quarter has closed."""
    dates = np.array(closes(framework, log), dtype="datetime64[us]")
    if not len(dates) or not framework.milestones:
        return
    rules = eligibility(log, framework.data)
    decided = _at_landmarks(framework, log, rules)
    specs = tuple(m.rule.spec(name) for name, m in framework.milestones.items())
    asked = Question(specs, quarterly(log, framework.data))
    for frame in observe_in_blocks(log, framework.data, asked, progress):
        yield _block(framework, frame, dates, log, rules, decided)


@dataclass(frozen=True)
class _Decided:
    """What a milestone's landmarks say: status and score by account code; meaningless before the landmark."""

    status: Codes
    score: Floats


def _at_landmarks(framework: Framework, log: Log, rules: Eligibility) -> dict[str, _Decided]:
    once = framework.of_kind("once")
    if not once:
        return {}
    n = len(log.accounts)
    found = {name: _Decided(np.full(n, NOT_REACHED, np.int8), np.full(n, np.nan)) for name in once}
    specs = tuple(m.rule.spec(name) for name, m in once.items())
    asked = Question(specs, Grid("tenure", tuple(sorted({m.rule.window_days for m in once.values()}))))
    for frame in observe_in_blocks(log, framework.data, asked):
        tenure = frame["as_of"] - frame["signed_up_at"]
        for name, milestone in once.items():
            rows = frame[tenure == pd.Timedelta(days=milestone.rule.window_days)]
            account = rows["account"].to_numpy()
            found[name].status[account] = standing(milestone, name, rows, log, rules)
            found[name].score[account] = rows[name].to_numpy(float)
    return found


def _block(
    framework: Framework,
    frame: pd.DataFrame,
    dates: NDArray[np.datetime64],
    log: Log,
    rules: Eligibility,
    decided: dict[str, _Decided],
) -> StatusBlock:
    account, alive = frame["account"].to_numpy(), frame["alive"].to_numpy(bool)
    status: dict[str, Codes] = {}
    change: dict[str, Codes] = {}
    score: dict[str, Floats] = {}
    for name, milestone in framework.milestones.items():
        status[name] = standing(milestone, name, frame, log, rules)
        score[name] = frame[name].to_numpy(float)
        if name in decided:
            running = _running(milestone, frame)
            now = np.where(status[name] == NOT_REACHED, OPEN, status[name])
            status[name] = np.where(running, now, decided[name].status[account]).astype(np.int8)
            score[name] = np.where(running, score[name], decided[name].score[account])
            change[name] = np.full(len(frame), NO_CHANGE, np.int8)
        else:
            change[name] = changes(account, (status[name] == REACHED) & alive)
    close = np.searchsorted(dates, frame["as_of"].to_numpy())
    return StatusBlock(account, close, alive, status, change, score)


def _running(milestone: Milestone, frame: pd.DataFrame) -> Flags:
    """Where the window of a milestone that is reached once has not ended by the close."""
    tenure = (frame["as_of"] - frame["signed_up_at"]).to_numpy()
    return np.asarray(tenure < np.timedelta64(milestone.rule.window_days, "D"))


def changes(account: NDArray[np.int64], met: Flags) -> Codes:
    """What changed at each close since the one before, as places in CHANGES, (n,).

    account, met: (n,), the closes of each account in turn. What is not met any more is lost, whatever the reason:
    used less, left, or not eligible now; so entries (entered, regained) less exits (lost) are the change of who meets.
    """
    if not len(met):
        return np.empty(0, np.int8)
    first = np.r_[True, account[1:] != account[:-1]]
    before = np.r_[False, met[:-1]] & ~first
    so_far: NDArray[np.int64] = np.cumsum(met) - met
    start = np.maximum.accumulate(np.where(first, np.arange(len(met)), 0))
    ever: Flags = so_far > so_far[start]
    found = np.where(
        met, np.where(before, KEPT, np.where(ever, REGAINED, ENTERED)), np.where(before, LOST, OUT)
    )
    return found.astype(np.int8)
