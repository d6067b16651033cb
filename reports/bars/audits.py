"""Bars that need files: leaks that are planted in tables are found, and what was known then can be built again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from features.intake import open_log
from features.matrix import Matrix, build_frame
from features.simulation.scenario import load_scenario
from features.simulation.simulator import draw_company, simulate
from features.workspace import Workspace, set_aside
from models.cohorts import chosen_on
from models.demonstration import adopted_framework
from models.framework import Framework
from models.leak_audit import CHECKS, audit
from models.milestones import RETAINED, Milestone
from reports.edition import Edition, again, grounds_then, made_anew
from reports.frozen import seals, thaw
from reports.learned import Learned
from reports.review import Reviewer

AUDITED, REPLAYED = 1000, 250  # accounts
N_LATE = 500  # rows
N_RESTATED = 20  # accounts
SETTLED = pd.Timedelta(days=90)  # after a review the backfill is known, and another cohort is mature
MILESTONE = "activation"
PLANTED = frozenset({"cutoff inside a period", "backfilled rows", "set after churn"})


@contextmanager
def company(scenario: str, accounts: int, seed: int) -> Iterator[tuple[Framework, Workspace]]:
    """A company in files, in a folder that is gone afterwards, and what its team adopted."""
    with TemporaryDirectory(prefix="milestones-") as folder:
        place, chosen = Workspace(Path(folder)), load_scenario(scenario).sized(accounts)
        simulate(chosen, seed, place.root / "data", _silent)
        yield adopted_framework(chosen, draw_company(chosen.sized(accounts=1), seed).columns), place


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


@dataclass(frozen=True)
class Restated:
    """What became of a review after a backfill.

    then, frozen: whether the review as known then is the same bytes, made of the rows recorded by then, and of what was
    frozen. now: the same of the review as known after the backfill. accounts: how many it says were restated. late: how
    many really were. moved: the milestones of which it says that numbers moved.
    """

    then: bool
    frozen: bool
    now: bool
    accounts: int
    late: int
    moved: tuple[str, ...]


def reviewed_again(seed: int) -> Restated:
    """Review a quarter, backfill rows that take some accounts over the cut of a milestone, and review it again."""
    with company("leaky-clean", REPLAYED, seed) as (whole, place):
        framework = _of_one(whole)
        path = place.root / str(framework.data.sources.events)
        events = pd.read_parquet(path)
        quarters, milestone = framework.data.calendar.quarters, framework.milestones[MILESTONE]
        # Long enough ago that another cohort has matured since, late enough that some were not chosen on.
        quarter = quarters.shift(quarters.containing(events["occurred_at"].max()), -2)
        due = framework.review_due(quarter)
        first = _edition(framework, place, quarter, due, seed)
        rows = first.reviewer.observations(quarter)
        rows = rows[(rows["milestone"] == MILESTONE) & ~rows["reached"]]
        below = rows.loc[~chosen_on(milestone, rows), "account_id"].drop_duplicates()
        late = below.sample(n=min(N_RESTATED, len(below)), random_state=seed)
        with set_aside(path) as aside:
            _over_the_cut(framework, events, late, due).to_parquet(aside, index=False)
        then, now = (_edition(framework, place, quarter, at, seed) for at in (due, due + SETTLED))
        frozen = again(thaw(seals(place, quarter)[0]))
    told = now.restatement
    return Restated(
        then=then.text == first.text,
        frozen=frozen.text == first.text,
        now=now.text == first.text,
        accounts=told.accounts,
        late=len(late),
        moved=tuple(dict.fromkeys(number["milestone"] for number in told.moved)),
    )


def _of_one(framework: Framework) -> Framework:
    """The milestone alone, judged by retention: a review of all of them takes three times as long."""
    milestone: Milestone = framework.milestones[MILESTONE].model_copy(update={"primary_outcome": RETAINED})
    events = framework.data.events.model_copy(update={"success_metrics": {}})  # they are of maturity
    data = framework.data.model_copy(update={"events": events})
    return framework.model_copy(update={"data": data, "milestones": {MILESTONE: milestone}})


def _edition(
    framework: Framework, place: Workspace, quarter: str, known_at: pd.Timestamp, seed: int
) -> Edition:
    """A review as `milestones review --known-at` makes it, where nobody has trained a model."""
    untrained = Learned({}, pd.DataFrame(), Matrix(pd.DataFrame(), {}, ""))
    grounds = grounds_then(place, framework, quarter, known_at)
    reviewer = Reviewer(framework, grounds, seed, (quarter, known_at))
    return made_anew(place, reviewer, quarter, lambda: untrained, recorded=True)


def _over_the_cut(
    framework: Framework, events: pd.DataFrame, accounts: "pd.Series[str]", instant: pd.Timestamp
) -> pd.DataFrame:
    """The events, and as many of each account's early days as the milestone asks for, which came in after the instant."""
    rule = framework.milestones[MILESTONE].rule
    first = (
        events[events["account_id"].isin(accounts)].groupby("account_id", observed=True).first().reset_index()
    )
    late = first.loc[first.index.repeat(int(rule.at_least))]
    late = late.assign(event=min(rule.all_events), recorded_at=instant + pd.Timedelta(days=7))
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


def same_as_then(review: Restated) -> list[bool]:
    """Whether the review as known then is the same bytes, by what was recorded and by what was frozen."""
    return [review.then and review.frozen]


def says_what_moved(review: Restated) -> list[bool]:
    """Whether the review after the backfill differs, counts the accounts that were touched, and names the milestone."""
    return [not review.now and review.accounts == review.late and MILESTONE in review.moved]
