"""Whether the files of one table go together: read as one, their columns take a type that all of them fit.

Whole numbers and fractions make fractions, a date and a time make a time, whole numbers and texts make texts: ids and
times are read from each of them alike. The fraction 24.0 and the text "24" would become two ids, and a time without a
zone beside one with a zone would be taken for UTC, wherever it was written.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from features.errors import DataError

# What must not meet in one column, however the other files are.
APART = (
    {"fractions", "texts"},
    {"times with a zone", "times without a zone"},
    {"times with a zone", "dates"},
    *({numbers, times} for numbers in ("whole numbers", "fractions") for times in ("times with a zone", "times without a zone", "dates")),
)  # fmt: skip

KINDS: Mapping[str, Callable[[pa.DataType], bool]] = {
    "whole numbers": pa.types.is_integer,
    "fractions": lambda kind: pa.types.is_floating(kind) or pa.types.is_decimal(kind),
    "dates": pa.types.is_date,
    "texts": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
}


def require_alike(
    table: str,
    files: Mapping[Path, Mapping[str, pa.DataType]],
    required: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Raises DataError naming a file that lacks a required column, or has another kind of value in a column than most.

    files: the type of each column by file.
    """
    for column in required:
        without = [file for file, schema in files.items() if column not in schema]
        if without:
            raise DataError(
                f"{table}: {without[0]} has no column {column!r}, which other files of the same source have: rename its"
                " columns as theirs are, or move it elsewhere"
            )
    for column in columns:
        kinds = {file: _kind(schema[column]) for file, schema in files.items() if column in schema}
        for pair in APART:
            if pair <= set(kinds.values()):
                usual, rare = (kind for kind, _ in Counter(kinds.values()).most_common() if kind in pair)
                odd = next(file for file, kind in kinds.items() if kind == rare)
                raise DataError(
                    f"{table}: {odd} has {rare} in the column {column!r}, other files of the same source have {usual}:"
                    " write them alike"
                )


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return "times without a zone" if kind.tz is None else "times with a zone"
    for words, belongs in KINDS.items():
        if belongs(kind):
            return words
    return str(kind)
