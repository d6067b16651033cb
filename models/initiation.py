"""`init` without the command line: from sources to the text of a framework that already runs."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.declaration import Calendar, Data, Events, Outcome, Sources
from features.discovery import discover, parse_overrides, provisional, resolution_of
from features.document import validate
from features.intake import open_log
from features.log import Log
from features.profile import SilentChoice, carries_value, choose_silent_days, group_by_name, profile_events
from features.progress import ProgressCallback
from features.sources import Stores
from features.states import varying
from models.framework import Framework
from models.framework_text import framework_text
from models.proposal import propose

TWO_YEARS_DAYS = 24 * 30  # a month is 30 days
MOST_EVENTS_WITH_FEATURES = 40
MOST_STATES_WITH_FEATURES = 20
ADJUST_FOR = (
    "seats",
    "plan",
)  # where the subscriptions say so: size is what usage and staying share most often
TEST_COLUMNS = ("is_test", "test", "is_internal", "internal", "is_staff", "is_demo")


@dataclass(frozen=True)
class Request:
    """What `init` was asked: `overrides` are `table.column=name`."""

    sources: Sources
    calendar: Calendar
    engine: str
    overrides: tuple[str, ...]
    name: str
    seed: int


@dataclass(frozen=True)
class Initiation:
    """The text of framework.yaml, and what was guessed, in sentences."""

    text: str
    said: list[str]


def initiate(asked: Request, folder: Path, progress: ProgressCallback) -> Initiation:
    """Look, map, profile, propose. Raises DataError where the tables cannot be used."""
    progress("mapping the columns", 0.05)
    sources = asked.sources
    data, mapped = _mapped(asked, folder)
    progress("profiling the events", 0.15)
    # Who could use what may be said of categories, and there are none yet.
    for_everybody = sources.model_copy(update={"eligibility": None})
    log = open_log(data.model_copy(update={"sources": for_everybody}), folder)
    profile = profile_events(log)
    data = data.model_copy(update={"events": _meaning(profile)})
    data, outcome_said = _with_outcome(data, log)
    data = _with_features(data, profile, log)
    if sources.eligibility:
        log = open_log(data, folder)
    progress("proposing milestones", 0.4)
    proposal = propose(log, data, profile, asked.seed, lambda what, share: progress(what, 0.4 + 0.6 * share))
    framework = validate(
        Framework,
        {
            "schema": 1, "name": " ".join(asked.name.split()) or "product", "version": 1, "data": data.model_dump(),
            "milestones": {k: m.model_dump() for k, m in proposal.milestones.items()},
            "not_defined": proposal.not_defined,
        },
        folder / "framework.yaml",
    )  # fmt: skip
    passive = [e for e in profile["event"] if not carries_value(e)]
    notes = {
        "data": ["Columns as they were recognised:", *mapped],
        "events": _event_notes(profile, passive),
        "outcomes": [outcome_said],
        "milestones": [
            "PROPOSED from the earlier half of the mature quarters; set adopted_at and adopted_by when the review agrees."
        ],
    }
    said = [*mapped, *log.books(), outcome_said, *proposal.said]
    said += [f"{milestone}: not defined, {reason}" for milestone, reason in proposal.not_defined.items()]
    return Initiation(framework_text(framework, notes), said)


def _mapped(asked: Request, folder: Path) -> tuple[Data, list[str]]:
    """A data half that opens the tables, and what was guessed for it."""
    stores = Stores(asked.engine)
    overrides = parse_overrides(list(asked.overrides))
    mapping, mapped = discover(stores, asked.sources, folder, overrides, asked.calendar)
    resolution = resolution_of(stores, asked.sources, folder, mapping, asked.calendar)
    calendar = asked.calendar.model_copy(update={"resolution": resolution})
    bought = tuple(name for name in ADJUST_FOR if name in mapping.get("subscriptions", {}))
    data = provisional(asked.sources, mapping, calendar).model_copy(
        update={"engine": asked.engine, "adjust_for": bought}
    )
    return _with_exclusions(data, stores, folder), mapped


def _with_exclusions(data: Data, stores: Stores, folder: Path) -> Data:
    columns = stores.open(data.sources.accounts, folder, "accounts").columns
    rules = [
        {"column": c, "equals": True, "reason": f"{c} is true"} for c in columns if c.lower() in TEST_COLUMNS
    ]
    return Data.model_validate({**data.model_dump(), "exclusions": rules}) if rules else data


def _meaning(profile: pd.DataFrame) -> Events:
    """Core events and categories from the names, until somebody who knows the product corrects them."""
    names = list(profile["event"])
    core = tuple(e for e in names if carries_value(e))
    return Events(core=core or tuple(names), categories=group_by_name(core or names))


def _with_outcome(data: Data, log: Log) -> tuple[Data, str]:
    days = (log.data_through - log.data_from).days
    horizon = 180 if days >= TWO_YEARS_DAYS else 90
    sources = data.sources
    if sources.outcomes:
        outcome, words = (
            Outcome(kind="outcomes", horizon_days=horizon),
            "the table of outcomes says who was lost and when",
        )
    elif sources.subscriptions and "ended_at" in data.mapping.get("subscriptions", {}):
        outcome, words = (
            Outcome(kind="subscription_end", horizon_days=horizon),
            "subscriptions say who was lost and when",
        )
    else:
        choice = choose_silent_days(log, data)
        outcome, words = Outcome(kind="silent", horizon_days=choice.days), _silent_words(choice)
    return data.model_copy(update={"outcomes": outcome}), f"outcome: {words}. Lost means {outcome.sentence}"


def _silent_words(choice: SilentChoice) -> str:
    if choice.rate is None:
        return f"nobody records who was lost, and no quarter is old enough to see who fell silent for {choice.days} days"
    share = f"{choice.rate:.1%} of {choice.n_observations:,} active account-quarters"
    if choice.in_band:
        return f"nobody records who was lost, so {choice.days} days of silence stand for it: {share}"
    return f"no length of silence is met by 5 to 60 % of active account-quarters; {choice.days} days come nearest: {share}"


def _with_features(data: Data, profile: pd.DataFrame, log: Log) -> Data:
    events = tuple(profile["event"].head(MOST_EVENTS_WITH_FEATURES))
    states = () if log.states is None else varying(log.states, len(log.accounts), MOST_STATES_WITH_FEATURES)
    features = data.features.model_copy(update={"events": events, "states": states})
    return data.model_copy(update={"features": features})


def _event_notes(profile: pd.DataFrame, passive: list[str]) -> list[str]:
    lines = [
        "core: events by which the customer gets value (silence is their absence). Categories: product areas."
    ]
    if passive:
        lines.append(
            f"Judged by their names, these happen to an account and are not core: {', '.join(passive)}"
        )
    return lines + [
        f"{row.event}: {row.n:,} events, {row.adoption:.0%} of accounts, {row.per_account:.1f} per account"
        for row in profile.head(12).itertuples()
    ]
