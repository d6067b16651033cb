"""Load the tables of a log against the input contract: bad rows are set aside with a reason and counted.

Nothing is dropped in silence: every row of a source is used, set aside (quarantine), left out by a rule that the
framework declares, or withheld because it was not known yet or no longer stands, and the counts add up to the rows
read.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from features.columns import as_written, read_column, says_nothing, to_frame
from features.declaration import Data
from features.engines import engine_of
from features.errors import DataError
from features.kept import Counting, FileEvents, Kept, Shelf, current_files, summed
from features.log import Log, event_names
from features.outages import outages
from features.rejection import (
    EXCLUDED,
    LEFT_OUT,
    NO_EVENT,
    NOT_YET_RECORDED,
    OF_ACCOUNTS,
    event_reason,
    sound_event,
)
from features.small_tables import SmallTables
from features.tables import RECORDED, TABLES

COPIES = "exact duplicate (data.events.deduplicate)"
# A day whose last event comes in its last quarter is taken as whole: else a log that runs to the very end of a quarter
# would never close it.
LATE_IN_THE_DAY = pd.Timedelta(hours=18)


def open_log(
    data: Data, folder: Path, now: pd.Timestamp | None = None, known_at: pd.Timestamp | None = None
) -> Log:
    """Open every declared table; `folder` is what relative sources start from, `now` ends the past.

    With `known_at` (naive UTC) the log is as it was knowable at that instant (`features.recording`). Raises DataError
    when a source cannot be read or no usable row is left.
    """
    now = now if now is not None else _now()
    if known_at is not None and known_at > now:
        raise DataError(f"nobody knows yet what will be known at {known_at}: choose a date that has passed")
    reader = _Reader(data, folder, now, known_at)
    accounts = reader.accounts()
    return _log(reader, accounts, *reader.events(accounts))


def open_increment(
    data: Data, folder: Path, shelf: Shelf, now: pd.Timestamp | None = None, *, anew: bool = False
) -> tuple[Log, Counting | None]:
    """The same as of now, and what of its events is counted already, whose files are not checked again.

    None where counts of a file cannot stand for it. With `anew` nothing that was kept is used.
    """
    reader = _Reader(data, folder, now if now is not None else _now(), None)
    files = current_files(data, folder)
    accounts = reader.accounts()
    if files is None:
        return _log(reader, accounts, *reader.events(accounts)), None
    usable, counting = reader.events_in_files(accounts, files, shelf, () if anew else shelf.parts())
    return _log(reader, accounts, usable, counting.whole.spans, counting.whole.names), counting


def _now() -> pd.Timestamp:
    return pd.Timestamp.now("UTC").tz_localize(None)


def _log(
    reader: "_Reader",
    accounts: pd.DataFrame,
    events: Any,
    spans: pd.DataFrame,
    names: frozenset[str] | None = None,
) -> Log:
    """The log of usable events, of whose rows `spans` (features.kept.SPANS) say what became, with their `names` if known."""
    data, known_at = reader.data, reader.known_at
    used = spans[spans["reason"].isna()]
    states = reader.states(accounts)
    return Log(
        events=events,
        accounts=_there(accounts, known_at),
        subscriptions=reader.subscriptions(accounts),
        states=states,
        outcomes=reader.outcomes(accounts),
        eligibility=reader.eligibility(lambda: _known_names(names or event_names(events), states, data)),
        data_from=used["first"].min().floor("D"),
        data_through=_data_through(data, used["final"].max(), reader.now if known_at is None else known_at),
        known_at=known_at,
        n_events=int(used["n"].sum()),
        outages=outages(used["first"]),
        names=names,
        **reader.closed(),
    )


def _there(accounts: pd.DataFrame, known_at: pd.Timestamp | None) -> pd.DataFrame:
    """Those that are looked at: the first of all, because their order is that of the codes."""
    there = ~accounts[LEFT_OUT]
    if known_at is not None:
        there &= accounts["signed_up_at"] < known_at
    return accounts[there].drop(columns=LEFT_OUT)


def _data_through(data: Data, final: pd.Timestamp, instant: pd.Timestamp) -> pd.Timestamp:
    """Where knowledge ends: with the day of the final event where that is whole, and never after `instant`."""
    through = final.floor("D") + pd.Timedelta(days=1) if _is_whole(data, final) else final
    return min(through, instant)


def _is_whole(data: Data, final: pd.Timestamp) -> bool:
    return data.calendar.resolution == "day" or final - final.floor("D") >= LATE_IN_THE_DAY


def ends_within_its_day(data: Data, through: pd.Timestamp) -> bool:
    """Whether `data_through` was cut short by the instant it was read at: that day holds more once it is over."""
    return through != through.floor("D") and _is_whole(data, through)


def _known_names(of_log: frozenset[str], states: pd.DataFrame | None, data: Data) -> frozenset[str]:
    """What a row of the eligibility may name: events of the log or the framework, categories, attributes of the states."""
    attributes = frozenset[str]() if states is None else frozenset(states["attribute"].cat.categories)
    return of_log | data.named_events() | attributes | frozenset(data.events.categories)


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


class _Reader(SmallTables):
    """Reads one table after the other and keeps the books."""

    def events(self, accounts: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
        """The usable events, and what became of all rows (SPANS)."""
        raw = self._open("events")
        known = _known_accounts(raw, accounts)
        usable = self._usable_events(raw, known)
        spans = self._spans(raw, usable, known)
        self._close_events(raw, known, spans)
        return self._without_copies(usable, spans) if self.data.events.deduplicate else (usable, spans)

    def events_in_files(
        self, accounts: pd.DataFrame, files: dict[str, str], shelf: Shelf, kept: tuple[Kept, ...]
    ) -> tuple[Any, Counting]:
        """The usable events, and which of them are counted already; only the rows of other files are checked."""
        raw = self._open("events", files)  # and none that arrives meanwhile
        known = _known_accounts(raw, accounts)
        usable = self._usable_events(raw, known)
        gone = tuple(
            sorted(n for part in kept for n, digest in part.files.items() if digest not in files.values())
        )
        kept = tuple(part for part in kept if part.holds(files, accounts))
        fresh: FileEvents | None = None
        if not kept:
            fresh = self._counted(files, raw, usable, known)
        elif new := files.keys() - set[str]().union(*(part.files for part in kept)):
            rows = self._open("events", new, part=True)
            fresh = self._counted(
                {name: files[name] for name in new}, rows, self._usable_events(rows, known), known
            )
        parts = [part for part in (*kept, fresh) if part is not None]
        names = frozenset[str]().union(*(part.names for part in parts))
        whole = FileEvents(files, usable, summed([part.spans for part in parts]), names)
        self._close_events(raw, known, whole.spans)
        return usable, Counting(shelf, whole, accounts, kept, fresh, gone)

    def _counted(self, files: dict[str, str], raw: Any, usable: Any, known: Any) -> FileEvents:
        return FileEvents(files, usable, self._spans(raw, usable, known), event_names(usable))

    def _close_events(self, raw: Any, known: Any, spans: pd.DataFrame) -> None:
        """Enter the events into the books. Raises DataError where none can be used."""
        self._count_events(spans)
        joined = self._joined(raw, known)
        self.rejected["events"] = self._as_given(
            "events",
            joined.filter(joined.reason.notnull(), joined.reason.notin((EXCLUDED, NOT_YET_RECORDED))),
        )
        if spans["reason"].notna().all():
            raise DataError(self._none_yet(spans) or self._nothing_usable("events"))

    def _usable_events(self, raw: Any, known: Any) -> Any:
        """The events that can be used: those of `_joined` without a reason, by a leaner way.

        Whatever is no id is none of a known account, so that joining says it.
        """
        mapping, calendar = self.data.mapping["events"], self.data.calendar
        kinds = {c: kind for c, kind in TABLES["events"].columns.items() if c in mapping}
        lean = ("account_id", "event", "occurred_at")
        rows = raw.select(
            **{
                c: (as_written if c in lean else read_column)(raw, mapping[c], kinds[c], calendar)
                for c in kinds
            },
            **self._unread("events", raw, self._recording(raw)),
        )
        joined = rows.join(known, rows.account_id == known.known_id)
        sound = sound_event(joined, self.now, self.known_at)
        sound |= {NO_EVENT: joined.event.notnull() & ~says_nothing(joined.event, "text")}
        asked = [condition for reason, condition in sound.items() if reason not in OF_ACCOUNTS]
        keep = [c for c in ("event", "occurred_at", "user_id", "quantity") if c in kinds]
        return joined.filter(*asked).select("account", "signed_up_at", *keep)

    def _recording(self, raw: Any) -> dict[str, Any]:
        column = self.data.mapping["events"].get(RECORDED)
        kind = TABLES["events"].columns[RECORDED]
        return {} if column is None else {RECORDED: read_column(raw, column, kind, self.data.calendar)}

    def _joined(self, raw: Any, known: Any) -> Any:
        """Every event with its account, where it is known, and why it cannot be used, where it cannot."""
        unread = self._unread("events", raw, self._recording(raw))
        table = raw.select(**self._columns("events", raw), **unread, **self._given("events", raw))
        joined = table.left_join(known, table.account_id == known.known_id)
        return joined.mutate(reason=event_reason(joined, self.now, self.known_at))

    def _spans(self, raw: Any, usable: Any, known: Any) -> pd.DataFrame:
        """How many rows there are by reason, the usable ones by day, and from when to when.

        Only where some are not usable it is asked why.
        """
        found = self._by_day(usable)
        if int(found["n"].sum()) == int(to_frame(raw.aggregate(n=raw.count()))["n"].iloc[0]) > 0:
            return found
        joined = self._joined(raw, known)
        bad = joined.filter(joined.reason.notnull())
        return pd.concat([found, to_frame(bad.group_by("reason").aggregate(**_span(bad)))], ignore_index=True)

    def _by_day(self, usable: Any) -> pd.DataFrame:
        dated = usable.mutate(day=usable.occurred_at.date())
        found = to_frame(dated.group_by("day").aggregate(**_span(dated)))
        return found.drop(columns="day").assign(reason=None)

    def _count_events(self, spans: pd.DataFrame) -> None:
        self.read["events"] = int(spans["n"].sum())
        bad = spans[spans["reason"].notna()]
        counts = {str(r): int(n) for r, n in zip(bad["reason"], bad["n"], strict=True)}
        if EXCLUDED in counts:
            self.excluded["events"] = {EXCLUDED: counts.pop(EXCLUDED)}
        self._withhold("events", self.not_yet, counts.pop(NOT_YET_RECORDED, 0))
        self.quarantined["events"] = dict(sorted(counts.items()))

    def _without_copies(self, events: Any, spans: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
        """The distinct ones, and the spans with as many as they are."""
        distinct = events.distinct()
        usable, fewer = spans["reason"].isna(), self._by_day(distinct)
        copies = int(spans.loc[usable, "n"].sum() - fewer["n"].sum())
        if copies:
            self.excluded.setdefault("events", {})[COPIES] = copies
        return distinct, pd.concat([fewer, spans[~usable]], ignore_index=True)

    def _none_yet(self, spans: pd.DataFrame) -> str:
        """Why no event can be used at the instant asked for; nothing where that is not the reason."""
        later = spans.loc[spans["reason"] == NOT_YET_RECORDED, "first"]
        if later.empty:
            return ""
        return (
            f"events: nothing usable was recorded by {self.known_at}; of what came later the first is of {later.min()}:"
            " choose a later date"
        )


def _span(table: Any) -> dict[str, Any]:
    return {"n": table.count(), "first": table.occurred_at.min(), "final": table.occurred_at.max()}
