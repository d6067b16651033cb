"""Find out which column of a stranger's table is which: by name first, by type and content where names fail."""

import re
from pathlib import Path
from typing import Any, Literal, NoReturn

from features.columns import TIME_FORMS, read_column, to_frame
from features.declaration import Calendar, Data, Events, Outcome, Sources
from features.errors import DataError, UsageError
from features.faults import meant
from features.sources import Stores
from features.tables import TABLES, Kind

SAMPLE = 20_000
READABLE = 0.5  # share of sampled values that must read as the kind


def parse_overrides(pairs: list[str]) -> dict[str, dict[str, str]]:
    """`table.column=name` given by the user. Raises UsageError for anything else."""
    found: dict[str, dict[str, str]] = {}
    for pair in pairs:
        target, _, name = pair.partition("=")
        table, _, column = target.partition(".")
        if not name or table not in TABLES or column not in TABLES[table].columns:
            columns = [f"{t}.{c}" for t in TABLES for c in TABLES[t].columns]
            raise UsageError(
                f"--map {pair}: write table.column=name, where table.column{meant(target, columns)} is one of"
                f" {', '.join(columns)}"
            )
        found.setdefault(table, {})[column] = name
    return found


def discover(
    stores: Stores, sources: Sources, folder: Path, overrides: dict[str, dict[str, str]], calendar: Calendar
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The mapping of every declared table, and what was guessed, in words.

    Raises DataError naming the table, its columns and the --map that would settle it.
    """
    mapping: dict[str, dict[str, str]] = {}
    said: list[str] = []
    for table, source in sources.declared().items():
        raw = stores.open(source, folder, table)
        mapping[table] = _map_table(table, raw, overrides.get(table, {}), calendar)
        others = [c for c in raw.columns if c not in mapping[table].values()]
        pairs = ", ".join(f"{logical} = {physical}" for logical, physical in mapping[table].items())
        said.append(f"{table}: {pairs}" + (f"; not used: {', '.join(others)}" if others else ""))
    return mapping, said


def _map_table(table: str, raw: Any, overrides: dict[str, str], calendar: Calendar) -> dict[str, str]:
    contract = TABLES[table]
    for logical, physical in overrides.items():
        if physical not in raw.columns:
            raise DataError(f"--map {table}.{logical}={physical}: the table has {', '.join(raw.columns)}")
    found = dict(overrides)

    def free() -> list[str]:
        return [c for c in raw.columns if c not in found.values()]

    for logical, kind in contract.columns.items():
        if logical not in found:
            named = _by_name(contract.synonyms.get(logical, ()), free(), raw, kind, calendar)
            found |= {} if named is None else {logical: named}
    # What a name claims is no guess for another column, so types have their say last.
    for logical in contract.required:
        if logical not in found:
            found[logical] = _by_type(free(), raw, contract.columns[logical], calendar) or _unrecognised(
                table, logical, free(), raw
            )
    return {logical: found[logical] for logical in contract.columns if logical in found}


def _unrecognised(table: str, logical: str, free: list[str], raw: Any) -> NoReturn:
    contract = TABLES[table]
    kind = contract.columns[logical]
    unread = _unread(contract.synonyms[logical], free, raw) if kind == "time" else ""
    raise DataError(
        f"{table}: no column could be recognised as {logical} ({kind}); it has {', '.join(raw.columns)}."
        f"{unread} Say which with --map {table}.{logical}=COLUMN"
    )


def _plain(columns: list[str]) -> dict[str, str]:
    """Columns by their name in lower case with underscores; the first of several alike."""
    return {re.sub(r"[^0-9a-z]+", "_", c.lower()).strip("_"): c for c in reversed(columns)}


def _unread(synonyms: tuple[str, ...], free: list[str], raw: Any) -> str:
    """What stands in the column that bears the right name but holds no times."""
    named = [column for column in map(_plain(free).get, synonyms) if column is not None]
    if not named:
        return ""
    values = to_frame(raw.filter(raw[named[0]].notnull()).select(value=raw[named[0]].cast("string")).limit(1))
    return (
        f" {named[0]} holds {str(values['value'].iloc[0])[:60]!r}, but {TIME_FORMS}." if len(values) else ""
    )


def _by_name(
    synonyms: tuple[str, ...], free: list[str], raw: Any, kind: Kind, calendar: Calendar
) -> str | None:
    plain = _plain(free)
    for synonym in synonyms:
        column = plain.get(synonym)
        if column is not None and _readable(raw, column, kind, calendar):
            return column
    return None


def _by_type(free: list[str], raw: Any, kind: Kind, calendar: Calendar) -> str | None:
    """The only column that could be it; several are no answer."""
    if kind == "time":
        fit = [c for c in free if not _numeric(raw, c) and _readable(raw, c, kind, calendar)]
    elif kind == "id":
        fit = [c for c in free if c.lower().endswith(("_id", "id"))]
    else:
        fit = [c for c in free if raw[c].type().is_string() and not _readable(raw, c, "time", calendar)]
    return fit[0] if len(fit) == 1 else None


def _numeric(raw: Any, column: str) -> bool:
    return bool(raw[column].type().is_numeric())


def _readable(raw: Any, column: str, kind: Kind, calendar: Calendar) -> bool:
    """Whether most non-empty values of a sample read as the kind (an empty column proves nothing)."""
    if kind in ("id", "text"):
        return True
    sample = raw.limit(SAMPLE)
    read = to_frame(
        sample.aggregate(
            given=read_column(sample, column, "id", calendar).count(),
            read=read_column(sample, column, kind, calendar).count(),
        )
    )
    given, good = int(read["given"].iloc[0]), int(read["read"].iloc[0])
    return given == 0 or good >= READABLE * given


def provisional(sources: Sources, mapping: dict[str, dict[str, str]], calendar: Calendar) -> Data:
    """A data half that is good enough to open the tables and look at them."""
    return Data.model_validate(
        {
            "sources": sources.model_dump(),
            "mapping": mapping,
            "calendar": calendar.model_dump(),
            "events": Events().model_dump(),
            "outcomes": Outcome(kind="silent", horizon_days=90).model_dump(),
        }
    )


def resolution_of(
    stores: Stores, sources: Sources, folder: Path, mapping: dict[str, dict[str, str]], calendar: Calendar
) -> Literal["instant", "day"]:
    """'day' where no event carries a time of day, on the clock it was written by; 'instant' otherwise."""
    raw = stores.open(sources.events, folder, "events")
    as_written = calendar.model_copy(update={"timezone": "UTC"})
    local = read_column(raw, mapping["events"]["occurred_at"], "time", as_written)
    timed = raw.select(local=local).filter(lambda t: t.local != t.local.truncate("D")).limit(1)
    return "instant" if len(to_frame(timed)) else "day"
