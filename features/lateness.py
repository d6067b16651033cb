"""Rows that were recorded after the date at which they count: what a feature holds today and nobody knew then.

Worked example: a row says that something happened on 2024-03-10; it came into the system on 2024-07-02. The window
before the close of 2024-04-01 counts it today, and on 2024-04-15, when that quarter was reviewed, it was not there.
"""

from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from features.columns import read_column, to_frame
from features.declaration import Data
from features.engines import engine_of
from features.log import Log
from features.sources import Stores
from features.tables import RECORDED, TABLES

# Tables whose rows features are made of, and the column that tells their kinds apart, where one does.
KINDS = {"events": "event", "subscriptions": None, "states": "attribute"}


def has_recorded(data: Data, table: str) -> bool:
    """Whether the framework says when the rows of a table were recorded."""
    return table in data.sources.declared() and RECORDED in data.mapping[table]


def late_rows(
    log: Log,
    data: Data,
    folder: Path,
    table: str,
    closes: list[pd.Timestamp],
    lag: pd.Timedelta,
    losses: pd.DataFrame,
) -> pd.DataFrame:
    """Rows per account, kind and the first close after they began: n, late, unknown and after_loss of them.

    `late` were recorded more than `lag` after they began, `unknown` not until more than `lag` after that close, and
    `after_loss` are the late ones that were recorded after the loss that followed. `losses` has account, as_of, lost_at
    of the observations that end in one. Columns: account (code of the log), as_of, kind, n, late, unknown, after_loss.
    Raises DataError where the source cannot be read.
    """
    raw = Stores(data.engine).open(data.sources.declared()[table], folder, table)
    engine, backend = engine_of(raw), raw.get_backend()
    rows = _first_versions(raw, data, table)
    known = engine.lay_down(backend, "audited_accounts", _codes(log))
    rows = rows.join(known, rows.account_id == known.known_id)
    rows = rows.filter(rows.began >= rows.signed_up_at, rows.kind.notnull())
    rows = rows.mutate(day=rows.began.date())
    calendar = engine.lay_down(backend, "closes_to_come", _next_closes(log, closes))
    rows = rows.join(calendar, "day")
    lost = engine.lay_down(backend, "losses_to_come", losses.set_axis(["loser", "before", "lost_at"], axis=1))
    rows = rows.left_join(lost, [rows.account == lost.loser, rows.as_of == lost.before])
    allowed = ibis.interval(microseconds=lag // pd.Timedelta(microseconds=1))
    late, unknown = (rows[RECORDED] > since + allowed for since in (rows.began, rows.as_of))
    after_loss = late & (rows[RECORDED] > rows.lost_at).fill_null(False)  # most rows stand before none
    return _counted(rows, late=late, unknown=unknown, after_loss=after_loss)


def _first_versions(raw: Any, data: Data, table: str) -> Any:
    """account_id, began, kind and recorded_at of every row; of versions of one row, of the one recorded first.

    A subscription is recorded again when its end is known: that it began was known before. A row without a time of
    recording counts as recorded when it began.
    """
    contract, mapping, kind = TABLES[table], data.mapping[table], KINDS[table]
    wanted = dict.fromkeys(["account_id", str(contract.begins), RECORDED, *([kind] if kind else [])])
    rows = raw.select(**{c: read_column(raw, mapping[c], contract.columns[c], data.calendar) for c in wanted})
    rows = rows.mutate(began=rows[contract.begins], kind=rows[kind] if kind else ibis.literal(table))
    rows = rows.mutate(**{RECORDED: rows[RECORDED].fill_null(rows.began)})
    if not contract.versioned_by:
        return rows
    return rows.group_by(["account_id", "began", "kind"]).aggregate(**{RECORDED: rows[RECORDED].min()})


def _counted(rows: Any, **sorts: Any) -> pd.DataFrame:
    counts = {sort: rows.count(where=of_sort) for sort, of_sort in sorts.items()}
    found = to_frame(rows.group_by(["account", "as_of", "kind"]).aggregate(n=rows.count(), **counts))
    return found.sort_values(["account", "as_of", "kind"], ignore_index=True)


def _codes(log: Log) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account": log.accounts.index.astype("int64"),
            "known_id": log.accounts["account_id"],
            "signed_up_at": log.accounts["signed_up_at"],
        }
    )


def _next_closes(log: Log, closes: list[pd.Timestamp]) -> pd.DataFrame:
    """Every day before the last close with the first close after it."""
    first = min(log.data_from, log.accounts["signed_up_at"].min().floor("D"))
    days = pd.date_range(first, closes[-1], freq="D", inclusive="left")
    place = pd.DatetimeIndex(closes).searchsorted(days, side="right")
    return pd.DataFrame({"day": days.date, "as_of": pd.DatetimeIndex(closes)[place]})
