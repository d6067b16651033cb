"""A log of fewer accounts, so that what looks closely at a log takes bounded time on any of them."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Integers
from features.columns import to_frame
from features.log import Log


def draw_accounts(log: Log, most: int, rng: np.random.Generator) -> Integers:
    """Codes of at most `most` accounts, drawn without replacement, ascending."""
    n = len(log.accounts)
    return np.sort(rng.choice(n, min(most, n), replace=False)).astype(np.int64)


def subset(log: Log, accounts: Integers, *, copied: bool = False) -> Log:
    """The log of some accounts, (n,) codes, renumbered 0 to n - 1; what is known of the whole stays.

    With `copied` the events are read once and laid beside the others: for a few accounts that are asked for often.
    """
    codes = pd.Series(np.arange(len(accounts)), index=accounts)
    renumbered = pd.DataFrame({"old": accounts.astype("int32"), "new": codes.to_numpy("int32")})
    table = log.lay_down("accounts", renumbered)
    events = log.events.join(table, log.events.account == table.old)
    events = events.mutate(account=events.new).select(*log.events.columns)
    if copied:
        events = typed(log.lay_down("events", to_frame(events)), log.events)
    tables = {
        field.name: _of(table, codes)
        for field in fields(log)
        if field.name != "accounts"
        and isinstance(table := getattr(log, field.name), pd.DataFrame)
        and "account" in table
    }
    fewer = log.accounts.iloc[accounts].reset_index(drop=True)
    return replace(log, **{**tables, "events": events, "accounts": fewer})


def typed(table: Any, like: Any) -> Any:
    """The columns of another table with its types: a column of nothing has lost its own on the way."""
    return table.select(**{c: table[c].cast(kind) for c, kind in like.schema().items()})


def _of(table: pd.DataFrame, codes: "pd.Series[Any]") -> pd.DataFrame:
    kept = table[table["account"].isin(codes.index)].reset_index(drop=True)
    return kept.assign(account=kept["account"].map(codes).astype("int64"))
