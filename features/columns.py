"""Read the columns of an opened source as ids, texts, times and numbers, on any engine.

What cannot be read becomes null; the intake says which rows that concerns and why.
"""

from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pandas as pd

from features.declaration import Calendar
from features.engines import Engine, engine_of, fetch
from features.engines.texts import matching
from features.tables import Kind

NULL_WORDS = ("", "nan", "nat", "null", "none", "na", "n/a")
NOTHING = rf"(?i)^[\s\v]*({'|'.join(NULL_WORDS)})[\s\v]*$"
NOT_BLANK = r"[^\s\v]"
TIME_FORMS = (
    "times are read as 2024-03-31 14:05:00, as 20240331, as seconds since 1970, and as declared under"
    " data.calendar.time_formats (in `init`: --time-format '%d/%m/%Y %H:%M')"
)
EPOCH = r"^[0-9]{9,19}([.][0-9]+)?$"  # nine digits of seconds are 1973; eight are a date such as 20240331
COMPACT = r"^[0-9]{8}$"
COMPACT_DATES = (19_000_101, 21_001_231)  # whole numbers in here are dates: as seconds they would be of 1970
# Beyond these, and for an infinite one, a time is drawn in: pandas has no word for infinity, and "9999-12-31" is
# how many systems write "has not ended".
EARLIEST, LATEST = "0001-01-01", "9999-12-31"
UTC_CALENDAR = Calendar()


def read_column(raw: Any, physical: str, kind: Kind, calendar: Calendar) -> Any:
    """One column as the contract has it: ids and texts as they are, times naive UTC, numbers float64.

    Words for nothing become null, and so does what cannot be read.
    """
    column = as_written(raw, physical, kind, calendar)
    if kind in ("id", "text"):
        return ibis.ifelse(says_nothing(column, kind), ibis.null("string"), column)
    return _within_reach(column) if kind == "time" else column


def as_written(raw: Any, physical: str, kind: Kind, calendar: Calendar) -> Any:
    """The same without a look at what a text says or how far a time lies: for rows that were looked at before."""
    column, engine = raw[physical], engine_of(raw)
    if kind in ("id", "text"):
        return _whole(column) if kind == "id" and column.type().is_floating() else column.cast("string")
    if kind == "time":
        return _time(column, calendar, engine)
    return engine.number(_without_null_words(column)) if column.type().is_string() else column.cast("float64")


def to_frame(table: Any) -> pd.DataFrame:
    """Execute an expression into pandas, with times in microseconds. Raises DataError or StoreError, in words."""
    frame: pd.DataFrame = fetch(table).to_pandas()
    return frame


def says_nothing(text: Any, kind: Kind) -> Any:
    """Whether an id is a word for nothing, or a text is blank.

    Its first character clears nearly every row at once: words for nothing are empty or begin with a space (which
    all sort before '!') or an n. And no `isin` here: DuckDB takes a list out of its condition and looks every
    stripped and lowered row up in it, which costs more than all the counting that follows.
    """
    if not engine_of(text).compares_bytes:
        return ~text.re_search(NOT_BLANK) if kind == "text" else text.re_search(NOTHING)
    if kind == "text":
        return (text < "!") & ~text.re_search(NOT_BLANK)
    perhaps = (text < "!") | text.between("N", "O") | text.between("n", "o")
    return perhaps & text.re_search(NOTHING)


def _whole(column: Any) -> Any:
    """Ids that became floats, as one missing value makes them, as the whole numbers they were."""
    # 2 ** 53: up to here every whole number is a float.
    whole = ibis.ifelse(column.abs() <= 2.0**53, column, ibis.null("float64")).cast("int64")
    return ibis.ifelse(whole.cast("float64") == column, whole.cast("string"), column.cast("string"))


def _without_null_words(column: Any) -> Any:
    return ibis.ifelse(column.strip().lower().isin(NULL_WORDS), ibis.null("string"), column.strip())


# An expression is written out wherever it is used, so each step below names its input as few times as it can.


def _time(column: Any, calendar: Calendar, engine: Engine) -> Any:
    kind, zone = column.type(), calendar.timezone
    if kind.is_integer() or kind.is_floating() or kind.is_decimal():
        return _from_number(column.cast("float64"), calendar, engine)
    # Ibis 12 does not know DuckDB's time of nanoseconds with a zone, which pandas writes.
    if kind.is_unknown() or (kind.is_timestamp() and kind.timezone is not None):
        return column.cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    if kind.is_string():
        text = column.strip()
        return ibis.coalesce(
            engine.time(text, calendar),
            _compact(matching(text, COMPACT), calendar, engine),
            _from_epoch(engine.number(matching(text, EPOCH)), engine),
        )
    if kind.is_timestamp() or kind.is_date():
        return engine.in_utc(column.cast("timestamp"), zone)
    return ibis.null("timestamp")


def _from_number(number: Any, calendar: Calendar, engine: Engine) -> Any:
    date = ibis.ifelse(number.between(*COMPACT_DATES), number, ibis.null("float64")).cast("int64")
    return ibis.coalesce(_compact(date.cast("string"), calendar, engine), _from_epoch(number, engine))


def _compact(digits: Any, calendar: Calendar, engine: Engine) -> Any:
    """A date of eight digits, 20240331."""
    text = digits.substr(0, 4) + "-" + digits.substr(4, 2) + "-" + digits.substr(6, 2)
    return engine.in_utc(engine.time(text, UTC_CALENDAR), calendar.timezone)


def _from_epoch(value: Any, engine: Engine) -> Any:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size (until 2286)."""
    size = value.abs()
    scale = ibis.cases((size < 1e10, 1e6), (size < 1e13, 1e3), (size < 1e16, 1.0), else_=1e-3)
    # 9e18: no farther reaches an int64; nor is a date an epoch.
    sound = (size < 9e18) & ~value.between(*COMPACT_DATES)
    return engine.since_1970((ibis.ifelse(sound, value, ibis.null("float64")) * scale).cast("int64"))


def _within_reach(time: Any) -> Any:
    earliest, latest = ibis.timestamp(EARLIEST), ibis.timestamp(LATEST)
    return ibis.cases((time < earliest, earliest), (time > latest, latest), else_=time)
