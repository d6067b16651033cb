"""Adoption: which share of the accounts that could use a feature do.

A missing value means that the account could not use the feature, or that nobody can know: it is outside the
denominator. What is left are the *eligible* observations.

Worked example: 4 accounts, a feature of the premium plan. In 2024Q1 the two basic accounts are missing, one premium
account has 3 events and one has 0: adoption is 1 of 2 eligible, with a support of 1 account and 2 missing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arrays import Flags
from features.declaration import Features
from features.specs import Aggregation
from features.tally import Tally, marks

Described = Mapping[str, Any]  # a feature as the manifest has it

YEAR = 4  # quarters
BY_DEFINITION = "by definition"
BLOCK_CELLS = 8_000_000  # values looked at together: 64 MB of them

# From which value on an account has adopted a feature (above it), by how its events became one number. None: the
# number says nothing of use, and adoption does not apply.
ADOPTED_ABOVE: Mapping[Aggregation, float | None] = {
    Aggregation.COUNT: 0.0,  # a rate or a share of events is above zero just where the count is
    Aggregation.ACTIVE_DAYS: 0.0,
    Aggregation.ACTIVE_WEEKS: 0.0,
    Aggregation.STREAK: 0.0,  # active in the newest week
    Aggregation.DISTINCT_USERS: 0.0,
    Aggregation.GROUPS: 0.0,
    Aggregation.STATE: 0.0,  # set to the value that is asked for; a number that is set is no use
    Aggregation.IRREGULARITY: None,  # 0 is perfect regularity, and below three active days it is missing
    Aggregation.DAYS_SINCE: None,  # whoever never did it has a number of days, too
    Aggregation.DAYS_TO_FIRST: None,  # missing stands for "never" and for "not knowable"; a count over all history tells
    Aggregation.TENURE: None,
    Aggregation.SEATS: None,  # what was bought
    Aggregation.REVENUE: None,
}


def adopted_above(feature: Described) -> float | None:
    """The value above which an account has adopted a described feature, None where adoption does not apply.

    A trend compares two windows: it is zero for steady use and for no use alike.
    """
    aggregation = Aggregation(feature["aggregation"])
    if feature["trend"] or (aggregation is Aggregation.STATE and feature["equals"] is None):
        return None
    return ADOPTED_ABOVE[aggregation]


def limits(features: Iterable[Described]) -> dict[str, float]:
    """`adopted_above` by name, of the described features to which adoption applies."""
    return {f["name"]: limit for f in features if (limit := adopted_above(f)) is not None}


def implied(features: Iterable[Described]) -> list[str]:
    """The names of the features that whoever is counted uses by definition."""
    return [f["name"] for f in features if f["by_definition"]]


def classified(table: pd.DataFrame, declared: Features, told: Flags) -> NDArray[Any]:
    """The class of every row of a table of shares, (rows,).

    told: (rows,) where the population tells the share already, whose size then says nothing. Niche features speak for
    a few customers, ubiquitous ones tell nobody apart; where too few accounts are eligible it is unclear which.
    """
    share = table["adoption"].to_numpy()
    cases = {
        BY_DEFINITION: told,
        "unclear": table["n_accounts"].to_numpy() < declared.minimum_support,
        "niche": share < declared.niche_below,
        "ubiquitous": share > declared.ubiquitous_above,
    }
    words = np.array([*cases, "representative"], dtype=object)
    return np.asarray(words[np.select(list(cases.values()), range(len(cases)), default=len(cases))])


def recent_adoption(
    frame: pd.DataFrame, features: Sequence[Described], declared: Features
) -> dict[str, dict[str, Any]]:
    """{adoption, class} of each feature in the newest four quarters of a frame, by name.

    frame: account_id, as_of and the columns of the features. Both are None where adoption does not apply, adoption
    where nobody was eligible.
    """
    newest = frame[frame["as_of"].isin(np.sort(frame["as_of"].unique())[-YEAR:])]
    found: dict[str, dict[str, Any]] = {f["name"]: {"adoption": None, "class": None} for f in features}
    above, told = limits(features), implied(features)
    account = pd.factorize(newest["account_id"])[0]
    everybody = Tally.of(np.zeros(len(newest), dtype=np.intp), 1, account)
    for group in column_groups(newest, list(above)):
        limit = np.array([above[name] for name in group.columns])
        shares = everybody.shares(*marks(group.to_numpy(dtype=np.float64), limit))
        table = pd.DataFrame({key: value[0] for key, value in shares.items()})
        words = classified(table, declared, group.columns.isin(told))
        for name, share, word in zip(list(group.columns), table["adoption"], words, strict=True):
            found[name] = {"adoption": None if np.isnan(share) else float(share), "class": word}
    return found


def column_groups(frame: pd.DataFrame, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The columns of a frame, a few at a time."""
    for group in name_groups(names, len(frame)):
        yield frame[group]


def name_groups(names: Sequence[str], n_rows: int) -> Iterator[list[str]]:
    """Names in groups whose columns of n_rows are looked at together; one empty group where there are none."""
    size = max(1, BLOCK_CELLS // max(n_rows, 1))
    for first in range(0, max(len(names), 1), size):
        yield list(names[first : first + size])
