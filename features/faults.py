"""What is wrong with a part of framework.yaml, in words: where it stands, what to write, and what was found there."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

MOST_SHOWN = 120  # characters of a refused value
# Clients differ on where a password ends that holds a / or a ?: up to the last @, it can be no longer.
PASSWORD = re.compile(r"(://[^:]*):.*@", re.DOTALL)
QUERY = re.compile(r"(://[^?]*\?)(.*)", re.DOTALL)
SECRET_KEYS = ("password", "sslpassword")

KEYS_AND_VALUES = "must hold `key: value` lines"
# Faults that pydantic tells in Python's words, by their type.
WORDS: Mapping[str, str] = {
    "string_type": "must be a text: write one, in quotes where it looks like a number",
    "tuple_type": "must be a list: write [a, b], or lines that begin with -",
    "dict_type": KEYS_AND_VALUES,
    "model_type": KEYS_AND_VALUES,
    "model_attributes_type": KEYS_AND_VALUES,
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
ABSENT: Mapping[str, str] = {
    "missing": "is missing: add it",
    "extra_forbidden": "is not a key here: check the spelling, or remove it",
    "unexpected_keyword_argument": "is not a key here: check the spelling, or remove it",
}
OF_PYTHON = re.compile(r"^Value error, |^(Input|String|Tuple|Dictionary) (?=should)| after validation")
Place = tuple[str | int, ...]


def meant(name: str, known: Iterable[str]) -> str:
    """Which of the known names may have been meant, as words to follow a name that is not known; "" where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def explain(error: ValidationError, *within: str) -> str:
    """The messages of a pydantic ValidationError, one line each: place, what to write, value; `within` is the part read."""
    return "\n".join(_line(item, within) for item in error.errors())


def holds_password(text: str) -> bool:
    """Whether an address in the text holds a password: before its last @, or in its query."""
    return PASSWORD.search(text) is not None or _asks_with_secret(text)


def masked(text: str) -> str:
    """The text with *** for what would show a password."""
    shown = PASSWORD.sub(r"\1:***@", text)
    return QUERY.sub(r"\1***", shown) if _asks_with_secret(shown) else shown


def _asks_with_secret(text: str) -> bool:
    query = QUERY.search(text)
    asked = parse_qsl(query[2], keep_blank_values=True) if query else []
    return any(key.strip().lower() in SECRET_KEYS for key, _ in asked)


def _line(item: Mapping[str, Any], within: Place) -> str:
    kind, loc = item["type"], (*within, *item["loc"])
    if loc and loc[-1] == "[key]":
        # The key itself, which YAML read as a number, is no text.
        return f"{place((*loc[:-2], str(loc[-2])))}: the key must be a text: put it in quotes"
    message = ABSENT.get(kind) or WORDS.get(kind) or OF_PYTHON.sub("", item["msg"])
    return f"{place(loc)}: {message}{_found(item)}".removeprefix(": ")


def place(loc: Place) -> str:
    """Where something stands: ("features", "extras", 0, "name") is `features.extras, entry 1, name`."""
    said = ""
    entry = False
    for key in loc:
        if isinstance(key, str) and key.startswith("<"):
            continue  # "<tag>" is how pydantic knows the member of a union; it is no key of the file
        if isinstance(key, int):
            said += f", entry {key + 1}"
        else:
            said += f"{', ' if entry else '.' if said else ''}{key}"
        entry = isinstance(key, int)
    return said


def _found(item: Mapping[str, Any]) -> str:
    """What was there instead; nothing where that says nothing, or is too much."""
    value, kind = item.get("input"), item["type"]
    if kind in ABSENT:
        return ""
    if isinstance(value, dict | list | tuple | BaseModel):
        what = "a list" if isinstance(value, list | tuple) else "keys and values"
        return f" (found {what})" if kind in WORDS else ""
    if value is None:
        return " (found nothing)"
    text = repr(masked(value) if isinstance(value, str) else value)
    return f" (found {text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + '…'})"
