"""A skewed event log of any size, quickly: few accounts and few events make most of the rows, and use grows.

    make_log(Shape(n_events=20_000), folder, np.random.default_rng(0))

It is the shape of `features.simulator` without its story: log-normal accounts who arrive over time (a fifth
of them before tracking began) and may leave, event types of Zipf-like weights that each account takes up or
not, users of whom the first do most. Rows come in the order of time, a month of the log at a time, so that
a hundred million of them need no more memory than one.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.arrays import Floats, Integers, Times
from features.declaration import Data
from features.windows import day_number
from features.workspace import set_aside

DAY_US = 86_400_000_000
FIRST_DAY = (datetime(2022, 1, 1) - datetime(1970, 1, 1)).days
BLOCK_DAYS = 30
EVENT_NAMES = tuple(f"event_{number:02d}_of_product" for number in range(1, 31))
ALREADY_THERE = 0.2  # share of accounts that signed up before tracking began
LEAVING = 0.25  # share of accounts that leave within the log
GROWTH, GROWTH_DAYS = 0.6, 1096  # of an account's use, in logarithms, over three years
BUSIEST_HOUR, HOURS_SPREAD = 14.0, 3.0
ROW_GROUP = 1_000_000


@dataclass(frozen=True)
class Shape:
    """How large the log is, from 2022Q1 on, with thirty event types.

    Where it is not `skewed`, every account is as large as the others and does every event as often.
    """

    n_events: int
    n_accounts: int = 20_000
    skewed: bool = True
    n_quarters: int = 12

    @property
    def n_days(self) -> int:
        """Days that the log covers."""
        return closes(self.n_quarters)[-1] - FIRST_DAY


def closes(n_quarters: int) -> tuple[int, ...]:
    """The as-of dates at which the quarters of a log close, days since 1970."""
    first = pd.Timestamp(FIRST_DAY, unit="D")
    return tuple(day_number(first + pd.DateOffset(months=3 * n)) for n in range(1, n_quarters + 1))


@dataclass(frozen=True)
class Population:
    """Accounts: days are counted from the first day of the log, and negative before it, (n,); uptake (n, 30)."""

    signed_up: Floats
    leaves: Floats
    uptake: Floats
    seats: Integers
    ids: NDArray[np.str_]


def make_log(shape: Shape, folder: Path, rng: np.random.Generator) -> None:
    """Write accounts.parquet, subscriptions.parquet and, last, events.parquet into a folder."""
    n_days = shape.n_days
    people = _population(shape, rng)
    _write(
        folder / "accounts.parquet", {"account_id": people.ids, "signed_up_at": _instants(people.signed_up)}
    )
    ended = pa.array(_instants(np.minimum(people.leaves, n_days)), mask=people.leaves >= n_days)
    _write(
        folder / "subscriptions.parquet",
        {"account_id": people.ids, "started_at": _instants(people.signed_up), "ended_at": ended},
    )
    blocks = [(day, min(day + BLOCK_DAYS, n_days)) for day in range(0, n_days, BLOCK_DAYS)]
    weights = np.array([_use(people, *block).sum() for block in blocks])
    sizes = rng.multinomial(shape.n_events, weights / weights.sum())
    names, users = pa.array(EVENT_NAMES), _user_names(people)
    first_user = np.cumsum(people.seats) - people.seats
    with set_aside(folder / "events.parquet") as path:
        writer: pq.ParquetWriter | None = None
        for block, n in zip(blocks, sizes, strict=True):
            at, account, event, user = _block(people, block, int(n), rng)
            table = pa.table(
                {
                    "account_id": _texts(account, pa.array(people.ids)),
                    "event": _texts(event, names),
                    "occurred_at": pa.array(at.view("M8[us]")),
                    "user_id": _texts(first_user[account] + user, users),
                }
            )
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=ROW_GROUP)
        assert writer is not None
        writer.close()


def declared() -> Data:
    """The log as the data half of framework.yaml declares it."""
    columns = {
        "events": ("account_id", "event", "occurred_at", "user_id"),
        "accounts": ("account_id", "signed_up_at"),
        "subscriptions": ("account_id", "started_at", "ended_at"),
    }
    return Data.model_validate(
        {
            "sources": {table: f"{table}.parquet" for table in columns},
            "mapping": {table: {name: name for name in names} for table, names in columns.items()},
            "outcomes": {"kind": "subscription_end", "horizon_days": 180},
        }
    )


def as_of_days(n_dates: int) -> tuple[int, ...]:
    """`n_dates` as-of dates in equal steps up to the end of the log, days since 1970; 12 are quarters."""
    return tuple(FIRST_DAY + GROWTH_DAYS * number // n_dates for number in range(1, n_dates + 1))


def _population(shape: Shape, rng: np.random.Generator) -> Population:
    n = shape.n_accounts
    signed_up = shape.n_days * rng.random(n) ** 1.2
    early = rng.random(n) < ALREADY_THERE
    signed_up = np.sort(np.where(early, -700 * rng.random(n), signed_up))
    lives = np.where(rng.random(n) < LEAVING, 30 + rng.exponential(400, n), np.inf)
    leaves = np.where(signed_up < 0, np.maximum(signed_up, 0) + lives, signed_up + lives)
    size = rng.lognormal(0.0, 1.6, n)
    zipf = 1.0 / np.arange(1, len(EVENT_NAMES) + 1)
    takes_up = rng.random((n, len(EVENT_NAMES))) < np.linspace(0.98, 0.10, len(EVENT_NAMES))
    taste = rng.lognormal(0.0, 0.7, (n, len(EVENT_NAMES)))
    uptake = size[:, None] * zipf * takes_up * taste + 1e-9
    return Population(
        signed_up=signed_up,
        leaves=leaves,
        uptake=uptake if shape.skewed else np.ones_like(uptake),
        seats=np.clip(np.rint(2.2 * size**0.75), 1, 500).astype(np.int64),
        ids=np.array([f"A{number:06d}" for number in range(1, n + 1)]),
    )


def _use(people: Population, first: int, stop: int) -> Floats:
    """Expected use of each account and event in the days [first, stop), up to a factor, (n, 30)."""
    lived = np.clip(np.minimum(people.leaves, stop) - np.maximum(people.signed_up, first), 0, None)
    return np.asarray(people.uptake * (lived * np.exp(GROWTH * first / GROWTH_DAYS))[:, None])


def _block(
    people: Population, block: tuple[int, int], n: int, rng: np.random.Generator
) -> tuple[Integers, Integers, Integers, Integers]:
    """Instants (ascending), accounts, events and users of n events in the days of a block, each (n,)."""
    use = _use(people, *block)
    cells = np.repeat(np.arange(use.size), rng.multinomial(n, (use / use.sum()).ravel()))
    account, event = np.divmod(cells, use.shape[1])
    lower = np.maximum(people.signed_up[account], block[0])
    upper = np.minimum(people.leaves[account], block[1])
    day = np.floor(lower + (upper - lower) * rng.random(n))
    hour = np.clip(rng.normal(BUSIEST_HOUR, HOURS_SPREAD, n), 0, 23.99)
    at = np.clip(day + hour / 24, lower, upper)  # nobody acts before signup or after leaving
    user = (people.seats[account] * rng.random(n) ** 2).astype(np.int64)
    at_us = FIRST_DAY * DAY_US + np.ceil(at * DAY_US).astype(np.int64)
    order = np.argsort(at_us, kind="stable")
    return at_us[order], account[order], event[order], user[order]


def _user_names(people: Population) -> pa.Array:
    pairs = zip(people.ids.tolist(), people.seats.tolist(), strict=True)
    return pa.array([f"{name}-U{user:03d}" for name, n in pairs for user in range(1, n + 1)])


def _instants(days: Floats) -> Times:
    return np.asarray((FIRST_DAY * DAY_US + np.floor(days * DAY_US).astype(np.int64)).view("M8[us]"))


def _texts(codes: Integers, texts: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), texts)


def _write(path: Path, columns: dict[str, object]) -> None:
    with set_aside(path) as aside:
        pq.write_table(pa.table(columns), aside)
