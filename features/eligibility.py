"""The rules of who could use what, from the log's table."""

import numpy as np
import pandas as pd

from features.access import ALWAYS, Eligibility, Rule, plain
from features.declaration import Data
from features.errors import DataError
from features.log import Log


def eligibility(log: Log, data: Data) -> Eligibility:
    """What the table says. Raises DataError where a rule names a plan and no plan is known with dates."""
    if log.eligibility is None:
        return Eligibility({})
    rules: dict[str, list[Rule]] = {}
    for feature, plan, launched_at, tracked_from in log.eligibility.itertuples(index=False, name=None):
        rule = Rule(None if pd.isna(plan) else plain(plan), _since(launched_at), _since(tracked_from))
        for event in dict.fromkeys((feature, *data.events.categories.get(feature, ()))):
            rules.setdefault(event, []).append(rule)
    found = {event: tuple(of_event) for event, of_event in rules.items()}
    if log.eligibility["plan"].isna().all():
        return Eligibility(found)
    if log.subscriptions is not None and "plan" in log.subscriptions:
        return Eligibility(found, spells=log.subscriptions)
    if "plan" in data.fixed_at_signup:
        return Eligibility(found, fixed=log.accounts["plan"])
    raise DataError(
        "eligibility: it names plans, and which plan an account was on is not known with dates: give a table of"
        " subscriptions with a plan, or list a column plan of the accounts under data.fixed_at_signup if it never"
        " changes"
    )


def _since(time: pd.Timestamp) -> np.datetime64:
    return ALWAYS if pd.isna(time) else np.datetime64(time, "us")
