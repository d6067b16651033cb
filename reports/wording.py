"""Numbers as people read them: "62 %", "+11.9 points (8.1 to 15.6)", "15 Oct 2024".

Everything the page, the figures and the verdict sentences print goes through here, so that one number
looks the same wherever it stands. Rates and differences are fractions (0.119 is 11.9 points).
"""

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

NOT_DEFINED = "not defined"
NOT_ENOUGH = "not enough data yet"

_MINUS = "\N{MINUS SIGN}"


def known(value: object) -> bool:
    """Whether `value` is a finite number; True and False are answers, not numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _signed(text: str) -> str:
    """A typographic minus instead of a hyphen, and no minus before a rounded zero ("-0.0" is "0.0")."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else _MINUS + text[1:]
    return text


def count(value: float | None, missing: str = NOT_ENOUGH) -> str:
    """12345 -> "12,345"."""
    return _signed(f"{value:,.0f}") if value is not None and known(value) else missing


def compact(value: float) -> str:
    """A count on an axis: 950, 1.5 k, 20 k, 1.2 M."""
    for unit, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return _signed(f"{value / unit:.3g}{sign}")
    return _signed(f"{value:.3g}")


def number(value: float | None, missing: str = NOT_DEFINED) -> str:
    """A value of a feature, three significant digits at most behind the point: 5, 0.75, 1,200."""
    if value is None or not known(value):
        return missing
    if value == round(value) or abs(value) >= 100:
        return _signed(f"{value:,.0f}")
    return _signed(f"{value:.3g}")


def percent(value: float | None, missing: str = NOT_ENOUGH) -> str:
    """0.62 -> "62 %". One decimal below 1 % and above 99 %, where whole numbers would read as none or all."""
    if value is None or not known(value):
        return missing
    edge = 0 < abs(value) < 0.01 or 0.99 < value < 1
    if 0 < value < 0.001:
        return "under 0.1 %"
    if 0.999 < value < 1:
        return "over 99.9 %"
    return _signed(f"{100 * value:.{1 if edge else 0}f} %")


def points(value: float | None, missing: str = NOT_ENOUGH) -> str:
    """A difference of two rates with its sign: 0.119 -> "+11.9 points"."""
    if value is None or not known(value):
        return missing
    text = _signed(f"{100 * value:.1f}")
    return f"{'' if text.startswith(_MINUS) or text == '0.0' else '+'}{text} points"


def size(value: float | None, missing: str = NOT_DEFINED) -> str:
    """A difference without a direction: 0.05 -> "5.0 points"."""
    return f"{100 * abs(value):.1f} points" if value is not None and known(value) else missing


def _between(lower: Any, upper: Any, scale: float, digits: int) -> str:
    """The bounds in brackets, or a note that there are none: " (8.1 to 15.6)"."""
    if not (known(lower) and known(upper)):
        return " (no interval)"
    low, high = (_signed(f"{scale * bound:.{digits}f}") for bound in (lower, upper))
    return f" ({low} to {high})"


def difference(record: Mapping[str, Any] | None, missing: str = NOT_ENOUGH) -> str:
    """{value, lower, upper} -> "+11.9 points (8.1 to 15.6)"."""
    if not record or not known(record.get("value")):
        return missing
    return points(record["value"]) + _between(record.get("lower"), record.get("upper"), 100, 1)


def share(record: Mapping[str, Any] | None, missing: str = NOT_ENOUGH) -> str:
    """{value, lower, upper} -> "62 % (58 to 66)"."""
    if not record or not known(record.get("value")):
        return missing
    return percent(record["value"]) + _between(record.get("lower"), record.get("upper"), 100, 0)


def score(record: Mapping[str, Any] | None, missing: str = NOT_ENOUGH, digits: int = 2) -> str:
    """{value, lower, upper} on a scale of its own (AUC, phi) -> "0.71 (0.68 to 0.74)"."""
    if not record or not known(record.get("value")):
        return missing
    return _signed(f"{record['value']:.{digits}f}") + _between(
        record.get("lower"), record.get("upper"), 1, digits
    )


def measure(effect: Mapping[str, Any]) -> str:
    """An effect record in the manner of its measure: points, times, or a plain score."""
    kind = effect.get("measure")
    if kind == "risk_difference":
        return difference(effect)
    if not known(effect.get("value")):
        return "not estimable"
    text = score(effect)
    if kind in ("risk_ratio", "odds_ratio", "hazard_ratio"):
        return text.replace(" (", " times (", 1)
    return text


def day(value: object, missing: str = NOT_DEFINED) -> str:
    """An ISO date as "15 Oct 2024"; any other text as it is."""
    if value is None or value == "":
        return missing
    try:
        read = date.fromisoformat(str(value)[:10])
    except ValueError:
        return line(value)
    return f"{read.day} {read:%b} {read.year}"


def line(value: object, longest: int = 300) -> str:
    """Text from outside on one line: control characters and newlines become spaces, long text is cut."""
    text = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+", " ", str(value)).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
