"""What single values of framework.yaml must be: every function gives the value back, or raises ValueError in words."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from features.faults import holds_password, meant

SPELLED = ("seats", "mrr", "plan")  # what subscriptions may say with dates
TENURE = "tenure"


def known_zone(zone: str) -> str:
    """The zone, if the tz database has it. Raises ValueError."""
    from zoneinfo import available_timezones

    if zone not in available_timezones():
        raise ValueError(
            f"{zone!r} is not a time zone: write one of the tz database, such as Europe/Dublin or UTC"
        )
    return zone


def known_time_format(pattern: str) -> str:
    """The pattern, if a time can be written in it and read again. Raises ValueError."""
    try:
        datetime.strptime(datetime(2024, 5, 31, 14, 5).strftime(pattern), pattern)
        readable = "%" in pattern
    except ValueError:
        readable = False
    if not readable:
        raise ValueError(f"{pattern!r} is not a way to write times: write one such as '%d/%m/%Y %H:%M'")
    return pattern


def named_source(source: str) -> str:
    """The source, if it can name one and holds no secret. Raises ValueError."""
    if not source.strip() or "\0" in source:
        raise ValueError(
            "name a file, a folder, a glob, file.duckdb::table or postgresql://user@host/database::schema.table"
        )
    if holds_password(source):
        raise ValueError(
            "it holds a password, which would be copied into every record: leave it out, and put it into the variable"
            " PGPASSWORD or the file ~/.pgpass"
        )
    return source


def known_engine(engine: str) -> str:
    """The engine, if it is DuckDB or names a Spark master. Raises ValueError."""
    if not re.fullmatch(
        r"duckdb|local(\[.+\])?|local-cluster\[\d+, ?\d+, ?\d+\]|spark://[^,]+:\d+(,[^,]+:\d+)*|k8s://.+|yarn",
        engine,
    ):
        raise ValueError(
            "is no engine: write duckdb, or a Spark master such as spark://host:7077 or local-cluster[2,1,1024]"
        )
    return engine


def one_value(value: Any) -> Any:
    """The value, if it is one. Raises ValueError."""
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be one value: write a text, a number, true or false")
    return value


def feature_name(name: str) -> str:
    """The name, if a column may have it. Raises ValueError."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name):
        raise ValueError(
            "is no name of a feature: write small letters, digits and _, a letter first, at most 100 of them"
        )
    return name


def covariates(names: Collection[str], of_spells: Collection[str], fixed: Collection[str]) -> None:
    """Whether effects can be adjusted for these names. Raises ValueError for one that nobody can date, or that stands twice.

    of_spells: the columns that the subscriptions have; fixed: the attributes that never change.
    """
    known = (*dict.fromkeys((*(name for name in SPELLED if name in of_spells), TENURE, *fixed)),)
    for name in names:
        if name not in known:
            remedy = (
                f"give a table of subscriptions and say under data.mapping.subscriptions which column holds {name}"
                if name in SPELLED
                else "list it under data.fixed_at_signup if it never changes"
            )
            raise ValueError(
                f"adjust_for {name!r}{meant(name, known)}: what is known from before a milestone's window is"
                f" {', '.join(known)}; {remedy}, or leave it out"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"adjust_for {list(names)}: each name once")
