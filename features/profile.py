"""A first look at a log: what each event is like, which ones carry value, and how to group them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.columns import to_frame
from features.declaration import Data
from features.log import Log
from features.observations import Question, observe, quarterly
from features.specs import Aggregation, FeatureSpec
from features.windows import following, last

# What happens to an account, or around it, is no sign that the account got value.
HAPPENS_TO_ACCOUNTS = re.compile(
    r"(^|[^a-z])(receiv(e|ed|es)|errors?|fail(ed|ure|s)?|bounced?|crash(ed)?|tickets?|churn(ed)?|cancel(l?ed|s)?"
    r"|subscri(ption|be|bed|ptions)|invoices?|payments?|billing|refund(ed)?|renew(al|ed)?|trial|expired?|delivered"
    r"|notif(ied|ication|ications)|unsubscribed?|delete[ds]?|downgrade[ds]?|sign_?ups?|signed_up|registered)($|[^a-z])"
)
SILENT_DAYS = (90, 60, 30, 120, 180)
SILENT_RATES = (0.05, 0.60)
EARLY_DAYS = 30


def carries_value(event: str) -> bool:
    """Whether an event is something the account itself does with the product, judged by its name."""
    return HAPPENS_TO_ACCOUNTS.search(event.lower()) is None


def profile_events(log: Log) -> pd.DataFrame:
    """One row per event, widest adoption first: n, accounts, adoption, per_account, early (share in the first 30 days)."""
    events = log.events
    early = events.occurred_at < events.signed_up_at + _days(EARLY_DAYS)
    found = to_frame(
        events.group_by("event").aggregate(
            n=events.count(), accounts=events.account.nunique(), early=events.count(where=early)
        )
    )
    found["adoption"] = found["accounts"] / max(len(log.accounts), 1)
    found["per_account"] = found["n"] / found["accounts"]
    found["early"] = found["early"] / found["n"]
    return found.sort_values(["accounts", "n", "event"], ascending=[False, False, True], ignore_index=True)


def _days(n: int) -> object:
    import ibis

    return ibis.interval(days=n)


def group_by_name(events: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Categories by the first word of the name, where at least two events share it; the rest is 'other'."""
    groups: dict[str, list[str]] = {}
    for event in events:
        word = re.split(r"[^A-Za-z0-9]+", event.strip().lower())[0] or "other"
        groups.setdefault(word, []).append(event)
    named = {word: tuple(members) for word, members in groups.items() if len(members) > 1 and word != "other"}
    rest = tuple(e for word, members in groups.items() if word not in named for e in members)
    return {**named, "other": rest} if rest else named


@dataclass(frozen=True)
class SilentChoice:
    """How many days without a core event mean lost, and how often that happens to active account-quarters."""

    days: int
    rate: float | None
    n_observations: int
    in_band: bool


def choose_silent_days(log: Log, data: Data) -> SilentChoice:
    """The first length whose rate lies between 5 and 60 %; the nearest to that band, said so, where none does."""
    core = data.events.core or None
    specs = []
    for days in SILENT_DAYS:
        specs.append(FeatureSpec(f"before_{days}", "", Aggregation.COUNT, last(days), events=core))
        specs.append(FeatureSpec(f"after_{days}", "", Aggregation.COUNT, following(days), events=core))
    frame = observe(log, data, Question(tuple(specs), quarterly(log, data)))
    tried: list[SilentChoice] = []
    low, high = SILENT_RATES
    for days in SILENT_DAYS:
        known = (frame["as_of"] + pd.Timedelta(days=days) <= log.data_through) & (
            frame[f"before_{days}"].fillna(1) > 0
        )
        silent = frame.loc[known, f"after_{days}"] == 0
        rate = float(silent.mean()) if len(silent) else None
        tried.append(SilentChoice(days, rate, len(silent), rate is not None and low <= rate <= high))
    usable = [choice for choice in tried if choice.in_band]
    if usable:
        return usable[0]
    return min(tried, key=lambda c: np.inf if c.rate is None else max(low - c.rate, c.rate - high))
