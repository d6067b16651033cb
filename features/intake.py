"""Load the tables of a log against the input contract: bad rows are set aside with a reason and counted.

Nothing is dropped in silence: every row of a source is used, set aside (quarantine), or left out by a rule
that the framework declares, and the counts of all three add up to the rows read.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from features.columns import read_column, to_frame
from features.declaration import Data
from features.engines import engine_of
from features.errors import DataError
from features.kept import Increment, Kept, current_files, summed
from features.log import Counts, Log
from features.rejection import (
    EXCLUDED,
    LEFT_OUT,
    UNKNOWN_ACCOUNT,
    account_reasons,
    event_reason,
    holds,
    outcome_reasons,
    remedy,
    sound_event,
    spell_reasons,
)
from features.sources import Stores
from features.tables import TABLES

COPIES = "exact duplicate (data.events.deduplicate)"
LATE_IN_THE_DAY = pd.Timedelta(hours=18)
GIVEN = "given: "  # prefix of a mapped column as its source has it
# An empty table of outcomes says that nobody was lost; an empty one of these says nothing.
MUST_HAVE_ROWS = ("accounts", "subscriptions")


def open_log(data: Data, folder: Path, now: pd.Timestamp | None = None, kept: Kept | None = None) -> Log:
    """Open every declared table; `folder` is what relative sources start from, `now` ends the past.

    Files of events that are `kept` are not checked again.

    Raises DataError when a source cannot be read or no usable row is left.
    """
    now = now if now is not None else pd.Timestamp.now("UTC").tz_localize(None)
    reader = _Reader(data, folder, now)
    accounts = reader.accounts()
    events, increment = reader.events(accounts, kept)
    spans = increment.spans[increment.spans["reason"].isna()]
    subscriptions = reader.subscriptions(accounts)
    outcomes = reader.outcomes(accounts)
    first, final = spans["first"].min(), spans["final"].max()
    one_day = pd.Timedelta(days=1)
    # A day whose last event comes in its last quarter is taken as whole: else a log that runs to the very end of a
    # quarter would never close it.
    whole_day = data.calendar.resolution == "day" or final - final.floor("D") >= LATE_IN_THE_DAY
    return Log(
        events=events,
        accounts=accounts.drop(columns=LEFT_OUT),
        subscriptions=subscriptions,
        outcomes=outcomes,
        data_from=first.floor("D"),
        data_through=final.floor("D") + one_day if whole_day else final,
        n_events=int(spans["n"].sum()),
        increment=increment,
        read=reader.read,
        quarantined=reader.quarantined,
        excluded=reader.excluded,
        notes=tuple(reader.notes),
        rejected=reader.rejected,
    )


def _known_accounts(raw: Any, accounts: pd.DataFrame) -> Any:
    """The accounts beside the events, wherever those are."""
    known = pd.DataFrame(
        {
            "account": accounts.index.astype("int32"),
            "known_id": accounts["account_id"],
            "signed_up_at": accounts["signed_up_at"],
            "excluded": accounts[LEFT_OUT],
        }
    )
    return engine_of(raw).lay_down(raw.get_backend(), "known_accounts", known)


class _Reader:
    """Reads one table after the other and keeps the books."""

    def __init__(self, data: Data, folder: Path, now: pd.Timestamp) -> None:
        self.stores, self.data, self.folder, self.now = Stores(data.engine), data, folder, now
        self.read: dict[str, int] = {}
        self.quarantined: Counts = {}
        self.excluded: Counts = {}
        self.notes: list[str] = []
        self.rejected: dict[str, Any] = {}
        self.an_account = ""

    def accounts(self) -> pd.DataFrame:
        raw = self._open("accounts")
        mapping = self.data.mapping["accounts"]
        extras = {
            c: raw[c].name(f"attribute_{i}") for i, c in enumerate(raw.columns) if c not in mapping.values()
        }
        named = {e.get_name(): c for c, e in extras.items() if c not in ("account_id", "signed_up_at")}
        given = self._given("accounts", raw)
        frame = to_frame(
            raw.select(
                **self._columns("accounts", raw), **{e.get_name(): e for e in extras.values()}, **given
            )
        )
        reasons = account_reasons(frame, self.now)
        kept = self._keep("accounts", frame, reasons).rename(columns=named).reset_index(drop=True)
        distinct = {code: GIVEN + c if c == "reason" else c for code, c in named.items()}
        self.rejected["accounts"] = self.rejected["accounts"].rename(columns=distinct)
        if self.data.calendar.resolution == "day":
            kept["signed_up_at"] = kept["signed_up_at"].dt.floor("D")
        kept[LEFT_OUT] = self._excluded_accounts(kept)
        self.an_account = str(kept["account_id"].iloc[0])
        for column in self.data.fixed_at_signup:
            if column not in kept:
                raise DataError(_no_column("data.fixed_at_signup", column, kept))
        return kept

    def _excluded_accounts(self, accounts: pd.DataFrame) -> "pd.Series[bool]":
        excluded = pd.Series(False, index=accounts.index)
        for rule in self.data.exclusions:
            if rule.column not in accounts:
                raise DataError(_no_column("data.exclusions", rule.column, accounts))
            hit = holds(accounts[rule.column], rule.equals) & ~excluded
            self.excluded.setdefault("accounts", {})[rule.reason] = int(hit.sum())
            excluded |= hit
        return excluded

    def events(self, accounts: pd.DataFrame, kept: Kept | None) -> tuple[Any, Increment]:
        files = current_files(self.data, self.folder)
        kept = kept if kept and files is not None and kept.holds(files, accounts) else None
        joined = self._joined(self._open("events"), accounts)
        fresh = joined
        parts = []
        if kept is not None and files is not None:
            new = files.keys() - kept.files.keys()
            fresh = self._joined(self._open("events", only=new), accounts) if new else None
            parts.append(kept.spans)
        if fresh is not None:
            parts.append(self._spans(fresh))
        increment = Increment(
            files, accounts, summed(parts), kept, None if fresh is None else self._usable_events(fresh)
        )
        self._count_events(increment.spans)
        self.rejected["events"] = self._as_given(
            "events", joined.filter(joined.reason.notnull(), joined.reason != EXCLUDED)
        )
        if increment.spans["reason"].notna().all():
            raise DataError(self._nothing_usable("events"))
        if self.data.events.deduplicate:
            return self._without_copies(self._usable_events(joined), increment)
        return self._usable_events(joined), increment

    def _joined(self, raw: Any, accounts: pd.DataFrame) -> Any:
        """Every event with its account, where it is known, and why it cannot be used, where it cannot."""
        table = raw.select(**self._columns("events", raw), **self._given("events", raw))
        known = _known_accounts(raw, accounts)
        joined = table.left_join(known, table.account_id == known.known_id)
        return joined.mutate(reason=event_reason(joined, self.now))

    def _spans(self, joined: Any) -> pd.DataFrame:
        return to_frame(
            joined.group_by("reason").aggregate(
                n=joined.count(), first=joined.occurred_at.min(), final=joined.occurred_at.max()
            )
        )

    def _usable_events(self, joined: Any) -> Any:
        keep = [c for c in ("event", "occurred_at", "user_id", "quantity") if c in joined.columns]
        return joined.filter(*sound_event(joined, self.now).values()).select("account", "signed_up_at", *keep)

    def _count_events(self, spans: pd.DataFrame) -> None:
        self.read["events"] = int(spans["n"].sum())
        bad = spans[spans["reason"].notna()]
        counts = {str(r): int(n) for r, n in zip(bad["reason"], bad["n"], strict=True)}
        if EXCLUDED in counts:
            self.excluded["events"] = {EXCLUDED: counts.pop(EXCLUDED)}
        self.quarantined["events"] = dict(sorted(counts.items()))

    def _without_copies(self, events: Any, increment: Increment) -> tuple[Any, Increment]:
        distinct = events.distinct()
        n = int(to_frame(distinct.aggregate(lambda t: t.count().name("n")))["n"].iloc[0])
        usable = increment.spans["reason"].isna()
        copies = int(increment.spans.loc[usable, "n"].sum()) - n
        if copies:
            self.excluded.setdefault("events", {})[COPIES] = copies
        spans = increment.spans.assign(n=increment.spans["n"].mask(usable, n))
        return distinct, replace(increment, spans=spans, fresh=distinct)

    def subscriptions(self, accounts: pd.DataFrame) -> pd.DataFrame | None:
        frame = self._with_accounts("subscriptions", accounts)
        if frame is None:
            return None
        return self._usable("subscriptions", frame, spell_reasons(frame), accounts)

    def outcomes(self, accounts: pd.DataFrame) -> pd.DataFrame | None:
        frame = self._with_accounts("outcomes", accounts)
        if frame is None:
            return None
        if frame.empty:
            source = self.data.sources.declared()["outcomes"]
            self.notes.append(f"outcomes: {source} has no rows: it says that nobody was lost")
        empty = frame["occurred_at"].isna() & ~frame["unread_occurred_at"]
        if empty.any():
            self.notes.append(f"outcomes: {int(empty.sum()):,} rows without a date say that nothing happened")
        usable = self._usable("outcomes", frame, outcome_reasons(frame, self.now), accounts)
        return usable[usable["occurred_at"].notna()].reset_index(drop=True)

    def _with_accounts(self, table: str, accounts: pd.DataFrame) -> pd.DataFrame | None:
        """A small table in pandas with the account's code; `unread_x` marks values that could not be read."""
        if table not in self.data.sources.declared():
            return None
        raw = self._open(table)
        columns = self._columns(table, raw)
        mapping = self.data.mapping[table]
        unread = {
            f"unread_{c}": columns[c].isnull()
            & read_column(raw, mapping[c], "id", self.data.calendar).notnull()
            for c in columns
            if TABLES[table].columns[c] in ("time", "number")
        }
        frame = to_frame(raw.select(**columns, **unread, **self._given(table, raw)))
        codes = pd.Series(accounts.index, index=accounts["account_id"])
        frame["account"] = frame["account_id"].map(codes)
        return frame

    def _usable(
        self, table: str, frame: pd.DataFrame, reasons: "pd.Series[str]", accounts: pd.DataFrame
    ) -> pd.DataFrame:
        kept = self._keep(table, frame, reasons)
        kept["account"] = kept["account"].astype("int64")
        ruled_out = accounts[LEFT_OUT].reindex(kept["account"]).to_numpy(bool)
        if ruled_out.any():
            self.excluded[table] = {EXCLUDED: int(ruled_out.sum())}
        kept = kept[~ruled_out]
        return kept.drop(
            columns=[c for c in kept if str(c).startswith("unread_") or c == "account_id"]
        ).reset_index(drop=True)

    def _keep(self, table: str, frame: pd.DataFrame, reasons: "pd.Series[str]") -> pd.DataFrame:
        self.read[table] = len(frame)
        bad = reasons.notna().to_numpy()
        counts = reasons[bad].value_counts()
        self.quarantined[table] = {str(reason): int(n) for reason, n in sorted(counts.items())}
        self.rejected[table] = self._as_given(table, frame[bad].assign(reason=reasons[bad].to_numpy()))
        if bad.all() and (len(bad) or table in MUST_HAVE_ROWS):
            raise DataError(self._nothing_usable(table))
        return frame[~bad].drop(columns=[c for c in frame if str(c).startswith(GIVEN)])

    def _open(self, table: str, only: Collection[str] | None = None) -> Any:
        source = self.data.sources.declared()[table]
        raw = self.stores.open(source, self.folder, table, only)
        for logical, physical in self.data.mapping[table].items():
            if physical not in raw.columns:
                raise DataError(
                    f"{table}: {source} has no column {physical!r} (mapped to {logical});"
                    f" it has {', '.join(raw.columns)}. Correct data.mapping.{table}.{logical}"
                )
        return raw

    def _columns(self, table: str, raw: Any) -> dict[str, Any]:
        kinds = TABLES[table].columns
        mapping = self.data.mapping[table]
        return {c: read_column(raw, mapping[c], kinds[c], self.data.calendar) for c in kinds if c in mapping}

    def _given(self, table: str, raw: Any) -> dict[str, Any]:
        """The mapped columns once more, as the source has them, for the rows that are set aside."""
        return {GIVEN + c: raw[physical] for c, physical in self.data.mapping[table].items()}

    def _as_given(self, table: str, rows: Any) -> Any:
        """What the quarantine keeps of a row: the values it came with under the contract's names, and the reason."""
        logical = list(self.data.mapping[table])
        if not isinstance(rows, pd.DataFrame):
            return rows.select(**{c: rows[GIVEN + c] for c in logical}, reason=rows.reason)
        rest = [c for c in rows if c not in logical and not str(c).startswith((GIVEN, "unread_"))]
        rest = [c for c in rest if c not in ("account", "reason")]
        named = rows[[GIVEN + c for c in logical]].set_axis(logical, axis=1)
        return pd.concat([named, rows[rest], rows[["reason"]]], axis=1)

    def _nothing_usable(self, table: str) -> str:
        source = self.data.sources.declared()[table]
        if not self.read.get(table):
            return f"{table}: {source} has no rows; give a table with data"
        counts = {**self.quarantined.get(table, {}), **self.excluded.get(table, {})}
        reasons = "; ".join(f"{reason}: {n:,}" for reason, n in counts.items())
        worst = max(counts, key=lambda reason: counts[reason])
        there = f", the accounts table has {self.an_account[:60]!r}" if worst == UNKNOWN_ACCOUNT else ""
        return (
            f"{table}: none of the {self.read[table]:,} rows of {source} can be used ({reasons})"
            f"{self._examples(table)}{there}; {remedy(worst)}"
        )

    def _examples(self, table: str) -> str:
        """A value of each column that the rows were refused for most, as a person would look for it."""
        rejected = self.rejected[table]
        first = to_frame(rejected.limit(1)) if not isinstance(rejected, pd.DataFrame) else rejected.head(1)
        if first.empty:
            return ""
        row = first.iloc[0]
        shown = ", ".join(f"{c} {str(row[c])[:60]!r}" for c in self.data.mapping[table])
        return f"; the first of them has {shown}"


def _no_column(key: str, column: str, accounts: pd.DataFrame) -> str:
    columns = ", ".join(str(c) for c in accounts if c != LEFT_OUT)
    return f"{key}: the accounts table has no column {column!r}; it has {columns}"
