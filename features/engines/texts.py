"""Times and numbers in texts, for engines whose casts stop the whole query at the first text they cannot read.

A text is cast only once a pattern has shown that the cast will succeed: a day that is in the calendar, leap years
counted, a clock below 24:00. DuckDB has casts that give null instead, and needs none of this.
"""

import re
from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.datatypes as dt

from features.declaration import Calendar
from features.errors import DataError

_YEAR = "[0-9]{4}"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_CLOCK = "(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?)"
_LOCAL = f"^{_DAY}{_CLOCK}?$"
_AWARE = f"^{_DAY}{_CLOCK} *(?:[zZ]|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)$"
_NUMBER = "^[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]{1,2})?$"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# What stands for each directive of strptime, as a group.
_DIRECTIVES = {
    "Y": "([0-9]{4})", "y": "([0-9]{2})", "m": "([0-9]{1,2})", "d": "([0-9]{1,2})", "b": "([A-Za-z]{3})",
    "B": "([A-Za-z]+)", "H": "([0-9]{1,2})", "I": "([0-9]{1,2})", "p": "([AaPp][Mm])", "M": "([0-9]{1,2})",
    "S": "([0-9]{1,2})", "f": "([0-9]{1,6})",
}  # fmt: skip


def matching(text: Any, pattern: str) -> Any:
    """The text where it matches, null elsewhere."""
    return ibis.ifelse(text.re_search(pattern), text, ibis.null("string"))


def number(text: Any) -> Any:
    """A text as float64, null where it is no number."""
    return matching(text, _NUMBER).cast("float64")


def time(text: Any, calendar: Calendar, in_utc: Callable[[Any, str], Any]) -> Any:
    """An ISO text, or one in a declared way of writing, as naive UTC; one with an offset says its zone itself."""
    zone = calendar.timezone
    aware = matching(text, _AWARE).cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    return ibis.coalesce(
        *(in_utc(_declared(text, pattern), zone) for pattern in calendar.time_formats),
        aware,
        in_utc(matching(text, _LOCAL).cast("timestamp"), zone),
    )


def _declared(text: Any, pattern: str) -> Any:
    """The local time that a text names in a pattern of strptime, null where it does not.

    Raises DataError for a directive that is not among those every engine understands.
    """
    parts = re.split(r"%(.)", pattern)
    named = parts[1::2]
    unknown = [directive for directive in named if directive not in _DIRECTIVES]
    if unknown:
        raise DataError(
            f"data.calendar.time_formats: {pattern!r} has %{unknown[0]}, which only DuckDB can read; here write with"
            f" {', '.join('%' + d for d in _DIRECTIVES)}"
        )
    regex = "^" + "".join(
        _DIRECTIVES[part] if odd % 2 else _literally(part) for odd, part in enumerate(parts)
    )
    found = {directive: text.re_extract(regex + "$", 1 + i) for i, directive in enumerate(named)}
    iso = _year(found) + "-" + _month(found) + "-" + _two(found.get("d"), "01")
    iso = iso + " " + _hour(found) + ":" + _two(found.get("M"), "00") + ":" + _two(found.get("S"), "00")
    if "f" in found:
        iso = iso + "." + found["f"]
    return matching(ibis.ifelse(text.re_search(regex + "$"), iso, ibis.null("string")), _LOCAL).cast(
        "timestamp"
    )


def _literally(part: str) -> str:
    return "".join(f"[{c}]" if not c.isalnum() and c not in "[]^\\ " else re.escape(c) for c in part)


def _two(digits: Any, otherwise: str) -> Any:
    return ibis.literal(otherwise) if digits is None else digits.lpad(2, "0")


def _year(found: dict[str, Any]) -> Any:
    if "Y" in found:
        return found["Y"]
    if "y" in found:  # as strptime has it: 69 to 99 are of the last century
        return ibis.ifelse(found["y"] >= "69", ibis.literal("19"), ibis.literal("20")) + found["y"]
    return ibis.literal("1900")


def _month(found: dict[str, Any]) -> Any:
    name = found.get("b", found.get("B"))
    if name is None:
        return _two(found.get("m"), "01")
    short = name.lower().substr(0, 3)
    return ibis.cases(*((short == month, f"{1 + i:02d}") for i, month in enumerate(_MONTHS)), else_="00")


def _hour(found: dict[str, Any]) -> Any:
    if "I" not in found:
        return _two(found.get("H"), "00")
    clock = found["I"].lpad(2, "0")
    if "p" not in found:
        return clock
    afternoon = found["p"].lower() == "pm"
    later = ibis.cases(*((clock == f"{h:02d}", f"{h % 12 + 12:02d}") for h in range(1, 13)), else_="99")
    return ibis.ifelse(afternoon, later, ibis.ifelse(clock == "12", "00", clock))
