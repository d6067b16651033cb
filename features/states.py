"""Attributes that change: the dated states of a log, and what signup fixed for good, looked up by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.attributes import Holding, numbers, passing
from features.declaration import Data
from features.errors import DataError
from features.faults import meant
from features.log import Log
from features.phrases import listing
from features.specs import StateTest

MOST_VALUES = 5  # of a text, the commonest get a feature each
MOST_NAMED = 12  # attributes in a message


@dataclass(frozen=True)
class States:
    """Every attribute that a feature may ask for, by name.

    `undated` are columns of the accounts that cannot be one: what they say today may follow from what came later.
    """

    by_attribute: Mapping[str, pd.DataFrame]
    undated: frozenset[str] = frozenset()

    @classmethod
    def of(cls, log: Log, data: Data) -> "States":
        """The attributes of the states table, and the columns of the accounts that are declared to be fixed at signup."""
        found = {str(c): _since_signup(log.accounts, c) for c in data.fixed_at_signup}
        if log.states is not None:
            found |= {
                str(name): rows for name, rows in log.states.groupby("attribute", sort=True, observed=False)
            }
        undated = {str(c) for c in log.accounts} - {"account_id", "signed_up_at", *found}
        return cls(found, frozenset(undated))

    def require(self, attribute: str, asked_by: str) -> pd.DataFrame:
        """The rows of an attribute. Raises DataError naming those that are there, the nearest one first."""
        if attribute in self.by_attribute:
            return self.by_attribute[attribute]
        if attribute in self.undated:
            raise DataError(
                f"{asked_by}: {attribute!r} is a column of the accounts table and has no dates: what it says today may"
                " follow from what came later. Give it with dates in a table of states, or list it under"
                " data.fixed_at_signup if it never changes"
            )
        if not self.by_attribute:
            raise DataError(f"{asked_by}: {attribute!r} is asked for, and there is no table of states")
        names = sorted(self.by_attribute)
        raise DataError(
            f"{asked_by}: the states have no attribute {attribute!r}{meant(attribute, names)}; there are"
            f" {listing(names, MOST_NAMED)}"
        )

    def tested(self, test: StateTest, asked_by: str) -> pd.DataFrame:
        """The rows that a test looks at. Raises DataError where there are none, or numbers are asked of texts."""
        rows = self.require(test.state, asked_by)
        if test.at_least is not None:
            self.require_numbers(test.state, asked_by)
        return rows

    def require_numbers(self, attribute: str, asked_by: str) -> None:
        """Raises DataError where values of an attribute are there and none is a number, naming the commonest."""
        values = self.by_attribute[attribute]["value"].dropna()
        if len(values) and not np.isfinite(numbers(values)).any():
            raise DataError(
                f"{asked_by}: the values of {attribute!r} are texts, of which no number can be made: ask for one of them,"
                f" as in equals: {self._commonest(attribute)[0]!r}; there are {self.shown(attribute)}"
            )

    def values(self, attribute: str) -> list[str] | None:
        """The commonest values of a text, by rows and then by name; None of an attribute whose values are numbers."""
        values = self.by_attribute[attribute]["value"].dropna()
        return None if np.isfinite(numbers(values)).all() else self._commonest(attribute)[:MOST_VALUES]

    def shown(self, attribute: str) -> str:
        """The commonest values of an attribute, and how many more there are, for a message."""
        found = self._commonest(attribute)
        return listing([*map(repr, found)], MOST_VALUES) if found else "none"

    def _commonest(self, attribute: str) -> list[str]:
        counts = (
            self.by_attribute[attribute]["value"].value_counts().rename_axis("value").reset_index(name="n")
        )
        ordered = counts.sort_values(["n", "value"], ascending=[False, True])
        return [str(value) for value in ordered["value"]]


def holdings(states: States, tests: Iterable[StateTest], asked_by: str) -> dict[tuple[object, ...], Holding]:
    """When each test holds, by its meaning. Raises DataError where an attribute is not there, or has no numbers."""
    distinct = {test.meaning: test for test in tests}
    return {key: Holding.of(states.tested(test, asked_by), test) for key, test in distinct.items()}


def never_held(states: States, tests: Iterable[StateTest], asked_by: str) -> list[str]:
    """The tests that no row of their attribute passes, in sentences."""
    return [
        f"{asked_by}: {_nowhere(states, test)}"
        for test in tests
        if not passing(states.tested(test, asked_by)["value"], test).any()
    ]


def _nowhere(states: States, test: StateTest) -> str:
    if test.at_least is None:
        return (
            f"no row has {test.state!r} equal to {test.equals!r}: check the spelling; there are"
            f" {states.shown(test.state)}"
        )
    return f"no row has {test.state!r} of at least {test.at_least:g}: ask for less; there are {states.shown(test.state)}"


def varying(states: pd.DataFrame, n_accounts: int, most: int) -> tuple[str, ...]:
    """The attributes that tell accounts apart, those that most accounts have first.

    One that every account has with the same value tells nothing.
    """
    groups = states.groupby("attribute", observed=True)
    held, values = groups["account"].nunique(), groups["value"].nunique()
    telling = held[(values > 1) | (held < n_accounts)]
    ordered = sorted(telling.index, key=lambda name: (-telling[name], str(name)))
    return tuple(str(name) for name in ordered[:most])


def _since_signup(accounts: pd.DataFrame, column: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account": accounts.index,
            "value": accounts[column].astype("string"),
            "valid_from": accounts["signed_up_at"],
            "valid_to": pd.Series(pd.NaT, index=accounts.index, dtype="datetime64[us]"),
        }
    )
