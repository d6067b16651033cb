"""Bars that need files: leaks that are planted in tables are found, and what was known then can be built again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from features.intake import open_log
from features.matrix import build_frame
from features.workspace import Workspace, set_aside
from models.demonstration import make_company
from models.framework import Framework, load_framework
from models.leak_audit import CHECKS, audit

AUDITED, REPLAYED = 1000, 250  # accounts
N_LATE = 500
PLANTED = frozenset({"cutoff inside a period", "backfilled rows", "set after churn"})


@contextmanager
def company(scenario: str, accounts: int, seed: int) -> Iterator[tuple[Framework, Workspace]]:
    """A company in files, in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="milestones-") as folder:
        place = Workspace(Path(folder))
        make_company(place.root, scenario, accounts, None, seed, _silent)
        yield load_framework(place.framework), place


def alarms(scenario: str, seed: int) -> tuple[str, ...]:
    """The kinds of alarm that `check --leaks` raises."""
    with company(scenario, AUDITED, seed) as (framework, place):
        log = open_log(framework.data, place.root)
        checked = audit(framework, log, place.root, seed, _silent, CHECKS)
    return tuple(finding.kind for one in checked for finding in one.alarms)


@dataclass(frozen=True)
class Replay:
    """Whether the matrix as known then is the same, byte for byte, before and after a backfill, and today's is."""

    then: bool
    now: bool


def replayed(seed: int) -> Replay:
    """Build the matrix as known in the middle of the log and as known today, backfill some rows, and build both again."""
    with company("leaky-clean", REPLAYED, seed) as (framework, place):
        path = place.root / str(framework.data.sources.events)
        events = pd.read_parquet(path)
        instant = _middle(events)
        before = [_matrix(framework, place, at) for at in (instant, None)]
        with set_aside(path) as aside:
            _backfilled(events, instant, seed).to_parquet(aside, index=False)
        after = [_matrix(framework, place, at) for at in (instant, None)]
    then, now = (one == other for one, other in zip(before, after, strict=True))
    return Replay(then, now)


def _matrix(framework: Framework, place: Workspace, known_at: pd.Timestamp | None) -> bytes:
    log = open_log(framework.data, place.root, known_at=known_at)
    written = BytesIO()
    build_frame(log, framework.data, place.root).frame.to_parquet(written, index=False)
    return written.getvalue()


def _middle(events: pd.DataFrame) -> pd.Timestamp:
    first, last = events["occurred_at"].min(), events["occurred_at"].max()
    return pd.Timestamp(first + (last - first) / 2).floor("D")


def _backfilled(events: pd.DataFrame, instant: pd.Timestamp, seed: int) -> pd.DataFrame:
    """The same events once more for some of the past, which came into the system after the instant."""
    past = events[events["occurred_at"] < instant - pd.Timedelta(days=1)]
    late = past.sample(n=N_LATE, random_state=seed).assign(recorded_at=instant + pd.Timedelta(days=7))
    return pd.concat([events, late], ignore_index=True)


def _silent(_what: str, _share: float) -> None:
    """No progress: many companies are drawn at once."""


# How a company is judged.


def all_found(kinds: tuple[str, ...]) -> list[bool]:
    """Whether each of the three planted leaks raised an alarm of its kind."""
    return [set(kinds) >= PLANTED]


def any_alarm(kinds: tuple[str, ...]) -> list[bool]:
    """Whether there was an alarm at all."""
    return [bool(kinds)]


def replays(replay: Replay) -> list[bool]:
    """Whether what was known then is the same, and today's is not."""
    return [replay.then and not replay.now]
